//! The last 24 h and the last 7 days in a bounded number of points: where both chains stood, and what happened to the collator.
//!
//! Pure: times come in as Unix milliseconds, for display only. The same events that go to the flight recorder
//! keep it current, and the recorder's files bring back what an earlier life of the agent saw.

mod slots;
mod spans;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use strum::{EnumString, VariantArray};

use self::slots::HistorySlots;
use self::spans::Spans;
pub use self::spans::{Span, SpanKind};
pub use self::view::{HeightSeries, HistoryView};
use crate::cause::Cause;
use crate::event::{Chain, Command, Container, Event, Outcome};
use crate::informant;

/// Marks kept; in a crash loop the oldest go first.
const MARKS: usize = 128;
/// Version of the document.
const SCHEMA: u32 = 2;

/// A range of time, and its slots. Each slot keeps the newest heights that were seen in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum HistoryRange {
    #[default]
    Day,
    Week,
}

impl HistoryRange {
    /// Length of a slot, ms.
    pub const fn slot_ms(self) -> i64 {
        match self {
            Self::Day => 3 * 60 * 1000,
            Self::Week => 30 * 60 * 1000,
        }
    }

    pub const fn slots(self) -> u16 {
        match self {
            Self::Day => 480,
            Self::Week => 336,
        }
    }

    /// Its length, ms.
    pub const fn length_ms(self) -> i64 {
        self.slot_ms() * self.slots() as i64
    }
}

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

/// Heights, marks and spans of both ranges: at most 64 KiB, however long the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    ranges: [HistorySlots; HistoryRange::VARIANTS.len()],
    /// In the order of their time.
    marks: VecDeque<Mark>,
    spans: Spans,
    /// The image of the newest command to update.
    wanted: Option<String>,
    /// The agent is about to end the collator: that end is no mark of its own.
    stopping: bool,
    /// News of ends up to this time are about that, too; Unix milliseconds.
    ours_until: Option<i64>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            ranges: [HistoryRange::Day, HistoryRange::Week].map(HistorySlots::new),
            marks: VecDeque::new(),
            spans: Spans::default(),
            wanted: None,
            stopping: false,
            ours_until: None,
        }
    }
}

impl History {
    /// Notes what the core learned at `at`, Unix milliseconds.
    pub fn event(&mut self, at: i64, event: &Event) {
        match event {
            Event::Sample { chain, sample } => {
                self.ranges
                    .iter_mut()
                    .for_each(|slots| slots.sample(at, *chain, sample));
            }
            Event::Log(lines) => {
                for (chain, line) in informant::by_chain(lines, Chain::VARIANTS) {
                    self.ranges
                        .iter_mut()
                        .for_each(|slots| slots.phase(at, chain, line.phase));
                }
            }
            Event::Reference {
                chain,
                reading: Ok(reading),
                ..
            } => self
                .ranges
                .iter_mut()
                .for_each(|slots| slots.reference(at, *chain, reading)),
            Event::Ec2(Some(notice)) => self.spans.begin(SpanKind::Notice, at, None, notice.kind.into_str()),
            Event::Ec2(None) => self.spans.end(SpanKind::Notice, at, None),
            Event::Operator(command) => self.command(at, command),
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
        match action {
            "judged" => {
                let open =
                    |mark: &&mut Mark| mark.cause == cause && mark.what != MarkKind::Exit && mark.helped.is_none();
                if let Some(mark) = self.marks.iter_mut().rev().find(open) {
                    mark.helped = helped;
                }
                return;
            }
            "pull" => {
                let image = self.wanted.take().unwrap_or_default();
                return self.spans.begin(SpanKind::Update, at, None, &image);
            }
            "updated" => return self.spans.end(SpanKind::Update, at, Some(cause == Some(Cause::Update))),
            _ => {}
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
        for (mine, theirs) in self.ranges.iter_mut().zip(&earlier.ranges) {
            mine.absorb(theirs);
        }
        self.spans.absorb(&earlier.spans);
        for mark in &earlier.marks {
            self.mark(*mark);
        }
    }

    /// The range up to `now`, Unix milliseconds.
    pub fn view(&self, range: HistoryRange, now: i64) -> HistoryView {
        let slots = &self.ranges[range as usize];
        let first = slots.first(now);
        let from = first * range.slot_ms();
        HistoryView {
            schema: SCHEMA,
            from: from / 1000,
            slot_seconds: range.slot_ms() / 1000,
            slots: range.slots(),
            chains: Chain::VARIANTS
                .iter()
                .filter_map(|&chain| Some((chain, slots.series(first, chain)?)))
                .collect(),
            marks: (self.marks.iter().copied())
                .filter(|mark| (from..=now).contains(&mark.at))
                .collect(),
            spans: self.spans.within(from, now),
        }
    }

    fn command(&mut self, at: i64, command: &Command) {
        match command {
            Command::Pause { seconds, reason } => {
                let length = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
                self.spans
                    .begin(SpanKind::Pause, at, Some(at.saturating_add(length)), reason);
            }
            Command::Resume => self.spans.end(SpanKind::Pause, at, None),
            Command::Update { image, .. } => self.wanted = Some(image.clone()),
            Command::Restart { .. } | Command::Stop { .. } | Command::Start { .. } => {}
        }
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
