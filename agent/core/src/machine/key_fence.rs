//! The fence: without the volume that holds the keys, nothing runs that may sign with them.

use std::time::Duration;

use super::policy::WithoutVolume;
use super::{Action, Cause, ContainerState, Machine};
use crate::event::{Holding, Identity};

/// How long a collator may take to stop after its keys were lost: the next host starts 30 s after it found the volume, and
/// this one looks every 2 s.
const STOP_AFTER_LOSS: Duration = Duration::from_secs(20);

/// A state of before the fence is of a collator with its keys.
pub(super) fn assumed() -> bool {
    true
}

impl Machine {
    /// Something new is known of the identity.
    pub(super) fn on_identity(&mut self, identity: Identity) {
        let held = self.holds();
        self.state.identity = Some(identity);
        if !held && self.holds() {
            let state = &mut self.state;
            state.last_failure = None;
            state.next_start = None;
            if state.stopped_by_agent && !state.seen.is_up() {
                state.stop_cause = Some(Cause::IdentityHeld);
            }
        }
    }

    /// Whether anything may be created, started or thawed with the keys at this moment: the identity is held, or not
    /// asked for. While that is unknown, nothing may.
    pub fn holds(&self) -> bool {
        let held = |identity: &Identity| identity.holding == Holding::Held;
        self.policy.identity.is_none() || self.state.identity.as_ref().is_some_and(held)
    }

    /// Why nothing may run with the keys; `None` while it may, or while that is not known.
    pub(super) fn fence(&self) -> Option<Cause> {
        self.policy.identity?;
        match self.state.identity.as_ref()?.holding {
            Holding::Held | Holding::Unknown => None,
            Holding::Missing => Some(Cause::IdentityMissing),
            Holding::Lost | Holding::ReadOnly => Some(Cause::IdentityLost),
        }
    }

    /// The cause that keeps the collator down; none for a full node, which needs no keys.
    pub(super) fn fenced(&self) -> Option<Cause> {
        let full_node = self.policy.identity == Some(WithoutVolume::FullNode);
        self.fence().filter(|_| !full_node)
    }

    pub(super) fn may_start(&self) -> bool {
        self.holds() || (self.policy.identity == Some(WithoutVolume::FullNode) && self.fence().is_some())
    }

    /// The stop that a missing identity calls for while something may run.
    pub(super) fn fence_off(&self) -> Option<Action> {
        let cause = self.fence().filter(|_| self.may_run())?;
        let keyed = self.fenced().is_some() || self.state.authority;
        let within = self.policy.stop_timeout.min(STOP_AFTER_LOSS);
        keyed.then_some(Action::StopWithin {
            cause,
            seconds: within.as_secs().max(1),
        })
    }

    /// The stop for which whatever else is under way has to make room: this instance ends, or the keys are lost.
    pub fn urgent_stop(&self) -> Option<Action> {
        let seconds = |stop: &Action| match stop {
            Action::StopWithin { seconds, .. } => *seconds,
            _ => u64::MAX,
        };
        let lost = self.fence_off().filter(|_| self.state.authority);
        self.leaving().into_iter().chain(lost).min_by_key(seconds)
    }

    /// A full node runs, and the keys are here now.
    pub(super) fn is_due_for_keys(&self) -> bool {
        self.policy.identity.is_some() && self.holds() && !self.state.authority
    }

    pub(super) fn note_start(&mut self, action: &Action) {
        if let Action::Start { spec, .. } | Action::Restart { spec, .. } = action {
            self.state.authority = spec.keys;
        }
    }

    /// Whether what is under way must be given up: it would start something with keys that are not here.
    pub fn must_give_up(&self) -> bool {
        let starts = matches!(
            self.state.in_flight,
            Some(Action::Start { .. } | Action::Restart { .. })
        );
        starts && self.state.authority && self.fence().is_some()
    }

    /// Whether the next start is to be one with the keys; a running full node is left alone while that is not known.
    pub fn wants_keys(&self) -> bool {
        match (self.policy.identity, self.fence()) {
            (Some(WithoutVolume::FullNode), Some(_)) => false,
            (Some(WithoutVolume::FullNode), None) => self.holds() || self.state.authority,
            _ => true,
        }
    }

    /// What is known of the identity; `None` when it is not asked for, or nothing is known yet.
    pub fn identity(&self) -> Option<&Identity> {
        self.policy.identity?;
        self.state.identity.as_ref()
    }

    /// Whether what runs, or ran last, may sign with the keys.
    pub fn is_authority(&self) -> bool {
        self.state.authority
    }

    pub(super) fn identity_cause(&self) -> Option<Cause> {
        let nobody_knows = self.identity().is_some_and(|i| i.holding == Holding::Unknown);
        // Beside a collator that runs, a service that does not answer is no trouble of its own.
        let unknown = nobody_knows && !self.state.seen.is_up() && self.state.seen != ContainerState::Unknown;
        self.fence().or(unknown.then_some(Cause::IdentityMissing))
    }

    pub(super) fn explain_identity(&self) -> String {
        let why = self.identity().map(|i| i.why.as_str()).unwrap_or_default();
        let consequence = match (self.policy.identity, self.fence(), self.state.seen.is_up()) {
            (Some(WithoutVolume::FullNode), Some(_), true) if !self.state.authority => {
                "it runs as a full node meanwhile"
            }
            (Some(WithoutVolume::FullNode), Some(_), _) => "it goes on as a full node",
            (_, Some(_), true) => "the collator is being stopped cleanly",
            _ => "the collator is kept stopped until then",
        };
        format!("the identity is not held: {why}; {consequence}")
    }
}
