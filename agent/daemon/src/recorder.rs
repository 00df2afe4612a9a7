//! The flight recorder: all events and actions of the core as a trace on disk, bounded in bytes.
//!
//! The loop queues lines for one task, which has them written off the thread; it never waits for the disk. The newest file
//! is plain, older ones are gzipped, the oldest are removed at the bound. `replay` reads all of them.

mod files;
pub mod incident;
mod redact;
mod tail;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use files::files_since;
pub use redact::json as redact_json;
pub use redact::json_lines as redact_json_lines;
pub use redact::lines as redact_lines;
pub use redact::named as secrets;
pub use redact::text as redacted;
pub use redact::{LineRedactor, command_words, image_secrets, url_secrets, variable_value, with_forms};
pub use tail::tail;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{timeout, timeout_at};
use tracing::warn;
use writer::TraceWriter;

use agent_core::event::{Container, Event, Outcome, Time};
use agent_core::machine::Action;
use agent_core::trace;
use agent_runtime::Instant;
use agent_runtime::disk::{self, Disk};

/// Directory of the recording within `agent.state_dir`.
pub fn flight_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("flight")
}

/// Directory of the incidents within `agent.state_dir`.
pub fn incidents_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("incidents")
}

/// Bounds of the recording and of its delay on disk.
#[derive(Debug, Clone)]
pub struct RecorderLimits {
    /// All files together, bytes. 64 MiB hold more than a month of two chains at 5 s.
    pub total: u64,
    /// Size at which a file is closed and packed, bytes.
    pub file: u64,
    /// Longest time that a line stays unsynced, and so may be lost in a power cut.
    pub sync: Duration,
    /// Pause after a write error.
    pub retry: Duration,
}

impl Default for RecorderLimits {
    fn default() -> Self {
        Self {
            total: 64 << 20,
            file: 1 << 20,
            sync: Duration::from_secs(30),
            retry: Duration::from_mins(1),
        }
    }
}

/// Most lines that wait for the disk: minutes of two chains at 5 s.
const QUEUE: usize = 256;
/// Most lines that are written by one job on the disk.
const BATCH: usize = 64;
/// Longest line written, bytes; only a container's last log lines come near.
const LINE_MAX: usize = 128 * 1024;
/// Bound of a container's last log lines or an error's text within one line, bytes before escaping, which takes up to
/// six for one.
const LOG_MAX: usize = 16 * 1024;

/// The handle of the task that appends to the files in one folder.
#[derive(Debug)]
pub struct Recorder {
    queue: mpsc::Sender<WriterCommand>,
    /// Lines dropped at a full queue, not yet reported to the writer.
    overrun: Arc<AtomicU64>,
    unsaved: watch::Sender<Unsaved>,
}

/// Why records are not on disk; `None` where they are.
#[derive(Debug, Default)]
pub struct Unsaved {
    lines: Option<String>,
    /// Of the last incident; until one is kept, or lines are again.
    incident: Option<String>,
}

impl Unsaved {
    pub fn why(&self) -> Option<&str> {
        self.lines.as_deref().or(self.incident.as_deref())
    }
}

#[derive(Debug)]
enum WriterCommand {
    Append(RecordedLine),
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
struct RecordedLine {
    time: Time,
    text: Vec<u8>,
    /// Whether the line itself marks a gap.
    gap: bool,
    /// Whether the wall clock is written before it.
    anchor: bool,
}

impl Recorder {
    /// Records into `dir` (made when absent) from now on. A disk error is logged, and writing tried again every
    /// [`RecorderLimits::retry`]. Called within a runtime.
    pub fn open(dir: &Path, limits: RecorderLimits) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let overrun = Arc::<AtomicU64>::default();
        let unsaved = watch::Sender::default();
        let writer = TraceWriter::new(dir.to_owned(), limits, unsaved.clone());
        tokio::spawn(write(writer, messages, Arc::clone(&overrun)));
        Self {
            queue,
            overrun,
            unsaved,
        }
    }

    /// What the disk does not take, now and from now on.
    pub fn unsaved(&self) -> watch::Receiver<Unsaved> {
        self.unsaved.subscribe()
    }

    /// Notes that an incident was kept, or why it was not.
    pub fn note_incident(&self, unsaved: Option<String>) {
        self.unsaved.send_if_modified(|now| {
            let changes = now.incident != unsaved;
            now.incident = unsaved;
            changes
        });
    }

    /// Records one event; a tick leaves no line.
    pub fn event(&self, time: Time, event: &Event) {
        let mut text = Vec::with_capacity(256);
        let shortened = shorten(event);
        // Writing to memory does not fail.
        if trace::write_line(&mut text, time, shortened.as_ref().unwrap_or(event)).is_ok() && !text.is_empty() {
            self.send(RecordedLine {
                time,
                text,
                gap: matches!(event, Event::Gap),
                anchor: matches!(event, Event::Gap | Event::ClockStepped { .. }),
            });
        }
    }

    /// Records an action, by the names of `replay`'s output.
    pub fn action(&self, time: Time, action: &Action) {
        let mut text = Vec::new();
        let (kind, cause) = (action.kind(), action.cause().into_str());
        if trace::write_action(&mut text, time, kind, cause, action.helped()).is_ok() {
            self.send(RecordedLine {
                time,
                text,
                gap: false,
                anchor: false,
            });
        }
    }

    /// Waits until everything recorded so far is on disk; false when it took longer.
    pub async fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = oneshot::channel();
        let flushed = async {
            let asked = self.queue.send(WriterCommand::Flush(done)).await;
            asked.is_ok() && wait.await.is_ok()
        };
        timeout(limit, flushed).await.unwrap_or(false)
    }

    fn send(&self, line: RecordedLine) {
        if line.text.len() > LINE_MAX || self.queue.try_send(WriterCommand::Append(line)).is_err() {
            self.overrun.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What waits for the disk: lines, and how many were lost after them.
#[derive(Debug, Default)]
struct PendingLines {
    lines: Vec<RecordedLine>,
    lost: u64,
}

impl PendingLines {
    fn push(&mut self, line: RecordedLine) {
        if self.lost == 0 && self.lines.len() < QUEUE {
            self.lines.push(line);
        } else {
            self.lost += 1;
        }
    }
}

/// Writes until the handle is dropped. A disk that does not answer is tried again with the next lines.
async fn write(writer: TraceWriter, mut messages: mpsc::Receiver<WriterCommand>, overrun: Arc<AtomicU64>) {
    let writer = Arc::new(Mutex::new(writer));
    let pending = Arc::new(Mutex::new(PendingLines::default()));
    let (mut flushed, mut sync_at) = (Vec::new(), None::<Instant>);
    let mut is_stalled = false;
    loop {
        let mut batch = Vec::new();
        let received = messages.recv_many(&mut batch, BATCH);
        let is_over = match sync_at {
            Some(at) => timeout_at(at, received).await == Ok(0),
            None => received.await == 0,
        };
        {
            let mut pending = lock(&pending);
            for command in batch {
                match command {
                    WriterCommand::Append(line) => pending.push(line),
                    WriterCommand::Flush(done) => flushed.push(done),
                }
            }
            let skipped = overrun.swap(0, Ordering::Relaxed);
            if skipped > 0 {
                warn!(
                    lines = skipped,
                    "flight recorder could not keep up; the disk of agent.state_dir is slow"
                );
            }
            pending.lost += skipped;
        }
        let sync = is_over || !flushed.is_empty() || sync_at.is_some_and(|at| at <= Instant::now());
        let (writer, pending) = (Arc::clone(&writer), Arc::clone(&pending));
        let job = move || {
            let PendingLines { lines, lost } = std::mem::take(&mut *lock(&pending));
            let mut writer = lock(&writer);
            for line in &lines {
                writer.write(Instant::now(), line);
            }
            writer.missed(lost);
            if sync {
                writer.sync(Instant::now());
            }
            writer.sync_in(Instant::now())
        };
        sync_at = match disk::run_long(Disk::State, disk::LIMIT, job).await {
            Ok(wait) => {
                is_stalled = false;
                // The caller may have stopped waiting.
                flushed.drain(..).for_each(|done| _ = done.send(()));
                wait.map(|wait| Instant::now() + wait)
            }
            Err(error) => {
                if !std::mem::replace(&mut is_stalled, true) {
                    warn!(%error, "flight recorder stopped; it goes on when the disk takes more");
                }
                Some(Instant::now() + disk::LIMIT)
            }
        };
        if is_over {
            return;
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The event with shortened texts, where it may exceed a line.
fn shorten(event: &Event) -> Option<Event> {
    let mut event = match event {
        Event::Container(Container::Exited { .. }) | Event::Finished(_) => event.clone(),
        _ => return None,
    };
    match &mut event {
        Event::Container(Container::Exited { exit, .. })
        | Event::Finished(Outcome::Done {
            container: Container::Exited { exit, .. },
            ..
        }) => {
            exit.log.iter_mut().for_each(|line| cut(line, LOG_MAX / 4));
            let mut room = LOG_MAX;
            // The newest lines explain the exit.
            let kept = exit.log.iter().rev().take_while(|line| {
                let fits = line.len() <= room;
                room = room.saturating_sub(line.len() + 4);
                fits
            });
            let dropped = exit.log.len() - kept.count();
            exit.log.drain(..dropped);
        }
        Event::Finished(Outcome::Failed { error, .. }) => cut(error, LOG_MAX),
        _ => return None,
    }
    Some(event)
}

fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

#[cfg(test)]
mod tests;
