//! The status document: what the agent knows and thinks, for people ([`Status::render`]) and programs
//! ([`Status::to_json`]).
//!
//! Both forms stay within [`MAX_CHARS`] characters whatever the strings inside, because remote shells
//! (SSM list calls) hand back no more than that. Absent knowledge is `None`, `null` in JSON and `?` in
//! text: never 0 and never a guess.

mod configuration;
mod format;
mod json;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

pub use self::configuration::ConfigurationStatus;
pub use self::format::clean;
pub use crate::chain_health::Verdict;
use crate::event::{Chain, Holding, ScrapeError};
pub use crate::informant::SyncProgress;
pub use crate::machine::{Health, Phase};

/// Longest text or JSON form of a status, characters.
pub const MAX_CHARS: usize = 2_500;

/// Version of the JSON form; additions do not raise it.
pub const SCHEMA: u32 = 1;

/// The status of the agent and the collator at one moment.
///
/// Every missing field reads as absent knowledge, so that a newer command can read an older agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub schema: u32,
    /// Wall clock when this was true.
    pub time: Timestamp,
    pub health: Health,
    /// `None` when unknown, for instance while no agent runs.
    pub phase: Option<Phase>,
    /// One sentence: the answer to "how is it?".
    pub summary: String,
    /// Why the health is not ok, most important first; a hold's reason ends with its cure.
    pub reasons: Vec<String>,
    pub collator: CollatorStatus,
    pub chains: BTreeMap<Chain, ChainStatus>,
    pub collation: Option<CollationStatus>,
    pub host: HostStatus,
    pub ec2: Option<Ec2Status>,
    pub bake: Option<BakeStatus>,
    /// Present while automatic actions are suspended by `pause`.
    pub maintenance: Option<PauseStatus>,
    pub last_incident: Option<LastIncident>,
    /// The update under way, or the last one; absent while there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateStatus>,
    /// What of the configuration is not in force; absent while all of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationStatus>,
    /// Whether this host holds the identity; absent where none is required, and while nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Holding>,
    /// What the agent will do next when nothing changes.
    pub next: Option<NextActionStatus>,
    pub agent: AgentProcessStatus,
    /// The document was too long and lost detail: a `null` may be known to the agent after all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            time: Timestamp::UNIX_EPOCH,
            health: Health::Unknown,
            phase: None,
            summary: String::new(),
            reasons: Vec::new(),
            collator: CollatorStatus::default(),
            chains: BTreeMap::new(),
            collation: None,
            host: HostStatus::default(),
            ec2: None,
            bake: None,
            maintenance: None,
            last_incident: None,
            update: None,
            configuration: None,
            identity: None,
            next: None,
            agent: AgentProcessStatus::default(),
            shortened: false,
        }
    }
}

impl Health {
    /// Exit code of `status`, as Nagios plugins use them: 0 ok, 1 degraded, 2 critical, 3 unknown.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Degraded => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

/// How the last scrape of an exporter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ScrapeStatus {
    Ok,
    Refused,
    Timeout,
    Unreachable,
    HttpStatus,
    TooLarge,
    Unparsable,
    MetricMissing,
}

impl From<ScrapeError> for ScrapeStatus {
    fn from(error: ScrapeError) -> Self {
        match error {
            ScrapeError::Refused => Self::Refused,
            ScrapeError::Timeout => Self::Timeout,
            ScrapeError::Unreachable => Self::Unreachable,
            ScrapeError::HttpStatus => Self::HttpStatus,
            ScrapeError::TooLarge => Self::TooLarge,
            ScrapeError::Unparsable => Self::Unparsable,
            ScrapeError::MetricMissing => Self::MetricMissing,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CollatorStatus {
    pub container: Option<String>,
    pub image: Option<String>,
    /// `sha256:…` of what runs.
    pub digest: Option<String>,
    /// Container id, first 12 digits.
    pub id: Option<String>,
    /// Docker's state: `running`, `exited`, …; `missing` and `foreign` are ours.
    pub state: Option<String>,
    pub started_at: Option<Timestamp>,
    pub restarts: RestartStatus,
    pub last_exit: Option<LastExitStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartStatus {
    /// Restarts by the agent for health's sake.
    pub health: Option<u64>,
    /// Ends that the agent did not ask for.
    pub crash: Option<u64>,
    /// Health restarts still allowed in the running window.
    pub budget_left: Option<u64>,
    /// Health restarts allowed in a window (`restart.budget`).
    pub budget: Option<u64>,
    /// Length of that window (`restart.budget_window`), seconds.
    pub budget_window_seconds: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastExitStatus {
    /// 128 + n after signal n.
    pub code: Option<i64>,
    pub oom: Option<bool>,
    pub at: Option<Timestamp>,
}

/// One chain as its exporter shows it; heights and distances in blocks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainStatus {
    /// The chain's id in its specification, from the exporter's labels.
    pub id: Option<String>,
    pub verdict: Verdict,
    pub best: Option<u64>,
    pub finalized: Option<u64>,
    pub target: Option<u64>,
    pub behind: Option<u64>,
    pub peers: Option<u64>,
    pub blocks_per_second: Option<f64>,
    pub eta_seconds: Option<u64>,
    pub progress_seconds_ago: Option<u64>,
    /// A phase of synchronisation that no height shows, from the node's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncProgress>,
    /// How the last scrape ended; `None` before the first.
    pub scrape: Option<ScrapeStatus>,
    /// Age of the newest sample, seconds.
    pub sample_seconds_ago: Option<u64>,
    /// The container does not run: heights, peers and distance are those of the newest sample before its end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// Blocks that this collator made, as its own exporters count them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CollationStatus {
    pub built: Option<u64>,
    pub sent: Option<u64>,
    pub last_built_seconds_ago: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostStatus {
    /// Of the file system that holds the chain data.
    pub disk_free_bytes: Option<u64>,
    pub disk_total_bytes: Option<u64>,
    pub disk_full_in_seconds: Option<u64>,
    pub memory_available_bytes: Option<u64>,
    /// Share of the last minute in which everything waited for memory, percent.
    pub memory_full_percent: Option<f64>,
    pub clock_offset_ms: Option<f64>,
    /// Load average over one minute.
    pub load1: Option<f64>,
    /// Whether the host itself has a default route and a resolver that answers.
    pub network_ok: Option<bool>,
    /// Why the clock's offset is unknown; absent while it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_unknown: Option<String>,
    /// Why it is unknown whether the network works; absent while that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_unknown: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ec2Status {
    pub instance_id: Option<String>,
    /// A pending spot interruption, termination or rebalance.
    pub notice: Option<String>,
    /// Why it is unknown whether there is one; absent while that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
    /// Why the lifecycle hook cannot be answered; absent while it can, or nothing is to be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
}

/// What the image was baked with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BakeStatus {
    pub block: Option<u64>,
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseStatus {
    pub reason: Option<String>,
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastIncident {
    pub id: Option<String>,
    pub cause: Option<String>,
    pub at: Option<Timestamp>,
    /// `None` until it is known whether the action helped.
    pub helped: Option<bool>,
}

/// An update of the collator's image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateStatus {
    /// The one that is, or was, wanted.
    pub image: Option<String>,
    /// The one that ran before.
    pub from: Option<String>,
    /// `pulling`, `stopping`, `starting`, `probation`, `rolling_back` or `restoring`; `None` when it is over.
    pub step: Option<String>,
    /// What is left of the probation.
    pub ends_in_seconds: Option<u64>,
    /// `done`, `not_proven`, `unchanged`, `failed`, `rolled_back`, `held` or `superseded`; `None` until it is over.
    pub result: Option<String>,
    pub reason: Option<String>,
    /// When it began, or when it was over.
    pub at: Option<Timestamp>,
    /// What the configuration says, where that is not what runs.
    pub configured: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NextActionStatus {
    /// `restart`, `start`, `stop`, …
    pub action: String,
    pub in_seconds: Option<u64>,
    pub why: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentProcessStatus {
    pub version: Option<String>,
    pub pid: Option<u32>,
    pub uptime_seconds: Option<u64>,
    pub rss_bytes: Option<u64>,
}
