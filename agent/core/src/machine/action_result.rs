//! Results of the agent's own actions, and outages of Docker.

use std::time::Duration;

use super::{Action, Cause, ContainerState, Machine, STOP_MARGIN, termination};
use crate::chain_health::ChainTracker;
use crate::event::{ActionFailure, Container, Outcome, Time};

impl Machine {
    pub(super) fn on_finished(&mut self, now: Time, outcome: Outcome, actions: &mut Vec<Action>) {
        // Not ordered by this process: the container's own events show its result.
        let Some(action) = self.state.in_flight.take() else {
            return;
        };
        match outcome {
            Outcome::Done { container, at } => {
                self.on_done(now, &action, container, at);
                self.advance_update(now, &action, actions);
            }
            Outcome::Failed { error, kind } => {
                let reason = error.clone();
                self.on_failed(now, &action, error, kind);
                self.fail_step(now, &action, reason, kind, actions);
            }
        }
    }

    fn on_done(&mut self, now: Time, action: &Action, container: Container, at: Option<i64>) {
        self.on_docker_back(now);
        let state = &mut self.state;
        // Docker's clock may have been set back: later events are compared with its present time.
        state.own_events_until = at.or(state.own_events_until);
        state.last_failure = None;
        state.settle = None;
        state.observed = true;
        let starts = matches!(action, Action::Start { .. } | Action::Restart { .. });
        state.stopped_by_agent &= !starts;
        state.start_requested &= !starts;
        if starts {
            // A start looks for others first.
            state.shared = None;
        }
        match container {
            // It started and ended again before it could be inspected.
            Container::Exited { at, exit, .. } if starts => {
                state.seen = ContainerState::Running;
                self.on_exit(now, at, &exit, false, false);
                self.state.spec_matches = true;
            }
            Container::Exited { .. } | Container::Created { .. } | Container::Missing if !starts => {
                if let Container::Exited { at, exit, .. } = &container {
                    self.note_exit(now, *at, exit);
                    self.state.own_end = *at;
                }
                let seen = if container == Container::Missing {
                    ContainerState::Missing
                } else {
                    ContainerState::Exited
                };
                self.set_down(seen);
                self.state.stopped_by_agent = true;
                // What is reported from now on is no echo of it.
                self.state.ignore_own_events_until = None;
                if let Action::Backoff { wait, .. } = action {
                    self.state.next_start = Some(now + *wait);
                }
            }
            running => {
                if starts {
                    state.started_at = None;
                    if matches!(action, Action::Restart { .. }) {
                        self.set_down(ContainerState::Exited);
                    }
                }
                let run = match running {
                    Container::Running { started_at, .. } | Container::Paused { started_at, .. } => started_at,
                    _ => None,
                };
                // Docker's report of its end may be newer than this look.
                if run.is_none() || run != self.state.ended {
                    self.on_container(now, running, true);
                }
                // What was just made is what was asked for.
                self.state.spec_matches |= starts;
            }
        }
    }

    fn on_failed(&mut self, now: Time, action: &Action, error: String, kind: ActionFailure) {
        match kind {
            ActionFailure::DockerUnreachable => self.on_docker_gone(),
            ActionFailure::Foreign => self.set_down(ContainerState::Foreign),
            ActionFailure::Executable if !matches!(action, Action::Stop { .. }) => {
                self.state.hold = Some(Cause::MissingExecutable);
            }
            ActionFailure::Executable | ActionFailure::Image | ActionFailure::Cancelled | ActionFailure::Other => {}
        }
        if matches!(
            action,
            Action::Restart {
                cause: Cause::SpecChanged,
                ..
            }
        ) {
            // What runs is still not what is wanted.
            self.state.spec_matches = false;
        }
        if let (Action::Restart { cause, .. }, ActionFailure::DockerUnreachable, true) =
            (action, kind, self.state.seen.is_up())
        {
            // As far as it is known, nothing was done, so nothing was tried.
            if self.state.restart_budget.doubt(*cause) {
                self.state.health_restarts -= 1;
            }
        }
        if kind == ActionFailure::DockerUnreachable && !matches!(action, Action::Start { .. }) {
            self.state.ignore_own_events_until = Some(self.state.now + self.policy.stop_bound());
            self.state.restart_owed = matches!(
                action,
                Action::Restart {
                    cause: Cause::Operator,
                    ..
                }
            );
        }
        if kind == ActionFailure::Cancelled {
            // It was given up for what comes now.
            let is_half_restarted = matches!(action, Action::Restart { .. }) && !self.state.seen.is_up();
            if is_half_restarted || matches!(action, Action::Start { .. }) {
                // Docker may carry it out all the same: a stop finds out.
                (self.state.seen, self.state.stopped_by_agent) = (ContainerState::Exited, false);
            }
            return;
        }
        let fence = self.fence();
        let leaves = self.leaves(now) || fence.is_some();
        let leaving = matches!(action, Action::StopWithin { .. })
            || matches!(action, Action::Stop { cause } if Some(*cause) == fence);
        if leaves && !leaving && self.may_run() {
            // What comes now is the stop, and no second attempt.
            return;
        }
        self.state.last_failure = Some((kind, error));
        if leaves {
            self.state.next_start = Some(now + termination::RETRY);
            return;
        }
        if !matches!(action, Action::Start { .. }) {
            self.state.attempts = self.state.attempts.saturating_add(1);
        }
        self.state.next_start = Some(now + self.backoff(now));
    }

    pub(super) fn on_docker_gone(&mut self) {
        self.state.docker_down = true;
        if self.state.settle.is_some_and(|s| s.cause == Cause::StoppedByPerson) {
            // The engine is going down and takes its containers along: that was no person.
            self.state.settle = None;
            self.state.stop_cause = Some(Cause::Exited);
        }
    }

    pub(super) fn on_docker_back(&mut self, now: Time) {
        if std::mem::replace(&mut self.state.docker_down, false) {
            self.state.docker_back = Some(now);
            // It may have been away for longer than the stop would have taken.
            self.state.ignore_own_events_until = self
                .state
                .ignore_own_events_until
                .map(|until| until.max(now + STOP_MARGIN));
            if matches!(self.state.last_failure, Some((ActionFailure::DockerUnreachable, _))) {
                self.state.last_failure = None;
            }
            self.state.trackers.values_mut().for_each(ChainTracker::forget_silence);
        }
    }

    /// The wait before the next start of ours: nothing at first, then doubling up to the cap, less up to a
    /// quarter of it, so that many agents do not ask one registry in step.
    pub(super) fn backoff(&self, now: Time) -> Duration {
        let doublings = self.state.attempts.saturating_sub(1).min(30);
        let wait = match self.state.attempts {
            0 => Duration::ZERO,
            _ => self
                .policy
                .backoff_initial
                .saturating_mul(1 << doublings)
                .min(self.policy.backoff_max),
        };
        // Drawn from the time itself: fed the same events, the core decides the same.
        let drawn = u32::try_from(now.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54).unwrap_or_default();
        wait.saturating_sub(wait / 4 * drawn / 1024)
    }
}
