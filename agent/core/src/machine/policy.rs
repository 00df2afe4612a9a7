//! The numbers that the core judges by.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use super::STOP_MARGIN;
use crate::chain_health::{ChainTracker, Windows};
use crate::event::Chain;
use crate::exit_diagnosis::Signatures;

/// What the core takes from the configuration: windows, budgets and thresholds, nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    pub chains: Vec<Chain>,
    pub windows: Windows,
    /// How long each chain may make no block; a chain that is not here may do so for `windows.idle_after`.
    pub idle: BTreeMap<Chain, Idle>,
    /// How long finality may stand still while best moves.
    pub finality_after: Duration,
    pub startup_grace: Duration,
    pub frozen_after: Duration,
    pub backoff_initial: Duration,
    pub backoff_max: Duration,
    pub backoff_reset: Duration,
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
    pub budget: u32,
    pub budget_window: Duration,
    pub disk_warn_percent: u8,
    /// Bytes.
    pub disk_floor: u64,
    pub clock_warn: Duration,
    /// Percent of a minute; 0 is never.
    pub memory_warn_percent: u8,
    /// How long a collator may build no block while its chain makes some; `None` is for ever.
    pub no_collation_after: Option<Duration>,
    pub memory: Option<u64>,
    pub image: String,
    /// How long an update's image is watched before it is believed, of observed time.
    pub probation: Duration,
    /// What is done without the identity volume; `None` when it is not asked for.
    pub identity: Option<WithoutVolume>,
    /// Meanings of the last log lines before an exit.
    pub signatures: Signatures,
}

/// What is known beforehand about the blocks of a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Idle {
    /// The chain makes blocks on demand: that it makes none is no condition to report.
    pub expected: bool,
    /// How long it may make no block.
    pub max: Option<Duration>,
}

/// What runs without the identity volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutVolume {
    Nothing,
    /// The node without authority and without keys.
    FullNode,
}

/// Scrapes further apart are no observation, whatever interval is configured. Traces from elsewhere
/// may be as coarse as a sample a minute.
pub const GAP_AFTER: Duration = Duration::from_secs(75);

/// How long a node that has persisted nothing yet may show no work at all. A restart throws everything away then.
pub const UNPERSISTED_AFTER: Duration = Duration::from_hours(4);

impl Policy {
    /// Within this time a stop is over, and Docker has reported it.
    pub(super) fn stop_bound(&self) -> Duration {
        self.stop_timeout + STOP_MARGIN
    }

    /// The windows of one chain.
    pub(super) fn windows_of(&self, chain: Chain) -> Windows {
        let idle = self.idle.get(&chain);
        let max = idle.and_then(|idle| idle.max);
        Windows {
            may_rest: idle.is_some(),
            idle_after: max.unwrap_or(self.windows.idle_after).max(self.windows.stall_after),
            ..self.windows
        }
    }

    /// Whether `chain` is declared to make blocks on demand only.
    pub(super) fn expects_idle(&self, chain: Chain) -> bool {
        self.idle.get(&chain).is_some_and(|idle| idle.expected)
    }

    pub(super) fn trackers(&self) -> BTreeMap<Chain, ChainTracker> {
        self.chains.iter().map(|c| (*c, ChainTracker::new(*c))).collect()
    }

    /// Leaves a tracker for each chain of this policy: those that are known, else new ones.
    pub(super) fn retain_trackers(&self, trackers: &mut BTreeMap<Chain, ChainTracker>) {
        let mut known = std::mem::replace(trackers, self.trackers());
        for (chain, tracker) in trackers {
            if let Some(known) = known.remove(chain) {
                *tracker = known;
            }
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let (seconds, minutes) = (Duration::from_secs, Duration::from_mins);
        Self {
            chains: Chain::VARIANTS.to_vec(),
            windows: Windows {
                lag_blocks: 10,
                stall_after: minutes(5),
                may_rest: false,
                isolated_after: minutes(5),
                stale_after: seconds(15),
                gap_after: GAP_AFTER,
                activity_extension: 3,
                activity_bytes: 32 << 10,
                idle_after: minutes(5),
                unpersisted_after: UNPERSISTED_AFTER,
            },
            idle: BTreeMap::new(),
            finality_after: minutes(30),
            startup_grace: minutes(10),
            frozen_after: minutes(2),
            backoff_initial: seconds(1),
            backoff_max: minutes(5),
            backoff_reset: minutes(30),
            start_timeout: seconds(30),
            stop_timeout: minutes(5),
            budget: 3,
            budget_window: minutes(6 * 60),
            disk_warn_percent: 10,
            memory_warn_percent: 20,
            disk_floor: 2 << 30,
            clock_warn: Duration::from_millis(500),
            no_collation_after: Some(minutes(30)),
            memory: None,
            image: String::new(),
            probation: minutes(10),
            identity: None,
            signatures: Signatures::default(),
        }
    }
}
