//! From what is known to what is done: at most one action on the container at a time.

use super::fault::Fault;
use super::{Action, Cause, ContainerState, Desired, Machine};
use crate::event::{DesiredSpec, Time};

impl Machine {
    /// What is to run: the image that an update left behind, else the configured one; with keys where they may be used.
    pub fn desired_spec(&self) -> DesiredSpec {
        DesiredSpec {
            image: self.image().cloned(),
            keys: self.wants_keys(),
        }
    }

    pub(super) fn start(&self, cause: Cause) -> Action {
        let spec = self.desired_spec();
        Action::Start { cause, spec }
    }

    pub(super) fn restart(&self, cause: Cause) -> Action {
        let spec = self.desired_spec();
        Action::Restart { cause, spec }
    }

    pub(super) fn decide(&mut self, now: Time, actions: &mut Vec<Action>) -> Option<Action> {
        let state = &self.state;
        let failed_just_now = state.last_failure.is_some() && state.next_start.is_some_and(|t| t > now);
        let blind = state.docker_down
            || state.unconfirmed_until.is_some_and(|until| now < until)
            || !state.observed
            || matches!(state.seen, ContainerState::Unknown | ContainerState::Foreign);
        if blind || failed_just_now {
            return None;
        }
        let may_run = self.may_run();
        if self.leaves(now) {
            // Whatever the operator wishes, the host ends: what can be had is a clean end, and no new start.
            return may_run.then(|| self.leave(now)).flatten();
        }
        // Even in a pause: two hosts with one key cost more than a collator that stands still.
        if let Some(stop) = self.fence_off() {
            return Some(stop);
        }
        match state.desired {
            Desired::StoppedByOperator => return may_run.then_some(Action::Stop { cause: Cause::Operator }),
            Desired::StoppedByPerson => return None,
            Desired::Running => {}
        }
        if self.is_leave_due(now) {
            // EC2 has not confirmed it in this life of the agent, and does so in a moment or calls it off.
            return None;
        }
        let of_update = self.decide_update();
        if of_update.is_some() {
            return of_update;
        }
        let state = &self.state;
        let held_back = state.hold.is_some() || state.disk_stop || state.crash_loop;
        let owed = state.restart_owed && state.seen.is_up();
        if state.pause.is_some() && !owed && (!state.start_requested || held_back || state.seen.is_up()) {
            return None;
        }
        if let Some(cause) = state.hold {
            return may_run.then_some(Action::Hold { cause });
        }
        if state.disk_stop {
            return may_run.then_some(Action::Stop { cause: Cause::DiskFull });
        }
        if !self.may_start() {
            return None;
        }
        if state.seen.is_up() {
            return self.decide_running(now, actions);
        }
        if state.crash_loop && may_run && state.is_author_clear() {
            return Some(Action::Backoff {
                cause: Cause::CrashLoop,
                wait: self.policy.backoff_max,
            });
        }
        if state.settle.is_some() {
            return None;
        }
        let wait = self.backoff(now);
        let due = *self.state.next_start.get_or_insert(now + wait);
        (due <= now).then(|| {
            self.state.next_start = None;
            self.state.attempts = self.state.attempts.saturating_add(1);
            self.start(self.start_cause())
        })
    }

    /// Whether the container runs, or may be started by Docker's policy at any moment (one that the agent stopped is not).
    pub(super) fn may_run(&self) -> bool {
        let state = &self.state;
        state.seen.is_up()
            || state.seen == ContainerState::Restarting
            || (state.seen == ContainerState::Exited && !state.stopped_by_agent)
    }

    pub(super) fn start_cause(&self) -> Cause {
        // A full node comes in the place of one that was stopped for its keys.
        match self.state.stop_cause.or_else(|| self.fence()) {
            _ if self.state.start_requested => Cause::Operator,
            _ if self.state.crash_loop => Cause::CrashLoop,
            Some(cause) => cause,
            None if self.state.seen == ContainerState::Exited => Cause::Exited,
            None => Cause::Missing,
        }
    }

    fn decide_running(&mut self, now: Time, actions: &mut Vec<Action>) -> Option<Action> {
        if std::mem::take(&mut self.state.restart_owed) {
            return Some(self.restart(Cause::Operator));
        }
        if !self.state.spec_matches || self.is_due_for_keys() {
            return Some(self.restart(Cause::SpecChanged));
        }
        // Nothing of ours is to bring it back.
        if self.is_being_stopped(now) {
            return None;
        }
        let fault = self.fault(self.verdicts(now)).filter(Fault::is_due)?;
        if self.state.update.is_on_probation() {
            // It is rolled back, or given the time that is left: that spends no budget.
            return None;
        }
        let (cause, policy, restart_budget) = (fault.cause, &self.policy, &mut self.state.restart_budget);
        if restart_budget.is_back(cause) {
            actions.push(Action::Judged { cause, helped: false });
        }
        let stretched = fault.window.saturating_mul(restart_budget.stretch(cause));
        let affordable = restart_budget.left(now, policy.budget, policy.budget_window) > 0;
        if restart_budget.given_up(cause) || fault.lasted < stretched || !affordable {
            return None;
        }
        let trackers = self.state.trackers.iter();
        let heights = trackers
            .map(|(c, t)| (*c, (t.heights.best, t.heights.finalized)))
            .collect();
        restart_budget.order(now, policy.budget_window, cause, fault.chain, heights);
        self.state.health_restarts += 1;
        Some(self.restart(cause))
    }
}
