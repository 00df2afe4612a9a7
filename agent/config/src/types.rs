//! The validated values, section by section.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use agent_core::event::Chain;
use agent_core::exit_diagnosis::Signature;
use agent_core::key_paths::is_keystore;
use agent_core::machine::{Idle, WithoutVolume};
use agent_core::notification::NotifyFormat;
use url::Url;

/// A validated configuration: every value is usable as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub agent: AgentConfig,
    pub collator: CollatorConfig,
    pub data: DataConfig,
    pub mounts: Vec<BindMount>,
    /// One or two exporters, by chain.
    pub chains: BTreeMap<Chain, ExporterConfig>,
    pub health: HealthConfig,
    pub restart: RestartConfig,
    pub host: HostConfig,
    pub metrics: MetricsConfig,
    pub notify: NotifyConfig,
    pub ec2: Ec2Config,
    pub update: UpdateConfig,
    pub identity: IdentityConfig,
    /// Meanings of last log lines, before the built-in ones.
    pub signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AgentConfig {
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    /// Socket of the Docker engine.
    pub docker: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CollatorConfig {
    /// Image reference as given: `name:tag` or `name@sha256:…`.
    pub image: String,
    pub container: String,
    /// Program in place of the image's own entrypoint.
    pub entrypoint: Option<String>,
    pub command: Vec<String>,
    pub pull: PullPolicy,
    pub env: BTreeMap<String, String>,
    pub network: String,
    pub ports: Vec<PublishedPort>,
    pub user: Option<ContainerUser>,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    /// Memory limit, bytes.
    pub memory: Option<u64>,
    pub nofile: u64,
    /// Size of one log file of the container, bytes.
    pub log_max_size: u64,
    pub log_max_files: u32,
    /// File with the logins of registries; see `agent_docker`.
    pub registry_auth: Option<PathBuf>,
    /// Public key that an image has to be signed with.
    pub cosign_key: Option<PathBuf>,
    pub confinement: Confinement,
}

/// What the container's processes may do beyond their own files. The default is the tightest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Whether no process gains rights, as by a setuid program.
    pub no_new_privileges: bool,
    /// Capabilities that are kept, without `CAP_`, sorted; all others are dropped.
    pub cap_add: Vec<String>,
    /// Most processes and threads; `None` is as many as the engine allows.
    pub pids_limit: Option<u32>,
    /// Whether the image's own files cannot be written.
    pub read_only: bool,
}

impl Default for Confinement {
    fn default() -> Self {
        Self {
            no_new_privileges: true,
            cap_add: Vec::new(),
            pids_limit: Some(8192),
            read_only: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    Missing,
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// Host address; `None` is every address.
    pub address: Option<IpAddr>,
    pub host: u16,
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerUser {
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    pub path: PathBuf,
    pub target: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BindMount {
    pub source: PathBuf,
    pub target: PathBuf,
    pub read_only: bool,
}

impl BindMount {
    /// Whether it holds keys that a second container must not use.
    pub fn is_keystore(&self) -> bool {
        is_keystore(&self.source) || is_keystore(&self.target)
    }
}

#[derive(Clone, PartialEq)]
pub struct ExporterConfig {
    /// `http://host:port/path` of the chain's Prometheus exporter.
    pub metrics: String,
    /// Prefix of the metric names, without the underscore.
    pub prefix: String,
    /// URLs of nodes that give a second opinion about the chain. Secret: they may hold a provider's key.
    pub references: Vec<Url>,
    /// Whether and for how long the chain may make no block.
    pub idle: Idle,
}

/// Windows and limits of the verdicts; see `docs/verdicts.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthConfig {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub startup_grace: Duration,
    pub lag_blocks: u64,
    pub stall_after: Duration,
    pub isolated_after: Duration,
    pub frozen_after: Duration,
    pub finality_after: Duration,
    /// Number of windows by which activity can postpone a verdict.
    pub activity_extension: u32,
    /// Inbound traffic above which a major-syncing node counts as active, bytes per second.
    pub activity_bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RestartConfig {
    pub backoff_initial: Duration,
    pub backoff_max: Duration,
    pub backoff_reset: Duration,
    /// Time that Docker's own restart policy has before the agent starts the container itself.
    pub start_timeout: Duration,
    /// Health restarts within `budget_window`.
    pub budget: u32,
    pub budget_window: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HostConfig {
    pub disk_warn_percent: u8,
    /// Bytes.
    pub disk_floor: u64,
    pub clock_warn: Duration,
    /// Percent of a minute in which every task waits for memory; 0 is never.
    pub memory_warn_percent: u8,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricsConfig {
    /// `None` turns the exporter off.
    pub listen: Option<SocketAddr>,
    /// Names under which the exporter may be asked, in lower case, beside addresses and names without a dot.
    pub hosts: Vec<String>,
}

#[derive(Clone, PartialEq)]
pub struct NotifyConfig {
    /// URL. A secret: `Debug` does not show it.
    pub webhook: Option<String>,
    pub format: NotifyFormat,
    /// Time without a block of the collator, while its chain makes some, that is reported; `None` is never.
    pub no_collation_after: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ec2Config {
    /// `None` is `auto`.
    pub enabled: Option<bool>,
    pub imds: String,
    /// Name of the auto scaling group's termination hook that the agent completes; `None` is none.
    pub lifecycle_hook: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct UpdateConfig {
    /// Whether a new image under the same name is taken without a command.
    pub auto: bool,
    /// Interval of the requests to the registry.
    pub check_every: Duration,
    /// Observed time until a new image is confirmed.
    pub probation: Duration,
    /// Repositories that an update may take images from, beside that of `collator.image`.
    pub repositories: Vec<String>,
    /// Images of the collator that stay on the host, the running one included.
    pub keep_images: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Nothing runs with the keys unless this host holds the volume.
    pub required: bool,
    /// Id of the EBS volume; `None`: the mount is managed outside the agent.
    pub volume: Option<String>,
    pub mount: PathBuf,
    pub without_volume: WithoutVolume,
}

impl fmt::Debug for ExporterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let references: Vec<_> = self.references.iter().map(|_| "…").collect();
        f.debug_struct("ExporterConfig")
            .field("metrics", &self.metrics)
            .field("prefix", &self.prefix)
            .field("references", &references)
            .field("idle", &self.idle)
            .finish()
    }
}

impl fmt::Debug for NotifyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let webhook = self.webhook.as_ref().map(|_| "…");
        f.debug_struct("NotifyConfig")
            .field("webhook", &webhook)
            .field("format", &self.format)
            .field("no_collation_after", &self.no_collation_after)
            .finish()
    }
}
