//! Peers: how long there were none, and whether they come and go.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BLINK, Windows};

/// So many losses of all peers, each within [`UNSTEADY_FOR`] of the one before, are peers that come and go.
const UNSTEADY_AFTER: u32 = 3;
/// Observed time with peers after which they are steady again.
const UNSTEADY_FOR: Duration = Duration::from_mins(10);

/// What the samples say about the peers of one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connectivity {
    /// There was a peer at some time, in this run or an earlier one.
    pub(crate) ever: bool,
    /// Observed time in this run before the first peer.
    pub(crate) waited_for: Duration,
    /// Observed time with no peers, and the part of it in which the host's own network was not known to be down.
    #[serde(rename = "alone")]
    pub(crate) none_for: Duration,
    #[serde(rename = "deserted")]
    pub(crate) isolated_for: Duration,
    /// Observed time with peers since it was last alone.
    #[serde(rename = "company")]
    connected_for: Duration,
    /// Losses of all peers, none of them followed by [`UNSTEADY_FOR`] with peers.
    #[serde(default)]
    losses: u32,
    /// Observed time with peers since the last loss.
    #[serde(default)]
    steady_for: Duration,
    #[serde(default)]
    without: bool,
}

impl Connectivity {
    /// What outlasts a process.
    pub(super) fn renewed(&self) -> Self {
        Self {
            ever: self.ever,
            ..Self::default()
        }
    }

    /// Notes the peers of a sample, `passed` after the one before.
    pub(super) fn note(&mut self, peers: Option<u64>, passed: Duration) {
        match peers {
            Some(0) => {
                if !std::mem::replace(&mut self.without, true) && self.ever {
                    self.losses = self.losses.saturating_add(1);
                }
                if !self.ever {
                    self.waited_for += passed;
                }
                self.steady_for = Duration::ZERO;
            }
            Some(_) => {
                (self.ever, self.without) = (true, false);
                self.steady_for += passed;
                if self.steady_for >= UNSTEADY_FOR {
                    self.losses = 0;
                }
            }
            None => {}
        }
    }

    /// Counts time without progress; returns how much of it counts for the chain's standstill. `at_target`: the peers
    /// that are there have nothing that this node lacks.
    pub(super) fn count(
        &mut self,
        peers: Option<u64>,
        passed: Duration,
        at_target: bool,
        windows: &Windows,
    ) -> Duration {
        match peers {
            Some(0) => {
                self.connected_for = Duration::ZERO;
                self.none_for += passed;
            }
            // A blink without peers was part of the time.
            Some(_) if self.none_for <= windows.stall_after / BLINK => {
                let blink = self.none_for;
                self.forget();
                return passed + blink;
            }
            // An idle chain's node loses its peers for minutes and misses nothing.
            Some(_) if at_target => self.forget(),
            // A peer that comes and goes is no company.
            Some(_) => {
                self.connected_for += passed;
                if self.connected_for >= windows.isolated_after / BLINK {
                    self.forget();
                }
            }
            None => {}
        }
        passed
    }

    pub(super) fn forget(&mut self) {
        (self.none_for, self.isolated_for, self.connected_for) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    }

    /// Whether all peers were lost again and again, without a longer time with peers.
    pub(crate) fn is_unsteady(&self) -> bool {
        self.losses >= UNSTEADY_AFTER
    }

    /// Whether there was no moment without peers for `window`, as far as observed.
    pub(crate) fn is_steady_for(&self, window: Duration) -> bool {
        !self.is_unsteady() && !self.without && self.steady_for >= window
    }
}
