//! Progress of a snapshot on standard error: a line that is rewritten on a terminal, else lines of JSON now and then.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

use serde_json::json;

use agent_chaindata::observer::Observer;
use agent_core::units::{rounded_duration, show_mib};

/// Between two lines, milliseconds: on a terminal, and elsewhere.
const PAUSES: [u64; 2] = [250, 5_000];
const BAR_WIDTH: u64 = 30;

#[derive(Debug)]
pub(super) struct ProgressPrinter {
    terminal: bool,
    task: &'static str,
    /// `None` where it is unknown.
    total: Option<u64>,
    begun: Instant,
    done: u64,
    /// Time of the last line, milliseconds since `begun`.
    printed: u64,
}

impl Default for ProgressPrinter {
    fn default() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            task: "",
            total: None,
            begun: Instant::now(),
            done: 0,
            printed: 0,
        }
    }
}

impl Observer for ProgressPrinter {
    fn begin(&mut self, task: &'static str, total: Option<u64>) {
        (self.task, self.total) = (task, total);
        (self.begun, self.done, self.printed) = (Instant::now(), 0, 0);
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        let now = self.elapsed();
        if now >= self.printed + PAUSES[usize::from(!self.terminal)] {
            self.printed = now;
            self.print(now);
        }
    }

    fn end(&mut self) {
        self.print(self.elapsed());
        if self.terminal {
            let _ = writeln!(io::stderr().lock());
        }
    }

    fn note(&mut self, text: &str) {
        print_note(text);
    }
}

impl ProgressPrinter {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn print(&self, millis: u64) {
        let speed = self.done.saturating_mul(1_000) / millis.max(1);
        let left = self.total.map(|total| total.saturating_sub(self.done) / speed.max(1));
        // A closed standard error is no reason to end.
        let mut to = io::stderr().lock();
        let _ = if self.terminal {
            let percent = self.total.map(|total| (self.done * 100 / total.max(1)).min(100));
            let bar = percent.map(|percent| {
                let full = percent * BAR_WIDTH / 100;
                let bar: String = (0..BAR_WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
                format!("[{bar}] {percent:3} % ")
            });
            write!(
                to,
                "\r\x1b[K{} {}{} at {}/s{}",
                self.task,
                bar.unwrap_or_default(),
                show_mib(self.done),
                show_mib(speed),
                left.map(|left| format!(", {} left", rounded_duration(left)))
                    .unwrap_or_default()
            )
        } else {
            let line = json!({
                "doing": self.task, "bytes": self.done, "total": self.total,
                "bytes_per_second": speed, "seconds_left": left,
            });
            writeln!(to, "{line}")
        };
    }
}

/// Prints a note between the lines of progress.
pub(super) fn print_note(text: &str) {
    let mut to = io::stderr().lock();
    // A closed standard error is no reason to end.
    let _ = if to.is_terminal() {
        writeln!(to, "{text}")
    } else {
        writeln!(to, "{}", json!({"note": text}))
    };
}
