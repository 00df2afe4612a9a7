//! `logs`: the collator's log, from the agent.

use std::io::{self, IsTerminal as _, Write};
use std::pin::pin;

use clap::Args;
use futures_util::TryStreamExt;

use agent_daemon::api::TAIL_MAX;

use super::parse_number;
use crate::error::ArgumentError;
use crate::escapes::EscapeFilter;
use crate::globals::GlobalArgs;
use crate::output::write;

pub(crate) const EXAMPLES: &str = "\
Examples:
  t0rn-agent logs -n 500 | grep -i error
  t0rn-agent logs -f";

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Go on until Ctrl-C, or until the container is gone
    #[arg(short, long)]
    follow: bool,
    /// Begin this many lines before the end
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = parse_lines)]
    lines: u32,
}

fn parse_lines(text: &str) -> Result<u32, ArgumentError> {
    parse_number(text, 0..=TAIL_MAX)
}

/// Prints the log. Ctrl-C needs no handler: it ends the process even while its output waits for a reader.
pub(crate) async fn execute(args: &LogsArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    print_log(args, globals, io::stdout().is_terminal(), out).await
}

/// To a terminal without what it would obey, elsewhere unchanged.
async fn print_log(args: &LogsArgs, globals: &GlobalArgs, terminal: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = globals.client();
    let mut filter = terminal.then(EscapeFilter::default);
    let mut print = |bytes: Vec<u8>| match &mut filter {
        Some(filter) => write(out, &filter.strip(&bytes)),
        None => write(out, &bytes),
    };
    if !args.follow {
        return print(client.log(args.lines).await?);
    }
    let mut log = pin!(client.follow_log(args.lines).await?);
    while let Some(chunk) = log.try_next().await? {
        print(chunk)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;

    use clap::Parser;
    use tokio::sync::{mpsc, watch};

    use super::*;
    use agent_core::published::AgentSnapshot;
    use agent_core::status::Status;
    use agent_daemon::api::{self, ConfigHandle, Handle};
    use agent_daemon::engine_stub::{Engine, Log};
    use agent_daemon::supervisor::KnownSecrets;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        globals: GlobalArgs,
        #[command(flatten)]
        logs: LogsArgs,
    }

    #[tokio::test]
    async fn log_is_printed_unchanged() {
        let (engine, dir) = (Engine::start(Log::Short), tempfile::tempdir().unwrap());
        let path = dir.path().join("agent.sock");
        let listener = api::bind(&path, "no-such-group").await.unwrap();
        let (_status, snapshot) = watch::channel(Arc::new(AgentSnapshot::of(
            Status::default(),
            jiff::Timestamp::now(),
            std::time::Instant::now(),
        )));
        let handle = Handle {
            snapshot,
            commands: mpsc::channel(1).0,
            docker: engine.docker.clone(),
            secrets: KnownSecrets::none(&engine.docker),
            config: ConfigHandle::none(),
        };
        tokio::spawn(api::serve(listener, handle, std::future::pending()));
        for words in [&[][..], &["-f", "-n", "3"]] {
            let socket = ["logs", "--socket", path.to_str().unwrap()];
            let parsed = Words::try_parse_from([&socket[..], words].concat()).unwrap();
            let mut out = Vec::new();
            print_log(&parsed.logs, &parsed.globals, false, &mut out).await.unwrap();
            assert_eq!(out, b"line 0\nline 1\nline 2\n");
        }
    }
}
