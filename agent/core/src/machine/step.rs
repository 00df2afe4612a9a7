//! One event in, actions out; time passing; what operators ask for.

use std::time::Duration;

use super::{Action, Cause, Desired, Machine, Pause, Policy, State};
use crate::chain_health::ChainTracker;
use crate::event::{Chain, Command, Event, Time};

/// Docker is asked about the container as soon as it is back.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);

impl Machine {
    /// Takes in one event at `now` and returns what has to be done about it, in order.
    ///
    /// `now` never goes back; an earlier time counts as the latest one seen.
    #[must_use]
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        let now = now.max(self.state.now);
        let mut actions = Vec::new();
        if now.since(self.state.now) > self.policy.windows.gap_after {
            self.forget_windows();
        }
        self.state.now = now;
        match event {
            Event::Container(news) => {
                let ours = self.state.in_flight.is_some();
                self.on_container(now, news, ours);
            }
            Event::Sample { chain, sample } => self.on_sample(now, chain, sample, &mut actions),
            Event::ScrapeFailed { chain, error } => self.on_miss(now, chain, error),
            Event::Host(facts) => self.on_host(facts),
            Event::Activity(activity) => self.on_activity(now, activity),
            Event::Reference { chain, source, reading } => self.on_reference(now, chain, source, reading),
            Event::Certificate(conflict) => {
                self.state.conflict = conflict;
                if let Some(conflict) = conflict {
                    self.state.hold = Some(conflict.into());
                }
            }
            Event::Shared(with) => self.state.shared = with,
            Event::Altered(what) => self.state.altered = what,
            Event::CertificateUnreadable(error) => self.state.certificate_error = Some(error),
            Event::Docker { reachable: true } => {
                if self.state.docker_down {
                    self.state.unconfirmed_until = Some(now + CONFIRMED_WITHIN);
                }
                self.on_docker_back(now);
            }
            Event::Docker { reachable: false } => self.on_docker_gone(),
            Event::Ec2(notice) => self.on_notice(now, notice),
            Event::Identity(identity) => self.on_identity(identity),
            Event::IdentityReleased => self.on_identity_released(),
            Event::StateUnsaved(error) => self.state.unsaved = error,
            Event::StateSetAside(why) => self.state.set_aside = Some(why),
            Event::RecordsUnsaved(error) => self.state.records_unsaved = error,
            Event::DisksStalled(disks) => self.state.stalled = disks,
            Event::ClockStepped { by_ms } => self.state.on_clock_step(by_ms),
            Event::Gap => self.forget_windows(),
            Event::ConfigurationRefused(error) => self.state.configuration_error = error,
            Event::Configuration { policy, references } => self.on_configuration(*policy, &references),
            Event::Log(lines) => self.on_log(now, &lines),
            Event::Tick => {}
            Event::Operator(command) => self.on_command(now, command, &mut actions),
            Event::Pulled(result) => self.on_pulled(now, result, &mut actions),
            Event::Databases(versions) => self.state.update.note(versions),
            Event::Finished(outcome) => self.on_finished(now, outcome, &mut actions),
        }
        self.pass_deadlines(now);
        self.judge_update(now, &mut actions);
        let idle = self.state.in_flight.is_none();
        let action = idle.then(|| self.decide(now, &mut actions)).flatten();
        if let Some(action) = &action {
            self.note_start(action);
            self.state.in_flight = Some(action.clone());
        }
        self.hand_over(&mut actions);
        actions.extend(action);
        self.report(now, &mut actions);
        actions
    }

    /// When [`Machine::step`] has to be called with [`Event::Tick`] if nothing else happens.
    pub fn next_deadline(&self) -> Option<Time> {
        let State {
            pause,
            settle,
            next_start,
            unconfirmed_until,
            now,
            ..
        } = &self.state;
        let deadlines = [
            pause.as_ref().map(|p| p.until),
            settle.map(|s| s.until),
            *next_start,
            *unconfirmed_until,
            self.leave_at(),
            self.next_report(),
            self.probation_ends(),
        ];
        deadlines.into_iter().flatten().filter(|t| t > now).min()
    }

    /// Other windows and limits: what was observed so far is judged by them.
    fn on_configuration(&mut self, policy: Policy, references: &[Chain]) {
        policy.retain_trackers(&mut self.state.trackers);
        self.state.references.retain(|chain, _| !references.contains(chain));
        self.policy = policy;
    }

    pub(super) fn forget_windows(&mut self) {
        self.state.trackers.values_mut().for_each(ChainTracker::forget_windows);
        self.state.collation.forget_window();
    }

    fn on_command(&mut self, now: Time, command: Command, actions: &mut Vec<Action>) {
        let state = &mut self.state;
        // An update says nothing about whether it is to run.
        if !command.is_automatic() && !matches!(command, Command::Update { .. }) {
            state.set_aside = None;
        }
        match command {
            Command::Stop { .. } => {
                state.desired = Desired::StoppedByOperator;
                state.settle = None;
                state.next_start = None;
                state.last_failure = None;
                state.start_requested = false;
                state.start_unheard = false;
                state.restart_owed = false;
                self.drop_update(now, actions);
            }
            Command::Start { .. } => self.take_up(now),
            Command::Restart { .. } => {
                self.take_up(now);
                let barred = self.leaves(now) || !self.may_start();
                let state = &self.state;
                let possible = !barred
                    && !state.docker_down
                    && !state.disk_stop
                    && state.seen.is_up()
                    && state.in_flight.is_none();
                // EC2 confirms in a moment what an earlier life of the agent knew, or calls it off.
                let is_awaited = self.is_leave_due(now);
                if possible && is_awaited {
                    self.state.restart_owed = true;
                } else if possible {
                    let action = self.restart(Cause::Operator);
                    self.state.in_flight = Some(action.clone());
                    self.note_start(&action);
                    actions.push(action);
                }
            }
            Command::Pause { seconds, reason } => {
                let until = now + Duration::from_secs(seconds);
                state.pause = Some(Pause { until, reason });
            }
            Command::Resume => {
                state.pause = None;
                state.next_start = state.next_start.map(|_| now);
                state.restart_budget.forgive();
                self.watch_anew();
            }
            Command::Update { image, automatic } => self.begin_update(now, image, automatic),
        }
    }

    /// `start` or `restart`: whatever kept it down is over.
    fn take_up(&mut self, now: Time) {
        let down = !self.state.seen.is_up() || self.is_stopping();
        let ending = self.is_signalled(now);
        let heard = self.is_docker_heard();
        let state = &mut self.state;
        // What Docker reports again of the time before, an agent that has just begun included, is older than this wish.
        state.own_events_until = state.own_events_until.max(state.heard_at);
        // The end that a `docker stop` asked for is still to come, and is older than this wish as well.
        if ending || (down && !state.observed) {
            state.ignore_own_events_until = Some(now + self.policy.stop_bound());
        }
        state.desired = Desired::Running;
        state.start_requested = down || ending;
        state.start_unheard = !heard && !down && !ending;
        state.hold = state.conflict.map(Cause::from);
        state.crash_loop = false;
        state.crashes.clear();
        state.attempts = 0;
        state.settle = None;
        state.stop_cause = None;
        state.next_start = down.then_some(now);
        self.reset();
    }

    /// An operator says that things have changed: every cure may be tried again, on new evidence.
    pub(super) fn reset(&mut self) {
        self.state.restart_budget.reset();
        self.watch_anew();
    }

    fn watch_anew(&mut self) {
        self.state.collation.reset();
        let troubled = self.state.trackers.values_mut().filter(|t| t.is_in_trouble());
        troubled.for_each(ChainTracker::forget_windows);
    }

    /// What a passed deadline turns into.
    fn pass_deadlines(&mut self, now: Time) {
        let state = &mut self.state;
        if state.pause.as_ref().is_some_and(|p| p.until <= now) {
            state.pause = None;
        }
        if let Some(settle) = state.settle.filter(|s| s.until <= now) {
            state.settle = None;
            // An operator's stop stays one.
            if settle.cause == Cause::StoppedByPerson && !state.seen.is_up() && state.desired == Desired::Running {
                state.desired = Desired::StoppedByPerson;
            }
        }
        let up = state.up_since.map(|since| now.since(since));
        if up.is_some_and(|up| up >= self.policy.backoff_reset) {
            state.attempts = 0;
            state.crashes.clear();
            state.crash_loop = false;
            state.out_of_memory = false;
        }
        // What could not be done was not wanted again when it was due: it runs on, or it shall not run.
        if state
            .next_start
            .is_some_and(|at| now.since(at) >= self.policy.backoff_reset)
        {
            state.last_failure = None;
        }
    }
}
