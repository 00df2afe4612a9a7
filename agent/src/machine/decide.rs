//! From what is known to what is done: at most one action on the container at a time.

use super::{
    Action, Cause, Command, Context, Desired, Event, Machine, Pause, Sample, Seen, State, Time, Tracker, Verdict,
};
use crate::event::{Activity, Chain, HostFacts, ScrapeError};
use std::time::Duration;

/// CPU clearly above idle, percent of one core.
const BUSY_CPU: f64 = 50.0;
/// Block reads clearly above idle, bytes per second.
const BUSY_READS: u64 = 1 << 20;
/// A look at the container's activity says nothing about a later time than this.
const ACTIVITY_HOLDS: Duration = Duration::from_secs(90);

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
            Event::Docker { reachable } => self.state.docker_down = !reachable,
            Event::Gap => self.forget_windows(),
            Event::Tick => {}
            Event::Operator(command) => self.on_command(now, command, &mut actions),
            Event::Finished(outcome) => self.on_finished(now, outcome),
        }
        self.pass_deadlines(now);
        if self.state.in_flight.is_none()
            && let Some(action) = self.decide(now, &mut actions)
        {
            self.state.in_flight = Some(action.clone());
            actions.push(action);
        }
        self.tell(&mut actions);
        actions
    }

    /// When [`Machine::step`] has to be called with [`Event::Tick`] if nothing else happens.
    pub fn next_deadline(&self) -> Option<Time> {
        let State {
            pause,
            settle,
            next_start,
            now,
            ..
        } = &self.state;
        let deadlines = [pause.as_ref().map(|p| p.until), settle.map(|s| s.until), *next_start];
        deadlines.into_iter().flatten().filter(|t| t > now).min()
    }

    pub(super) fn forget_windows(&mut self) {
        self.state.trackers.values_mut().for_each(Tracker::forget_windows);
        if self.state.up_since.is_some() {
            self.state.up_since = Some(self.state.now);
        }
    }

    fn on_sample(&mut self, now: Time, chain: Chain, sample: Sample, actions: &mut Vec<Action>) {
        if self.state.seen == Seen::Unknown {
            // A trace may begin with samples: something runs.
            self.state.seen = Seen::Running;
            self.state.up_since = Some(now);
        }
        let context = self.context(now, chain);
        let windows = self.policy.windows;
        let Some(tracker) = self.state.trackers.get_mut(&chain) else {
            return;
        };
        let progress = tracker.observe(now, sample, &windows, context);
        let (best, finalized) = (tracker.best_high(), tracker.finalized_high());
        if self.state.cures.exporter_answers() {
            actions.push(Action::Judged {
                cause: Cause::NoExporter,
                helped: true,
            });
        }
        if progress {
            for cause in self.state.cures.moved(chain, best, finalized) {
                actions.push(Action::Judged { cause, helped: true });
            }
        }
    }

    fn on_miss(&mut self, now: Time, chain: Chain, error: ScrapeError) {
        if let Some(tracker) = self.state.trackers.get_mut(&chain) {
            tracker.miss(now, error);
        }
    }

    fn on_host(&mut self, facts: HostFacts) {
        let low = |free: u64| free < self.policy.disk_floor;
        // Room again means half the floor more than the floor: no start that is stopped at once.
        let roomy = |free: u64| free >= self.policy.disk_floor + self.policy.disk_floor / 2;
        match facts.disk_free_bytes {
            Some(free) if low(free) => self.state.disk_stop = true,
            Some(free) if roomy(free) => self.state.disk_stop = false,
            _ => {}
        }
        self.state.host = facts;
    }

    fn on_activity(&mut self, now: Time, activity: Activity) {
        let before = self.state.activity.replace((now, activity));
        self.state.block_rate = before.and_then(|(at, old)| {
            let read = activity.block_read_bytes?.checked_sub(old.block_read_bytes?)?;
            read.checked_div(now.since(at).as_secs())
        });
    }

    fn on_command(&mut self, now: Time, command: Command, actions: &mut Vec<Action>) {
        let state = &mut self.state;
        match command {
            Command::Stop => {
                state.desired = Desired::StoppedByOperator;
                state.settle = None;
                state.asked = false;
            }
            Command::Start => self.take_up(now),
            Command::Restart { .. } => {
                self.take_up(now);
                let state = &mut self.state;
                let possible =
                    !state.docker_down && !state.disk_stop && state.seen.is_up() && state.in_flight.is_none();
                if possible {
                    let action = Action::Restart { cause: Cause::Operator };
                    state.in_flight = Some(action.clone());
                    actions.push(action);
                }
            }
            Command::Pause { seconds, reason } => {
                let until = now + Duration::from_secs(seconds);
                state.pause = Some(Pause { until, reason });
            }
            Command::Resume => {
                state.pause = None;
                state.cures.forgive();
                state.next_start = state.next_start.map(|_| now);
            }
        }
    }

    /// `start` or `restart`: whatever kept it down is over.
    fn take_up(&mut self, now: Time) {
        let state = &mut self.state;
        state.desired = Desired::Running;
        state.asked = !state.seen.is_up();
        state.hold = None;
        state.crash_loop = false;
        state.crashes.clear();
        state.attempts = 0;
        state.settle = None;
        state.next_start = (!state.seen.is_up()).then_some(now);
        state.cures.forgive();
    }

    /// What a passed deadline turns into.
    fn pass_deadlines(&mut self, now: Time) {
        let state = &mut self.state;
        if state.pause.as_ref().is_some_and(|p| p.until <= now) {
            state.pause = None;
        }
        if let Some(settle) = state.settle.filter(|s| s.until <= now) {
            state.settle = None;
            if settle.cause == Cause::StoppedByPerson && !state.seen.is_up() {
                state.desired = Desired::StoppedByPerson;
            }
        }
        let long_run = state
            .up_since
            .is_some_and(|since| now.since(since) >= self.policy.backoff_reset);
        if long_run && (state.attempts > 0 || !state.crashes.is_empty()) {
            state.attempts = 0;
            state.crashes.clear();
            state.crash_loop = false;
        }
    }

    fn decide(&mut self, now: Time, actions: &mut Vec<Action>) -> Option<Action> {
        let state = &self.state;
        let failed_just_now = state.last_failure.is_some() && state.next_start.is_some_and(|t| t > now);
        if state.docker_down || matches!(state.seen, Seen::Unknown | Seen::Foreign) || failed_just_now {
            return None;
        }
        let alive = state.seen.is_up() || state.seen == Seen::Restarting;
        if state.desired != Desired::Running {
            return (alive && state.desired == Desired::StoppedByOperator)
                .then_some(Action::Stop { cause: Cause::Operator });
        }
        if state.pause.is_some() && !state.asked {
            return None;
        }
        if let Some(cause) = state.hold {
            // Also when it has exited: Docker's policy may be about to start it.
            let fresh = !state.told.contains(&cause);
            return (alive || fresh).then_some(Action::Hold { cause });
        }
        if state.disk_stop {
            return alive.then_some(Action::Stop { cause: Cause::DiskFull });
        }
        if state.seen.is_up() {
            return self.decide_running(now, actions);
        }
        if state.crash_loop && state.next_start.is_none() && state.settle.is_some() {
            self.state.settle = None;
            self.state.next_start = Some(now + self.policy.backoff_max);
            return Some(Action::Backoff {
                cause: Cause::CrashLoop,
                wait: self.policy.backoff_max,
            });
        }
        if state.settle.is_some() {
            return None;
        }
        if state.next_start.is_none() {
            self.state.next_start = Some(now + self.backoff());
        }
        let due = self.state.next_start.is_some_and(|t| t <= now);
        due.then(|| {
            self.state.next_start = None;
            self.state.attempts = self.state.attempts.saturating_add(1);
            Action::Start {
                cause: self.start_cause(),
            }
        })
    }

    fn start_cause(&self) -> Cause {
        match self.state.seen {
            _ if self.state.crash_loop => Cause::CrashLoop,
            Seen::Missing | Seen::Created => Cause::Missing,
            _ => Cause::Exited,
        }
    }

    fn decide_running(&mut self, now: Time, actions: &mut Vec<Action>) -> Option<Action> {
        if !self.state.spec_matches {
            return Some(Action::Restart {
                cause: Cause::SpecChanged,
            });
        }
        let (cause, chain, lasted, window) = self.fault(now)?;
        if lasted < window {
            return None;
        }
        if self.state.cures.is_back(cause) {
            actions.push(Action::Judged { cause, helped: false });
        }
        let stretched = window.saturating_mul(self.state.cures.stretch(cause));
        let affordable = self
            .state
            .cures
            .left(now, self.policy.budget, self.policy.budget_window)
            > 0;
        if self.state.cures.given_up(cause) || lasted < stretched || !affordable {
            return None;
        }
        let heights = self
            .state
            .trackers
            .iter()
            .map(|(c, t)| (*c, (t.best_high(), t.finalized_high())))
            .collect();
        self.state
            .cures
            .order(now, self.policy.budget_window, cause, chain, heights);
        self.state.health_restarts += 1;
        Some(Action::Restart { cause })
    }

    /// The fault that a restart might cure, the chain that has it, how long it has lasted, and its window.
    pub(super) fn fault(&self, now: Time) -> Option<(Cause, Option<Chain>, Duration, Duration)> {
        let Self { policy, state } = self;
        let windows = &policy.windows;
        let trackers = &state.trackers;
        if trackers.is_empty() {
            return None;
        }
        let answered = || trackers.values().filter(|t| t.answered());
        if answered().next().is_none() {
            let up = state.up_since.map(|since| now.since(since))?;
            let grace = policy.startup_grace
                * if self.is_busy(now) {
                    windows.activity_extension.max(1)
                } else {
                    1
                };
            let silent = trackers.values().all(|t| t.last_error().is_some());
            return silent.then_some((Cause::NoExporter, None, up, grace));
        }
        let silent = answered()
            .map(|t| t.silent(now).unwrap_or_default())
            .min()
            .unwrap_or_default();
        if !silent.is_zero() {
            return Some((Cause::Frozen, None, silent, policy.frozen_after));
        }
        let isolated = trackers
            .iter()
            .find(|(chain, _)| self.verdict(now, **chain) == Verdict::Isolated);
        let parachain_moves = trackers
            .get(&Chain::Parachain)
            .is_some_and(|t| t.progressing(windows.isolated_after));
        if let Some((chain, tracker)) = isolated.filter(|_| !parachain_moves) {
            let doubt = if state.host.network_ok.is_none() {
                windows.activity_extension.max(1)
            } else {
                1
            };
            return Some((
                Cause::Isolated,
                Some(*chain),
                tracker.alone(),
                windows.isolated_after * doubt,
            ));
        }
        let stalled = trackers
            .iter()
            .find(|(chain, _)| self.verdict(now, **chain) == Verdict::Stalled);
        stalled.map(|(chain, tracker)| {
            let window = tracker.patience(windows, self.context(now, *chain).doubt);
            (Cause::Stalled, Some(*chain), tracker.stuck(), window)
        })
    }

    /// What the evidence says about one chain, the other chain and the host considered.
    pub fn verdict(&self, now: Time, chain: Chain) -> Verdict {
        let Some(tracker) = self.state.trackers.get(&chain) else {
            return Verdict::Unknown;
        };
        let young = self
            .state
            .up_since
            .is_some_and(|since| now.since(since) < self.policy.startup_grace);
        if self.state.seen.is_up() && young && !tracker.answered() {
            return Verdict::Starting;
        }
        tracker.verdict(now, &self.policy.windows, self.context(now, chain))
    }

    fn context(&self, now: Time, chain: Chain) -> Context {
        let windows = &self.policy.windows;
        let relay = self
            .state
            .trackers
            .get(&Chain::Relaychain)
            .filter(|_| chain == Chain::Parachain);
        let quiet_relay = relay.is_some_and(|t| t.sampled_at().is_none_or(|at| now.since(at) > windows.stale_after));
        Context {
            excused: relay
                .is_some_and(|t| t.verdict(now, windows, self.context(now, Chain::Relaychain)) == Verdict::Syncing),
            network_down: self.state.host.network_ok == Some(false),
            doubt: quiet_relay || self.is_busy(now),
        }
    }

    fn is_busy(&self, now: Time) -> bool {
        let recent = self.state.activity.filter(|(at, _)| now.since(*at) <= ACTIVITY_HOLDS);
        let cpu = recent
            .and_then(|(_, a)| a.cpu_percent)
            .is_some_and(|cpu| cpu >= BUSY_CPU);
        cpu || (recent.is_some() && self.state.block_rate.is_some_and(|rate| rate >= BUSY_READS))
    }
}
