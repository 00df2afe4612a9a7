//! Docker's reports: which run this is, how the last one ended, and who ended it.

use std::time::Duration;

use super::{Action, Cause, ContainerState, Desired, GracePeriod, LastExit, Machine, Signalled};
use crate::chain_health::ChainTracker;
use crate::event::{Container, Exit, Time, reports_end};

/// `docker stop` and `docker restart` say so only after the container's end.
const STOP_SETTLES: Duration = Duration::from_secs(2);
/// Docker repeats its events since a time as soon as it is asked for them.
const REPORTED_WITHIN: Duration = Duration::from_secs(5);
/// `docker kill` and `docker rm -f` need only a moment to finish.
const KILL_SETTLES: Duration = Duration::from_millis(300);
const CRASH_WINDOW: Duration = Duration::from_mins(10);
const CRASH_LOOP: usize = 5;
const SIGKILL: i64 = 9;
/// Signals that processes handle without ending: HUP, USR1, USR2, WINCH.
const HARMLESS: [i64; 4] = [1, 10, 12, 28];

impl Machine {
    /// `ours` says that an action of ours brought this about.
    pub(super) fn on_container(&mut self, now: Time, news: Container, ours: bool) {
        let up = matches!(news, Container::Running { .. } | Container::Paused { .. });
        self.note_unheard_start(now, up);
        let first = !std::mem::replace(&mut self.state.observed, true);
        let by_hand = !first && !ours;
        let ours = ours || self.state.echoes(now);
        self.on_docker_back(now);
        self.state.unconfirmed_until = None;
        if let Container::Exited { at, .. }
        | Container::Signalled { at, .. }
        | Container::Stopped { at }
        | Container::Removed { at } = news
        {
            self.state.heard_at = self.state.heard_at.max(at);
        }
        if let Container::Exited { at: Some(at), exit, .. } = &news
            && self.state.exited_at == Some(*at)
        {
            self.note_exit(now, Some(*at), exit);
        }
        match news {
            Container::Running {
                started_at,
                spec_matches,
            } => {
                self.on_up(now, ContainerState::Running, started_at, spec_matches, first, by_hand);
            }
            Container::Paused {
                started_at,
                spec_matches,
            } => {
                self.on_up(now, ContainerState::Paused, started_at, spec_matches, first, by_hand);
            }
            Container::Foreign => self.set_down(ContainerState::Foreign),
            Container::Missing => self.on_missing(now),
            Container::Removed { at } if first || self.is_news(at) => self.on_missing(now),
            Container::Created { spec_matches } => {
                self.set_down(ContainerState::Created);
                self.state.spec_matches = spec_matches;
            }
            Container::Restarting => self.on_restarting(now),
            Container::Exited { at, exit, spec_matches } if first || self.is_news(at) => {
                // After a step of the clock, one that seems to lie before the start may be of an earlier run as well: there, a
                // look that finds the run going on has the last word.
                // One of the same millisecond is of the run before.
                if at.is_some_and(|at| self.state.started_at.is_some_and(|started| at > started)) {
                    self.state.ended = self.state.started_at;
                }
                self.state.spec_matches = spec_matches;
                self.on_exit(now, at, &exit, ours, first);
            }
            Container::Signalled { at, signal } if self.is_end_expected(now, at, signal) => {
                // Docker carries out what it has begun, also where the action fails.
                self.state.ignore_own_events_until = Some(now + self.policy.stop_bound());
            }
            Container::Signalled { at, signal } if self.is_news(at) && !ours && !HARMLESS.contains(&signal) => {
                self.state.signalled.get_or_insert(Signalled { at: now, signal });
            }
            // After a step of the clock, Docker may report once more what a stop of the agent's brought about.
            Container::Stopped { at } if self.is_news(at) && !ours && !reports_end(at, self.state.own_end) => {
                if self.state.seen.is_up() {
                    // Its end was not heard of; it has one all the same.
                    self.set_down(ContainerState::Exited);
                }
                self.settle(now, STOP_SETTLES, Cause::StoppedByPerson);
            }
            // News of an earlier run, or the echo of our own action.
            Container::Removed { .. }
            | Container::Exited { .. }
            | Container::Signalled { .. }
            | Container::Stopped { .. } => {}
        }
    }

    /// `first` says that it is the first look of this life: what was known before does not speak against it.
    fn on_up(
        &mut self,
        now: Time,
        seen: ContainerState,
        started_at: Option<i64>,
        spec_matches: bool,
        first: bool,
        by_hand: bool,
    ) {
        let state = &mut self.state;
        // A late report about a run that is already over. Of one whose end was reported, a later look says that it goes on after
        // all: the clock was set back, and that was the end of an earlier run.
        let before_our_stop = state.stopped_by_agent
            && started_at
                .zip(state.own_events_until)
                .is_some_and(|(run, stop)| run <= stop);
        let before_known = !state.clock_stepped
            && matches!((state.started_at, started_at), (Some(known), Some(reported)) if reported < known);
        if !first && (before_our_stop || before_known) {
            return;
        }
        let same_run = match (state.started_at, started_at) {
            // One that ended in an earlier life and is there again has its evidence to give anew.
            (Some(known), Some(reported)) => known == reported && (!first || state.seen.is_up()),
            _ => state.seen.is_up(),
        };
        if same_run && state.seen.is_up() {
            if state.seen != seen {
                state.trackers.values_mut().for_each(ChainTracker::forget_windows);
            }
        } else {
            state.next_start = None;
            state.last_failure = None;
        }
        if !same_run {
            // A run that was up until now has had an end that was not seen, and that is the newest.
            state.out_of_memory &= !state.seen.is_up();
            if state.seen.is_up() && state.echoes(now) {
                state.confirm_restart();
            }
            state.up_since = Some(now);
            if std::mem::take(&mut state.clock_stepped) {
                state.exited_at = None;
            }
            if let Some(started_at) = started_at {
                // What happened before is of another run. A later bound is of another clock: a look says by the old one when
                // a container ended. Unlike the start, which identifies this run, both move with the clock.
                state.heard_at = Some(started_at);
                state.own_events_until = state.own_events_until.map(|until| until.min(started_at));
            }
            state.ignore_own_events_until = None;
            state.own_end = None;
            state.restart_owed = false;
            state.signalled = None;
            state
                .trackers
                .values_mut()
                .for_each(|tracker| *tracker = tracker.renewed());
            state.collation.begin_run();
            state.activity = None;
            state.names_other_chain = false;
            // Only a person starts what we have stopped: that is as good as `start`.
            if by_hand && state.stopped_by_agent {
                state.desired = Desired::Running;
                if std::mem::replace(&mut state.hold, state.conflict.map(Cause::from)).is_some() {
                    state.restart_budget.reset();
                }
            }
        }
        if state.desired == Desired::StoppedByPerson {
            state.desired = Desired::Running;
        }
        state.seen = seen;
        state.spec_matches = spec_matches;
        state.started_at = started_at.or(state.started_at.filter(|_| same_run));
        state.up_since.get_or_insert(now);
        state.settle = None;
        state.stop_cause = None;
        state.stopped_by_agent = false;
        state.start_requested = false;
    }

    fn on_missing(&mut self, now: Time) {
        let known = !matches!(
            self.state.seen,
            ContainerState::Missing | ContainerState::Unknown | ContainerState::Foreign
        );
        // An exporter that answered before Docker did may belong to another container.
        let inferred = self.state.seen.is_up() && self.state.started_at.is_none();
        let theirs = known && !inferred && self.state.in_flight.is_none() && !self.state.echoes(now);
        let stopped = self.state.settle.is_some_and(|s| s.cause == Cause::StoppedByPerson);
        self.set_down(ContainerState::Missing);
        if !theirs || self.state.desired != Desired::Running {
            return;
        }
        if stopped {
            // First stopped, then tidied away: it is not wanted.
            self.state.settle = None;
            self.state.desired = Desired::StoppedByPerson;
        } else {
            self.settle(now, KILL_SETTLES, Cause::Removed);
        }
    }

    fn on_restarting(&mut self, now: Time) {
        match self.state.seen {
            ContainerState::Running | ContainerState::Paused | ContainerState::Unknown => {
                self.set_down(ContainerState::Restarting);
                self.leave_to_policy(now, Cause::Exited);
            }
            // Its next end is another one, even if it is never seen running.
            ContainerState::Exited if !self.state.stopped_by_agent => self.state.seen = ContainerState::Restarting,
            _ => {}
        }
    }

    /// `ours` says that we asked for this end; `first` that it may lie far back.
    pub(super) fn on_exit(&mut self, now: Time, at: Option<i64>, exit: &Exit, ours: bool, first: bool) {
        let before = self.state.seen;
        let signalled = self.state.signalled.take();
        if ours {
            self.state.confirm_restart();
        }
        // Between two ends there may have been a run too short to be seen.
        let later = at.zip(self.state.exited_at).is_some_and(|(at, known)| {
            if self.state.clock_stepped {
                at != known
            } else {
                at > known
            }
        });
        let known = before == ContainerState::Exited && !first && !later;
        if before.is_up() || before == ContainerState::Restarting || first || later {
            self.note_exit(now, at, exit);
        }
        self.set_down(ContainerState::Exited);
        let state = &self.state;
        let unwanted = state.desired != Desired::Running || state.hold.is_some() || state.stopped_by_agent;
        if known || unwanted || (ours && !self.is_starting()) {
            return;
        }
        let diagnosis = self.policy.signatures.diagnose(exit, signalled.is_some());
        let shown = diagnosis.as_ref().map(|diagnosis| diagnosis.cause);
        self.state.diagnosis = diagnosis;
        if let Some(cause) = shown.filter(|cause| !cause.may_pass()) {
            self.state.update.note_crash(exit.code, Some(cause));
            self.state.hold = Some(cause);
            self.state.settle = None;
            return;
        }
        if first {
            // News of how it ended may still be on its way.
            self.settle(now, KILL_SETTLES, Cause::Exited);
            return;
        }
        let back = self.state.docker_back;
        if signalled.is_none() && back.is_some_and(|back| now.since(back) < self.policy.start_timeout) {
            // An engine that comes back starts its containers itself; that was no crash.
            self.leave_to_policy(now, Cause::Exited);
            return;
        }
        self.state.crash_restarts += 1;
        match signalled.map(|s| s.signal) {
            _ if self.state.settle.is_some_and(|s| s.cause == Cause::StoppedByPerson) => {}
            Some(SIGKILL) => self.settle(now, KILL_SETTLES, Cause::Killed),
            Some(_) => self.settle(now, STOP_SETTLES, Cause::Killed),
            None => {
                self.state.update.note_crash(exit.code, None);
                self.count_crash(now);
                let memory = exit.is_out_of_memory().then_some(Cause::OutOfMemory);
                self.leave_to_policy(now, memory.or(shown).unwrap_or(Cause::Exited));
            }
        }
    }

    pub(super) fn note_exit(&mut self, now: Time, at: Option<i64>, exit: &Exit) {
        if at.is_some() && at == self.state.exited_at {
            // Docker may report the memory limit after the end, and when the next run has begun.
            if exit.is_out_of_memory()
                && let Some(last) = &mut self.state.last_exit
            {
                (last.oom, self.state.out_of_memory) = (true, true);
            }
            return;
        }
        self.state.exited_at = at;
        self.state.out_of_memory = exit.is_out_of_memory();
        self.state.last_exit = Some(LastExit {
            at: now,
            code: exit.code,
            oom: exit.is_out_of_memory(),
        });
    }

    /// Waits for Docker's own policy to mend an end.
    fn leave_to_policy(&mut self, now: Time, cause: Cause) {
        self.settle(now, self.policy.start_timeout, cause);
        if let Some(settle) = &mut self.state.settle {
            settle.mendable = true;
        }
    }

    /// Waits for further reports about an exit.
    fn settle(&mut self, now: Time, wait: Duration, cause: Cause) {
        self.state.settle = Some(GracePeriod {
            until: now + wait,
            cause,
            mendable: false,
        });
        if !self.state.seen.is_up() && cause != Cause::StoppedByPerson {
            self.state.stop_cause = Some(cause);
        }
    }

    fn count_crash(&mut self, now: Time) {
        let state = &mut self.state;
        state.crashes.push_back(now);
        state.crashes.retain(|t| now.since(*t) <= CRASH_WINDOW);
        state.crash_loop |= state.crashes.len() >= CRASH_LOOP;
        state.crashes.truncate(CRASH_LOOP);
    }

    pub(super) fn set_down(&mut self, seen: ContainerState) {
        self.state.seen = seen;
        self.state.up_since = None;
        self.forget_windows();
    }

    /// Whether a report of Docker's time `at` is about this run and not about a finished action of the agent.
    fn is_news(&self, at: Option<i64>) -> bool {
        let Some(at) = at else { return true };
        let started_at = self.state.started_at.filter(|_| !self.state.clock_stepped);
        let before_this_run = self.state.seen.is_up() && started_at.is_some_and(|s| at <= s);
        !before_this_run && self.state.own_events_until.is_none_or(|until| at > until)
    }

    /// Whether a person's `docker stop` is under way.
    pub(super) fn is_being_stopped(&self, now: Time) -> bool {
        self.state.seen.is_up() && self.is_signalled(now)
    }

    /// Whether the end that a signal from outside asked for may still be reported.
    pub(super) fn is_signalled(&self, now: Time) -> bool {
        let signalled = self.state.signalled;
        signalled.is_some_and(|s| now.since(s.at) < self.policy.stop_bound())
    }

    /// Whether Docker has said how the container is, in this life of the agent and since it last answered anew.
    pub(super) fn is_docker_heard(&self) -> bool {
        let state = &self.state;
        state.observed && !state.docker_down && state.unconfirmed_until.is_none()
    }

    /// Docker says how the container is: what it reports of the time before a start that was asked for meanwhile is older
    /// than that wish.
    fn note_unheard_start(&mut self, now: Time, up: bool) {
        if std::mem::take(&mut self.state.start_unheard) {
            // Of one that runs, a `docker stop` may be under way; one that is reported later is newer than the wish.
            let wait = if up { REPORTED_WITHIN } else { self.policy.stop_bound() };
            self.state.ignore_own_events_until = Some(now + wait);
            self.state.start_requested = !up;
        }
    }

    /// Whether a signal brings an end that is not to be taken for a person's `docker stop`.
    fn is_end_expected(&self, now: Time, at: Option<i64>, signal: i64) -> bool {
        let ordered = self.state.in_flight.is_some() && !self.is_starting();
        ordered || (self.state.echoes(now) && self.is_news(at) && !HARMLESS.contains(&signal))
    }

    /// Whether an action of ours is bringing it down.
    pub(super) fn is_stopping(&self) -> bool {
        let action = self.state.in_flight.as_ref();
        action.is_some_and(|action| !matches!(action, Action::Start { .. } | Action::Restart { .. }))
    }

    fn is_starting(&self) -> bool {
        matches!(self.state.in_flight, Some(Action::Start { .. }))
    }
}
