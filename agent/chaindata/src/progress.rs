//! How far it is: a line that is rewritten on a terminal, else a line of JSON now and then.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;

use agent_core::status::duration;
use agent_core::units::show_size;

/// Between two lines, milliseconds: on a terminal, and elsewhere.
const PAUSES: [u64; 2] = [250, 5_000];
const WIDTH: u64 = 30;

/// Counts bytes, and tells of them on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    /// `None` where nobody knows.
    total: Option<u64>,
    begun: Instant,
    done: AtomicU64,
    told: AtomicU64,
    terminal: bool,
    quiet: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        Self {
            what,
            total,
            begun: Instant::now(),
            done: AtomicU64::new(0),
            told: AtomicU64::new(0),
            terminal: io::stderr().is_terminal(),
            quiet: false,
        }
    }

    /// Counts alone, for callers without anybody to tell.
    pub(super) fn silent(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    /// So many bytes more are done.
    pub(super) fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let told = self.told.load(Ordering::Relaxed);
        if !self.quiet && now >= told + PAUSES[usize::from(!self.terminal)] {
            self.told.store(now, Ordering::Relaxed);
            self.tell(done, now);
        }
    }

    /// Tells of the end, and leaves the line.
    pub(super) fn end(&self) {
        if self.quiet {
            return;
        }
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tell(self.done.load(Ordering::Relaxed), now);
        if self.terminal {
            let _ = writeln!(io::stderr().lock());
        }
    }

    fn tell(&self, done: u64, millis: u64) {
        let speed = done.saturating_mul(1_000) / millis.max(1);
        let left = self.total.map(|total| total.saturating_sub(done) / speed.max(1));
        // Progress that nobody can be shown is no reason to end.
        let mut to = io::stderr().lock();
        let _ = if self.terminal {
            let part = self.total.map(|total| (done * 100 / total.max(1)).min(100));
            let bar = part.map(|part| {
                let full = part * WIDTH / 100;
                let bar: String = (0..WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
                format!("[{bar}] {part:3} % ")
            });
            write!(
                to,
                "\r\x1b[K{} {}{} at {}/s{}",
                self.what,
                bar.unwrap_or_default(),
                mib(done),
                mib(speed),
                left.map(|left| format!(", {} left", duration(left)))
                    .unwrap_or_default()
            )
        } else {
            let line = json!({
                "doing": self.what, "bytes": done, "total": self.total,
                "bytes_per_second": speed, "seconds_left": left,
            });
            writeln!(to, "{line}")
        };
    }
}

/// A size for people, to the MiB.
pub(super) fn mib(bytes: u64) -> String {
    if bytes < 1 << 20 {
        return show_size(bytes);
    }
    format!("{} MiB", bytes >> 20)
}
