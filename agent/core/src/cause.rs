//! Why something is wrong, or something is done.

use serde::{Deserialize, Serialize};

use crate::event::{Conflict, named};

named! {
    /// Why something is wrong or something is done.
    Cause {
        // health restarts
        Frozen = "frozen",
        Stalled = "stalled",
        Isolated = "isolated",
        NoExporter = "no_exporter",
        // what happened to the container
        Missing = "missing",
        Exited = "exited",
        Killed = "killed",
        Removed = "removed",
        SpecChanged = "spec_changed",
        CrashLoop = "crash_loop",
        OutOfMemory = "out_of_memory",
        Foreign = "foreign",
        ActionFailed = "action_failed",
        // holds
        DatabaseCorrupted = "database_corrupted",
        DatabaseNewer = "database_newer",
        DatabaseForeign = "database_foreign",
        DataInUse = "data_in_use",
        WrongChain = "wrong_chain",
        NoNetworkKey = "no_network_key",
        BadArguments = "bad_arguments",
        MissingExecutable = "missing_executable",
        BakedChain = "baked_chain",
        BakedDatabase = "baked_database",
        BakedNewer = "baked_newer",
        RestoreInterrupted = "restore_interrupted",
        DatabaseMigrated = "database_migrated",
        // updates
        Update = "update",
        UpdateFailed = "update_failed",
        // conditions
        DiskFull = "disk_full",
        DiskFreed = "disk_freed",
        DiskLow = "disk_low",
        ClockOff = "clock_off",
        MemoryPressure = "memory_pressure",
        NetworkDown = "network_down",
        DockerUnreachable = "docker_unreachable",
        Quiet = "quiet",
        FallingBehind = "falling_behind",
        Blind = "blind",
        NoCollation = "no_collation",
        NotHelping = "not_helping",
        BudgetSpent = "budget_spent",
        // what EC2 announces
        Rebalance = "rebalance",
        Maintenance = "maintenance",
        ScheduledStop = "scheduled_stop",
        SpotInterruption = "spot_interruption",
        Termination = "termination",
        NoticeOver = "notice_over",
        // the volume with the keys
        IdentityMissing = "identity_missing",
        IdentityLost = "identity_lost",
        IdentityHeld = "identity_held",
        // people
        Operator = "operator",
        StoppedByPerson = "stopped_by_person",
        Paused = "paused",
        // the agent itself
        StateUnsaved = "state_unsaved",
        CertificateUnreadable = "certificate_unreadable",
    }
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
    pub const HEALTH: [Self; 4] = [Self::Frozen, Self::Isolated, Self::Stalled, Self::NoExporter];

    /// Whether it is a step of an update, there or back.
    pub fn is_of_update(self) -> bool {
        matches!(self, Self::Update | Self::UpdateFailed)
    }
}
