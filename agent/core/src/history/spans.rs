//! What lasted: updates, announcements of EC2, pauses.

use std::collections::VecDeque;

use serde::Serialize;
use strum::VariantArray;

use crate::status::clean;

/// Spans kept; the oldest go first.
const SPANS: usize = 64;
/// Longest text of a span, characters.
const ABOUT_CHARS: usize = 120;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    Update,
    Notice,
    Pause,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    pub what: SpanKind,
    /// Unix milliseconds.
    pub from: i64,
    /// Unix milliseconds, also ahead; `None` while it lasts and its end is not known.
    pub to: Option<i64>,
    /// The image, the kind of the announcement, or the reason.
    pub about: String,
    /// Whether the update was kept; `None` of all others, and while that is open.
    pub succeeded: Option<bool>,
}

impl Span {
    fn lasts_at(&self, at: i64) -> bool {
        self.to.is_none_or(|to| to > at)
    }

    fn end(&mut self, at: i64, succeeded: Option<bool>) {
        self.to = Some(at.max(self.from));
        self.succeeded = succeeded;
    }
}

/// In the order of their beginnings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans {
    spans: VecDeque<Span>,
    /// The first end of each kind whose beginning was not seen.
    ended: [Option<(i64, Option<bool>)>; SpanKind::VARIANTS.len()],
}

impl Spans {
    /// Begins a span; the one of its kind before it ends, unless it is the same.
    pub(super) fn begin(&mut self, what: SpanKind, from: i64, to: Option<i64>, about: &str) {
        let about: String = clean(about).chars().take(ABOUT_CHARS).collect();
        if let Some(last) = self.last(what, from) {
            if last.about == about && last.to == to {
                return;
            }
            last.end(from, None);
        }
        self.insert(Span {
            what,
            from,
            to,
            about,
            succeeded: None,
        });
    }

    pub(super) fn end(&mut self, what: SpanKind, at: i64, succeeded: Option<bool>) {
        match self.last(what, at) {
            Some(last) => last.end(at, succeeded),
            None => _ = self.ended[what as usize].get_or_insert((at, succeeded)),
        }
    }

    /// Takes over those of `earlier`, which ends before these begin.
    pub(super) fn absorb(&mut self, earlier: &Self) {
        for span in &earlier.spans {
            let mut span = span.clone();
            let next = self
                .spans
                .iter_mut()
                .find(|mine| mine.what == span.what && mine.from >= span.from);
            match (next, self.ended[span.what as usize]) {
                // An announcement is heard again by each life of the agent.
                (Some(next), None) if span.lasts_at(next.from) && next.about == span.about => {
                    next.from = span.from;
                    continue;
                }
                (_, Some((at, succeeded))) if span.lasts_at(at) => span.end(at, succeeded),
                (Some(next), _) if span.lasts_at(next.from) => span.end(next.from, None),
                _ => {}
            }
            self.insert(span);
        }
    }

    /// Those that touch the time from `first` to `now`.
    pub(super) fn within(&self, first: i64, now: i64) -> Vec<Span> {
        let touches = |span: &&Span| span.from <= now && span.lasts_at(first);
        self.spans.iter().filter(touches).cloned().collect()
    }

    /// The newest of a kind, where it lasts.
    fn last(&mut self, what: SpanKind, at: i64) -> Option<&mut Span> {
        let last = self.spans.iter_mut().rev().find(|span| span.what == what)?;
        last.lasts_at(at).then_some(last)
    }

    fn insert(&mut self, span: Span) {
        let place = self.spans.partition_point(|other| other.from <= span.from);
        self.spans.insert(place, span);
        if self.spans.len() > SPANS {
            self.spans.pop_front();
        }
    }
}
