//! The vocabulary between adapters and core: what was observed ([`Event`]), at which [`Time`].
//!
//! Nothing here does I/O. The same values are written to traces (see [`crate::trace`]) and read back by
//! `replay`, so an event carries only what the core may decide on.

mod disk;
mod identity;
mod notice;
mod reference;
mod update;

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::machine::Policy;

pub use disk::Disk;
pub use identity::{Holding, Identity};
pub use notice::{LifecycleAnswer, Notice, NoticeKind};
pub use reference::{Reading, ReferenceError};
pub use update::{DesiredSpec, Image, Images, PullError, Versions};

/// A point on the agent's own clock, in milliseconds since that clock began.
///
/// The clock is monotonic: it goes on over an agent restart (from the state file) and never steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// Time passed since `earlier`; zero when `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Which of the node's two chains an observation is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum Chain {
    #[default]
    Parachain,
    Relaychain,
}

/// One successful scrape of one exporter. `None` means that the page did not carry the metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// `block_height{status="best"}`, blocks.
    pub best: Option<u64>,
    /// `block_height{status="finalized"}`, blocks.
    pub finalized: Option<u64>,
    /// `block_height{status="sync_target"}`, blocks: the median height of the peers. It equals `best`
    /// with 0 peers and may lie below `best`.
    pub target: Option<u64>,
    /// `sub_libp2p_peers_count`, or `sync_peers` where that is missing.
    pub peers: Option<u64>,
    /// `sub_libp2p_is_major_syncing`.
    pub major_syncing: Option<bool>,
    /// `import_queue_processed_total{result="success"}`, blocks since the process started.
    pub imported_total: Option<u64>,
    /// `sub_libp2p_network_bytes_total{direction="in"}`, bytes since the process started.
    pub bytes_in: Option<u64>,
    /// Parachain: `proposer_block_constructed_count`, blocks built here since the process started.
    pub built_total: Option<u64>,
    /// `process_start_time_seconds`, Unix seconds; another value is another process.
    pub process_start: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ScrapeError {
    /// Nothing listens there.
    Refused,
    /// No complete answer within `health.scrape_timeout`.
    Timeout,
    /// The connection failed in another way (reset, no route, name not found).
    Unreachable,
    /// An answer with an HTTP status other than 200.
    HttpStatus,
    /// The page is larger than the cap.
    TooLarge,
    /// The answer is no exposition text.
    Unparsable,
    /// The page carries no block height: another prefix, another program.
    MetricMissing,
}

impl ScrapeError {
    /// Whether nothing answered at all. Garbage is still an answer: a process is alive behind it.
    pub fn is_silence(self) -> bool {
        matches!(self, Self::Refused | Self::Timeout | Self::Unreachable)
    }
}

/// How a run of the container ended, from Docker's inspection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code of the container's first process; 128 + n after signal n.
    pub code: Option<i64>,
    /// Docker's `OOMKilled`, which a child can set too: [`Exit::is_out_of_memory`].
    pub oom: bool,
    /// The last log lines of that run, oldest first.
    pub log: Vec<String>,
}

/// Whether Docker's report of time `at` may be about an end that it notes for `end`, both Unix milliseconds of one clock: it waits
/// up to 2 s for the last output.
pub fn reports_end(at: Option<i64>, end: Option<i64>) -> bool {
    at.zip(end)
        .is_some_and(|(at, end)| (0..5_000).contains(&at.saturating_sub(end)))
}

/// What Docker says about the container. `at` is Docker's own wall clock in Unix milliseconds, so that
/// news of an earlier run can be distinguished from news of this one; `None` where the source has no clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// No container of that name.
    Missing,
    /// A container of that name without our label: never touched.
    Foreign,
    /// Created, never started since (or start failed).
    Created { spec_matches: bool },
    /// Running. `started_at` identifies the run.
    Running {
        started_at: Option<i64>,
        spec_matches: bool,
    },
    /// Frozen by `docker pause`.
    Paused {
        started_at: Option<i64>,
        spec_matches: bool,
    },
    /// Docker's restart policy is waiting to start it again.
    Restarting,
    /// Not running.
    Exited {
        at: Option<i64>,
        exit: Exit,
        spec_matches: bool,
    },
    /// It was sent a signal through Docker (`docker kill`, or the first step of `docker stop`).
    Signalled { at: Option<i64>, signal: i64 },
    /// `docker stop` (or `docker restart`) finished stopping it.
    Stopped { at: Option<i64> },
    /// It was removed.
    Removed { at: Option<i64> },
}

/// Facts about the host. `None` is unknown: neither good nor bad.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Free bytes of the file system that holds the chain data, for an unprivileged user.
    pub disk_free_bytes: Option<u64>,
    /// Size of that file system in bytes.
    pub disk_total_bytes: Option<u64>,
    /// Memory the kernel says can still be given out, bytes.
    pub memory_available_bytes: Option<u64>,
    /// Share of the last minute in which everything that runs waited for memory, percent.
    pub memory_full_percent: Option<f64>,
    /// Share of the last minute in which everything that runs waited for block I/O, percent.
    pub io_full_percent: Option<f64>,
    /// Load average over one minute.
    pub load1: Option<f64>,
    /// Whether the host itself has a default route and a resolver that answers.
    pub network_ok: Option<bool>,
    /// Offset of the system clock, milliseconds.
    pub clock_offset_ms: Option<f64>,
}

/// What the container used since the last measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Bytes read from block devices since the container started.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to block devices since the container started.
    pub block_write_bytes: Option<u64>,
}

/// Why what runs may not use the data: it is not what the image was baked with, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Conflict {
    /// Another genesis or another id.
    Chain,
    Database,
    /// A newer node wrote it.
    NewerNode,
    /// A restore is between the old data and the new.
    Restore,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    Restart {
        reason: String,
    },
    Stop {
        /// Not for good: for a snapshot, say.
        #[serde(default)]
        automatic: bool,
    },
    Start {
        /// After such a stop.
        #[serde(default)]
        automatic: bool,
    },
    Pause {
        seconds: u64,
        reason: String,
    },
    Resume,
    Update {
        image: String,
        /// Without a command: the registry has a new image under the same name.
        #[serde(default)]
        automatic: bool,
    },
}

impl Command {
    pub const START: Self = Self::Start { automatic: false };
    pub const STOP: Self = Self::Stop { automatic: false };

    /// Whether no person decided it.
    pub fn is_automatic(&self) -> bool {
        matches!(
            self,
            Self::Stop { automatic: true } | Self::Start { automatic: true } | Self::Update { automatic: true, .. }
        )
    }
}

/// How an action of ours ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done; the state of the container afterwards, and Docker's wall clock then (Unix milliseconds).
    Done { container: Container, at: Option<i64> },
    /// Not done. `error` names the thing and the remedy.
    Failed { error: String, kind: ActionFailure },
}

/// Kinds of failure that the core treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionFailure {
    DockerUnreachable,
    Foreign,
    /// The image could not be pulled, or is absent with `pull = "never"`.
    Image,
    /// The container's first process is not in the image or cannot be executed.
    Executable,
    /// Given up for something more urgent.
    Cancelled,
    /// Anything else that may pass (a port taken, a network missing).
    Other,
}

/// Everything the core ever learns.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Container(Container),
    Sample {
        chain: Chain,
        sample: Sample,
    },
    ScrapeFailed {
        chain: Chain,
        error: ScrapeError,
    },
    Host(HostFacts),
    Activity(Activity),
    /// The newest log lines of the run that goes on, oldest first.
    Log(Vec<String>),
    /// What one reference of a chain answers.
    Reference {
        chain: Chain,
        /// Position in `chains.*.reference`.
        source: usize,
        reading: Result<Reading, ReferenceError>,
    },
    /// What the bake certificate says against this run; `None` is nothing, or nothing yet.
    Certificate(Option<Conflict>),
    /// The bake certificate cannot be read: why.
    CertificateUnreadable(String),
    /// Which other container has the keys or writes to the data, and where; `None` is none.
    Shared(Option<String>),
    /// What was changed from outside on the running container, with the remedy; `None` is nothing.
    Altered(Option<String>),
    Docker {
        reachable: bool,
    },
    /// What EC2 announces now about this instance; `None` is nothing, or nothing any more.
    Ec2(Option<Notice>),
    /// Whether this host holds the volume with the keys.
    Identity(Identity),
    /// The identity volume was given back after [`crate::machine::Action::ReleaseIdentity`], or that was given up.
    IdentityReleased,
    /// The agent or the host was stopped or suspended until now.
    Gap,
    /// A deadline passed; nothing else happened.
    Tick,
    Operator(Command),
    /// The image of an update was pulled and inspected, or why not.
    Pulled(Result<Images, PullError>),
    /// What the databases say while the collator is stopped in the course of an update.
    Databases(Versions),
    Finished(Outcome),
    /// The agent's state cannot be saved: why; `None` is that it can again.
    StateUnsaved(Option<String>),
    /// The state of an earlier life could not be used and was set aside: why, and as what.
    StateSetAside(String),
    /// The flight recorder cannot write: why; `None` is that it can again.
    RecordsUnsaved(Option<String>),
    /// Which disks do not answer now.
    DisksStalled(Vec<Disk>),
    /// The wall clock was set, forward by so many milliseconds or back: Docker's times from before and those from now on
    /// cannot be compared.
    ClockStepped {
        by_ms: i64,
    },
    /// The configuration was read again and cannot be used: why; `None` is that the last one can.
    ConfigurationRefused(Option<String>),
    /// The agent judges by another configuration from now on.
    Configuration {
        policy: Box<Policy>,
        /// Chains whose references are others now: what the former ones said does not count.
        references: Vec<Chain>,
    },
}
