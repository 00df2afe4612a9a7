//! The references of each chain: whether only this node stands still.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::chain_health::{Opinion, Windows};
use crate::event::{Chain, Reading, ReferenceError, Time};

/// A reading older than this says nothing any more, unless the reference is read as rarely as that.
const FRESH: Duration = Duration::from_mins(2);
/// The longest time between two readings that belong together: longer than any `Retry-After` that is heeded.
const RAREST: Duration = Duration::from_mins(12);
/// A reference is another chain, or lies, when its best falls by more than this.
const REORGANISATION: u64 = 64;
/// No chain makes more blocks in a second.
const FASTEST: u64 = 20;

/// A reference is known to follow a chain after so many readings that rose.
const FOLLOWS_AFTER: u32 = 2;

/// What one reference has said since it could last be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    at: Time,
    /// Between the newest reading and the one before it.
    #[serde(default)]
    spacing: Duration,
    /// The highest best so far, and the newest.
    best: u64,
    #[serde(default)]
    newest: u64,
    finalized: Option<u64>,
    /// When the readings that go on without a break began.
    since: Time,
    best_rose: Time,
    /// When a reading last was above the one before.
    #[serde(default)]
    moved: Time,
    /// How many readings rose: a single one may be a jump.
    #[serde(default)]
    rises: u32,
    finalized_rose: Option<Time>,
    /// The node's height, and since when this has been above it.
    #[serde(default)]
    above: Option<(u64, Time)>,
    /// It stood where this node stood at some time since: it is of the same chain.
    agreed: bool,
    forked: bool,
}

/// What one reference shows of the chain, beside a node that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It lags, or it fell.
    Unknown,
    /// It moves on above the node.
    Ahead,
    /// It may be at a block that the node lacks: it moved a moment ago, or it stands above.
    Alive,
    /// It followed the chain, and stands where the node stands.
    Level,
    /// It stands where the node stands, and was never seen to move: that contradicts one which moves, and proves no halt.
    Fixed,
}

impl Reference {
    fn first(now: Time, best: u64, reading: Reading) -> Self {
        Self {
            at: now,
            spacing: Duration::ZERO,
            best,
            newest: best,
            finalized: reading.finalized,
            since: now,
            best_rose: now,
            moved: now,
            rises: 0,
            finalized_rose: None,
            above: None,
            agreed: false,
            forked: reading.forked == Some(true),
        }
    }

    fn note(&mut self, now: Time, best: u64, reading: Reading) {
        let spacing = now.since(self.at);
        let most = spacing.as_secs().saturating_add(1).saturating_mul(FASTEST);
        let plausible = best.saturating_add(REORGANISATION) >= self.best && best <= self.best.saturating_add(most);
        if !plausible {
            *self = Self::first(now, best, reading);
            return;
        }
        if spacing > self.holds_for() {
            // That it is of the same chain and follows it was seen, and does not become untrue while it is away. What it does
            // now has to be seen anew.
            *self = Self {
                spacing,
                rises: if best >= self.best { self.rises } else { 0 },
                agreed: self.agreed,
                forked: reading.forked.unwrap_or(self.forked),
                ..Self::first(now, best, reading)
            };
            return;
        }
        self.spacing = spacing;
        if best > self.newest {
            self.moved = now;
        }
        if best > self.best {
            self.best_rose = now;
            self.rises = self.rises.saturating_add(1);
        }
        if reading.finalized > self.finalized && self.finalized.is_some() {
            self.finalized_rose = Some(now);
        }
        self.at = now;
        self.newest = best;
        self.best = best.max(self.best);
        self.finalized = reading.finalized.max(self.finalized);
        self.forked = reading.forked.unwrap_or(self.forked);
    }

    /// Where it stands beside a node at height `own`.
    fn stand(&self, now: Time, own: u64, windows: &Windows) -> Stand {
        let lag = windows.lag_blocks;
        if self.newest.saturating_add(lag) < self.best {
            // It fell by more than a few blocks, and has not come back: it shows nothing of the chain's end.
            Stand::Unknown
        } else if self.best > own.saturating_add(lag) {
            // One that comes back ahead has yet to move.
            if self.best_rose > self.since && now.since(self.best_rose) < windows.stall_after.max(self.holds_for()) {
                Stand::Ahead
            } else {
                Stand::Alive
            }
        } else if self.best.abs_diff(own) > lag {
            Stand::Unknown
        } else if self.has_left(now, windows) {
            Stand::Ahead
        } else if now.since(self.at) > FRESH {
            Stand::Unknown
        } else if now.since(self.moved) < windows.stall_after / 3 {
            Stand::Alive
        } else if self.rises >= FOLLOWS_AFTER {
            Stand::Level
        } else {
            Stand::Fixed
        }
    }

    /// Notes the height at which the node stands.
    fn compare(&mut self, now: Time, own: u64) {
        let since = self
            .above
            .filter(|(height, _)| *height == own)
            .map_or(now, |(_, since)| since);
        self.above = (self.newest > own).then_some((own, since));
    }

    /// Whether it has gone on from where the node stands, and goes on: a chain that rests between its blocks needs long for
    /// more blocks than a node may lag by.
    fn has_left(&self, now: Time, windows: &Windows) -> bool {
        let window = windows.idle_after.max(windows.stall_after);
        self.above
            .is_some_and(|(_, since)| self.best_rose.since(since) >= window)
            && now.since(self.best_rose) < window.saturating_mul(2)
    }

    /// How long its newest reading counts. A server that limits requests is read as rarely as it asks for.
    fn holds_for(&self) -> Duration {
        FRESH.max((self.spacing + self.spacing / 4).min(RAREST))
    }

    fn is_usable(&self, now: Time) -> bool {
        self.agreed && !self.forked && now.since(self.at) <= self.holds_for()
    }
}

impl Machine {
    pub(super) fn on_reference(
        &mut self,
        now: Time,
        chain: Chain,
        source: usize,
        reading: Result<Reading, ReferenceError>,
    ) {
        let of_chain = self.state.references.entry(chain).or_default();
        // A reference that gives no height becomes stale: that it is away says nothing about the chain.
        let Some((reading, best)) = reading.ok().and_then(|reading| Some((reading, reading.best?))) else {
            return;
        };
        let lag = self.policy.windows.lag_blocks;
        let own = self.state.trackers.get(&chain).and_then(|tracker| tracker.heights.best);
        let reference = of_chain
            .entry(source)
            .and_modify(|reference| reference.note(now, best, reading))
            .or_insert_with(|| Reference::first(now, best, reading));
        if let Some(own) = own {
            reference.compare(now, own);
        }
        reference.agreed |= own.is_some_and(|own| own.abs_diff(best) <= lag) || reading.forked == Some(false);
    }

    /// What the references of `chain` say together. Two that disagree say nothing.
    pub(super) fn opinion(&self, now: Time, chain: Chain) -> Opinion {
        if !self.has_reference(chain) {
            return Opinion::Unknown;
        }
        let (windows, trackers) = (&self.policy.windows_of(chain), &self.state.trackers);
        let Some(own) = trackers.get(&chain).and_then(|tracker| tracker.heights.best) else {
            return Opinion::Unknown;
        };
        let said = |wanted: fn(&Stand) -> bool| {
            let stands = self.usable_references(now, chain);
            stands
                .map(|reference| reference.stand(now, own, windows))
                .any(|stand| wanted(&stand))
        };
        let stands_here = said(|stand| matches!(stand, Stand::Level | Stand::Fixed));
        match said(|stand| *stand == Stand::Ahead) {
            true if !stands_here => Opinion::Ahead,
            false if said(|stand| *stand == Stand::Level) && !said(|stand| *stand == Stand::Alive) => Opinion::Level,
            _ => Opinion::Unknown,
        }
    }

    /// What the references of `chain` say together about its finality. Two that disagree say nothing.
    pub(super) fn opinion_of_finality(&self, now: Time, chain: Chain) -> Opinion {
        let own = self
            .state
            .trackers
            .get(&chain)
            .and_then(|tracker| tracker.heights.finalized);
        let of = |reference: &Reference| {
            let finalized = reference.finalized?;
            let stands_for = now.since(reference.finalized_rose.unwrap_or(reference.since));
            if reference.finalized_rose.is_some() && stands_for < self.policy.windows.stall_after && finalized > own? {
                Some(Opinion::Ahead)
            } else if stands_for >= self.policy.finality_after / 2 {
                let follows = reference.rises >= FOLLOWS_AFTER;
                Some(if follows { Opinion::Level } else { Opinion::Unknown })
            } else {
                None
            }
        };
        unanimous(self.usable_references(now, chain).filter_map(of))
    }

    /// Whether a reference of `chain` is configured, as far as one was read.
    pub(super) fn has_reference(&self, chain: Chain) -> bool {
        self.state.references.contains_key(&chain)
    }

    fn usable_references(&self, now: Time, chain: Chain) -> impl Iterator<Item = &Reference> {
        let of_chain = self.state.references.get(&chain).into_iter().flatten();
        of_chain
            .map(|(_, reference)| reference)
            .filter(move |reference| reference.is_usable(now))
    }
}

fn unanimous(mut opinions: impl Iterator<Item = Opinion>) -> Opinion {
    let first = opinions.next().unwrap_or_default();
    if opinions.all(|other| other == first) {
        first
    } else {
        Opinion::Unknown
    }
}
