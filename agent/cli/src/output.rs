//! Output of the commands.

use std::io::{self, BufRead as _, Write};

use clap::Args;
use serde::Serialize;

/// `--json`, of a command that otherwise prints sentences.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArg {
    /// For programs: one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The reader of the output has gone, which is no failure of the command.
#[derive(Debug, thiserror::Error)]
#[error("the output is not read")]
pub(crate) struct OutputClosed;

/// Writes text to the output.
///
/// Fails with [`OutputClosed`] when the reader has gone.
pub(crate) fn print(out: &mut dyn Write, text: &str) -> anyhow::Result<()> {
    write(out, text.as_bytes())
}

/// Writes a document as one line of JSON.
pub(crate) fn print_json(out: &mut dyn Write, document: &impl Serialize) -> anyhow::Result<()> {
    print(out, &(serde_json::to_string(document)? + "\n"))
}

/// Writes bytes to the output.
///
/// Fails with [`OutputClosed`] when the reader has gone.
pub(crate) fn write(out: &mut dyn Write, bytes: &[u8]) -> anyhow::Result<()> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write the output")),
        Ok(()) => Ok(()),
    }
}

/// Asks on the terminal, since standard output is for what is done. Returns the line that is typed, trimmed; `None` at the end of the input.
pub(crate) fn ask(question: &str) -> io::Result<Option<String>> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let mut line = String::new();
    let length = io::stdin().lock().read_line(&mut line)?;
    Ok((length > 0).then(|| line.trim().to_owned()))
}
