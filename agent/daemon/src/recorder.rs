//! The flight recorder: all events and actions of the core as a trace on disk, bounded in bytes.
//!
//! The loop queues lines for one thread that owns the files; it never waits for the disk. The newest file is plain,
//! older ones are gzipped, the oldest are removed at the bound. `replay` reads all of them.

mod files;
pub mod incident;
mod redact;
mod tail;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};
use std::{io, thread};

pub use files::files_since;
pub use redact::lines as redact_lines;
pub use redact::named as secrets;
pub use redact::text as redacted;
pub use redact::{LineRedactor, image_secrets, url_secrets, with_forms};
pub use tail::tail;
use tracing::warn;
use writer::TraceWriter;

use agent_core::event::{Container, Event, Outcome, Time};
use agent_core::machine::Action;
use agent_core::trace;

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
/// Longest line written, bytes; only a container's last log lines come near.
const LINE_MAX: usize = 128 * 1024;
/// Bound of a container's last log lines or an error's text within one line, bytes before escaping, which takes up to
/// six for one.
const LOG_MAX: usize = 16 * 1024;

/// The handle of the thread that appends to the files in one folder.
#[derive(Debug)]
pub struct Recorder {
    queue: SyncSender<WriterCommand>,
    /// Lines dropped at a full queue, not yet reported to the writer.
    overrun: Arc<AtomicU64>,
}

#[derive(Debug)]
enum WriterCommand {
    Append(RecordedLine),
    Flush(SyncSender<()>),
}

#[derive(Debug)]
struct RecordedLine {
    time: Time,
    text: Vec<u8>,
    /// Whether the line itself marks a gap.
    gap: bool,
}

impl Recorder {
    /// Records into `dir` (made when absent) from now on. A disk error is logged, and writing tried again every
    /// [`RecorderLimits::retry`].
    ///
    /// Fails when no thread can be started.
    pub fn open(dir: &Path, limits: RecorderLimits) -> io::Result<Self> {
        let (queue, messages) = mpsc::sync_channel(QUEUE);
        let overrun = Arc::<AtomicU64>::default();
        let writer = TraceWriter::new(dir.to_owned(), limits);
        thread::Builder::new()
            .name("flight-recorder".to_owned())
            .stack_size(512 * 1024)
            .spawn({
                let overrun = Arc::clone(&overrun);
                move || write(writer, &messages, &overrun)
            })?;
        Ok(Self { queue, overrun })
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
            });
        }
    }

    /// Records an action, by the names of `replay`'s output.
    pub fn action(&self, time: Time, action: &Action) {
        let mut text = Vec::new();
        let (kind, cause) = (action.kind(), action.cause().into_str());
        if trace::write_action(&mut text, time, kind, cause, action.helped()).is_ok() {
            self.send(RecordedLine { time, text, gap: false });
        }
    }

    /// Waits until everything recorded so far is on disk; false when it took longer. This blocks.
    pub fn flush(&self, timeout: Duration) -> bool {
        let (done, wait) = mpsc::sync_channel(1);
        self.queue.try_send(WriterCommand::Flush(done)).is_ok() && wait.recv_timeout(timeout).is_ok()
    }

    fn send(&self, line: RecordedLine) {
        if line.text.len() > LINE_MAX || self.queue.try_send(WriterCommand::Append(line)).is_err() {
            self.overrun.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush(Duration::from_secs(5));
    }
}

fn write(mut writer: TraceWriter, messages: &Receiver<WriterCommand>, overrun: &AtomicU64) {
    loop {
        let message = match writer.sync_in(Instant::now()) {
            Some(wait) => messages.recv_timeout(wait),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let skipped = overrun.swap(0, Ordering::Relaxed);
        if skipped > 0 {
            warn!(
                lines = skipped,
                "flight recorder could not keep up; the disk of agent.state_dir is slow"
            );
            writer.missed(skipped);
        }
        match message {
            Ok(WriterCommand::Append(line)) => writer.write(Instant::now(), &line),
            Ok(WriterCommand::Flush(done)) => {
                writer.sync(Instant::now());
                // The caller may have stopped waiting.
                let _ = done.try_send(());
            }
            Err(RecvTimeoutError::Timeout) => writer.sync(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => return writer.sync(Instant::now()),
        }
    }
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
