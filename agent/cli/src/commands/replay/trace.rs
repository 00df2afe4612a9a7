//! Replays a recorded trace.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};

use agent_config::Config;
use agent_core::machine::{Machine, Policy};
use agent_core::status::clean;
use agent_core::trace::parse_line;
use agent_daemon::trace_reader::{NextLine, TraceReader};

use super::player::{Player, ReplaySummary};
use super::timeline::Timeline;

/// Problems that are printed; the others are counted.
const MAX_PROBLEMS: usize = 5;

/// Replays a trace: a file (plain or gzip), a directory of the flight recorder, or `-` for standard input. Without a
/// configuration the defaults apply. Unusable lines are skipped; the first few are reported on standard error with place
/// and reason.
///
/// Fails when the trace cannot be opened, holds no usable line at all, or `out` cannot be written.
pub(super) fn replay_trace(
    trace: &Path,
    config: Option<&Config>,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let lines = TraceReader::open(trace)?;
    let summary = match play(lines, config, json, out) {
        Ok(summary) => summary,
        // The reader of the output has gone.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(e) => return Err(e).context("failed to write the replay"),
    };
    let mut stderr = io::stderr().lock();
    for problem in &summary.problems {
        // A closed standard error is no reason to end.
        let _ = writeln!(stderr, "{}", clean(problem));
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
    Ok(())
}

fn play(mut lines: TraceReader, config: Option<&Config>, json: bool, out: &mut dyn Write) -> io::Result<ReplaySummary> {
    let mut summary = ReplaySummary::default();
    let mut timeline = Some(Timeline::new(out, json));
    let mut player: Option<Player> = None;
    loop {
        let problem = match lines.next_line() {
            NextLine::End => break,
            NextLine::Line([]) => continue,
            NextLine::Unreadable(reason) => Some(reason),
            NextLine::Line(text) => match parse_line(text) {
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
            if summary.problems.len() < MAX_PROBLEMS {
                summary.problems.push(format!("{}: {reason}", lines.position()));
            }
        }
    }
    if let Some(player) = player {
        player.close(&mut summary)?;
    }
    Ok(summary)
}

#[cfg(test)]
mod tests;
