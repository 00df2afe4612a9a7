//! `replay --from-prometheus`: the trace of a node that no agent has watched yet, from the Prometheus server
//! that scraped it.
//!
//! A server keeps each scrape's samples under the scrape's own time, and whether it succeeded (`up`). So each
//! scrape becomes one event at its own time: a sample, or a failed scrape. Where the server has no scrape at
//! all, nobody watched, and that is a gap. The range is read in chunks of time, so memory does not grow with
//! it.

mod client;
mod looks;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
pub use client::Address;
use client::Client;
use looks::{Look, Steps};
use targets::{Search, Target};

use super::Summary;
use super::player::Player;
use super::timeline::Timeline;
use agent_config::{self, Config};
use agent_core::event::{Chain, Event, Time};
use agent_core::machine::{Machine, Policy};
use agent_core::trace::Record;

/// Steps asked for at a time; the server answers at most 11,000.
const CHUNK: u64 = 2000;
/// Prometheus itself forgets a sample after this.
const SPACING_MAX: Duration = Duration::from_mins(5);

/// What to read from where.
#[derive(Debug, Clone)]
pub struct Source {
    pub address: Address,
    /// How far back from now.
    pub since: Duration,
    /// Scrapes closer together than this are not all looked at. At least a second.
    pub step: Duration,
    /// Label matchers in `PromQL`, with or without braces, that all series of the node have.
    pub selector: Option<String>,
    /// Label `instance` of the node's exporters, with or without the port.
    pub instance: Option<String>,
    /// Label matchers of the parachain's exporter.
    pub parachain: Option<String>,
    /// Label matchers of the relay chain's exporter.
    pub relaychain: Option<String>,
}

/// Replays what the server has about one collator. Without a configuration the defaults hold; of the scrape
/// interval the server's own takes the place. What was chosen and what is doubtful is told on standard error.
///
/// Fails when the server cannot be asked, has no such series or more than one node that fits, or when `out`
/// cannot be written.
pub async fn run(source: &Source, config: Option<&Config>, json: bool, out: &mut dyn Write) -> anyhow::Result<Summary> {
    let mut client = Client::new(&source.address)?;
    let replayed = replay(&mut client, source, config, Timeline::new(out, json), &mut io::stderr()).await;
    match replayed {
        // Whoever reads has seen enough.
        Err(e) if is_broken_pipe(&e) => Ok(Summary::default()),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

async fn replay(
    client: &mut Client,
    source: &Source,
    config: Option<&Config>,
    timeline: Timeline<'_>,
    notes: &mut dyn Write,
) -> anyhow::Result<Summary> {
    let asking = || format!("failed to ask {}", source.address);
    let config = match config {
        Some(config) => config.clone(),
        None => Config::parse(agent_config::DEFAULT, "default")?,
    };
    // Times on the step's own grid, so that the same question has the same answer a minute later.
    let step = millis(source.step).max(1000);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let to = millis(now) / step * step;
    let from = to.saturating_sub(millis(source.since)) / step * step;
    let mut search = Search {
        client,
        source,
        exporters: &config.chains,
        from,
        to,
    };
    let targets = search.targets().await.with_context(asking)?;

    let mut timeline = Some(timeline);
    let mut playing: Option<Playing> = None;
    let mut newest: BTreeMap<Chain, u64> = BTreeMap::new();
    let mut at = from;
    while at <= to {
        let count = CHUNK.min((to - at) / step + 1);
        let steps = Steps { from: at, count, step };
        at += count * step;
        let mut all: Vec<Look> = Vec::new();
        for (chain, target) in &targets {
            let after = newest.get(chain).copied().unwrap_or(from.saturating_sub(1));
            let looks = looks::read(client, *chain, target, steps, after)
                .await
                .with_context(asking)?;
            newest.extend(looks.last().map(|look| (*chain, look.at)));
            all.extend(looks);
        }
        all.sort_by_key(|look| look.at);
        let Some(first) = all.first() else { continue };
        let spacing = spacing(&all).unwrap_or_default().min(SPACING_MAX).max(source.step);
        let playing = match (&mut playing, timeline.take()) {
            (None, Some(timeline)) => {
                announce(notes, &targets, first.at, spacing);
                let policy = policy(&config, spacing, &targets);
                playing.insert(Playing::new(policy, first.at, timeline))
            }
            (Some(playing), _) => playing,
            (None, None) => continue,
        };
        playing.rarest = playing.rarest.max(spacing);
        for look in all {
            playing.look(look)?;
        }
    }
    let Some(playing) = playing else {
        bail!(
            "{} has no sample of {} within the last {}",
            source.address,
            targets
                .values()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" and "),
            agent_config::show_duration(source.since)
        );
    };
    if let Some(warning) = &client.warning {
        note(notes, &format!("the server warns: {warning}"));
    }
    playing.close(notes)
}

/// The core at work, and what was missing.
struct Playing<'a> {
    player: Player<'a>,
    /// A longer time than this between two scrapes was not watched.
    gap_after: Duration,
    newest: u64,
    looks: u64,
    gaps: u32,
    unwatched: Duration,
    /// The widest spacing of scrapes in any chunk.
    rarest: Duration,
}

impl<'a> Playing<'a> {
    fn new(policy: Policy, began: u64, timeline: Timeline<'a>) -> Self {
        let gap_after = policy.windows.gap_after;
        Self {
            player: Player::new(Machine::new(policy, Time(began)), Time(began), timeline),
            gap_after,
            newest: began,
            looks: 0,
            gaps: 0,
            unwatched: Duration::ZERO,
            rarest: Duration::ZERO,
        }
    }

    fn look(&mut self, look: Look) -> io::Result<()> {
        let passed = Duration::from_millis(look.at.saturating_sub(self.newest));
        if passed > self.gap_after {
            self.gaps += 1;
            self.unwatched += passed;
            self.player.record(Time(look.at), Record::Event(Event::Gap))?;
        }
        self.newest = look.at;
        self.looks += 1;
        self.player.record(Time(look.at), Record::Event(look.event))?;
        Ok(())
    }

    fn close(self, notes: &mut dyn Write) -> anyhow::Result<Summary> {
        if self.gaps > 0 {
            let unwatched = agent_config::show_duration(Duration::from_secs(self.unwatched.as_secs()));
            let text = format!(
                "gaps without any scrape: {}, {unwatched} in all; after each, every window began anew",
                self.gaps
            );
            note(notes, &text);
        }
        if self.rarest > self.gap_after {
            let rarest = agent_config::show_duration(self.rarest);
            let text = format!(
                "at times scrapes were {rarest} apart, too rare for windows that begin anew after {}: repeat with --step {rarest}",
                agent_config::show_duration(self.gap_after)
            );
            note(notes, &text);
        }
        let mut summary = Summary {
            lines: self.looks,
            ..Summary::default()
        };
        self.player.close(&mut summary).context("failed to write the replay")?;
        Ok(summary)
    }
}

/// The configured windows, laid out for scrapes this far apart.
fn policy(config: &Config, spacing: Duration, targets: &BTreeMap<Chain, Target>) -> Policy {
    let mut config = config.clone();
    config.health.scrape_interval = spacing;
    let mut policy = Policy::from(&config);
    policy.chains = targets.keys().copied().collect();
    policy
}

/// The median time between two scrapes of one exporter, in whole seconds.
fn spacing(looks: &[Look]) -> Option<Duration> {
    let mut before: BTreeMap<Chain, u64> = BTreeMap::new();
    let passed = |look: &Look| Some(look.at - before.insert(look.chain, look.at)?);
    let mut all: Vec<u64> = looks.iter().filter_map(passed).collect();
    all.sort_unstable();
    let median = *all.get(all.len() / 2)?;
    Some(Duration::from_secs((median + 500) / 1000))
}

fn announce(notes: &mut dyn Write, targets: &BTreeMap<Chain, Target>, from: u64, spacing: Duration) {
    let from = i64::try_from(from)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let from = from
        .map(|t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default();
    note(
        notes,
        &format!(
            "from {from} on, one scrape every {}",
            agent_config::show_duration(spacing)
        ),
    );
    for chain in Chain::ALL {
        match targets.get(&chain) {
            Some(target) if target.has_up => note(notes, &format!("{}: {target}", chain.name())),
            Some(target) => {
                let text = "there is no `up` for it, so scrapes that failed look as if nobody had watched";
                note(notes, &format!("{}: {target}; {text}", chain.name()));
            }
            None => note(notes, &format!("{}: none found, or name it with --{0}", chain.name())),
        }
    }
}

fn note(notes: &mut dyn Write, text: &str) {
    // Nobody to tell when standard error is gone.
    let _ = writeln!(notes, "{text}");
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
