//! Why something is wrong, or something is done.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::event::Conflict;

/// Why something is wrong or something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Cause {
    // health restarts
    Frozen,
    Stalled,
    Isolated,
    NoExporter,
    FinalityStalled,
    // what happened to the container
    Missing,
    Exited,
    Killed,
    Removed,
    SpecChanged,
    CrashLoop,
    OutOfMemory,
    RelayRpcUnreachable,
    PortInUse,
    Foreign,
    ActionFailed,
    // holds
    DatabaseCorrupted,
    DatabaseNewer,
    DatabaseForeign,
    DataInUse,
    WrongChain,
    NoNetworkKey,
    BadArguments,
    MissingExecutable,
    PruningMode,
    DataUnwritable,
    NodeFault,
    BakedChain,
    BakedDatabase,
    BakedNewer,
    RestoreInterrupted,
    DatabaseMigrated,
    // updates
    Update,
    UpdateFailed,
    // conditions
    DiskFull,
    DiskFreed,
    DiskLow,
    ClockOff,
    MemoryPressure,
    NetworkDown,
    DockerUnreachable,
    Quiet,
    FallingBehind,
    SyncTooSlow,
    UnsteadyPeers,
    NeverConnected,
    SlowStart,
    Blind,
    NoCollation,
    NotHelping,
    BudgetSpent,
    // what EC2 announces
    Rebalance,
    Maintenance,
    ScheduledStop,
    SpotInterruption,
    Termination,
    NoticeOver,
    // the volume with the keys
    IdentityMissing,
    IdentityLost,
    IdentityHeld,
    // people
    Operator,
    StoppedByPerson,
    Paused,
    // disks
    StateDiskStalled,
    DataDiskStalled,
    IdentityDiskStalled,
    // the agent itself
    StateUnsaved,
    StateSetAside,
    RecordsUnsaved,
    CertificateUnreadable,
    ConfigurationRefused,
    // what else has the collator's files
    Shared,
    // `docker update` and `docker rename`
    Altered,
}

impl From<Conflict> for Cause {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Chain => Self::BakedChain,
            Conflict::Database => Self::BakedDatabase,
            Conflict::NewerNode => Self::BakedNewer,
            Conflict::Restore => Self::RestoreInterrupted,
        }
    }
}

impl Cause {
    /// The causes that a health restart is spent on.
    pub const HEALTH: [Self; 5] = [
        Self::Frozen,
        Self::Isolated,
        Self::Stalled,
        Self::NoExporter,
        Self::FinalityStalled,
    ];

    /// What log lines before an exit can show.
    pub const OF_LAST_LINES: [Self; 14] = [
        Self::DatabaseCorrupted,
        Self::DatabaseNewer,
        Self::DatabaseForeign,
        Self::DataInUse,
        Self::DataUnwritable,
        Self::DiskFull,
        Self::WrongChain,
        Self::NoNetworkKey,
        Self::PruningMode,
        Self::BadArguments,
        Self::MissingExecutable,
        Self::NodeFault,
        Self::RelayRpcUnreachable,
        Self::PortInUse,
    ];

    /// Whether an end of this cause may not come again: a later start can find it gone, so Docker's policy may try.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::RelayRpcUnreachable | Self::PortInUse)
    }

    pub fn is_of_update(self) -> bool {
        matches!(self, Self::Update | Self::UpdateFailed)
    }
}
