//! The status as text: at most 24 lines of at most 100 columns, the answer first.

mod cells;

use self::cells::{chain_cells, collation_cells, host_cells, host_unknowns, known, sample_cells, text};
use super::format::{between, clean, count, moment, shorten, width, wrap};
use super::{
    AgentProcessStatus, CollatorStatus, ConfigurationStatus, Health, HostStatus, LastIncident, NextActionStatus,
    PauseStatus, RestartStatus, Status, UpdateStatus, Verdict,
};
use crate::units::{rounded_duration, rounded_size};

const COLUMNS: usize = 100;
/// With [`COLUMNS`], line ends and the few colour codes this stays within [`super::MAX_CHARS`].
const LINES: usize = 24;
/// Column where the facts begin.
const INDENT: usize = 12;

impl Status {
    /// The status for people, ending in a line end.
    ///
    /// The first line is the answer; then why, the facts, and what comes next. At most
    /// [`MAX_CHARS`](super::MAX_CHARS) characters in lines of at most 100 columns; longer strings
    /// end in `…`, control characters are left out. `colour` paints the answer and the verdicts.
    pub fn render(&self, colour: bool) -> String {
        let mut facts = self.chain_lines();
        facts.extend(self.collator_lines());
        if self.host != HostStatus::default() {
            facts.push(row("host", &host_cells(&self.host)));
            facts.extend(host_unknowns(&self.host).map(|why| row("", &[why])));
        }
        facts.extend(self.collation.as_ref().map(|c| row("collation", &collation_cells(c))));
        if let Some(ec2) = &self.ec2 {
            let notice = ec2.notice.as_deref().map(|n| format!("notice: {}", clean(n)));
            let unseen = ec2
                .unseen
                .as_deref()
                .map(|why| format!("notices cannot be seen: {}", clean(why)));
            let unanswered = ec2.unanswered.as_deref();
            let unanswered = unanswered.map(|why| format!("the lifecycle hook cannot be answered: {}", clean(why)));
            let none = (notice.is_none() && unseen.is_none()).then(|| "no notice".to_owned());
            let cells = [Some(text(ec2.instance_id.as_deref())), notice, unanswered, unseen, none];
            facts.push(row("ec2", &cells.into_iter().flatten().collect::<Vec<_>>()));
        }
        if let Some(bake) = &self.bake {
            let at = known(bake.at, |at| format!("{} ago", between(at, self.time)));
            facts.push(row("bake", &[format!("block {}", known(bake.block, count)), at]));
        }
        facts.extend(
            self.maintenance
                .as_ref()
                .map(|m| row("maintenance", &[self.paused_text(m)])),
        );
        facts.extend(
            self.last_incident
                .as_ref()
                .map(|i| row("incident", &self.incident_cells(i))),
        );
        facts.extend(self.update.iter().flat_map(|u| self.update_lines(u)));
        let pending = self.configuration.iter().filter_map(ConfigurationStatus::pending_cells);
        facts.extend(pending.map(|cells| row("config", &cells)));
        facts.extend(self.next.as_ref().map(|n| row("next", &[next_text(n)])));
        facts.push(row("agent", &self.agent_cells(&self.agent)));

        let mut lines = vec![self.answer()];
        // What the answer says in full is not said twice.
        let said = self
            .reasons
            .first()
            .is_some_and(|r| *r == self.summary && lines[0].ends_with(&clean(r)));
        lines.extend(reason_lines(
            &self.reasons[usize::from(said)..],
            LINES.saturating_sub(facts.len() + 1),
        ));
        lines.append(&mut facts);
        if colour {
            paint(&mut lines, self);
        }
        lines.join("\n") + "\n"
    }

    /// How it is in one line of at most 100 characters: `OK: syncing - parachain 95.0 % synced, about 1h 29m left`.
    pub fn answer(&self) -> String {
        let word = self.health.into_str().to_uppercase();
        let phase = self.phase.map(|p| p.into_str().replace('_', " "));
        let summary = clean(&self.summary);
        let rest = match (phase, summary.is_empty()) {
            (Some(phase), false) => format!("{phase} - {summary}"),
            (Some(phase), true) => phase,
            (None, false) => summary,
            (None, true) => "nothing is known".to_owned(),
        };
        shorten(&format!("{word}: {rest}"), COLUMNS)
    }

    /// Two lines a chain with their cells aligned, and a third when its exporter is not to be
    /// relied on.
    fn chain_lines(&self) -> Vec<String> {
        let all: Vec<_> = self.chains.values().map(chain_cells).collect();
        let widest = |i: usize| all.iter().flatten().map(|row| width(&row[i])).max().unwrap_or(0);
        let widths = [widest(0), widest(1), widest(2)];
        let mut lines = Vec::new();
        for ((chain, status), rows) in self.chains.iter().zip(&all) {
            for (label, cells) in [chain.into_str(), ""].into_iter().zip(rows) {
                let mut line = pad(label, INDENT);
                for (cell, width) in cells.iter().zip(widths) {
                    line += &pad(cell, width + 2);
                }
                line += &cells[3];
                lines.push(shorten(&line, COLUMNS));
            }
            lines.extend(sample_cells(status).map(|cells| row("", &cells)));
        }
        lines
    }

    /// What is running, from which image, and how often it ended; without the lines that would say
    /// nothing.
    fn collator_lines(&self) -> Vec<String> {
        let c = &self.collator;
        if *c == CollatorStatus::default() {
            return Vec::new();
        }
        let running = c.state.as_deref() == Some("running");
        let since = c.started_at.filter(|_| running).map(|at| between(at, self.time));
        let since = since.map(|time| format!(" for {time}")).unwrap_or_default();
        let state = format!("{}{since}", text(c.state.as_deref()));
        let id: String = text(c.id.as_deref()).chars().take(12).collect();
        let mut lines = vec![row(
            "collator",
            &[state, text(c.container.as_deref()), format!("id {id}")],
        )];
        if c.image.is_some() || c.digest.is_some() {
            let mut image = vec![format!("image {}", text(c.image.as_deref()))];
            let digits = "sha256:".len() + 12;
            image.extend(c.digest.as_deref().map(|d| clean(d).chars().take(digits).collect()));
            lines.push(row("", &image));
        }
        if c.restarts != RestartStatus::default() || c.last_exit.is_some() {
            lines.push(row("", &self.restart_cells(c)));
        }
        lines
    }

    fn restart_cells(&self, c: &CollatorStatus) -> [String; 3] {
        let r = &c.restarts;
        let of = r.budget.map(|n| format!(" of {}", count(n))).unwrap_or_default();
        let per = r.budget_window_seconds.map(|s| format!(" per {}", rounded_duration(s)));
        let per = per.unwrap_or_default();
        let exit = c.last_exit.as_ref().map(|exit| {
            let signal = match exit.code {
                _ if exit.oom == Some(true) => " (out of memory)",
                Some(134) => " (SIGABRT)",
                Some(137) => " (SIGKILL)",
                Some(139) => " (SIGSEGV)",
                Some(143) => " (SIGTERM)",
                _ => "",
            };
            let at = exit.at.map(|at| format!(" {} ago", between(at, self.time)));
            let code = known(exit.code, |code| code.to_string());
            format!("last exit {code}{signal}{}", at.unwrap_or_default())
        });
        [
            format!(
                "restarts {} health, {} crash",
                known(r.health, count),
                known(r.crash, count)
            ),
            format!("budget {}{of}{per}", known(r.budget_left, count)),
            exit.unwrap_or_else(|| "no exit seen".to_owned()),
        ]
    }

    fn paused_text(&self, m: &PauseStatus) -> String {
        let until = known(m.until, |at| format!("{} ({})", moment(at), between(self.time, at)));
        format!(
            "automatic actions suspended until {until}: {}",
            text(m.reason.as_deref())
        )
    }

    fn incident_cells(&self, i: &LastIncident) -> [String; 3] {
        let at = known(i.at, |at| format!("{} ago", between(at, self.time)));
        let helped = match i.helped {
            Some(true) => "the action helped",
            Some(false) => "the action did not help",
            None => "not known yet whether the action helped",
        };
        [
            format!("{} {at}", text(i.cause.as_deref())),
            helped.to_owned(),
            text(i.id.as_deref()),
        ]
    }

    fn update_lines(&self, u: &UpdateStatus) -> Vec<String> {
        let at = known(u.at, |at| format!("{} ago", between(at, self.time)));
        let left = u.ends_in_seconds.map(|s| format!(", {} left", rounded_duration(s)));
        let word = match (u.step.as_deref(), u.result.as_deref()) {
            (Some(step), _) => format!("{}{}", clean(step).replace('_', " "), left.unwrap_or_default()),
            (None, Some(result)) => format!("{} {at}", clean(result).replace('_', " ")),
            (None, None) => "?".to_owned(),
        };
        let mut cells = vec![word, format!("to {}", text(u.image.as_deref()))];
        cells.extend(u.reason.as_deref().map(clean));
        let mut lines = vec![row("update", &cells)];
        if let Some(configured) = &u.configured {
            let advice = "write the image that runs into collator.image, which says";
            lines.push(row("", &[format!("{advice} {}", clean(configured))]));
        }
        lines
    }

    fn agent_cells(&self, a: &AgentProcessStatus) -> Vec<String> {
        let time = format!("as of {}", self.time.strftime("%Y-%m-%d %H:%M:%S UTC"));
        if *a == AgentProcessStatus::default() {
            return vec!["?".to_owned(), time];
        }
        vec![
            text(a.version.as_deref()),
            format!("pid {}", known(a.pid, |pid| pid.to_string())),
            format!("up {}", known(a.uptime_seconds, rounded_duration)),
            format!("{} resident", known(a.rss_bytes, rounded_size)),
            time,
        ]
    }
}

/// Each reason on as many lines as `room` allows, so that a cure can be read to its end.
fn reason_lines(reasons: &[String], room: usize) -> Vec<String> {
    let hidden = match reasons.len() {
        n if n > room => n - room.saturating_sub(1),
        _ => 0,
    };
    let shown = reasons.len() - hidden;
    let mut lines = Vec::new();
    for (i, reason) in reasons.iter().take(shown).enumerate() {
        let kept_for_others = shown - i - 1 + usize::from(hidden > 0);
        let share = room.saturating_sub(lines.len() + kept_for_others).max(1);
        for (j, line) in wrap(&clean(reason), COLUMNS - 4, share).into_iter().enumerate() {
            lines.push(format!("{}{line}", if j == 0 { "  - " } else { "    " }));
        }
    }
    if hidden > 0 && room > 0 {
        lines.push(format!("  … and {hidden} more"));
    }
    lines
}

fn next_text(n: &NextActionStatus) -> String {
    let time = n
        .in_seconds
        .map(|s| format!(" in {}", rounded_duration(s)))
        .unwrap_or_default();
    let why = n
        .why
        .as_deref()
        .map(|why| format!(": {}", clean(why)))
        .unwrap_or_default();
    format!("{}{time}{why}", text(Some(&n.action)))
}

/// One line of cells behind its label. When they do not fit, the longest give way, and only as
/// far as needed.
fn row(label: &str, cells: &[String]) -> String {
    let room = COLUMNS - INDENT - 3 * cells.len().saturating_sub(1);
    let fits = |cap: &usize| cells.iter().map(|c| width(c).min(*cap)).sum::<usize>() <= room;
    let cap = (0..=room).rev().find(fits).unwrap_or(0);
    let cells: Vec<_> = cells.iter().map(|c| shorten(c, cap)).collect();
    format!("{}{}", pad(label, INDENT), cells.join("   "))
}

fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// Colours by code: the health, and each verdict behind its chain.
fn paint(lines: &mut [String], status: &Status) {
    let painted = |word: &str, code: &str| format!("\x1b[{code}m{word}\x1b[0m");
    let health = match status.health {
        Health::Ok => "32",
        Health::Degraded => "33",
        Health::Critical => "31",
        Health::Unknown => "35",
    };
    if let Some(answer) = lines.first_mut()
        && let Some((word, rest)) = answer.split_once(':')
    {
        *answer = format!("{}:{rest}", painted(word, health));
    }
    for (chain, c) in &status.chains {
        let code = match c.verdict {
            Verdict::Synced | Verdict::Syncing => "32",
            Verdict::Stalled | Verdict::Isolated => "31",
            Verdict::Quiet => "33",
            Verdict::Unknown | Verdict::Starting | Verdict::WaitingForRelay => continue,
        };
        let (label, word) = (pad(chain.into_str(), INDENT), c.verdict.into_str().replace('_', " "));
        for line in lines.iter_mut() {
            if let Some(rest) = line.strip_prefix(&format!("{label}{word}")) {
                *line = format!("{label}{}{rest}", painted(&word, code));
            }
        }
    }
}
