//! `replay --from-prometheus`: replays what a Prometheus server has about a node.
//!
//! A server keeps the samples of each scrape with its time, and whether it succeeded (`up`). So each scrape becomes one
//! event at its own time: a sample, or a failed scrape. A time without any scrape is a gap. The range is read in chunks of
//! time, so that memory does not grow with it.

mod client;
mod exporters;
mod scrapes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use strum::VariantArray as _;

use agent_config::{self, Config};
use agent_core::event::{Chain, Event, Time};
use agent_core::machine::{Machine, Policy};
use agent_core::trace::Record;

pub(super) use self::client::Address;
use self::client::PrometheusClient;
use self::exporters::{ExporterSearch, ExporterSeries};
use self::scrapes::{Scrape, Steps, read_scrapes};
use super::args::HistoryQuery;
use super::player::{Player, ReplaySummary};
use super::timeline::Timeline;

/// Steps in one query; the server answers at most 11,000.
const CHUNK: u64 = 2000;
/// Age at which Prometheus drops a sample.
const MAX_SPACING: Duration = Duration::from_mins(5);

/// Replays what the server has about one collator. Without a configuration the defaults apply, with the server's scrape
/// interval. The chosen exporters and doubts about the data are reported on standard error.
///
/// Fails when the server does not answer, when no node or more than one matches, or when `out` cannot be written.
pub(super) async fn replay_history(
    server: &Address,
    query: &HistoryQuery,
    config: Option<&Config>,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut client = PrometheusClient::new(server)?;
    let replayed = replay(&mut client, query, config, Timeline::new(out, json), &mut io::stderr()).await;
    match replayed {
        // The reader of the output has gone.
        Err(e) if is_broken_pipe(&e) => Ok(()),
        done => done.map(drop),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

async fn replay(
    client: &mut PrometheusClient,
    query: &HistoryQuery,
    config: Option<&Config>,
    timeline: Timeline<'_>,
    notes: &mut dyn Write,
) -> anyhow::Result<ReplaySummary> {
    let server = client.address.clone();
    let asking = || format!("failed to ask {server}");
    let config = match config {
        Some(config) => config.clone(),
        None => Config::parse(agent_config::DEFAULT, "default")?,
    };
    // Times on the grid of the step, so that the same query has the same answer a minute later.
    let step = millis(query.step).max(1000);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let to = millis(now) / step * step;
    let from = to.saturating_sub(millis(query.since)) / step * step;
    let mut search = ExporterSearch {
        client,
        query,
        configured: &config.chains,
        from,
        to,
    };
    let exporters = search.find_pair().await.with_context(asking)?;

    let mut timeline = Some(timeline);
    let mut playing: Option<HistoryReplay> = None;
    let mut newest: BTreeMap<Chain, u64> = BTreeMap::new();
    let mut at = from;
    while at <= to {
        let count = CHUNK.min((to - at) / step + 1);
        let steps = Steps { from: at, count, step };
        at += count * step;
        let mut all: Vec<Scrape> = Vec::new();
        for (chain, exporter) in &exporters {
            let after = newest.get(chain).copied().unwrap_or(from.saturating_sub(1));
            let scrapes = read_scrapes(client, *chain, exporter, steps, after)
                .await
                .with_context(asking)?;
            newest.extend(scrapes.last().map(|scrape| (*chain, scrape.at)));
            all.extend(scrapes);
        }
        all.sort_by_key(|scrape| scrape.at);
        let Some(first) = all.first() else { continue };
        let spacing = spacing(&all).unwrap_or_default().min(MAX_SPACING).max(query.step);
        let playing = match (&mut playing, timeline.take()) {
            (None, Some(timeline)) => {
                announce(notes, &exporters, first.at, spacing);
                let policy = policy(&config, spacing, &exporters);
                playing.insert(HistoryReplay::new(policy, first.at, timeline))
            }
            (Some(playing), _) => playing,
            (None, None) => continue,
        };
        playing.widest_spacing = playing.widest_spacing.max(spacing);
        for scrape in all {
            playing.play(scrape)?;
        }
    }
    let Some(playing) = playing else {
        bail!(
            "{server} has no sample of {} within the last {}",
            exporters
                .values()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" and "),
            agent_config::show_duration(query.since)
        );
    };
    if let Some(warning) = &client.warning {
        note(notes, &format!("the server warns: {warning}"));
    }
    playing.close(notes)
}

/// Times of the scrapes in a server's answer, for tests.
#[cfg(any(test, fuzzing))]
pub(crate) fn scrape_times(answer: &[u8]) -> Option<Vec<u64>> {
    let steps = Steps {
        from: 1_000_000,
        count: 16,
        step: 5_000,
    };
    let (exporter, series) = (ExporterSeries::named("substrate"), client::series_in(answer)?);
    let found = scrapes::scrapes(Chain::Parachain, &exporter, steps, 0, &series, &series);
    Some(found.into_iter().map(|scrape| scrape.at).collect())
}

/// The core at work on the scrapes, and the gaps between them.
struct HistoryReplay<'a> {
    player: Player<'a>,
    /// A longer time between two scrapes is a gap.
    gap_after: Duration,
    /// Time of the newest scrape, Unix milliseconds.
    newest: u64,
    scrapes: u64,
    gaps: u32,
    gap_time: Duration,
    /// The widest spacing of scrapes in any chunk.
    widest_spacing: Duration,
}

impl<'a> HistoryReplay<'a> {
    fn new(policy: Policy, began: u64, timeline: Timeline<'a>) -> Self {
        let gap_after = policy.windows.gap_after;
        Self {
            player: Player::new(Machine::new(policy, Time(began)), Time(began), timeline),
            gap_after,
            newest: began,
            scrapes: 0,
            gaps: 0,
            gap_time: Duration::ZERO,
            widest_spacing: Duration::ZERO,
        }
    }

    fn play(&mut self, scrape: Scrape) -> io::Result<()> {
        let passed = Duration::from_millis(scrape.at.saturating_sub(self.newest));
        if passed > self.gap_after {
            self.gaps += 1;
            self.gap_time += passed;
            self.player.record(Time(scrape.at), Record::Event(Event::Gap))?;
        }
        self.newest = scrape.at;
        self.scrapes += 1;
        self.player.record(Time(scrape.at), Record::Event(scrape.event))?;
        Ok(())
    }

    fn close(self, notes: &mut dyn Write) -> anyhow::Result<ReplaySummary> {
        if self.gaps > 0 {
            let unwatched = agent_config::show_duration(Duration::from_secs(self.gap_time.as_secs()));
            let text = format!(
                "gaps without any scrape: {}, {unwatched} in all; after each, every window began anew",
                self.gaps
            );
            note(notes, &text);
        }
        if self.widest_spacing > self.gap_after {
            let rarest = agent_config::show_duration(self.widest_spacing);
            let text = format!(
                "at times scrapes were {rarest} apart, too rare for windows that begin anew after {}: repeat with --step {rarest}",
                agent_config::show_duration(self.gap_after)
            );
            note(notes, &text);
        }
        let mut summary = ReplaySummary {
            lines: self.scrapes,
            ..ReplaySummary::default()
        };
        self.player.close(&mut summary).context("failed to write the replay")?;
        Ok(summary)
    }
}

/// The configured policy, for scrapes with this spacing.
fn policy(config: &Config, spacing: Duration, exporters: &BTreeMap<Chain, ExporterSeries>) -> Policy {
    let mut config = config.clone();
    config.health.scrape_interval = spacing;
    let mut policy = Policy::from(&config);
    policy.chains = exporters.keys().copied().collect();
    policy
}

/// The median time between two scrapes of one exporter, in whole seconds.
fn spacing(scrapes: &[Scrape]) -> Option<Duration> {
    let mut before: BTreeMap<Chain, u64> = BTreeMap::new();
    let passed = |scrape: &Scrape| Some(scrape.at - before.insert(scrape.chain, scrape.at)?);
    let mut all: Vec<u64> = scrapes.iter().filter_map(passed).collect();
    all.sort_unstable();
    let median = *all.get(all.len() / 2)?;
    Some(Duration::from_secs((median + 500) / 1000))
}

fn announce(notes: &mut dyn Write, exporters: &BTreeMap<Chain, ExporterSeries>, from: u64, spacing: Duration) {
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
    for &chain in Chain::VARIANTS {
        match exporters.get(&chain) {
            Some(exporter) if exporter.has_up => note(notes, &format!("{}: {exporter}", chain.into_str())),
            Some(exporter) => {
                let text = "there is no `up` for it, so scrapes that failed look as if the node had not been watched";
                note(notes, &format!("{}: {exporter}; {text}", chain.into_str()));
            }
            None => note(
                notes,
                &format!("{}: none found, or name it with --{0}", chain.into_str()),
            ),
        }
    }
}

fn note(notes: &mut dyn Write, text: &str) {
    // A closed standard error is no reason to end.
    let _ = writeln!(notes, "{text}");
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
