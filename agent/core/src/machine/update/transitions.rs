//! One step of an update after the other.

use std::collections::BTreeSet;

use super::super::{Action, Cause, ContainerState, Desired, Machine};
use super::{ActiveUpdate, CompletedUpdate, Pinned, Probation, UpdateResult, UpdateState, UpdateStep};
use crate::chain_health::{ChainTracker, Verdict};
use crate::event::{ActionFailure, Chain, Image, Images, PullError, Time, Versions};

impl Machine {
    /// What speaks against an update now.
    pub(in crate::machine) fn refuses_update(&self) -> Option<String> {
        let state = &self.state;
        if let Some(running) = &state.update.running {
            return Some(format!(
                "an update to {} is under way ({}): wait until it is over, see t0rn-agent status",
                running.image,
                running.step.into_str().replace('_', " ")
            ));
        }
        if state.docker_down {
            return Some("docker is unreachable, so nothing can be updated: ask again when it is back".to_owned());
        }
        if self.leaves(state.now) {
            return Some(self.explain_notice());
        }
        if state.desired != Desired::Running {
            return Some(
                "the collator is stopped: t0rn-agent start, then update; or write the image into the configuration"
                    .to_owned(),
            );
        }
        if state.pause.is_some() {
            return Some("automatic actions are paused, and an update is made of them: t0rn-agent resume".to_owned());
        }
        let host = &state.host;
        let low = |free: u64| free < self.policy.disk_floor.saturating_add(self.policy.disk_floor / 2);
        if state.disk_stop
            || host
                .disk_free_bytes
                .filter(|_| host.disk_total_bytes != Some(0))
                .is_some_and(low)
        {
            return Some("the disk has no room for another image: free or add space".to_owned());
        }
        if state.conflict.is_some() {
            return Some(
                "the data was baked for something else: mend that first, or write the image into the configuration"
                    .to_owned(),
            );
        }
        if !state.observed
            || matches!(
                state.seen,
                ContainerState::Unknown | ContainerState::Missing | ContainerState::Foreign
            )
        {
            return Some("there is no collator to update: write the image into the configuration".to_owned());
        }
        None
    }

    pub(in crate::machine) fn begin_update(&mut self, now: Time, image: String, automatic: bool) {
        if self.refuses_update().is_some() {
            return;
        }
        self.state.update.running = Some(ActiveUpdate {
            image,
            automatic,
            configured: self.policy.image.clone(),
            began: now,
            step: UpdateStep::Pulling,
            images: None,
            before: None,
            read: None,
            moved_before: BTreeSet::default(),
            was_isolated: false,
            probation: Probation::default(),
            reason: None,
            ordered: false,
        });
    }

    /// A former life of the agent was killed in the middle of it, or the configuration was changed.
    pub(in crate::machine) fn resume_update(&mut self) {
        let (configured, ledger) = (&self.policy.image, &mut self.state.update);
        ledger.pinned.take_if(|pinned| pinned.configured != *configured);
        if let Some(running) = ledger.running.take_if(|running| running.configured != *configured) {
            let reason = format!("the configuration names {configured} by now");
            ledger.remember(running.over(self.state.now, UpdateResult::Superseded, Some(reason)));
        }
        if let Some(running) = &mut ledger.running {
            running.probation.watched = None;
            running.ordered = false;
        }
    }

    /// The operator stops the collator: what has not begun does not begin.
    pub(in crate::machine) fn drop_update(&mut self, now: Time, actions: &mut Vec<Action>) {
        if matches!(
            self.state.update.step(),
            Some(UpdateStep::Pulling | UpdateStep::Stopping)
        ) {
            self.close_update(
                now,
                UpdateResult::Failed,
                Some("stopped by an operator".to_owned()),
                actions,
            );
        }
    }

    /// The pull that an update begins with, once in each life of the agent.
    pub(super) fn order_pull(&mut self, actions: &mut Vec<Action>) {
        let ready = self.state.observed && !self.state.docker_down;
        let pulling = |running: &&mut ActiveUpdate| running.step == UpdateStep::Pulling && !running.ordered && ready;
        if let Some(running) = self.state.update.running.as_mut().filter(pulling) {
            running.ordered = true;
            actions.push(Action::Pull {
                image: running.image.clone(),
            });
        }
    }

    pub(in crate::machine) fn on_pulled(
        &mut self,
        now: Time,
        result: Result<Images, PullError>,
        actions: &mut Vec<Action>,
    ) {
        if self.state.update.step() != Some(UpdateStep::Pulling) {
            return;
        }
        let images = match result {
            Ok(images) => images,
            Err(PullError(reason)) => return self.close_update(now, UpdateResult::Failed, Some(reason), actions),
        };
        let refused = self.state.update.was_refused(&images.to.pin);
        let window = self.policy.windows.stall_after;
        let verdicts = self.verdicts(now);
        // Not for so long that a verdict says so, but as things are going.
        let isolated = |tracker: &ChainTracker| {
            tracker.sample().is_some_and(|sample| sample.peers == Some(0)) && !tracker.progressing(window / 2)
        };
        let moving = |(chain, tracker): (&Chain, &ChainTracker)| {
            let well = matches!(verdicts.of(*chain), Verdict::Syncing | Verdict::Synced);
            (well && tracker.progressing(window) && !isolated(tracker)).then_some(*chain)
        };
        let moved_before = self.state.trackers.iter().filter_map(moving).collect();
        let was_isolated = self.state.trackers.values().any(isolated);
        let Some(running) = &mut self.state.update.running else {
            return;
        };
        let same = images.from.pin == images.to.pin;
        running.images = Some(images);
        if same {
            return self.close_update(now, UpdateResult::Unchanged, None, actions);
        }
        if running.automatic && refused {
            let reason = "this very image was taken back before".to_owned();
            return self.close_update(now, UpdateResult::Failed, Some(reason), actions);
        }
        running.step = UpdateStep::Stopping;
        (running.moved_before, running.was_isolated) = (moved_before, was_isolated);
    }

    /// The action that an update calls for now; `None` leaves the decision to the other rules.
    pub(in crate::machine) fn decide_update(&mut self) -> Option<Action> {
        let (update, failed) = (Cause::Update, Cause::UpdateFailed);
        let (action, waits) = match self.state.update.step()? {
            UpdateStep::Pulling | UpdateStep::Probation => return None,
            UpdateStep::Stopping => (Action::Stop { cause: update }, self.state.pause.is_some()),
            UpdateStep::Starting => (self.start(update), false),
            UpdateStep::RollingBack => return Some(Action::Stop { cause: failed }),
            UpdateStep::Restoring => (self.start(failed), false),
        };
        // What may not be started is not stopped for a start either.
        if waits || self.state.disk_stop || !self.may_start() {
            return None;
        }
        let state = &mut self.state;
        if matches!(action, Action::Start { .. }) {
            state.next_start = None;
            state.attempts = state.attempts.saturating_add(1);
        }
        Some(action)
    }

    /// An action is done: the step that it belonged to as well.
    pub(in crate::machine) fn advance_update(&mut self, now: Time, action: &Action, actions: &mut Vec<Action>) {
        let down = !self.state.seen.is_up();
        let ledger = &mut self.state.update;
        let Some(running) = &mut ledger.running else { return };
        let Some(Images { from, to }) = running.images.clone() else {
            return;
        };
        match (running.step, action) {
            (UpdateStep::Stopping, Action::Stop { cause: Cause::Update }) if down => {
                running.before = running.read.take();
                running.step = UpdateStep::Starting;
                ledger.pin(to);
                self.make_way();
            }
            (
                UpdateStep::RollingBack,
                Action::Stop {
                    cause: Cause::UpdateFailed,
                },
            ) if down => {
                if running.may_have_migrated() {
                    let reason = running.reason.clone();
                    self.state.hold = Some(Cause::DatabaseMigrated);
                    return self.close_update(now, UpdateResult::Held, reason, actions);
                }
                running.step = UpdateStep::Restoring;
                ledger.pin(from);
                self.make_way();
            }
            (
                UpdateStep::Restoring,
                Action::Start {
                    cause: Cause::UpdateFailed,
                    ..
                },
            ) => {
                let reason = running.reason.clone();
                self.close_update(now, UpdateResult::RolledBack, reason, actions);
            }
            _ => {}
        }
    }

    pub(in crate::machine) fn fail_step(
        &mut self,
        now: Time,
        action: &Action,
        reason: String,
        kind: ActionFailure,
        actions: &mut Vec<Action>,
    ) {
        if matches!(kind, ActionFailure::DockerUnreachable | ActionFailure::Cancelled) {
            // It is done when that is over.
            return;
        }
        match (self.state.update.step(), action) {
            (Some(UpdateStep::Stopping), Action::Stop { cause: Cause::Update }) => {
                // Nothing more is tried, and everything else goes on.
                (self.state.last_failure, self.state.next_start) = (None, None);
                self.close_update(now, UpdateResult::Failed, Some(reason), actions);
            }
            (
                Some(UpdateStep::Starting),
                Action::Start {
                    cause: Cause::Update, ..
                },
            ) => {
                self.take_back(format!("it cannot be started: {reason}"));
            }
            _ => {}
        }
    }

    pub(super) fn take_back(&mut self, reason: String) {
        if let Some(running) = &mut self.state.update.running {
            running.step = UpdateStep::RollingBack;
            running.reason = Some(reason);
            running.read = None;
        }
        self.make_way();
    }

    /// Whatever was held against the other image is no concern of this one.
    fn make_way(&mut self) {
        let state = &mut self.state;
        state.hold = None;
        state.crash_loop = false;
        state.crashes.clear();
        state.attempts = 0;
        state.settle = None;
        state.next_start = None;
        state.last_failure = None;
        state.stop_cause = None;
        self.reset();
    }

    pub(super) fn close_update(
        &mut self,
        now: Time,
        result: UpdateResult,
        reason: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        let ledger = &mut self.state.update;
        let images = ledger.running.as_ref().and_then(|running| running.images.clone());
        // The name means the new image on this host by now: a container made anew would be made from that.
        if let Some(Images { from, to }) = images.filter(|_| result == UpdateResult::Failed)
            && from.reference == to.reference
        {
            ledger.pin(from);
        }
        if let Some(running) = ledger.running.take() {
            ledger.remember(running.over(now, result, reason));
            actions.push(Action::Updated { result });
        }
    }
}

impl UpdateState {
    fn pin(&mut self, image: Image) {
        if let Some(running) = &self.running {
            self.pinned = Some(Pinned {
                configured: running.configured.clone(),
                image,
            });
        }
    }
}

impl ActiveUpdate {
    fn over(self, now: Time, result: UpdateResult, reason: Option<String>) -> CompletedUpdate {
        CompletedUpdate {
            image: self.image,
            images: self.images,
            result,
            reason,
            began: self.began,
            ended: now,
        }
    }

    /// Whether the new image changed the databases' form, or may have: versions that could not be read are unknown. A file
    /// that is there now and was not before counts as a change.
    fn may_have_migrated(&self) -> bool {
        let changed = |(before, after): (&Versions, &Versions)| {
            after.iter().any(|(file, version)| before.get(file) != Some(version))
        };
        self.before.as_ref().zip(self.read.as_ref()).is_none_or(changed)
    }
}
