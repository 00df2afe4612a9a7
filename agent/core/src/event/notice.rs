//! What EC2 announces about the instance that the agent runs on.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// Kinds of announcement, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum NoticeKind {
    /// A spot instance is more likely than usual to be interrupted. Nothing has been decided.
    Rebalance,
    /// The host will be worked on while the instance runs on.
    Maintenance,
    /// The instance will be rebooted, stopped or retired at a known time.
    ScheduledStop,
    /// The spot instance will be stopped or terminated in about two minutes.
    SpotInterruption,
    /// The auto scaling group takes the instance out of service.
    Termination,
}

/// What the auto scaling group is answered about its termination of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleAnswer {
    /// The collator is not down yet, or what this host holds is not given back: heartbeats.
    Wait,
    Complete,
}

/// The gravest announcement in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub kind: NoticeKind,
    /// Until it comes true; `None` when EC2 does not say.
    pub seconds: Option<u64>,
}
