//! Turns series over equal steps into the scrapes that an agent would have made.

use agent_core::event::{Chain, Event, Sample, ScrapeError};
use agent_daemon::exporter::whole;

use super::client::{PrometheusClient, QueryError, Series};
use super::exporters::ExporterSeries;

/// Names of the metrics that are read, after the prefix and its underscore.
const METRICS: &str = "block_height|import_queue_processed_total|process_start_time_seconds|\
                      proposer_block_constructed_count|sub_libp2p_is_major_syncing|\
                      sub_libp2p_network_bytes_total|sub_libp2p_peers_count|sync_peers";

/// One scrape of one exporter: its time (Unix milliseconds) and result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scrape {
    pub(super) at: u64,
    pub(super) chain: Chain,
    pub(super) event: Event,
}

/// Equal steps of time, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) from: u64,
    pub(super) count: u64,
    pub(super) step: u64,
}

/// The server's data for one step.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Time of the newest scrape.
    scraped: Option<u64>,
    up: Option<bool>,
    sync_peers: Option<u64>,
    sample: Sample,
}

impl Steps {
    fn last(self) -> u64 {
        self.from + self.step * self.count.saturating_sub(1)
    }

    fn index(self, seconds: f64) -> Option<usize> {
        let since = whole(seconds * 1000.0 + 0.5)?.checked_sub(self.from)?;
        // The answer's times are those of the question.
        let index = (since + self.step / 2) / self.step;
        usize::try_from(index).ok().filter(|_| index < self.count)
    }
}

/// Reads the scrapes of one exporter within these steps, oldest first. Scrapes at or before `after` are left out: at each
/// step the server returns the newest scrape, which may be the same again.
pub(super) async fn read_scrapes(
    client: &mut PrometheusClient,
    chain: Chain,
    exporter: &ExporterSeries,
    steps: Steps,
    after: u64,
) -> Result<Vec<Scrape>, QueryError> {
    let (prefix, matchers) = (&exporter.prefix, exporter.matchers());
    // Without a newer sample, the server repeats an old one for five minutes; only its time shows that.
    let clock = if exporter.has_up {
        format!("timestamp(up{{{matchers}}})")
    } else {
        format!("timestamp({prefix}_block_height{{{matchers},status=\"best\"}})")
    };
    let values = format!("{{__name__=~\"up|{prefix}_({METRICS})\",{matchers}}}");
    let clock = client.range(&clock, steps.from, steps.last(), steps.step).await?;
    let values = client.range(&values, steps.from, steps.last(), steps.step).await?;
    Ok(scrapes(chain, exporter, steps, after, &clock, &values))
}

/// The scrapes in the series of their times and of their values.
pub(super) fn scrapes(
    chain: Chain,
    exporter: &ExporterSeries,
    steps: Steps,
    after: u64,
    clock: &[Series],
    values: &[Series],
) -> Vec<Scrape> {
    let count = usize::try_from(steps.count).unwrap_or(usize::MAX);
    let mut rows = vec![Row::default(); count];
    for series in clock {
        fill(&mut rows, steps, exporter, series, |row, v| {
            row.scraped = row.scraped.or(whole(v * 1000.0 + 0.5));
        });
    }
    for series in values {
        if let Some(put) = field(series, &exporter.prefix) {
            fill(&mut rows, steps, exporter, series, put);
        }
    }
    let mut newest = after;
    let scrape = |row: Row| {
        let at = row.scraped.filter(|at| *at > newest)?;
        newest = at;
        let event = row.event(chain);
        Some(Scrape { at, chain, event })
    };
    rows.into_iter().filter_map(scrape).collect()
}

fn fill(rows: &mut [Row], steps: Steps, exporter: &ExporterSeries, series: &Series, put: impl Fn(&mut Row, f64)) {
    if !exporter.owns(&series.metric) {
        return;
    }
    for (seconds, text) in &series.values {
        let row = steps.index(*seconds).and_then(|i| rows.get_mut(i));
        if let (Some(row), Ok(value)) = (row, text.parse()) {
            put(row, value);
        }
    }
}

/// The field of a row that a series fills. The first of two values counts.
fn field(series: &Series, prefix: &str) -> Option<fn(&mut Row, f64)> {
    fn keep(field: &mut Option<u64>, value: f64) {
        *field = field.or(whole(value));
    }
    let label = |name: &str| series.metric.get(name).map_or("", String::as_str);
    let name = label("__name__");
    if name == "up" {
        return Some(|row, v| row.up = row.up.or(Some(v > 0.0)));
    }
    let put: fn(&mut Row, f64) = match name.strip_prefix(prefix)?.strip_prefix('_')? {
        "block_height" => match label("status") {
            "best" => |row, v| keep(&mut row.sample.best, v),
            "finalized" => |row, v| keep(&mut row.sample.finalized, v),
            "sync_target" => |row, v| keep(&mut row.sample.target, v),
            _ => return None,
        },
        "import_queue_processed_total" if label("result") == "success" => {
            |row, v| keep(&mut row.sample.imported_total, v)
        }
        "process_start_time_seconds" => |row, v| keep(&mut row.sample.process_start, v),
        "proposer_block_constructed_count" => |row, v| keep(&mut row.sample.built_total, v),
        "sub_libp2p_is_major_syncing" => |row, v| {
            let syncing = match whole(v) {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            };
            row.sample.major_syncing = row.sample.major_syncing.or(syncing);
        },
        "sub_libp2p_network_bytes_total" if label("direction") == "in" => |row, v| keep(&mut row.sample.bytes_in, v),
        "sub_libp2p_peers_count" => |row, v| keep(&mut row.sample.peers, v),
        "sync_peers" => |row, v| keep(&mut row.sync_peers, v),
        _ => return None,
    };
    Some(put)
}

impl Row {
    fn event(self, chain: Chain) -> Event {
        let Self {
            up,
            sync_peers,
            mut sample,
            ..
        } = self;
        let failed = |error| Event::ScrapeFailed { chain, error };
        if up == Some(false) {
            // The server does not keep why; any cause would do.
            return failed(ScrapeError::Refused);
        }
        if sample.best.or(sample.finalized).or(sample.target).is_none() {
            return failed(ScrapeError::MetricMissing);
        }
        sample.peers = sample.peers.or(sync_peers);
        Event::Sample { chain, sample }
    }
}
