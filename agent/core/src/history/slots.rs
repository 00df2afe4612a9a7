//! Heights in slots of equal length, as many as a range has.

use std::num::NonZeroU32;

use strum::VariantArray as _;

use super::HistoryRange;
use super::view::{HeightSeries, deltas};
use crate::event::{Chain, Reading, Sample};
use crate::informant::SyncPhase;

/// A height in four bytes: block numbers of Polkadot-SDK chains have 32 bits. Zero stands for a gap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Height(Option<NonZeroU32>);

impl Height {
    fn get(self) -> Option<u32> {
        self.0.map(|plus_one| plus_one.get() - 1)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }
}

impl From<Option<u64>> for Height {
    fn from(height: Option<u64>) -> Self {
        let plus_one = height.and_then(|height| u32::try_from(height).ok()?.checked_add(1));
        Self(plus_one.and_then(NonZeroU32::new))
    }
}

/// What was seen of one chain in one slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct HistoryPoint {
    best: Height,
    target: Height,
    /// The highest best block of its references.
    reference: Height,
    phase: Option<SyncPhase>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct HistorySlot {
    /// Number since the epoch.
    number: i64,
    points: [HistoryPoint; Chain::VARIANTS.len()],
}

const _: () = assert!(size_of::<HistorySlot>() == 40, "a week and a day take 32 KiB");

/// The slots of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HistorySlots {
    range: HistoryRange,
    /// The slot of each number lies at that number modulo their count. So a step of the clock needs no repair.
    slots: Box<[HistorySlot]>,
}

impl HistorySlots {
    pub(super) fn new(range: HistoryRange) -> Self {
        Self {
            range,
            slots: vec![HistorySlot::default(); usize::from(range.slots())].into(),
        }
    }

    /// Keeps what a slot has where the page of the exporter has no height.
    pub(super) fn sample(&mut self, at: i64, chain: Chain, sample: &Sample) {
        let point = self.point(at, chain);
        point.best = Height::from(sample.best).or(point.best);
        point.target = Height::from(sample.target).or(point.target);
        // What the log says is more precise.
        if let Some(syncs) = sample.major_syncing
            && !point.phase.is_some_and(is_precise)
        {
            point.phase = Some(if syncs { SyncPhase::FullSync } else { SyncPhase::Idle });
        }
    }

    pub(super) fn phase(&mut self, at: i64, chain: Chain, phase: SyncPhase) {
        let point = self.point(at, chain);
        if is_precise(phase) || !point.phase.is_some_and(is_precise) {
            point.phase = Some(phase);
        }
    }

    pub(super) fn reference(&mut self, at: i64, chain: Chain, reading: &Reading) {
        let point = self.point(at, chain);
        let highest = point.reference.get().map(u64::from).max(reading.best);
        point.reference = Height::from(highest).or(point.reference);
    }

    /// Takes over what `earlier` has beyond these, which are newer.
    pub(super) fn absorb(&mut self, earlier: &Self) {
        for (mine, theirs) in self.slots.iter_mut().zip(&*earlier.slots) {
            if theirs.number > mine.number {
                *mine = *theirs;
            } else if theirs.number == mine.number {
                for (mine, theirs) in mine.points.iter_mut().zip(theirs.points) {
                    mine.best = mine.best.or(theirs.best);
                    mine.target = mine.target.or(theirs.target);
                    mine.reference = mine.reference.or(theirs.reference);
                    mine.phase = mine.phase.or(theirs.phase);
                }
            }
        }
    }

    /// The first slot of the range that ends at `now`.
    pub(super) fn first(&self, now: i64) -> i64 {
        now.div_euclid(self.range.slot_ms()) - i64::from(self.range.slots()) + 1
    }

    /// What was seen of `chain` from slot `first` on; `None` when that is nothing.
    pub(super) fn series(&self, first: i64, chain: Chain) -> Option<HeightSeries> {
        let points = || {
            (first..first + i64::from(self.range.slots())).map(|number| {
                let slot = &self.slots[self.index(number)];
                if slot.number == number {
                    slot.points[chain as usize]
                } else {
                    HistoryPoint::default()
                }
            })
        };
        if points().all(|point| point == HistoryPoint::default()) {
            return None;
        }
        let has_reference = points().any(|point| point.reference != Height::default());
        let reference = has_reference.then(|| deltas(points().map(|point| point.reference.get())));
        let mut phases: Vec<(u16, u16, SyncPhase)> = Vec::new();
        for (slot, point) in (0..).zip(points()) {
            let Some(phase) = point.phase else { continue };
            match phases.last_mut() {
                Some((begin, length, same)) if *same == phase && *begin + *length == slot => *length += 1,
                _ => phases.push((slot, 1, phase)),
            }
        }
        Some(HeightSeries {
            best: deltas(points().map(|point| point.best.get())),
            target: deltas(points().map(|point| point.target.get())),
            reference,
            phases,
        })
    }

    fn point(&mut self, at: i64, chain: Chain) -> &mut HistoryPoint {
        let number = at.div_euclid(self.range.slot_ms());
        let index = self.index(number);
        let slot = &mut self.slots[index];
        if slot.number != number {
            *slot = HistorySlot {
                number,
                ..HistorySlot::default()
            };
        }
        &mut slot.points[chain as usize]
    }

    fn index(&self, number: i64) -> usize {
        usize::try_from(number.rem_euclid(i64::from(self.range.slots()))).unwrap_or_default()
    }
}

/// Whether only the node's log shows it: such a phase counts for its whole slot.
fn is_precise(phase: SyncPhase) -> bool {
    phase.persists_nothing() || phase.moves_no_height()
}
