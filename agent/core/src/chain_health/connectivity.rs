//! Peers: how long there were none, and whether they come and go.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::absences::Absences;
use super::{BLINK, Windows};

/// So many losses of all peers, each within [`UNSTEADY_FOR`] of the one before, are peers that come and go.
const UNSTEADY_AFTER: u32 = 3;
/// How many windows of isolation a node is left alone that missed nothing when its peers were away before.
const MOST_BORNE: u32 = 6;
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
    /// Losses of all peers that were made good, none of them followed by [`UNSTEADY_FOR`] with peers.
    #[serde(default)]
    losses: u32,
    /// Observed time with peers since there was last none.
    #[serde(default)]
    steady_for: Duration,
    /// Observed time since there was last a peer.
    #[serde(default)]
    gone_for: Duration,
    /// All peers were lost before the eyes of the agent, and nothing explains it.
    #[serde(default)]
    lost: bool,
    /// It made blocks without a peer since there was last one: whichever other nodes collate this chain, it needs no peer.
    #[serde(default)]
    makes_blocks_alone: bool,
    /// Absences of all peers that cost the node no block.
    #[serde(default)]
    absences: Absences,
}

/// What was imported when peers were lost may still follow for this long.
const IMPORTS_FOR: Duration = Duration::from_mins(1);

/// How a sample shows the peers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// How many the scrape before showed; `None` when it was not answered, was of another process, or is too long ago.
    pub(super) before: Option<u64>,
    pub(super) now: Option<u64>,
    /// The peers have nothing that this node lacks.
    pub(super) at_target: bool,
    /// The host's own network is known to be down.
    pub(super) network_down: bool,
}

impl Connectivity {
    /// What outlasts a process.
    pub(super) fn renewed(&self) -> Self {
        Self {
            ever: self.ever,
            absences: self.absences.renewed(),
            ..Self::default()
        }
    }

    /// How long the node has to be without peers to be isolated: longer than it was without missing anything.
    pub(crate) fn isolation_window(&self, isolated_after: Duration) -> Duration {
        let borne = self.absences.harmless.saturating_mul(2);
        isolated_after.max(borne.min(isolated_after.saturating_mul(MOST_BORNE)))
    }

    /// Notes the peers of a sample, `passed` after the one before. A loss counts only where two answers in a row show
    /// it: a node that starts, a host that was suspended and an exporter that was silent have none at first. Peers that stay
    /// away for `gone_after` do not come and go.
    pub(super) fn note(&mut self, sight: Sight, passed: Duration, gone_after: Duration) {
        self.lost &= sight.before.is_some() && !sight.network_down;
        if sight.before.is_none() || sight.network_down {
            self.absences.forget();
        }
        match sight.now {
            Some(0) => {
                if sight.before > Some(0) && !sight.network_down {
                    self.lost = true;
                    self.absences.begin();
                }
                if !self.ever {
                    self.waited_for += passed;
                }
                self.steady_for = Duration::ZERO;
                // When they left between two samples is not known.
                if sight.before == Some(0) || self.gone_for > Duration::ZERO {
                    self.gone_for += passed;
                    self.absences.lasts(passed);
                }
                if self.gone_for >= gone_after {
                    self.forget_losses();
                }
            }
            Some(_) => {
                self.ever = true;
                self.gone_for = Duration::ZERO;
                // Counted when they are back: whether the network was down is known some time after the loss.
                if std::mem::take(&mut self.lost) {
                    self.losses = self.losses.saturating_add(1);
                }
                self.steady_for += passed;
                self.absences.end(self.steady_for, sight.at_target);
                if self.steady_for >= UNSTEADY_FOR {
                    self.losses = 0;
                }
            }
            None => {}
        }
    }

    /// Notes whether the sample that was noted last shows a new block.
    pub(super) fn note_block(&mut self, is_new: bool) {
        let alone = self.gone_for > Duration::ZERO;
        self.makes_blocks_alone = alone && (self.makes_blocks_alone || (is_new && self.gone_for > IMPORTS_FOR));
        if is_new {
            self.absences.forget();
        }
    }

    /// Whether there has been no peer for `window`, and the node needs one.
    pub(crate) fn is_isolated_for(&self, window: Duration) -> bool {
        self.ever && self.none_for >= window && !self.makes_blocks_alone
    }

    /// Notes a scrape without an answer, `unanswered` since the last one: of old losses nothing is known any more.
    pub(super) fn miss(&mut self, unanswered: Duration) {
        if unanswered >= UNSTEADY_FOR {
            self.forget_losses();
        }
    }

    fn forget_losses(&mut self) {
        (self.losses, self.lost) = (0, false);
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
        !self.is_unsteady() && self.steady_for >= window
    }
}
