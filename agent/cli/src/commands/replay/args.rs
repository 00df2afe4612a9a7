//! Arguments of `replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::prometheus::Address;
use crate::commands::parse_time;
use crate::error::ArgumentError;

const HEADING: &str = "What a Prometheus server has about a node";

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A trace, plain or gzip; a folder of the flight recorder; or - for standard input
    #[arg(
        value_name = "TRACE",
        required_unless_present = "from_prometheus",
        conflicts_with = "from_prometheus"
    )]
    pub(super) trace: Option<PathBuf>,
    /// For programs: one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) history: HistoryQuery,
}

#[derive(Debug, Clone, Args)]
pub(super) struct HistoryQuery {
    /// Take the trace from this server, http://HOST:PORT, which scrapes both exporters of the node
    #[arg(long, value_name = "URL", help_heading = HEADING)]
    pub(super) from_prometheus: Option<Address>,
    /// How far back: 6h, 30d; at most 366d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_since, requires = "from_prometheus",
        help_heading = HEADING)]
    pub(super) since: Duration,
    /// Look at the scrapes this far apart, 1s to 5m; closer ones are passed over
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_step, requires = "from_prometheus",
        help_heading = HEADING)]
    pub(super) step: Duration,
    /// The node with this label `instance`, with or without the port
    #[arg(long, value_name = "HOST", requires = "from_prometheus", help_heading = HEADING)]
    pub(super) instance: Option<String>,
    /// The node whose series have these labels, such as job="collators"
    #[arg(long, value_name = "SELECTOR", requires = "from_prometheus", help_heading = HEADING)]
    pub(super) selector: Option<String>,
    /// The parachain's exporter, such as instance="10.0.0.5:7001" [default: found by its metrics]
    #[arg(long, value_name = "SELECTOR", requires = "from_prometheus", help_heading = HEADING)]
    pub(super) parachain: Option<String>,
    /// The relay chain's exporter [default: found by its metrics]
    #[arg(long, value_name = "SELECTOR", requires = "from_prometheus", help_heading = HEADING)]
    pub(super) relaychain: Option<String>,
}

fn parse_since(text: &str) -> Result<Duration, ArgumentError> {
    let allowed = Duration::from_secs(10)..=Duration::from_hours(366 * 24);
    parse_time(text, allowed, "give a time from 10s to 366d, such as 6h or 30d")
}

fn parse_step(text: &str) -> Result<Duration, ArgumentError> {
    const REMEDY: &str = "give whole seconds from 1s to 5m, such as 15s or 1m";
    let time = parse_time(text, Duration::from_secs(1)..=Duration::from_mins(5), REMEDY)?;
    let whole = Some(time).filter(|time| time.subsec_nanos() == 0);
    whole.ok_or_else(|| ArgumentError(REMEDY.to_owned()))
}
