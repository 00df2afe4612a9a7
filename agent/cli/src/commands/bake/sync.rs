//! Waits for the sync of a bake, and shows its progress.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tracing::info;

use agent_config::Config;
use agent_core::machine::Phase;
use agent_core::published::AgentSnapshot;
use agent_daemon::api;

use super::BakeOptions;
use super::sync_gate::{self, GateStatus, SyncGate};

/// Between two lines of progress in the log.
const LOG_EVERY: Duration = Duration::from_secs(30);
/// Bit of `node_roles` that an authority has.
const AUTHORITY: u64 = 4;

/// Waits until the sync gate opens. Returns the snapshot of that moment.
pub(super) async fn wait_for_sync(
    handle: &api::Handle,
    config: &Config,
    options: BakeOptions,
) -> anyhow::Result<Arc<AgentSnapshot>> {
    let mut snapshots = handle.snapshot.clone();
    let mut gate = SyncGate::new(options.credible, config.chains.keys().copied());
    let mut progress = SyncProgress::default();
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let status = &snapshot.status;
        if let Some(Phase::Holding | Phase::Stopped) = status.phase {
            let reason = status.reasons.first().unwrap_or(&status.summary);
            bail!("{}", reason.replace("t0rn-agent start", "t0rn-agent bake"));
        }
        let authority = snapshot
            .nodes
            .iter()
            .find(|(_, node)| node.roles.is_some_and(|roles| roles & AUTHORITY != 0));
        if let Some((chain, _)) = authority {
            bail!(
                "the {} runs as an authority although its command asks for none: take that out of the image or collator.env",
                chain.into_str()
            );
        }
        let gate_status = gate.observe(Instant::now(), &snapshot);
        progress.show(&snapshot, &gate_status);
        match gate_status {
            GateStatus::Reached => {
                SyncProgress::end();
                return Ok(snapshot);
            }
            GateStatus::NoData => bail!(
                "the node never reported how far it is: {}; mend that, and bake again",
                status.reasons.first().unwrap_or(&status.summary)
            ),
            GateStatus::Waiting(_) | GateStatus::Holding(_) => {}
        }
        snapshots.changed().await.context("the supervisor ended")?;
    }
}

/// The status of the sync in one line.
pub(super) fn describe_sync(handle: &api::Handle) -> String {
    let snapshot = handle.snapshot.borrow();
    let reasons = snapshot
        .status
        .reasons
        .first()
        .filter(|reason| **reason != snapshot.status.summary);
    let reason = reasons.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{}{reason}", snapshot.status.summary)
}

/// Shows progress: a line that is rewritten on a terminal, else a line in the log now and then.
#[derive(Debug, Default)]
struct SyncProgress {
    last: Option<(Instant, Option<Phase>)>,
}

impl SyncProgress {
    fn show(&mut self, snapshot: &AgentSnapshot, gate: &GateStatus) {
        let phase = snapshot.status.phase;
        let text = sync_gate::describe_progress(&snapshot.status, gate);
        if io::stderr().is_terminal() {
            // A closed standard error is no reason to end.
            let _ = write!(io::stderr().lock(), "\r\x1b[K{text}");
        }
        let due = self
            .last
            .is_none_or(|(at, was)| was != phase || at.elapsed() >= LOG_EVERY);
        if due {
            self.last = Some((Instant::now(), phase));
            info!(phase = phase.map(|phase| phase.into_str()), "{text}");
        }
    }

    fn end() {
        if io::stderr().is_terminal() {
            let _ = writeln!(io::stderr().lock());
        }
    }
}
