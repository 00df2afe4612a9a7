//! `replay`: a trace through the pure core, in virtual time.
//!
//! It is open loop: after an action the trace goes on as recorded, so the core is told at once that its
//! action is done. A recording of the agent itself also holds what that agent did and how it ended. Where
//! the replayed core does the same, it gets the recorded outcome; what the recorded agent did beyond that
//! is kept from the core, which would otherwise take it for somebody else's hand on the container.

mod player;
pub mod prometheus;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use player::Player;
use timeline::Timeline;

use agent_config::Config;
use agent_core::event::Time;
use agent_core::machine::{Machine, Policy};
use agent_core::trace::parse_line;
use agent_daemon::trace_lines::{Lines, Next};

/// What a replay read and what the core would have done.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lines read, blank ones apart.
    pub lines: u64,
    /// Lines that could not be used.
    pub skipped: u64,
    /// Place and reason of the first few of them.
    pub problems: Vec<String>,
    /// First and last time of the trace.
    pub span: Option<(Time, Time)>,
    /// How often each kind of action was taken.
    pub actions: BTreeMap<&'static str, u64>,
}

/// Problems told one by one; the rest is counted.
const PROBLEMS_SHOWN: usize = 5;

/// Replays a trace: a file (plain or gzip), a folder of the flight recorder, or `-` for standard input.
/// Without a configuration the defaults hold. Lines that cannot be used are skipped; the first few are
/// told on standard error with place and reason.
///
/// Fails when the trace cannot be opened, holds no usable line at all, or `out` cannot be written.
pub fn run(trace: &Path, config: Option<&Config>, json: bool, out: &mut dyn Write) -> anyhow::Result<Summary> {
    let lines = Lines::open(trace)?;
    let summary = match play(lines, config, json, out) {
        Ok(summary) => summary,
        // Whoever reads has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Summary::default()),
        Err(e) => return Err(e).context("failed to write the replay"),
    };
    let mut stderr = io::stderr().lock();
    for problem in &summary.problems {
        // Nobody to tell when standard error is gone.
        let _ = writeln!(stderr, "{problem}");
    }
    if summary.skipped > 0 {
        let _ = writeln!(stderr, "{} of {} lines skipped", summary.skipped, summary.lines);
    }
    if summary.span.is_none() {
        bail!(
            "{} holds no event: expected one JSON object a line, as the flight recorder writes them",
            trace.display()
        );
    }
    Ok(summary)
}

fn play(mut lines: Lines, config: Option<&Config>, json: bool, out: &mut dyn Write) -> io::Result<Summary> {
    let mut summary = Summary::default();
    let mut timeline = Some(Timeline::new(out, json));
    let mut player: Option<Player> = None;
    loop {
        let problem = match lines.next_line() {
            Next::End => break,
            Next::Line([]) => continue,
            Next::Unreadable(reason) => Some(reason),
            Next::Line(text) => match parse_line(text) {
                Err(e) => Some(e.to_string()),
                Ok((time, record)) => {
                    if player.is_none()
                        && let Some(timeline) = timeline.take()
                    {
                        let policy = config.map_or_else(Policy::default, Policy::from);
                        player = Some(Player::new(Machine::new(policy, time), time, timeline));
                    }
                    match &mut player {
                        Some(player) => player.record(time, record)?,
                        None => None,
                    }
                }
            },
        };
        summary.lines += 1;
        if let Some(reason) = problem {
            summary.skipped += 1;
            if summary.problems.len() < PROBLEMS_SHOWN {
                summary.problems.push(format!("{}: {reason}", lines.place()));
            }
        }
    }
    if let Some(player) = player {
        player.close(&mut summary)?;
    }
    Ok(summary)
}
