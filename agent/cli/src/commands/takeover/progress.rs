//! Whether the collator makes progress in its new place.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use agent_core::event::Chain;
use agent_core::machine::Phase;
use agent_core::status::Status;
use agent_core::units::rounded_duration;

use super::say;
use super::session::Session;

/// A node may compile its runtime for minutes before it imports a block.
const TIMEOUT: Duration = Duration::from_mins(10);
const POLL: Duration = Duration::from_secs(1);

/// First height of each chain that was seen in one run.
#[derive(Debug, Default)]
struct Heights(BTreeMap<Chain, u64>);

impl Heights {
    /// Chains that are higher than when they were first seen, in words.
    fn note(&mut self, status: &Status) -> Option<String> {
        let risen = status.chains.iter().filter_map(|(chain, seen)| {
            let best = seen.best?;
            let first = *self.0.entry(*chain).or_insert(best);
            (best > first).then(|| format!("{}: best {first} -> {best}", chain.into_str()))
        });
        let risen: Vec<_> = risen.collect();
        (!risen.is_empty()).then(|| risen.join(", "))
    }
}

/// Watches the status until a height rises. Returns whether one did.
///
/// Fails when the engine does not answer, or the agent cannot be asked.
pub(super) async fn watch(session: &Session, out: &mut dyn Write) -> anyhow::Result<bool> {
    let detail = session.docker.inspect().await?.detail;
    let started_at = detail.and_then(|detail| detail.started_at);
    let after = downtime(session, started_at).await?;
    let after = after.map_or_else(String::new, |down| {
        format!(", started {down} after the end of the other")
    });
    say(out, &format!("{} runs{after}\n", session.config.collator.container));
    let (end, mut heights) = (Instant::now() + TIMEOUT, Heights::default());
    let (mut reasons, mut is_held) = (Vec::new(), false);
    while Instant::now() < end {
        if let Ok(status) = session.status().await {
            // The status has whole seconds.
            let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_second);
            let is_of_run = seconds(status.collator.started_at) >= seconds(started_at);
            if is_of_run && let Some(risen) = heights.note(&status) {
                say(out, &format!("blocks arrive: {risen}\n"));
                return Ok(true);
            }
            is_held = status.phase == Some(Phase::Holding);
            reasons = status.reasons;
            if is_held {
                break;
            }
        }
        sleep(POLL).await;
    }
    let limit = rounded_duration(TIMEOUT.as_secs());
    let until = if is_held {
        " before the agent held it back".to_owned()
    } else {
        format!(" within {limit}")
    };
    say(out, &format!("no block was seen to arrive{until}: t0rn-agent status\n"));
    for reason in reasons {
        say(out, &format!("  - {reason}\n"));
    }
    Ok(false)
}

/// Between the predecessor's end and the collator's start; `None` where one of them is unknown.
async fn downtime(session: &Session, started_at: Option<Timestamp>) -> anyhow::Result<Option<String>> {
    let ended = session.find().await?.predecessor.and_then(|found| found.finished_at);
    Ok(ended.zip(started_at).and_then(|(ended, started)| {
        let down = Duration::try_from(started.duration_since(ended)).ok()?;
        Some(format!("{:.1} s", down.as_secs_f64()))
    }))
}

#[cfg(test)]
mod tests {
    use agent_core::status::ChainStatus;

    use super::*;

    fn status(parachain: Option<u64>, relaychain: Option<u64>) -> Status {
        let chain = |best| ChainStatus {
            best,
            ..ChainStatus::default()
        };
        Status {
            chains: [
                (Chain::Parachain, chain(parachain)),
                (Chain::Relaychain, chain(relaychain)),
            ]
            .into(),
            ..Status::default()
        }
    }

    #[test]
    fn progress_is_a_height_above_the_first_one_seen() {
        let mut heights = Heights::default();
        assert_eq!(heights.note(&status(None, None)), None);
        assert_eq!(heights.note(&status(Some(7), Some(90))), None);
        assert_eq!(heights.note(&status(Some(6), Some(90))), None);
        let risen = heights.note(&status(Some(9), Some(90)));
        assert_eq!(risen.as_deref(), Some("parachain: best 7 -> 9"));
    }
}
