//! Output of the commands.

use std::io::{self, Write};

/// The reader of the output has gone, which is no failure of the command.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct OutputClosed;

/// Writes text to the output.
///
/// Fails with [`OutputClosed`] when the reader has gone.
pub(crate) fn print(out: &mut dyn Write, text: &str) -> anyhow::Result<()> {
    write(out, text.as_bytes())
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
