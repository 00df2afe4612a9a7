//! What the core decides, complete in itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cause, UpdateResult};
use crate::event::{DesiredSpec, LifecycleAnswer};

/// Something that the executor has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Bring the container to running: pull, create, re-create or start as needed.
    Start {
        cause: Cause,
        #[serde(default)]
        spec: DesiredSpec,
    },
    /// Stop it cleanly and start it again.
    Restart {
        cause: Cause,
        #[serde(default)]
        spec: DesiredSpec,
    },
    /// Stop it cleanly; Docker's policy must not start it either.
    Stop { cause: Cause },
    /// As `Stop`, in so many seconds before it is killed: this instance is about to end.
    StopWithin { cause: Cause, seconds: u64 },
    /// As `Stop`, for a fault that no restart cures: it stays down until an operator says `start`.
    Hold { cause: Cause },
    /// As `Stop`, for a crash loop: take it over from Docker's policy and wait.
    Backoff { cause: Cause, wait: Duration },
    /// Send a notification. `over`: the condition has passed.
    Notify { cause: Cause, over: bool },
    /// The last action for this cause has shown whether it helped.
    Judged { cause: Cause, helped: bool },
    /// Pull the image of an update and inspect it, beside everything else.
    Pull { image: String },
    /// An update is over.
    Updated { result: UpdateResult },
    /// Give the identity volume back: this host ends, and nothing uses the volume any more.
    ReleaseIdentity { cause: Cause },
    /// Hold the identity volume again: this host goes on.
    HoldIdentity,
    /// Answer the auto scaling group; `None` when it does not wait for an answer any more.
    AnswerLifecycle { answer: Option<LifecycleAnswer> },
}

impl Action {
    pub fn cause(&self) -> Cause {
        match self {
            Self::Start { cause, .. }
            | Self::Restart { cause, .. }
            | Self::Stop { cause }
            | Self::StopWithin { cause, .. }
            | Self::Hold { cause }
            | Self::Backoff { cause, .. }
            | Self::Notify { cause, .. }
            | Self::Judged { cause, .. }
            | Self::ReleaseIdentity { cause } => *cause,
            Self::HoldIdentity => Cause::NoticeOver,
            Self::AnswerLifecycle { .. } => Cause::Termination,
            Self::Pull { .. } => Cause::Update,
            Self::Updated { result } => result.cause(),
        }
    }

    /// Of an action that was judged: whether it helped.
    pub fn helped(&self) -> Option<bool> {
        match self {
            Self::Judged { helped, .. } => Some(*helped),
            _ => None,
        }
    }

    /// The name used in traces and incidents.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Restart { .. } => "restart",
            Self::Stop { .. } | Self::StopWithin { .. } => "stop",
            Self::Hold { .. } => "hold",
            Self::Backoff { .. } => "backoff",
            Self::Notify { .. } => "notify",
            Self::Judged { .. } => "judged",
            Self::Pull { .. } => "pull",
            Self::Updated { .. } => "updated",
            Self::ReleaseIdentity { .. } => "release_identity",
            Self::HoldIdentity => "hold_identity",
            Self::AnswerLifecycle { .. } => "answer_lifecycle",
        }
    }

    /// Whether it is done to the container.
    pub fn is_on_container(&self) -> bool {
        matches!(
            self,
            Self::Start { .. }
                | Self::Restart { .. }
                | Self::Stop { .. }
                | Self::StopWithin { .. }
                | Self::Hold { .. }
                | Self::Backoff { .. }
        )
    }

    /// Whether it answers a fault, so that its evidence is kept as an incident; what operators, configuration and EC2 ask
    /// for does not.
    pub fn answers_fault(&self) -> bool {
        // The stop before a rollback's start has kept the evidence.
        let restores = matches!(
            self,
            Self::Start {
                cause: Cause::UpdateFailed,
                ..
            }
        );
        let asked_for = matches!(
            self.cause(),
            Cause::Operator
                | Cause::Update
                | Cause::SpecChanged
                | Cause::Missing
                | Cause::DiskFreed
                | Cause::Rebalance
                | Cause::Maintenance
                | Cause::ScheduledStop
                | Cause::SpotInterruption
                | Cause::Termination
                | Cause::NoticeOver
                | Cause::IdentityHeld
                | Cause::IdentityMissing
                // The stop does not wait for an incident: another host may have the keys by now.
                | Cause::IdentityLost
        );
        self.is_on_container() && !restores && !asked_for
    }
}
