//! Commands to a running agent.

use std::io::Write;
use std::pin::pin;

use futures_util::TryStreamExt;

use super::{Cli, print, write};
use agent_core::event::Command;

impl Cli {
    /// Hands over the command and prints what the agent says it does about it.
    pub(super) async fn tell(&self, command: Command, out: &mut dyn Write) -> anyhow::Result<()> {
        let words = self.client().command(&command).await?;
        if let (Command::Restart { .. } | Command::Stop | Command::Start, Ok(config)) = (&command, self.load()) {
            agent_chaindata::stop_marker::clear_stop_marker(&config.agent.state_dir);
        }
        print(out, &format!("{}\n", words.trim_end()))
    }

    /// Ctrl-C needs no handler: it ends the process even while its output waits for a reader.
    pub(super) async fn logs(&self, follow: bool, lines: u32, out: &mut dyn Write) -> anyhow::Result<()> {
        let client = self.client();
        if !follow {
            return write(out, &client.log(lines).await?);
        }
        let mut log = pin!(client.follow_log(lines).await?);
        while let Some(chunk) = log.try_next().await? {
            write(out, &chunk)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use agent_core::published::Snapshot;
    use agent_core::status::Status;
    use agent_daemon::api::{self, Handle};
    use agent_daemon::engine_stub::{Engine, Log};
    use tokio::sync::{mpsc, watch};

    #[tokio::test]
    async fn the_log_goes_to_the_output_as_it_is() {
        let (engine, dir) = (Engine::start(Log::Short), tempfile::tempdir().unwrap());
        let path = dir.path().join("agent.sock");
        let listener = api::bind(&path, "no-such-group").unwrap();
        let (_status, snapshot) = watch::channel(Arc::new(Snapshot::of(
            Status::default(),
            jiff::Timestamp::now(),
            std::time::Instant::now(),
        )));
        let handle = Handle {
            snapshot,
            commands: mpsc::channel(1).0,
            docker: engine.docker.clone(),
        };
        tokio::spawn(api::serve(listener, handle, std::future::pending()));
        for words in [&["logs"][..], &["logs", "-f", "-n", "3"]] {
            let socket = ["t0rn-agent", "--socket", path.to_str().unwrap()];
            let mut out = Vec::new();
            let code = Cli::try_parse_from([&socket[..], words].concat())
                .unwrap()
                .execute(&mut out)
                .await;
            assert_eq!((code.unwrap(), out.as_slice()), (0, &b"line 0\nline 1\nline 2\n"[..]));
        }
    }
}
