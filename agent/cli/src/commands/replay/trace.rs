//! Replays a recorded trace.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use agent_config::Config;
use agent_core::event::{Chain, Event, Time};
use agent_core::machine::{Machine, Policy};
use agent_core::status::clean;
use agent_core::trace::{Record, parse_line};
use agent_core::units::counted;
use agent_daemon::trace_reader::{NextLine, TraceReader};

use super::player::{Player, ReplaySummary};
use super::timeline::Timeline;

/// Problems that are printed; the others are counted.
const MAX_PROBLEMS: usize = 5;
/// Lines that are read before the first one is played, at most, and spacings of looks that are compared.
const READ_AHEAD: usize = 2000;
const SPACINGS: usize = 15;

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
    for text in &summary.notes {
        let _ = writeln!(stderr, "{text}");
    }
    if summary.skipped > 0 {
        let _ = writeln!(
            stderr,
            "{} of {} skipped",
            summary.skipped,
            counted(summary.lines, "line")
        );
    }
    if summary.span.is_none() {
        bail!(
            "{} holds no event: expected one JSON object a line, as the flight recorder writes them",
            trace.display()
        );
    }
    Ok(())
}

pub(crate) fn play(
    mut lines: TraceReader,
    config: Option<&Config>,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<ReplaySummary> {
    let mut spacing = Spacing::default();
    let mut ahead = Vec::new();
    while ahead.len() < READ_AHEAD && !spacing.is_known() {
        let Some(line) = next_line(&mut lines) else { break };
        if let Ok(line) = &line {
            spacing.note(line);
        }
        ahead.push((lines.position(), line));
    }
    let mut policy = config.map_or_else(Policy::default, Policy::from);
    // One look that fails in between is no gap.
    let adapted = spacing.median().filter(|apart| *apart * 2 > policy.windows.gap_after);
    if let Some(apart) = adapted {
        policy.windows.gap_after = apart * 3;
        policy.windows.stale_after = policy.windows.stale_after.max(apart * 3);
    }
    let mut replay = TraceReplay {
        gap_after: policy.windows.gap_after,
        is_configured: config.is_some(),
        policy,
        timeline: Some(Timeline::new(out, json)),
        player: None,
        spacing: Spacing::default(),
        unwatched: Duration::ZERO,
        summary: ReplaySummary::default(),
    };
    for (position, line) in ahead {
        replay.take(line, || position)?;
    }
    while let Some(line) = next_line(&mut lines) {
        replay.take(line, || lines.position())?;
    }
    let mut summary = replay.close()?;
    if let Some(apart) = adapted {
        let apart = agent_config::show_duration(Duration::from_secs(apart.as_secs()));
        let text = format!("samples are {apart} apart: judged by that spacing, and what lasts for less is not seen");
        summary.notes.push(text);
    }
    Ok(summary)
}

/// A line of a trace, or why it cannot be used.
type Line = Result<(Time, Record), String>;

/// The next line that is not blank.
fn next_line(lines: &mut TraceReader) -> Option<Line> {
    loop {
        return match lines.next_line() {
            NextLine::End => None,
            NextLine::Line([]) => continue,
            NextLine::Unreadable(reason) => Some(Err(reason)),
            NextLine::Line(text) => Some(parse_line(text).map_err(|e| e.to_string())),
        };
    }
}

/// The core at work on the lines of a trace.
struct TraceReplay<'a> {
    policy: Policy,
    /// The policy is the user's, whatever the recording agent's became.
    is_configured: bool,
    /// A longer time between two looks at an exporter was not observed.
    gap_after: Duration,
    /// Taken by the player, which begins with the first usable line.
    timeline: Option<Timeline<'a>>,
    player: Option<Player<'a>>,
    spacing: Spacing,
    /// Time between looks that are further apart than that.
    unwatched: Duration,
    summary: ReplaySummary,
}

impl TraceReplay<'_> {
    fn take(&mut self, line: Line, position: impl FnOnce() -> String) -> io::Result<()> {
        let problem = match line {
            Err(reason) => Some(reason),
            Ok(line) => {
                if let Some(passed) = self.spacing.note(&line).filter(|passed| *passed > self.gap_after) {
                    self.unwatched += passed;
                }
                let (time, record) = match line {
                    (time, Record::Event(Event::Configuration { .. })) if self.is_configured => {
                        (time, Record::Event(Event::Tick))
                    }
                    line => line,
                };
                if let Some(timeline) = self.timeline.take() {
                    let machine = Machine::new(self.policy.clone(), time);
                    self.player = Some(Player::new(machine, time, timeline));
                }
                match &mut self.player {
                    Some(player) => player.record(time, record)?,
                    None => None,
                }
            }
        };
        self.summary.lines += 1;
        if let Some(reason) = problem {
            self.summary.skipped += 1;
            if self.summary.problems.len() < MAX_PROBLEMS {
                self.summary.problems.push(format!("{}: {reason}", position()));
            }
        }
        Ok(())
    }

    fn close(self) -> io::Result<ReplaySummary> {
        let mut summary = self.summary;
        if let Some(player) = self.player {
            player.close(&mut summary)?;
        }
        let span = summary
            .span
            .map(|(began, ended)| ended.since(began))
            .unwrap_or_default();
        if self.unwatched * 2 > span {
            let gap_after = agent_config::show_duration(self.gap_after);
            let text = format!(
                "too thin to judge: most of the trace lies between samples more than {gap_after} apart, where every window \
                 begins anew"
            );
            summary.notes.push(text);
        }
        Ok(summary)
    }
}

/// How far apart the looks at one exporter are.
#[derive(Debug, Default)]
struct Spacing {
    looks: BTreeMap<Chain, Time>,
    apart: Vec<Duration>,
}

impl Spacing {
    /// Notes a line; returns the time since the look before it, if it is another one.
    fn note(&mut self, (time, record): &(Time, Record)) -> Option<Duration> {
        let Record::Event(Event::Sample { chain, .. } | Event::ScrapeFailed { chain, .. }) = record else {
            return None;
        };
        let apart = time.since(self.looks.insert(*chain, *time)?);
        if !self.is_known() {
            self.apart.push(apart);
        }
        Some(apart)
    }

    fn is_known(&self) -> bool {
        self.apart.len() >= SPACINGS
    }

    fn median(mut self) -> Option<Duration> {
        self.apart.sort_unstable();
        self.apart.get(self.apart.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests;
