//! The shared history: written by the loop, read by the status page, filled at the start from the flight recorder.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::recorder;
use crate::trace_reader::{NextLine, TraceReader};
use agent_core::event::{Event, Time};
use agent_core::history::{History, HistoryView, SLOT_MS, SLOTS};
use agent_core::machine::Action;
use agent_core::trace::{Record, parse_line};
use agent_runtime::wall;

/// One history, shared by its writers and readers.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedHistory(Arc<Mutex<History>>);

impl SharedHistory {
    /// Records an event now.
    pub(crate) fn event(&self, event: &Event) {
        if !matches!(event, Event::Tick) {
            self.lock().event(now(), event);
        }
    }

    /// Records an action now.
    pub(crate) fn action(&self, action: &Action) {
        self.lock()
            .action(now(), action.kind(), action.cause().into_str(), action.helped());
    }

    /// The 24 h up to now.
    pub(crate) fn view(&self) -> HistoryView {
        self.lock().view(now())
    }

    /// Adds the flight recording in `dir` of the 24 h before `until`, Unix milliseconds. Unreadable parts stay gaps. Blocks
    /// for about a second.
    pub(crate) fn read_back(&self, dir: &Path, until: i64) {
        let earlier = earlier(dir, until);
        self.lock().absorb(&earlier);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, History> {
        // After a panic the history is complete but for one event.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    wall::unix_ms()
}

/// The recorded day before `until`.
fn earlier(dir: &Path, until: i64) -> History {
    let mut history = History::default();
    let since = until - i64::from(SLOTS) * SLOT_MS;
    let mut lines = TraceReader::of(recorder::files_since(dir, since));
    // The wall clock at a time of the agent's clock.
    let mut anchor: Option<(i64, Time)> = None;
    loop {
        let line = match lines.next_line() {
            NextLine::End => return history,
            NextLine::Unreadable(_) => continue,
            NextLine::Line(line) => line,
        };
        let Ok((time, record)) = parse_line(line) else { continue };
        if let Record::Clock { unix_ms } = record {
            anchor = Some((unix_ms, time));
            continue;
        }
        let Some((unix_ms, then)) = anchor else { continue };
        let passed = time.0.cast_signed().saturating_sub(then.0.cast_signed());
        let at = unix_ms.saturating_add(passed);
        // From `until` on, the loop records its events itself.
        if !(since..until).contains(&at) {
            continue;
        }
        match record {
            Record::Event(event) => history.event(at, &event),
            Record::Action { action, cause, helped } => history.action(at, &action, &cause, helped),
            Record::Clock { .. } => {}
        }
    }
}
