//! The configuration: TOML text to validated types.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::Chain;

/// A validated configuration: every value is usable as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub agent: Agent,
    pub collator: Collator,
    pub data: Data,
    pub mounts: Vec<Mount>,
    /// One or two exporters, by chain.
    pub chains: BTreeMap<Chain, Exporter>,
    pub health: Health,
    pub restart: Restart,
    pub host: Host,
    pub metrics: Metrics,
    pub notify: Notify,
    pub ec2: Ec2,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    /// The Docker engine's socket.
    pub docker: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Collator {
    /// Image reference as given: `name:tag` or `name@sha256:…`.
    pub image: String,
    pub container: String,
    pub command: Vec<String>,
    pub pull: Pull,
    pub env: BTreeMap<String, String>,
    pub network: String,
    pub ports: Vec<Port>,
    pub user: Option<User>,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    /// Memory limit, bytes.
    pub memory: Option<u64>,
    pub nofile: u64,
    /// Size of one log file of the container, bytes.
    pub log_max_size: u64,
    pub log_max_files: u32,
    /// File with `{"username": …, "password": …}`.
    pub registry_auth: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    Always,
    Missing,
    Never,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Host address; `None` is every address.
    pub address: Option<std::net::IpAddr>,
    pub host: u16,
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    pub path: PathBuf,
    pub target: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    pub source: PathBuf,
    pub target: PathBuf,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Exporter {
    /// `http://host:port/path` of the chain's Prometheus exporter.
    pub metrics: String,
    /// Prefix of the metric names, without the underscore.
    pub prefix: String,
}

/// The windows that verdicts are judged over; see `docs/verdicts.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub startup_grace: Duration,
    pub lag_blocks: u64,
    pub stall_after: Duration,
    pub isolated_after: Duration,
    pub frozen_after: Duration,
    /// How many times its window activity can postpone a verdict.
    pub activity_extension: u32,
    /// Inbound traffic above which a major-syncing node counts as active, bytes per second.
    pub activity_bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    pub backoff_initial: Duration,
    pub backoff_max: Duration,
    pub backoff_reset: Duration,
    /// How long Docker's own restart policy gets before the agent starts the container itself.
    pub start_timeout: Duration,
    /// Health restarts within `budget_window`.
    pub budget: u32,
    pub budget_window: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    pub disk_warn_percent: u8,
    /// Bytes.
    pub disk_floor: u64,
    pub clock_warn: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// `None` turns the exporter off.
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    pub webhook: Option<String>,
    pub format: NotifyFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyFormat {
    Json,
    Slack,
    Discord,
    Telegram,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ec2 {
    /// `None` is `auto`.
    pub enabled: Option<bool>,
    pub imds: String,
}
