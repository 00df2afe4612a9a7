//! Where `replay --from-prometheus` looks.

use std::time::Duration;

use clap::Args;

use crate::replay::prometheus::{Address, Source};
use agent_config::parse_duration;

const PROMETHEUS: &str = "What a Prometheus server has about a node";

#[derive(Debug, Args)]
pub(super) struct History {
    /// Take the trace from this server, http://HOST:PORT, which scrapes both exporters of the node
    #[arg(long, value_name = "URL", help_heading = PROMETHEUS)]
    from_prometheus: Option<Address>,
    /// How far back: 6h, 30d; at most 366d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = since, requires = "from_prometheus",
        help_heading = PROMETHEUS)]
    since: Duration,
    /// Look at the scrapes this far apart, 1s to 5m; closer ones are passed over
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = step, requires = "from_prometheus",
        help_heading = PROMETHEUS)]
    step: Duration,
    /// The node with this label `instance`, with or without the port
    #[arg(long, value_name = "HOST", requires = "from_prometheus", help_heading = PROMETHEUS)]
    instance: Option<String>,
    /// The node whose series have these labels, such as job="collators"
    #[arg(long, value_name = "SELECTOR", requires = "from_prometheus", help_heading = PROMETHEUS)]
    selector: Option<String>,
    /// The parachain's exporter, such as instance="10.0.0.5:7001" [default: found by its metrics]
    #[arg(long, value_name = "SELECTOR", requires = "from_prometheus", help_heading = PROMETHEUS)]
    parachain: Option<String>,
    /// The relay chain's exporter [default: found by its metrics]
    #[arg(long, value_name = "SELECTOR", requires = "from_prometheus", help_heading = PROMETHEUS)]
    relaychain: Option<String>,
}

impl History {
    /// What was asked for; `None` when no server was named.
    pub(super) fn source(&self) -> Option<Source> {
        Some(Source {
            address: self.from_prometheus.clone()?,
            since: self.since,
            step: self.step,
            selector: self.selector.clone(),
            instance: self.instance.clone(),
            parachain: self.parachain.clone(),
            relaychain: self.relaychain.clone(),
        })
    }
}

fn since(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_hours(366 * 24);
    let time = parse_duration(text)
        .ok()
        .filter(|t| (Duration::from_secs(10)..=longest).contains(t));
    time.ok_or_else(|| "give a time from 10s to 366d, such as 6h or 30d".to_owned())
}

fn step(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).ok().filter(|t| (1..=300).contains(&t.as_secs()));
    let whole = time.filter(|t| t.subsec_millis() == 0);
    whole.ok_or_else(|| "give whole seconds from 1s to 5m, such as 15s or 1m".to_owned())
}
