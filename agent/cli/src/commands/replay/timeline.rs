//! Output of a replay: one line for each change, as JSON or for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use strum::VariantArray as _;

use agent_core::event::{Chain, Sample};
use agent_core::machine::{Health, Phase};
use agent_core::status::clean;
use agent_core::units::counted;

/// Time of a line: the trace's own `t`, and the wall clock where the trace has it, both in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct TraceTime {
    pub(super) trace_ms: u64,
    pub(super) unix_ms: Option<i64>,
}

pub(super) struct Timeline<'a> {
    out: &'a mut dyn Write,
    json: bool,
    shown: Option<(Phase, Health)>,
}

#[derive(Serialize)]
struct StateLine {
    t: f64,
    phase: Phase,
    health: Health,
}

#[derive(Serialize)]
struct ActionLine<'a> {
    t: f64,
    action: &'a str,
    cause: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(out: &'a mut dyn Write, json: bool) -> Self {
        Self { out, json, shown: None }
    }

    /// Prints phase and health when either differs from what was printed last.
    pub(super) fn state(
        &mut self,
        at: TraceTime,
        phase: Phase,
        health: Health,
        samples: &[Option<Sample>; 2],
    ) -> io::Result<()> {
        if self.shown.replace((phase, health)) == Some((phase, health)) {
            return Ok(());
        }
        if self.json {
            return self.line(&StateLine {
                t: at.seconds(),
                phase,
                health,
            });
        }
        let row = format!(
            "{}  {:<18} {:<9} {}",
            at.clock(),
            phase.into_str(),
            health.into_str(),
            describe_samples(samples)
        );
        writeln!(self.out, "{}", row.trim_end())
    }

    pub(super) fn action(&mut self, at: TraceTime, action: &str, cause: &str, text: Option<&str>) -> io::Result<()> {
        if self.json {
            return self.line(&ActionLine {
                t: at.seconds(),
                action,
                cause,
                text,
            });
        }
        // A trace of others may hold anything, and the reader may be a terminal.
        let text = text.map(|t| format!(": {}", clean(t))).unwrap_or_default();
        let (action, cause) = (clean(action), clean(cause));
        writeln!(self.out, "{}  -> {action} ({cause}){text}", at.clock())
    }

    /// A closing line for people; JSON has none.
    pub(super) fn close(&mut self, text: &str) -> io::Result<()> {
        if !self.json {
            writeln!(self.out, "{text}")?;
        }
        self.out.flush()
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

impl TraceTime {
    fn seconds(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "exact to the millisecond for 140,000 years")]
        let seconds = self.trace_ms as f64 / 1000.0;
        seconds
    }

    /// The wall clock where known, else hours, minutes and seconds of the trace.
    fn clock(self) -> String {
        // A trace that counts in Unix seconds has the wall clock; 10^9 s are the year 2001.
        let unix = self
            .unix_ms
            .or_else(|| i64::try_from(self.trace_ms).ok().filter(|ms| *ms >= 1_000_000_000_000));
        if let Some(at) = unix.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
            return at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        }
        let seconds = self.trace_ms / 1000;
        format!("{:>4}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// The newest sample of each chain in short.
fn describe_samples(samples: &[Option<Sample>; 2]) -> String {
    let mut text = String::new();
    for (chain, sample) in Chain::VARIANTS.iter().zip(samples) {
        let Some(sample) = sample else { continue };
        let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let separator = if text.is_empty() { "" } else { "; " };
        let (best, target) = (number(sample.best), number(sample.target));
        let peers = sample
            .peers
            .map_or_else(|| "? peers".to_owned(), |peers| counted(peers, "peer"));
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{} {best} of {target}, {peers}", chain.into_str());
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn text_of_a_trace_cannot_command_the_terminal() {
        let mut out = Vec::new();
        let at = TraceTime {
            trace_ms: 1000,
            unix_ms: None,
        };
        let mut timeline = Timeline::new(&mut out, false);
        timeline
            .action(at, "update\u{1b}c", "x", Some("to \u{1b}]0;owned\u{7}a\u{9b}31m\nb"))
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("   0:00:01  -> update"), "{text:?}");
        assert!(!text.trim_end_matches('\n').contains(char::is_control), "{text:?}");
    }
}
