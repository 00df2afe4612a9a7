//! What Docker says: which run this is, how the last one ended, and whose doing that was.

use std::time::Duration;

use super::{Action, Cause, Desired, LastExit, Machine, Seen, Settle};
use crate::event::{Container, Exit, Failure, Outcome, Time};
use crate::signature;

/// `docker stop` and `docker restart` say so only after the container's end.
const STOP_SETTLES: Duration = Duration::from_secs(2);
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
        let first = !std::mem::replace(&mut self.state.observed, true);
        let by_hand = !first && !ours;
        let ours = ours || self.state.echo;
        let outage = std::mem::take(&mut self.state.docker_down);
        if let Container::Exited { at, .. }
        | Container::Signalled { at, .. }
        | Container::Stopped { at }
        | Container::Removed { at } = news
        {
            self.state.heard_at = self.state.heard_at.max(at);
        }
        match news {
            Container::Running {
                started_at,
                spec_matches,
            } => {
                self.on_up(now, Seen::Running, started_at, spec_matches, by_hand);
            }
            Container::Paused {
                started_at,
                spec_matches,
            } => {
                self.on_up(now, Seen::Paused, started_at, spec_matches, by_hand);
            }
            Container::Foreign => self.state.seen = Seen::Foreign,
            Container::Missing => self.on_missing(now),
            Container::Removed { at } if self.is_news(at) => self.on_missing(now),
            Container::Created { spec_matches } => {
                self.state.seen = Seen::Created;
                self.state.spec_matches = spec_matches;
            }
            Container::Restarting => self.on_restarting(now),
            Container::Exited { at, exit, spec_matches } if self.is_news(at) => {
                self.on_exit(now, &exit, spec_matches, first);
                if outage && self.state.settle.is_some() {
                    // An engine that comes back starts its containers itself; that was no crash.
                    self.state.settle = Some(Settle {
                        until: now + self.policy.start_timeout,
                        cause: Cause::Exited,
                    });
                }
            }
            Container::Signalled { at, signal } if self.is_news(at) && !ours && !HARMLESS.contains(&signal) => {
                self.state.signalled.get_or_insert(signal);
            }
            Container::Stopped { at } if self.is_news(at) && !ours => {
                self.state.settle = Some(Settle {
                    until: now + STOP_SETTLES,
                    cause: Cause::StoppedByPerson,
                });
            }
            // News of an earlier run, or the echo of our own action.
            Container::Removed { .. }
            | Container::Exited { .. }
            | Container::Signalled { .. }
            | Container::Stopped { .. } => {}
        }
    }

    /// An action of ours ended.
    pub(super) fn on_finished(&mut self, now: Time, outcome: Outcome) {
        let Some(action) = self.state.in_flight.take() else {
            return;
        };
        match outcome {
            Outcome::Done { container, at } => {
                self.state.ours_until = self.state.ours_until.max(at);
                self.state.last_failure = None;
                self.state.settle = None;
                self.state.observed = true;
                match container {
                    Container::Exited { exit, .. }
                        if matches!(action, Action::Start { .. } | Action::Restart { .. }) =>
                    {
                        self.state.seen = Seen::Running;
                        self.on_exit(now, &exit, true, false);
                    }
                    Container::Exited { .. } => self.set_down(Seen::Exited),
                    Container::Missing => self.set_down(Seen::Missing),
                    other => {
                        if matches!(action, Action::Restart { .. })
                            && matches!(other, Container::Running { started_at: None, .. })
                        {
                            self.set_down(Seen::Exited);
                        }
                        self.on_container(now, other, true);
                    }
                }
            }
            Outcome::Failed { error, kind } => self.on_failed(now, &action, error, kind),
        }
    }

    fn on_failed(&mut self, now: Time, action: &Action, error: String, kind: Failure) {
        match kind {
            Failure::DockerUnreachable => self.state.docker_down = true,
            Failure::Foreign => self.state.seen = Seen::Foreign,
            Failure::Executable if !matches!(action, Action::Stop { .. }) => {
                self.state.hold = Some(Cause::MissingExecutable)
            }
            Failure::Executable | Failure::Image | Failure::Other => {}
        }
        self.state.last_failure = Some((kind, error));
        if !matches!(action, Action::Start { .. }) {
            self.state.attempts = self.state.attempts.saturating_add(1);
        }
        self.state.next_start = Some(now + self.backoff());
    }

    fn on_up(&mut self, now: Time, seen: Seen, started_at: Option<i64>, spec_matches: bool, by_hand: bool) {
        let state = &mut self.state;
        let same_run = match (state.started_at, started_at) {
            (Some(known), Some(told)) => known == told,
            _ => state.seen.is_up(),
        };
        // Docker may tell late of a run that is already over.
        if matches!((state.started_at, started_at), (Some(known), Some(told)) if told < known) {
            return;
        }
        state.spec_matches = spec_matches;
        if same_run {
            if state.seen != seen {
                state
                    .trackers
                    .values_mut()
                    .for_each(crate::sync::Tracker::forget_windows);
            }
        } else {
            state.up_since = Some(now);
            state.echo = false;
            state.signalled = None;
            state.trackers = self.policy.trackers();
            state.activity = None;
            state.block_rate = None;
            // Somebody started by hand what was stopped or held: that is as good as `start`.
            let by_hand = by_hand && state.seen == Seen::Exited;
            if by_hand && state.desired != Desired::Running {
                state.desired = Desired::Running;
            }
            if by_hand && state.hold.take().is_some() {
                self.state.cures.forgive();
            }
        }
        let state = &mut self.state;
        if state.desired == Desired::StoppedByPerson {
            state.desired = Desired::Running;
        }
        state.seen = seen;
        state.started_at = started_at.or(state.started_at.filter(|_| same_run));
        state.up_since.get_or_insert(now);
        state.settle = None;
        state.next_start = None;
        state.last_failure = None;
        state.asked = false;
    }

    fn on_missing(&mut self, now: Time) {
        let known = !matches!(self.state.seen, Seen::Missing | Seen::Unknown | Seen::Foreign);
        let theirs = known && self.state.in_flight.is_none() && !self.state.echo;
        self.set_down(Seen::Missing);
        if theirs && self.state.desired == Desired::Running {
            self.state.settle = Some(Settle {
                until: now + KILL_SETTLES,
                cause: Cause::Removed,
            });
        }
    }

    fn on_restarting(&mut self, now: Time) {
        if self.state.seen.is_up() || self.state.seen == Seen::Unknown {
            self.set_down(Seen::Restarting);
            self.state.settle = Some(Settle {
                until: now + self.policy.start_timeout,
                cause: Cause::Exited,
            });
        }
    }

    fn on_exit(&mut self, now: Time, exit: &Exit, spec_matches: bool, first: bool) {
        let was_up = self.state.seen.is_up();
        let asked = self.is_ours_stop() || self.state.echo;
        let signalled = self.state.signalled.take();
        self.state.spec_matches = spec_matches;
        if was_up || first || self.state.seen == Seen::Restarting {
            self.state.last_exit = Some(LastExit {
                at: now,
                code: exit.code,
                oom: exit.oom,
            });
        }
        let down_before = matches!(self.state.seen, Seen::Exited);
        self.set_down(Seen::Exited);
        if asked || self.state.desired != Desired::Running || self.state.hold.is_some() || (down_before && !first) {
            return;
        }
        if let Some(cause) = signature::fatal(exit, signalled.is_some()) {
            self.state.hold = Some(cause);
            self.state.settle = None;
            return;
        }
        if first {
            // News of how it ended may still be on its way.
            self.state.settle = Some(Settle {
                until: now + KILL_SETTLES,
                cause: Cause::Exited,
            });
            return;
        }
        let stopped = self.state.settle.is_some_and(|s| s.cause == Cause::StoppedByPerson);
        match signalled {
            _ if stopped => {}
            Some(SIGKILL) => {
                self.state.settle = Some(Settle {
                    until: now + KILL_SETTLES,
                    cause: Cause::Killed,
                })
            }
            Some(_) => {
                self.state.settle = Some(Settle {
                    until: now + STOP_SETTLES,
                    cause: Cause::Killed,
                })
            }
            None => {
                self.count_crash(now);
                self.state.settle = Some(Settle {
                    until: now + self.policy.start_timeout,
                    cause: Cause::Exited,
                });
            }
        }
    }

    fn count_crash(&mut self, now: Time) {
        let state = &mut self.state;
        state.crash_restarts += 1;
        state.crashes.push_back(now);
        while state.crashes.front().is_some_and(|t| now.since(*t) > CRASH_WINDOW) {
            state.crashes.pop_front();
        }
        state.crashes.truncate(CRASH_LOOP);
        state.crash_loop |= state.crashes.len() >= CRASH_LOOP;
    }

    fn set_down(&mut self, seen: Seen) {
        self.state.seen = seen;
        self.state.up_since = None;
        self.state
            .trackers
            .values_mut()
            .for_each(crate::sync::Tracker::forget_windows);
    }

    /// Whether news from Docker's `at` is about this run and not about an action of ours that is over.
    fn is_news(&self, at: Option<i64>) -> bool {
        let Some(at) = at else { return true };
        let before_this_run = self.state.seen.is_up() && self.state.started_at.is_some_and(|s| at < s);
        !before_this_run && self.state.ours_until.is_none_or(|until| at > until)
    }

    fn is_ours_stop(&self) -> bool {
        matches!(self.state.in_flight, Some(ref a) if !matches!(a, Action::Start { .. }))
    }

    /// The wait before the next start of ours: nothing at first, then doubling up to the cap.
    pub(super) fn backoff(&self) -> Duration {
        let doublings = self.state.attempts.saturating_sub(1).min(30);
        match self.state.attempts {
            0 => Duration::ZERO,
            _ => self
                .policy
                .backoff_initial
                .saturating_mul(1 << doublings)
                .min(self.policy.backoff_max),
        }
    }
}
