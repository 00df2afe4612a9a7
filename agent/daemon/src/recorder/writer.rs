//! The recorder's thread: append, sync, rotate, and retry after disk errors.
#![expect(clippy::disallowed_methods, reason = "jobs for the state disk")]

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::files::{self, list, tidy};
use super::{RecordedLine, RecorderLimits, Unsaved};
use crate::state::remedy;
use agent_core::event::{Event, Time};
use agent_core::trace::{write_clock, write_line};
use agent_files::make_dir;
use agent_runtime::{Instant, wall};

/// Interval of wall-clock lines, in agent time.
const ANCHOR_EVERY: Duration = Duration::from_hours(1);

pub(super) struct TraceWriter {
    dir: PathBuf,
    limits: RecorderLimits,
    open: Option<OpenFile>,
    /// Time of the last wall-clock line in the open file.
    anchored: Option<Time>,
    /// No line was written yet.
    fresh: bool,
    /// Lines lost since the last line on disk.
    missing: u64,
    /// When writing is tried again after an error.
    retry_at: Option<Instant>,
    unsaved: watch::Sender<Unsaved>,
}

struct OpenFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// When the oldest line that is not synced was written.
    unsynced: Option<Instant>,
}

impl TraceWriter {
    pub(super) fn new(dir: PathBuf, limits: RecorderLimits, unsaved: watch::Sender<Unsaved>) -> Self {
        Self {
            dir,
            limits,
            open: None,
            anchored: None,
            fresh: true,
            missing: 0,
            retry_at: None,
            unsaved,
        }
    }

    pub(super) fn write(&mut self, now: Instant, line: &RecordedLine) {
        if self.open.is_none() && self.retry_at.is_some_and(|at| now < at) {
            return self.missed(1);
        }
        if let Err(e) = self.append(now, line) {
            self.missed(1);
            self.refused(now, &e);
        } else {
            if self.retry_at.take().is_some() {
                info!(
                    lines = self.missing,
                    "flight recorder goes on; this many lines are missing"
                );
            }
            self.missing = 0;
            self.fresh = false;
        }
    }

    /// Counts lost lines.
    pub(super) fn missed(&mut self, lines: u64) {
        self.missing += lines;
    }

    /// Time left until [`Self::sync`] is due; `None` when nothing waits for it.
    pub(super) fn sync_in(&self, now: Instant) -> Option<Duration> {
        let since = self.open.as_ref()?.unsynced?;
        Some((since + self.limits.sync).saturating_duration_since(now))
    }

    pub(super) fn sync(&mut self, now: Instant) {
        let Some(open) = &mut self.open else { return };
        if open.unsynced.take().is_none() {
            return;
        }
        if let Err(e) = open.file.sync_data() {
            return self.refused(now, &e);
        }
        if !open.path.exists() {
            warn!(path = %open.path.display(), "the flight recorder's file was removed; it goes on in a new one");
            self.open = None;
        }
        // The disk takes what it refused, and an incident as well.
        self.unsaved.send_if_modified(|unsaved| {
            let was_refused = unsaved.lines.is_some();
            if was_refused {
                *unsaved = Unsaved::default();
            }
            was_refused
        });
    }

    fn append(&mut self, now: Instant, line: &RecordedLine) -> io::Result<()> {
        let full = self.open.as_ref().is_some_and(|open| open.bytes >= self.limits.file);
        if full || self.open.is_none() {
            self.next_file(full)?;
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let mut text = Vec::with_capacity(line.text.len() + 128);
        if line.anchor
            || self
                .anchored
                .is_none_or(|at| line.time.since(at) >= ANCHOR_EVERY || line.time < at)
        {
            write_clock(&mut text, line.time, wall::unix_ms())?;
            self.anchored = Some(line.time);
        }
        // A replay must not take unrecorded time for silence.
        if (self.fresh || self.missing > 0) && !line.gap {
            write_line(&mut text, line.time, &Event::Gap)?;
        }
        text.extend_from_slice(&line.text);
        if let Err(e) = open.file.write_all(&text) {
            // Removes the partial line; reopening the file would cut it as well.
            let _ = open.file.set_len(open.bytes);
            return Err(e);
        }
        open.bytes += text.len() as u64;
        open.unsynced.get_or_insert(now);
        Ok(())
    }

    /// Opens the newest plain file, or a new one.
    fn next_file(&mut self, full: bool) -> io::Result<()> {
        if let Some(open) = &self.open {
            open.file.sync_data()?;
        }
        make_dir(&self.dir)?;
        let newest = list(&self.dir)?.pop();
        let number = match newest {
            None => 1,
            Some(file) if full || file.packed || file.bytes >= self.limits.file => file.number + 1,
            Some(file) => file.number,
        };
        let path = files::path(&self.dir, number);
        let (file, bytes) = files::open(&path)?;
        self.open = Some(OpenFile {
            path,
            file,
            bytes,
            unsynced: None,
        });
        self.anchored = None;
        // Room for the open file and for the one being packed beside its plain form.
        let keep = self.limits.total.saturating_sub(3 * self.limits.file);
        if let Err(e) = tidy(&self.dir, number, keep)
            && self.retry_at.is_none()
        {
            warn!(dir = %self.dir.display(), error = %e, "failed to pack or remove old flight recorder files");
        }
        Ok(())
    }

    fn refused(&mut self, now: Instant, error: &io::Error) {
        if self.retry_at.is_none() {
            warn!(dir = %self.dir.display(), %error, "flight recorder stopped; it goes on when the disk takes more");
        }
        let problem = format!(
            "failed to write to {}: {error}; {}",
            self.dir.display(),
            remedy(error, &self.dir)
        );
        self.unsaved.send_modify(|unsaved| unsaved.lines = Some(problem));
        self.open = None;
        self.retry_at = Some(now + self.limits.retry);
    }
}
