//! Disks that the agent depends on.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::cause::Cause;

/// A disk by what lies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Disk {
    /// The agent's state.
    State,
    /// The chain data.
    Data,
    /// The collator's keys.
    Identity,
}

impl Disk {
    /// The problem that it is when the disk does not answer.
    pub const fn stalled(self) -> Cause {
        match self {
            Self::State => Cause::StateDiskStalled,
            Self::Data => Cause::DataDiskStalled,
            Self::Identity => Cause::IdentityDiskStalled,
        }
    }
}
