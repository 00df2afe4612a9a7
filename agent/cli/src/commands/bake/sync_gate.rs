//! Gate of a bake: opens when all chains were at a moving target for long enough.

use std::time::{Duration, Instant};

use agent_core::chain_health::SyncDeficiency;
use agent_core::event::Chain;
use agent_core::published::AgentSnapshot;
use agent_core::status::Status;
use agent_core::units::{counted, rounded_duration};

/// Holds the evidence that the core has of each chain's sync against the time that a bake asks for.
#[derive(Debug)]
pub(super) struct SyncGate {
    credible: Duration,
    chains: Vec<Chain>,
    /// Time in sync that does not count: a target stood still in it.
    discounted: Duration,
    /// Time of the first snapshot.
    begun: Option<Instant>,
    /// Whether a chain has reported a height.
    has_data: bool,
}

/// After so long without any height, the node is given up: its image cannot be pulled, or it does not come up.
const NO_DATA_AFTER: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GateStatus {
    Waiting(String),
    /// In sync for so long, and not yet for long enough.
    Holding(Duration),
    Reached,
    /// The node never reported a height.
    NoData,
}

impl SyncGate {
    pub(super) fn new(credible: Duration, chains: impl IntoIterator<Item = Chain>) -> Self {
        Self {
            credible,
            chains: chains.into_iter().collect(),
            discounted: Duration::ZERO,
            begun: None,
            has_data: false,
        }
    }

    pub(super) fn observe(&mut self, now: Instant, snapshot: &AgentSnapshot) -> GateStatus {
        let begun = *self.begun.get_or_insert(now);
        self.has_data |= snapshot.status.chains.values().any(|chain| chain.best.is_some());
        if !self.has_data && now.saturating_duration_since(begun) >= NO_DATA_AFTER {
            return GateStatus::NoData;
        }
        let mut in_sync_for = Duration::MAX;
        let mut standing = None;
        for chain in &self.chains {
            let Some(evidence) = snapshot.sync.get(chain) else {
                return GateStatus::Waiting(format!("the {} is not known yet", chain.into_str()));
            };
            if let Some(deficiency) = evidence.deficiency {
                return GateStatus::Waiting(format!("the {} {}", chain.into_str(), describe(deficiency)));
            }
            in_sync_for = in_sync_for.min(evidence.in_sync_for);
            if evidence.target_still_for > self.credible / 2 {
                standing = standing.or(Some((chain, evidence.target_still_for)));
            }
        }
        if let Some((chain, still)) = standing {
            self.discounted = in_sync_for;
            return GateStatus::Waiting(format!(
                "the {}'s target has not moved for {}: whether the chain goes on is not known",
                chain.into_str(),
                rounded_duration(still.as_secs())
            ));
        }
        if in_sync_for < self.discounted {
            self.discounted = Duration::ZERO;
        }
        match in_sync_for.saturating_sub(self.discounted) {
            lasted if lasted < self.credible => GateStatus::Holding(lasted),
            _ => GateStatus::Reached,
        }
    }
}

/// Why a chain is not in sync, after its name.
fn describe(deficiency: SyncDeficiency) -> String {
    match deficiency {
        SyncDeficiency::NoAnswer => "does not answer".to_owned(),
        SyncDeficiency::NoPeers => "has no peers".to_owned(),
        SyncDeficiency::NoHeights => "does not tell how far it is".to_owned(),
        SyncDeficiency::Behind(blocks) => format!("is {} behind", counted(blocks, "block")),
        SyncDeficiency::NoBlock => "has no block yet".to_owned(),
        SyncDeficiency::NoTarget => "is syncing and knows no target yet".to_owned(),
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
            let left = chain
                .eta_seconds
                .map(|s| format!(", about {} left", rounded_duration(s)));
            format!(
                "{} #{} of #{}, {}{}{}",
                name.into_str(),
                number(chain.best),
                number(chain.target),
                chain
                    .peers
                    .map_or_else(|| "? peers".to_owned(), |peers| counted(peers, "peer")),
                speed.unwrap_or_default(),
                left.unwrap_or_default()
            )
        })
        .collect();
    parts.push(match gate {
        GateStatus::Waiting(why) => why.clone(),
        GateStatus::Holding(lasted) => format!("in sync for {}", rounded_duration(lasted.as_secs())),
        GateStatus::Reached => "in sync".to_owned(),
        GateStatus::NoData => format!(
            "no progress was reported in {}",
            rounded_duration(NO_DATA_AFTER.as_secs())
        ),
    });
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use agent_core::chain_health::SyncEvidence;
    use agent_core::status::ChainStatus;
    use strum::VariantArray as _;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Both chains in sync for so many seconds, with targets that have stood still for so many.
    fn in_sync(lasted: u64, still: u64) -> AgentSnapshot {
        let evidence = SyncEvidence {
            deficiency: None,
            in_sync_for: seconds(lasted),
            target_still_for: seconds(still),
        };
        let mut snapshot = AgentSnapshot::of(Status::default(), jiff::Timestamp::UNIX_EPOCH, Instant::now());
        snapshot.sync = Chain::VARIANTS.iter().map(|chain| (*chain, evidence)).collect();
        snapshot
    }

    fn gate() -> impl FnMut(&AgentSnapshot) -> GateStatus {
        let mut gate = SyncGate::new(seconds(60), Chain::VARIANTS.iter().copied());
        move |snapshot| gate.observe(Instant::now(), snapshot)
    }

    #[test]
    fn gate_opens_after_sync_with_moving_target() {
        let mut gate = gate();
        assert_eq!(gate(&in_sync(0, 0)), GateStatus::Holding(Duration::ZERO));
        assert_eq!(gate(&in_sync(59, 10)), GateStatus::Holding(seconds(59)));
        assert_eq!(gate(&in_sync(60, 30)), GateStatus::Reached);
    }

    #[test]
    fn target_still_for_half_the_time_restarts_window() {
        let mut gate = gate();
        assert_eq!(gate(&in_sync(38, 30)), GateStatus::Holding(seconds(38)));
        assert!(matches!(gate(&in_sync(39, 31)), GateStatus::Waiting(_)));
        assert_eq!(gate(&in_sync(60, 0)), GateStatus::Holding(seconds(21)));
        assert_eq!(gate(&in_sync(99, 0)), GateStatus::Reached);
    }

    #[test]
    fn break_in_sync_restarts_window() {
        let mut gate = gate();
        assert!(matches!(gate(&in_sync(600, 600)), GateStatus::Waiting(_)));
        assert_eq!(gate(&in_sync(5, 0)), GateStatus::Holding(seconds(5)));
        assert_eq!(gate(&in_sync(60, 0)), GateStatus::Reached);
    }

    #[test]
    fn one_chain_missing_or_deficient_waits() {
        let mut snapshot = in_sync(100, 0);
        if let Some(evidence) = snapshot.sync.get_mut(&Chain::Relaychain) {
            evidence.deficiency = Some(SyncDeficiency::Behind(11));
        }
        let waiting = GateStatus::Waiting("the relaychain is 11 blocks behind".to_owned());
        assert_eq!(gate()(&snapshot), waiting);
        snapshot.sync.remove(&Chain::Relaychain);
        let waiting = GateStatus::Waiting("the relaychain is not known yet".to_owned());
        assert_eq!(gate()(&snapshot), waiting);
    }

    #[test]
    fn gate_without_any_height_reports_no_data_after_an_hour() {
        let began = Instant::now();
        let empty = AgentSnapshot::of(Status::default(), jiff::Timestamp::UNIX_EPOCH, began);
        let mut silent = SyncGate::new(seconds(60), Chain::VARIANTS.iter().copied());
        for (second, expected) in [(0, false), (3599, false), (3600, true)] {
            let gate = silent.observe(began + seconds(second), &empty);
            assert_eq!(gate == GateStatus::NoData, expected, "{second}");
        }
        let mut seen = empty.clone();
        let chain = ChainStatus {
            best: Some(1),
            ..ChainStatus::default()
        };
        seen.status.chains.insert(Chain::Relaychain, chain);
        let mut reported = SyncGate::new(seconds(60), Chain::VARIANTS.iter().copied());
        for (second, snapshot) in [(0, &empty), (3599, &seen), (9999, &empty)] {
            let gate = reported.observe(began + seconds(second), snapshot);
            assert!(matches!(gate, GateStatus::Waiting(_)));
        }
    }
}
