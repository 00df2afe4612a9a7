//! The references of each chain: whether only this node stands still.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::chain_health::Opinion;
use crate::event::{Chain, Reading, ReferenceError, Time};

/// A reading older than this says nothing any more.
const FRESH: Duration = Duration::from_mins(2);
/// A reference is another chain, or lies, when its best falls by more than this.
const REORGANISATION: u64 = 64;
/// No chain makes more blocks in a second.
const FASTEST: u64 = 20;

/// What one reference has said since it could last be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    at: Time,
    best: u64,
    finalized: Option<u64>,
    /// When the readings that go on without a break began.
    since: Time,
    best_rose: Time,
    finalized_rose: Option<Time>,
    /// It stood where this node stood at some time since: it is of the same chain.
    agreed: bool,
    forked: bool,
}

impl Reference {
    fn first(now: Time, best: u64, reading: Reading) -> Self {
        Self {
            at: now,
            best,
            finalized: reading.finalized,
            since: now,
            best_rose: now,
            finalized_rose: None,
            agreed: false,
            forked: reading.forked == Some(true),
        }
    }

    fn note(&mut self, now: Time, best: u64, reading: Reading) {
        let most = now.since(self.at).as_secs().saturating_add(1).saturating_mul(FASTEST);
        let plausible = best.saturating_add(REORGANISATION) >= self.best && best <= self.best.saturating_add(most);
        if !plausible || now.since(self.at) > FRESH {
            *self = Self::first(now, best, reading);
            return;
        }
        if best > self.best {
            self.best_rose = now;
        }
        if reading.finalized > self.finalized && self.finalized.is_some() {
            self.finalized_rose = Some(now);
        }
        self.at = now;
        self.best = best.max(self.best);
        self.finalized = reading.finalized.max(self.finalized);
        self.forked = reading.forked.unwrap_or(self.forked);
    }

    fn is_usable(&self, now: Time) -> bool {
        self.agreed && !self.forked && now.since(self.at) <= FRESH
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
        // A reference that gives no height becomes stale: that it is away says nothing about the chain.
        let Some((reading, best)) = reading.ok().and_then(|reading| Some((reading, reading.best?))) else {
            return;
        };
        let lag = self.policy.windows.lag_blocks;
        let own = self.state.trackers.get(&chain).and_then(|tracker| tracker.heights.best);
        let of_chain = self.state.references.entry(chain).or_default();
        let reference = of_chain
            .entry(source)
            .and_modify(|reference| reference.note(now, best, reading))
            .or_insert_with(|| Reference::first(now, best, reading));
        reference.agreed |= own.is_some_and(|own| own.abs_diff(best) <= lag) || reading.forked == Some(false);
    }

    /// What the references of `chain` say together. Two that disagree say nothing.
    pub(super) fn opinion(&self, now: Time, chain: Chain) -> Opinion {
        let (windows, trackers) = (&self.policy.windows, &self.state.trackers);
        let Some(own) = trackers.get(&chain).and_then(|tracker| tracker.heights.best) else {
            return Opinion::Unknown;
        };
        let of = |reference: &Reference| {
            let stands_for = now.since(reference.best_rose);
            if reference.best > own.saturating_add(windows.lag_blocks) && stands_for < windows.stall_after {
                Some(Opinion::Ahead)
            } else if reference.best.abs_diff(own) <= windows.lag_blocks && stands_for >= windows.stall_after / 3 {
                Some(Opinion::Level)
            } else {
                None
            }
        };
        unanimous(self.usable_references(now, chain).filter_map(of))
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
                Some(Opinion::Level)
            } else {
                None
            }
        };
        unanimous(self.usable_references(now, chain).filter_map(of))
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
