//! Gate of a bake: opens when all chains were at a moving target for long enough.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use agent_core::event::Chain;
use agent_core::status::{ChainStatus, Scrape, Status, duration};

/// Judges the sync of one bake. Time comes in with each status.
#[derive(Debug)]
pub(super) struct SyncGate {
    within: u64,
    credible: Duration,
    chains: Vec<Chain>,
    window: Option<SyncWindow>,
    /// Time of the first status.
    begun: Option<Instant>,
    /// Whether a chain has reported a height.
    has_data: bool,
}

/// After so long without any height, the node is given up: its image cannot be pulled, or it does not come up.
const NO_DATA_AFTER: Duration = Duration::from_hours(1);

/// Time in which all chains have been in sync without a break.
#[derive(Debug)]
struct SyncWindow {
    since: Instant,
    /// Start of the container that the window is about.
    run: Option<Timestamp>,
    /// Each chain's target, and when it last rose.
    targets: BTreeMap<Chain, (u64, Instant)>,
}

/// State of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GateStatus {
    /// Why the chains are not in sync.
    Waiting(String),
    /// In sync for so long, and not yet for long enough.
    Holding(Duration),
    /// In sync for long enough.
    Reached,
    /// The node never reported a height.
    NoData,
}

impl SyncGate {
    pub(super) fn new(within: u64, credible: Duration, chains: impl IntoIterator<Item = Chain>) -> Self {
        Self {
            within,
            credible,
            chains: chains.into_iter().collect(),
            window: None,
            begun: None,
            has_data: false,
        }
    }

    /// State of the gate after `status` at `now`.
    pub(super) fn observe(&mut self, now: Instant, status: &Status) -> GateStatus {
        let begun = *self.begun.get_or_insert(now);
        self.has_data |= status.chains.values().any(|chain| chain.best.is_some());
        if !self.has_data && now.saturating_duration_since(begun) >= NO_DATA_AFTER {
            return GateStatus::NoData;
        }
        let waiting = self.chains.iter().find_map(|chain| {
            let found = status.chains.get(chain);
            let deficiency = found.map_or(Some("is not known yet".to_owned()), |found| self.deficiency(found));
            deficiency.map(|why| format!("the {} {why}", chain.name()))
        });
        if let Some(why) = waiting {
            self.window = None;
            return GateStatus::Waiting(why);
        }
        let target = |chain: &Chain| {
            status
                .chains
                .get(chain)
                .and_then(|found| found.target)
                .unwrap_or_default()
        };
        let run = status.collator.started_at;
        if self.window.as_ref().is_some_and(|window| window.run != run) {
            self.window = None;
        }
        let window = self.window.get_or_insert_with(|| SyncWindow {
            since: now,
            run,
            targets: self.chains.iter().map(|chain| (*chain, (target(chain), now))).collect(),
        });
        for (chain, (stood, rose)) in &mut window.targets {
            if target(chain) > *stood {
                (*stood, *rose) = (target(chain), now);
            }
        }
        let still = |rose: Instant| now.saturating_duration_since(rose);
        let standing = window
            .targets
            .iter()
            .find(|(_, (_, rose))| still(*rose) > self.credible / 2);
        if let Some((chain, (_, rose))) = standing {
            let why = format!(
                "the {}'s target has not moved for {}: nobody knows whether the chain goes on",
                chain.name(),
                duration(still(*rose).as_secs())
            );
            window.since = now;
            return GateStatus::Waiting(why);
        }
        let lasted = now.saturating_duration_since(window.since);
        if lasted < self.credible {
            GateStatus::Holding(lasted)
        } else {
            GateStatus::Reached
        }
    }

    /// Why one chain is not in sync; `None` when it is.
    fn deficiency(&self, chain: &ChainStatus) -> Option<String> {
        match chain {
            ChainStatus { scrape, .. } if *scrape != Some(Scrape::Ok) => Some("does not answer".to_owned()),
            ChainStatus {
                peers: None | Some(0), ..
            } => Some("has no peers".to_owned()),
            ChainStatus { best: None, .. } | ChainStatus { target: None, .. } | ChainStatus { behind: None, .. } => {
                Some("does not tell how far it is".to_owned())
            }
            ChainStatus {
                behind: Some(behind), ..
            } if *behind > self.within => Some(format!("is {behind} blocks behind")),
            // A node that has just started knows no other target than its own height.
            ChainStatus { best: Some(0), .. } => Some("has no block yet".to_owned()),
            _ => None,
        }
    }
}

/// Progress of each chain and state of the gate, in one line.
pub(super) fn describe_progress(status: &Status, gate: &GateStatus) -> String {
    let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let mut parts: Vec<String> = status
        .chains
        .iter()
        .map(|(name, chain)| {
            let speed = chain.blocks_per_second.map(|s| format!(", {s:.1} blocks/s"));
            let left = chain.eta_seconds.map(|s| format!(", about {} left", duration(s)));
            format!(
                "{} #{} of #{}, {} peers{}{}",
                name.name(),
                number(chain.best),
                number(chain.target),
                number(chain.peers),
                speed.unwrap_or_default(),
                left.unwrap_or_default()
            )
        })
        .collect();
    parts.push(match gate {
        GateStatus::Waiting(why) => why.clone(),
        GateStatus::Holding(lasted) => format!("in sync for {}", duration(lasted.as_secs())),
        GateStatus::Reached => "in sync".to_owned(),
        GateStatus::NoData => format!("nothing was told in {}", duration(NO_DATA_AFTER.as_secs())),
    });
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(best: u64, target: u64, peers: u64) -> Status {
        let mut status = Status::default();
        let chain = ChainStatus {
            best: Some(best),
            target: Some(target),
            behind: Some(target.saturating_sub(best)),
            peers: Some(peers),
            scrape: Some(Scrape::Ok),
            ..ChainStatus::default()
        };
        status.chains = Chain::ALL.into_iter().map(|name| (name, chain.clone())).collect();
        status
    }

    fn gate() -> (SyncGate, impl Fn(u64) -> Instant) {
        let began = Instant::now();
        (SyncGate::new(10, Duration::from_mins(1), Chain::ALL), move |s| {
            began + Duration::from_secs(s)
        })
    }

    #[test]
    fn gate_opens_after_sync_with_moving_target() {
        let (mut gate, at) = gate();
        assert_eq!(
            gate.observe(at(0), &status(90, 100, 3)),
            GateStatus::Holding(Duration::ZERO)
        );
        assert_eq!(
            gate.observe(at(59), &status(100, 101, 3)),
            GateStatus::Holding(Duration::from_secs(59))
        );
        assert_eq!(gate.observe(at(60), &status(100, 101, 3)), GateStatus::Reached);
    }

    #[test]
    fn gate_waits_while_target_stands_still() {
        let (mut gate, at) = gate();
        let _ = gate.observe(at(0), &status(100, 100, 3));
        assert!(matches!(
            gate.observe(at(600), &status(100, 100, 3)),
            GateStatus::Waiting(_)
        ));
        assert_eq!(
            gate.observe(at(601), &status(100, 101, 3)),
            GateStatus::Holding(Duration::from_secs(1))
        );
        assert_eq!(
            gate.observe(at(631), &status(101, 102, 3)),
            GateStatus::Holding(Duration::from_secs(31))
        );
        assert_eq!(gate.observe(at(660), &status(101, 102, 3)), GateStatus::Reached);
    }

    #[test]
    fn target_still_for_half_the_time_restarts_window() {
        let (mut gate, at) = gate();
        let _ = gate.observe(at(0), &status(100, 100, 3));
        let _ = gate.observe(at(8), &status(100, 101, 3));
        let _ = gate.observe(at(38), &status(101, 101, 3));
        assert!(matches!(
            gate.observe(at(39), &status(101, 101, 3)),
            GateStatus::Waiting(_)
        ));
        assert_eq!(
            gate.observe(at(60), &status(101, 102, 3)),
            GateStatus::Holding(Duration::from_secs(21))
        );
    }

    #[test]
    fn no_peers_or_too_far_behind_restarts_window() {
        for broken in [status(100, 100, 0), status(89, 100, 3)] {
            let (mut gate, at) = gate();
            let _ = gate.observe(at(0), &status(99, 100, 3));
            assert!(matches!(gate.observe(at(30), &broken), GateStatus::Waiting(_)));
            let _ = gate.observe(at(31), &status(100, 101, 3));
            assert_eq!(
                gate.observe(at(70), &status(100, 102, 3)),
                GateStatus::Holding(Duration::from_secs(39))
            );
        }
    }

    #[test]
    fn gate_without_any_height_reports_no_data_after_an_hour() {
        let (mut silent, at) = gate();
        for (second, expected) in [(0, false), (3599, false), (3600, true)] {
            let gate = silent.observe(at(second), &Status::default());
            assert_eq!(gate == GateStatus::NoData, expected, "{second}");
        }
        let (mut told, at) = gate();
        let mut relay = status(1, 100, 0);
        relay.chains.remove(&Chain::Parachain);
        for (second, status) in [(0, Status::default()), (3599, relay), (9999, Status::default())] {
            assert!(matches!(told.observe(at(second), &status), GateStatus::Waiting(_)));
        }
    }

    #[test]
    fn one_chain_missing_waits_and_new_run_restarts_window() {
        let (mut gate, at) = gate();
        let mut alone = status(100, 100, 3);
        alone.chains.remove(&Chain::Relaychain);
        assert!(matches!(gate.observe(at(0), &alone), GateStatus::Waiting(_)));
        let _ = gate.observe(at(1), &status(100, 100, 3));
        let mut other = status(100, 101, 3);
        other.collator.started_at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(gate.observe(at(100), &other), GateStatus::Holding(Duration::ZERO));
    }
}
