//! Whether the image of an update is any good: the same evidence as ever, over a time of its own.

use super::super::fault::Fault;
use super::super::{Action, Cause, Desired, Machine};
use super::{ActiveUpdate, Probation, UpdateResult, UpdateStep};
use crate::chain_health::Verdict;
use crate::event::{Chain, Time};

/// How often an unclear probation is prolonged.
const EXTENSIONS: u32 = 3;
/// Standing still for these is not the image's fault.
const EXCUSED: [Verdict; 4] = [
    Verdict::Unknown,
    Verdict::Starting,
    Verdict::Quiet,
    Verdict::WaitingForRelay,
];

impl Machine {
    /// Advances an update as far as the evidence allows, without an action on the container.
    pub(in crate::machine) fn judge_update(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.order_pull(actions);
        let state = &mut self.state;
        let in_place = state.seen.is_up() && state.spec_matches && state.in_flight.is_none() && state.observed;
        let Some(running) = &mut state.update.running else {
            return;
        };
        match running.step {
            UpdateStep::Starting if in_place && running.probation.crash.is_none() => {
                running.step = UpdateStep::Probation;
                running.probation = Probation::default();
            }
            UpdateStep::Restoring if in_place => {
                let reason = running.reason.clone();
                return self.close_update(now, UpdateResult::RolledBack, reason, actions);
            }
            _ => {}
        }
        self.watch_update(now);
        let wanted = self.state.desired == Desired::Running && self.state.pause.is_none() && !self.leaves(now);
        if !wanted || self.state.in_flight.is_some() {
            return;
        }
        if let Some(reason) = self.fails_probation(now) {
            return self.take_back(reason);
        }
        self.end_probation(now, actions);
    }

    /// Counts the time for which the new image was observed.
    fn watch_update(&mut self, now: Time) {
        let watched = self.is_watched(now);
        let gap = self.policy.windows.gap_after;
        let Some(running) = self
            .state
            .update
            .running
            .as_mut()
            .filter(|r| r.step == UpdateStep::Probation)
        else {
            return;
        };
        let before = std::mem::replace(&mut running.probation.watched, watched.then_some(now));
        if let Some(passed) = before
            .filter(|_| watched)
            .map(|before| now.since(before))
            .filter(|t| *t <= gap)
        {
            running.probation.observed += passed;
        }
    }

    fn is_watched(&self, now: Time) -> bool {
        let state = &self.state;
        state.seen.is_up()
            && !state.docker_down
            && state.observed
            && state.pause.is_none()
            && state.desired == Desired::Running
            && !self.leaves(now)
    }

    /// Why the new image is no good.
    fn fails_probation(&self, now: Time) -> Option<String> {
        let running = self.state.update.running.as_ref()?;
        if !matches!(running.step, UpdateStep::Starting | UpdateStep::Probation) {
            return None;
        }
        if let Some(crash) = &running.probation.crash {
            return Some(crash.clone());
        }
        if let Some(conflict) = self.state.conflict {
            return Some(self.explain(conflict.into()));
        }
        if running.step == UpdateStep::Starting || !self.is_watched(now) {
            return None;
        }
        let fault = self.fault(self.verdicts(now)).filter(Fault::is_due)?;
        let known = fault.cause == Cause::Isolated && running.was_isolated;
        (!known).then(|| self.explain(fault.cause))
    }

    /// The time is over: it is kept, prolonged, or taken back.
    fn end_probation(&mut self, now: Time, actions: &mut Vec<Action>) {
        let over = self.probation_left().is_some_and(|left| left.is_zero());
        let Some(running) = self.state.update.running.as_ref().filter(|_| over) else {
            return;
        };
        let last = running.probation.extensions >= EXTENSIONS;
        let result = if running.is_proven() && (last || !self.falters(running, now)) {
            UpdateResult::Done
        } else if self.stands_still(running, now) {
            return self.take_back("no block arrived although they did before".to_owned());
        } else if last {
            UpdateResult::NotProven
        } else {
            if let Some(running) = &mut self.state.update.running {
                running.probation.extensions += 1;
            }
            return;
        };
        let reason = (result == UpdateResult::NotProven)
            .then(|| "it runs, but whether it makes progress could not be determined in all that time".to_owned());
        self.close_update(now, result, reason, actions);
    }

    fn probation_left(&self) -> Option<std::time::Duration> {
        self.update()?.left
    }

    /// When the probation is over if nothing happens.
    pub(in crate::machine) fn probation_ends(&self) -> Option<Time> {
        let now = self.state.now;
        let left = self.probation_left().filter(|_| self.is_watched(now))?;
        Some(now + left)
    }

    /// Whether a chain that moved before is seen, and does not move for a reason of its own.
    fn stands_still(&self, running: &ActiveUpdate, now: Time) -> bool {
        if self.state.host.network_ok == Some(false) {
            return false;
        }
        let unmoved = running.moved_before.difference(&running.probation.moved);
        unmoved
            .into_iter()
            .any(|chain| !EXCUSED.contains(&self.verdict(now, *chain)))
    }

    /// Whether a chain that moved on the new image may be about to stall.
    fn falters(&self, running: &ActiveUpdate, now: Time) -> bool {
        let window = self.policy.windows.stall_after / 2;
        let still = |chain: &&Chain| {
            let tracker = self.state.trackers.get(chain);
            tracker.is_some_and(|tracker| !tracker.progressing(window))
                && !EXCUSED.contains(&self.verdict(now, **chain))
        };
        running.probation.moved.iter().any(|chain| still(&chain))
    }
}

impl ActiveUpdate {
    /// Whether the new image has shown what the old one did.
    fn is_proven(&self) -> bool {
        let moved = &self.probation.moved;
        !moved.is_empty() && self.moved_before.is_subset(moved)
    }
}
