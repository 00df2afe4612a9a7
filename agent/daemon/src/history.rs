//! The shared history: written by the loop, read by the status page, filled at the start from the flight recorder.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::recorder;
use crate::trace_reader::{NextLine, TraceReader};
use agent_core::event::{Event, Time};
use agent_core::history::{History, HistoryRange, HistoryView};
use agent_core::machine::Action;
use agent_core::trace::{Record, parse_line};
use agent_runtime::disk::{self, Disk, DiskError};
use agent_runtime::wall;

/// How long the reading of one file of the flight recorder may take.
const FILE_LIMIT: Duration = Duration::from_secs(20);

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

    /// The range up to now.
    pub(crate) fn view(&self, range: HistoryRange) -> HistoryView {
        self.lock().view(range, now())
    }

    /// Adds the flight recording in `dir` of the 7 days before `until`, Unix milliseconds. Unreadable parts stay gaps.
    ///
    /// # Errors
    /// The disk does not answer.
    pub(crate) async fn read_back(&self, dir: &Path, until: i64) -> Result<(), DiskError> {
        let (dir, since) = (dir.to_owned(), until - HistoryRange::Week.length_ms());
        let files = disk::run_long(Disk::State, FILE_LIMIT, move || recorder::files_since(&dir, since)).await?;
        let mut earlier = Box::new(History::default());
        // A job for each, so that an incident is not kept waiting.
        for file in files {
            let read = move || {
                read_file(&mut earlier, file, since..until);
                earlier
            };
            earlier = disk::run_long(Disk::State, FILE_LIMIT, read).await?;
        }
        self.lock().absorb(&earlier);
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, History> {
        // After a panic the history is complete but for one event.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    wall::unix_ms()
}

/// Adds what a file has of `times`, Unix milliseconds. Every file begins with the wall clock.
fn read_file(history: &mut History, file: PathBuf, times: Range<i64>) {
    let mut lines = TraceReader::of([file]);
    // The wall clock at a time of the agent's clock.
    let mut anchor: Option<(i64, Time)> = None;
    loop {
        let line = match lines.next_line() {
            NextLine::End => return,
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
        // After them, the loop records its events itself.
        if !times.contains(&at) {
            continue;
        }
        match record {
            Record::Event(event) => history.event(at, &event),
            Record::Action { action, cause, helped } => history.action(at, &action, &cause, helped),
            Record::Clock { .. } => {}
        }
    }
}
