//! What EC2 announces: when the collator has to be down, how long its stop may take, and when it may run again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Cause, ContainerState, Desired, Machine, PlannedAction, STOP_MARGIN, State};
use crate::event::{Notice, NoticeKind, Time};
use crate::units::show_duration;

/// What is left of the time after the collator's stop: for the disk, the lifecycle action, and Docker itself.
const RESERVE: Duration = Duration::from_secs(15);
/// A stop that failed is tried again after this: there is no time for more.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// An announcement in force, on the agent's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ActiveNotice {
    kind: NoticeKind,
    /// When it takes effect; `None` when EC2 gives no time.
    deadline: Option<Time>,
    /// EC2 has made it in this life of the agent.
    #[serde(default)]
    confirmed: bool,
}

impl ActiveNotice {
    pub(super) fn cause(self) -> Cause {
        self.kind.cause()
    }

    pub(super) fn kind(self) -> NoticeKind {
        self.kind
    }

    pub(super) fn is_confirmed(self) -> bool {
        self.confirmed
    }

    /// It is what an earlier life of the agent knew.
    pub(super) fn doubt(&mut self) {
        self.confirmed = false;
    }
}

impl NoticeKind {
    pub fn cause(self) -> Cause {
        match self {
            Self::Rebalance => Cause::Rebalance,
            Self::Maintenance => Cause::Maintenance,
            Self::ScheduledStop => Cause::ScheduledStop,
            Self::SpotInterruption => Cause::SpotInterruption,
            Self::Termination => Cause::Termination,
        }
    }
}

impl State {
    /// When the collator must not run any more because of an announcement.
    fn leave_at(&self, stop_timeout: Duration) -> Option<Time> {
        let standing = self.notice?;
        match standing.kind {
            // Not decided, or nothing ends: shown and notified.
            NoticeKind::Rebalance | NoticeKind::Maintenance => None,
            // It may lie weeks ahead, and is moved now and then.
            NoticeKind::ScheduledStop => {
                let needed = stop_timeout + RESERVE + STOP_MARGIN;
                standing.deadline.map(|at| at - needed)
            }
            NoticeKind::SpotInterruption | NoticeKind::Termination => Some(Time(0)),
        }
    }
}

impl Machine {
    /// EC2 announces something, something else, or nothing any more.
    pub(super) fn on_notice(&mut self, now: Time, notice: Option<Notice>) {
        let left = self.is_leave_due(now);
        self.state.notice = notice.map(|notice| ActiveNotice {
            confirmed: true,
            kind: notice.kind,
            deadline: notice.seconds.map(|seconds| now + Duration::from_secs(seconds)),
        });
        if left && !self.leaves(now) {
            let state = &mut self.state;
            state.last_failure = None;
            state.next_start = None;
            if state.stopped_by_agent && !state.seen.is_up() {
                state.stop_cause = Some(Cause::NoticeOver);
            }
        }
    }

    /// Whether the collator must not run because this instance is about to end. What an earlier life of the agent knew is
    /// enough to keep it down, and not to stop it.
    pub(super) fn leaves(&self, now: Time) -> bool {
        let confirmed = self.state.notice.is_some_and(|notice| notice.confirmed);
        self.is_leave_due(now) && (confirmed || !self.state.seen.is_up())
    }

    /// Whether an announcement says so, confirmed or not.
    pub(super) fn is_leave_due(&self, now: Time) -> bool {
        self.leave_at().is_some_and(|at| at <= now)
    }

    /// When [`Machine::leaves`] begins to be true.
    pub(super) fn leave_at(&self) -> Option<Time> {
        self.state.leave_at(self.policy.stop_timeout)
    }

    /// The stop that leaves enough of the time that is left.
    pub(super) fn leave(&self, now: Time) -> Option<Action> {
        let standing = self.state.notice?;
        let usual = self.policy.stop_timeout;
        // A deadline that passed while this host lived on was none.
        let within = standing
            .deadline
            .filter(|deadline| *deadline >= now)
            .map_or(usual, |deadline| {
                let left = deadline.since(now);
                usual.min(left.saturating_sub(RESERVE.min(left / 2)))
            });
        Some(Action::StopWithin {
            cause: standing.cause(),
            // Docker takes whole seconds, and kills at once when it is given none.
            seconds: within.as_secs().max(1),
        })
    }

    /// The stop that this instance's end calls for now; `None` while it does not.
    pub(super) fn leaving(&self) -> Option<Action> {
        let now = self.state.now;
        self.leaves(now).then(|| self.leave(now)).flatten()
    }

    /// The announcement in force, and the time until it comes true where EC2 says so.
    pub fn notice(&self) -> Option<(NoticeKind, Option<Duration>)> {
        let standing = self.state.notice?;
        let left = standing.deadline.map(|at| at.since(self.state.now));
        Some((standing.kind, left))
    }

    /// Whether the collator is down, stays down, and nothing is about to change that.
    pub fn is_down(&self) -> bool {
        let state = &self.state;
        let known = !state.docker_down && state.observed && state.unconfirmed_until.is_none();
        let down = match state.seen {
            ContainerState::Exited => state.stopped_by_agent,
            // One that is not ours is none of our business.
            ContainerState::Missing | ContainerState::Created | ContainerState::Foreign => true,
            ContainerState::Unknown | ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => {
                false
            }
        };
        known && down && state.in_flight.is_none()
    }

    /// Whether whatever this host holds may be given to another: it ends, and the collator is down.
    pub(super) fn is_vacated(&self) -> bool {
        let ends = |notice: ActiveNotice| matches!(notice.kind, NoticeKind::SpotInterruption | NoticeKind::Termination);
        self.state.notice.is_some_and(|notice| notice.confirmed && ends(notice)) && self.is_down()
    }

    /// The stop that an announcement will bring.
    pub(super) fn next_stop(&self) -> Option<PlannedAction> {
        let state = &self.state;
        let at = self.leave_at().filter(|at| *at > state.now)?;
        (state.desired == Desired::Running && state.seen.is_up()).then_some(PlannedAction {
            action: "stop",
            at,
            cause: state.notice?.cause(),
        })
    }

    pub(super) fn explain_notice(&self) -> String {
        let Some((kind, left)) = self.notice() else {
            return String::new();
        };
        let when = match left {
            Some(left) if left.is_zero() => " now".to_owned(),
            Some(left) => format!(" in {}", show_duration(Duration::from_secs(left.as_secs()))),
            None => String::new(),
        };
        let collator = match (self.leaves(self.state.now), self.state.seen.is_up()) {
            (false, _) => "it is stopped cleanly shortly before",
            (true, true) => "it is being stopped cleanly",
            (true, false) => "it is kept stopped until that is called off",
        };
        match kind {
            NoticeKind::Rebalance => {
                "EC2 recommends to move away from this spot instance: nothing is stopped for that, have a \
                 replacement ready"
                    .to_owned()
            }
            NoticeKind::Maintenance => {
                format!("EC2 works on this instance's host{when}: the collator runs on")
            }
            NoticeKind::ScheduledStop => {
                format!("EC2 stops or reboots this instance{when}: the collator needs it, {collator}")
            }
            NoticeKind::SpotInterruption => {
                format!("EC2 takes this spot instance back{when}: the collator ends, {collator}")
            }
            NoticeKind::Termination => {
                format!("the auto scaling group ends this instance{when}: the collator ends, {collator}")
            }
        }
    }
}
