//! The cells of the rows about chains, host and collation.

use super::super::format::{clean, count};
use super::super::{ChainStatus, CollationStatus, HostStatus, ScrapeStatus, Verdict};
use crate::units::{noun_for, rounded_duration, rounded_size};

pub(super) fn chain_cells(c: &ChainStatus) -> [[String; 4]; 2] {
    let left = match (c.eta_seconds, c.verdict) {
        (_, Verdict::Synced | Verdict::Quiet) => "caught up".to_owned(),
        _ if c.sync.is_some() => known(c.sync, |sync| sync.to_string()),
        (Some(eta), _) => format!("about {} left", rounded_duration(eta)),
        (None, _) => "time left ?".to_owned(),
    };
    let peers = format!(
        "{} {}",
        known(c.peers, count),
        noun_for(c.peers.unwrap_or_default(), "peer")
    );
    let progress = known(c.progress_seconds_ago, |s| format!("{} ago", rounded_duration(s)));
    [
        [
            c.verdict.into_str().replace('_', " "),
            format!("best {}", known(c.best, count)),
            format!("finalized {}", known(c.finalized, count)),
            format!("target {}", known(c.target, count)),
        ],
        [
            format!("behind {}", known(c.behind, count)),
            format!(
                "{} blocks/s",
                known(c.blocks_per_second.filter(|r| r.is_finite()), speed)
            ),
            left,
            format!("{peers}, progress {progress}"),
        ],
    ]
}

/// Two decimals below 1, where a block every twelve seconds would read as 0.1.
fn speed(rate: f64) -> String {
    match rate.abs() {
        r if r >= 1e9 => format!("{rate:.1e}"),
        r if r >= 1.0 => format!("{rate:.1}"),
        _ => format!("{rate:.2}"),
    }
}

pub(super) fn host_cells(h: &HostStatus) -> Vec<String> {
    let full = h
        .disk_full_in_seconds
        .map(|s| format!(", full in {}", rounded_duration(s)));
    let (free, total) = (
        known(h.disk_free_bytes, rounded_size),
        known(h.disk_total_bytes, rounded_size),
    );
    let clock = match h.clock_offset_ms {
        None if h.clock_unknown.is_some() => None,
        None => Some("clock ?".to_owned()),
        Some(ms) if ms.abs() >= 1e9 => Some("clock off by days".to_owned()),
        Some(ms) => Some(format!("clock {ms:+.1} ms")),
    };
    let network = match h.network_ok {
        None if h.network_unknown.is_some() => None,
        None => Some("network ?".to_owned()),
        Some(false) => Some("network down".to_owned()),
        Some(true) => None,
    };
    let disk = format!("disk {free} of {total} free{}", full.unwrap_or_default());
    let memory = format!("memory {} free", known(h.memory_available_bytes, rounded_size));
    [Some(disk), Some(memory), clock, network]
        .into_iter()
        .flatten()
        .collect()
}

/// What is not known about the host, and why.
pub(super) fn host_unknowns(h: &HostStatus) -> impl Iterator<Item = String> {
    let clock = h.clock_unknown.as_deref().filter(|_| h.clock_offset_ms.is_none());
    let network = h.network_unknown.as_deref().filter(|_| h.network_ok.is_none());
    let unknown = [("clock", clock), ("network", network)];
    let shown = |(what, why): (&str, Option<&str>)| Some(format!("{what} unknown: {}", clean(why?)));
    unknown.into_iter().filter_map(shown)
}

/// How old the newest sample is, where the heights are not those of now.
pub(super) fn sample_cells(c: &ChainStatus) -> Option<[String; 2]> {
    let age = c.sample_seconds_ago.map(|s| format!("{} old", rounded_duration(s)));
    if c.stale {
        let age = age.unwrap_or_else(|| "older than the agent's start".to_owned());
        return Some([
            "these are old: the collator does not run".to_owned(),
            format!("newest sample: {age}"),
        ]);
    }
    let scrape = c.scrape.filter(|scrape| *scrape != ScrapeStatus::Ok)?;
    let age = age.unwrap_or_else(|| "none".to_owned());
    Some([
        format!("exporter {}", scrape_text(scrape)),
        format!("newest sample: {age}"),
    ])
}

pub(super) fn collation_cells(c: &CollationStatus) -> [String; 3] {
    let last = known(c.last_built_seconds_ago, |s| format!("{} ago", rounded_duration(s)));
    [
        format!("{} built", known(c.built, count)),
        format!("{} sent", known(c.sent, count)),
        format!("last built {last}"),
    ]
}

fn scrape_text(scrape: ScrapeStatus) -> &'static str {
    match scrape {
        ScrapeStatus::Ok => "answers",
        ScrapeStatus::Refused => "refuses the connection",
        ScrapeStatus::Timeout => "does not answer in time",
        ScrapeStatus::Unreachable => "cannot be reached",
        ScrapeStatus::HttpStatus => "answers with an HTTP error",
        ScrapeStatus::TooLarge => "sends too large a page",
        ScrapeStatus::Unparsable => "sends no metrics",
        ScrapeStatus::MetricMissing => "sends no block height",
    }
}

/// What is known, shown; `?` for what is not.
pub(super) fn known<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "?".to_owned(), show)
}

/// A string from outside, safe to print.
pub(super) fn text(value: Option<&str>) -> String {
    known(value.map(clean).filter(|v| !v.is_empty()), |v| v)
}
