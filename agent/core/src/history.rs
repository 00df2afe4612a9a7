//! The last 24 h in a bounded number of points: where both chains stood, and what happened to the collator.
//!
//! Pure: times come in as Unix milliseconds, for display only. The same events that go to the flight recorder
//! keep it current, and the recorder's files bring back what an earlier life of the agent saw.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use strum::{EnumString, VariantArray};

use crate::cause::Cause;
use crate::event::{Chain, Container, Event, Outcome};

/// Length of a slot, ms. Each keeps the newest heights that were seen in it.
pub const SLOT_MS: i64 = 3 * 60 * 1000;
/// Slots kept: 24 h.
pub const SLOTS: u16 = 480;
/// Marks kept; in a crash loop the oldest go first.
const MARKS: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum MarkKind {
    Start,
    Restart,
    Stop,
    Hold,
    Backoff,
    Exit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Unix milliseconds.
    pub at: i64,
    pub what: MarkKind,
    /// `None` for a cause of another version of the agent.
    pub cause: Option<Cause>,
    /// Exit code of the collator, where it ended.
    pub code: Option<i64>,
    /// Whether it helped; `None` while that is open, and where it is not judged.
    pub helped: Option<bool>,
}

/// Heights in blocks; `None` is a gap: nothing was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct HeightPoint {
    best: Option<u64>,
    target: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct HistorySlot {
    /// Which one since the epoch.
    number: i64,
    points: [HeightPoint; Chain::VARIANTS.len()],
}

/// 24 h of heights and marks: about 40 KiB, however long the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The slot of each number lies at that number modulo [`SLOTS`]. So a step of the clock needs no repair.
    slots: Box<[HistorySlot]>,
    /// In the order of their time.
    marks: VecDeque<Mark>,
    /// The agent is about to end the collator: that end is no mark of its own.
    stopping: bool,
    /// News of ends up to this time are about that, too; Unix milliseconds.
    ours_until: Option<i64>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            slots: vec![HistorySlot::default(); usize::from(SLOTS)].into(),
            marks: VecDeque::new(),
            stopping: false,
            ours_until: None,
        }
    }
}

/// The history as a document: one line of JSON, whose size has a bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryView {
    pub schema: u32,
    /// Beginning of the first slot, Unix seconds.
    pub from: i64,
    pub slot_seconds: i64,
    pub slots: u16,
    /// Those chains of which anything was seen.
    pub chains: BTreeMap<Chain, HeightSeries>,
    /// Oldest first.
    pub marks: Vec<Mark>,
}

/// One height a slot, oldest first; `null` where nothing was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeightSeries {
    pub best: Vec<Option<u64>>,
    pub target: Vec<Option<u64>>,
}

impl History {
    /// Notes what the core learned at `at`, Unix milliseconds.
    pub fn event(&mut self, at: i64, event: &Event) {
        match event {
            Event::Sample { chain, sample } => {
                let point = &mut self.slot(at).points[*chain as usize];
                point.best = sample.best.or(point.best);
                point.target = sample.target.or(point.target);
            }
            Event::Container(Container::Exited { at: ended, exit, .. }) => {
                let ours = self.stopping || ended.is_some_and(|ended| Some(ended) <= self.ours_until);
                if !ours {
                    self.mark(Mark {
                        at: ended.unwrap_or(at),
                        what: MarkKind::Exit,
                        cause: Some(if exit.is_out_of_memory() {
                            Cause::OutOfMemory
                        } else {
                            Cause::Exited
                        }),
                        code: exit.code,
                        helped: None,
                    });
                }
            }
            Event::Finished(outcome) => {
                if let Outcome::Done { at, .. } = outcome
                    && self.stopping
                {
                    self.ours_until = *at;
                }
                self.stopping = false;
            }
            Event::Gap => self.stopping = false,
            _ => {}
        }
    }

    /// Notes what the agent did at `at`, by the names of the trace; `helped` of an action that was judged.
    pub fn action(&mut self, at: i64, action: &str, cause: &str, helped: Option<bool>) {
        let cause = cause.parse().ok();
        if action == "judged" {
            let open = |mark: &&mut Mark| mark.cause == cause && mark.what != MarkKind::Exit && mark.helped.is_none();
            if let Some(mark) = self.marks.iter_mut().rev().find(open) {
                mark.helped = helped;
            }
            return;
        }
        let Ok(what) = action.parse() else {
            return;
        };
        self.stopping = what != MarkKind::Start;
        self.mark(Mark {
            at,
            what,
            cause,
            code: None,
            helped: None,
        });
    }

    /// Takes over what `earlier` has beyond this one, which is newer.
    pub fn absorb(&mut self, earlier: &Self) {
        for (mine, theirs) in self.slots.iter_mut().zip(&*earlier.slots) {
            if theirs.number > mine.number {
                *mine = *theirs;
            } else if theirs.number == mine.number {
                for (mine, theirs) in mine.points.iter_mut().zip(theirs.points) {
                    mine.best = mine.best.or(theirs.best);
                    mine.target = mine.target.or(theirs.target);
                }
            }
        }
        for mark in &earlier.marks {
            self.mark(*mark);
        }
    }

    /// The 24 h up to `now`, Unix milliseconds.
    pub fn view(&self, now: i64) -> HistoryView {
        let last = now.div_euclid(SLOT_MS);
        let first = last - i64::from(SLOTS) + 1;
        let points = |chain: Chain| {
            (first..=last).map(move |number| {
                let slot = &self.slots[index(number)];
                let point = slot.points[chain as usize];
                if slot.number == number {
                    point
                } else {
                    HeightPoint::default()
                }
            })
        };
        let seen = |chain: &Chain| points(*chain).any(|point| point != HeightPoint::default());
        HistoryView {
            schema: 1,
            from: first * SLOT_MS / 1000,
            slot_seconds: SLOT_MS / 1000,
            slots: SLOTS,
            chains: Chain::VARIANTS
                .iter()
                .copied()
                .filter(seen)
                .map(|chain| {
                    let heights = HeightSeries {
                        best: points(chain).map(|point| point.best).collect(),
                        target: points(chain).map(|point| point.target).collect(),
                    };
                    (chain, heights)
                })
                .collect(),
            marks: (self.marks.iter().copied())
                .filter(|mark| (first * SLOT_MS..=now).contains(&mark.at))
                .collect(),
        }
    }

    fn slot(&mut self, at: i64) -> &mut HistorySlot {
        let number = at.div_euclid(SLOT_MS);
        let slot = &mut self.slots[index(number)];
        if slot.number != number {
            *slot = HistorySlot {
                number,
                ..HistorySlot::default()
            };
        }
        slot
    }

    /// Puts a mark in its place. What is reported twice, as every inspection reports the last end, is kept once.
    fn mark(&mut self, mark: Mark) {
        let same = |other: &Mark| (other.at, other.what) == (mark.at, mark.what);
        if self.marks.iter().any(same) {
            return;
        }
        let place = self.marks.partition_point(|other| other.at <= mark.at);
        self.marks.insert(place, mark);
        if self.marks.len() > MARKS {
            self.marks.pop_front();
        }
    }
}

fn index(number: i64) -> usize {
    usize::try_from(number.rem_euclid(i64::from(SLOTS))).unwrap_or_default()
}
