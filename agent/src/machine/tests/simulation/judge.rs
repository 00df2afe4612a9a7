//! The judge knows what is really wrong.

use std::collections::BTreeMap;
use std::fmt;

use super::troubles::Ailment;
use super::world::{HOUR, MINUTE, Run, SECOND, World};
use crate::event::Chain;
use crate::machine::{Action, Cause, Machine};

/// From the end of the window to the order: looks are 15 s apart, the host is looked at every five minutes.
const SLACK: u64 = 130 * SECOND;

#[derive(Default)]
pub(super) struct Score {
    pub(super) missed: Vec<String>,
    pub(super) wrong: Vec<String>,
    pub(super) harmful: Vec<String>,
    pub(super) restarts: BTreeMap<Cause, u32>,
    pub(super) met: BTreeMap<&'static str, u32>,
    pub(super) person_stopped: bool,
    pub(super) operator_stopped: bool,
    pub(super) maintenance_until: u64,
    /// Watched time of the present ailment in the present run, ms.
    pub(super) observed: u64,
    /// When the present ailment began or the present run, whichever is later.
    since: u64,
    /// When the present ailment began.
    began: u64,
    /// Restarts for the present ailment.
    tries: u32,
    /// Watched time that it has been down although it should run, or running although it should not, ms.
    astray: u64,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let counts = [&self.missed, &self.wrong, &self.harmful].map(Vec::len);
        let troubles: u32 = self.met.values().sum();
        write!(
            f,
            "missed, false, harmful {counts:?}; {troubles} troubles, restarts {:?}",
            self.restarts
        )
    }
}

impl Score {
    pub(super) fn begin(&mut self, now: u64) {
        (self.began, self.since, self.observed, self.tries) = (now, now, 0, 0);
    }

    pub(super) fn begin_run(&mut self, now: u64) {
        (self.since, self.observed) = (now, 0);
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.person_stopped && !self.operator_stopped
    }

    /// An ailment that comes with the new run is not cured by it.
    pub(super) fn is_new_trouble(&self, now: u64) -> bool {
        now - self.began < MINUTE
    }
}

impl World {
    fn blame(&mut self, list: fn(&mut Score) -> &mut Vec<String>, what: &str) {
        self.note(what.to_owned());
        let story: Vec<_> = self.log.iter().rev().take(20).rev().cloned().collect();
        list(&mut self.score).push(story.join("\n"));
    }

    /// What the core orders, before it is done.
    pub(super) fn judge_order(&mut self, action: &Action) {
        let wanted = self.score.is_wanted();
        let paused = self.now < self.score.maintenance_until;
        let corrupt = self.ails(|a| *a == Ailment::Corrupt);
        let full = self.disk_free < 2 << 30;
        match *action {
            Action::Restart { cause } => {
                *self.score.restarts.entry(cause).or_default() += 1;
                if cause == Cause::Operator {
                    return;
                }
                if !wanted || paused || corrupt || self.run == Run::Missing || self.run == Run::Exited {
                    self.blame(|s| &mut s.harmful, "a restart against a wish or a hold");
                }
                if !self.is_ill_with(cause) {
                    self.blame(|s| &mut s.wrong, "a restart without its cause");
                }
                self.score.tries += 1;
            }
            Action::Start { .. } => {
                if !wanted || corrupt || full || (paused && !self.by_hand) {
                    self.blame(|s| &mut s.harmful, "a start against a wish, a hold or a full disk");
                }
                if self.run == Run::Up {
                    self.blame(|s| &mut s.wrong, "a start of what runs");
                }
            }
            Action::Stop { cause } => {
                if !(cause == Cause::DiskFull && full || cause == Cause::Operator && self.score.operator_stopped) {
                    self.blame(|s| &mut s.harmful, "a stop without reason");
                }
            }
            Action::Hold { .. } => {
                if !corrupt {
                    self.blame(|s| &mut s.harmful, "a hold without reason");
                }
            }
            Action::Backoff { .. } => {
                if !self.ails(|a| matches!(a, Ailment::CrashLoop(_))) {
                    self.blame(|s| &mut s.wrong, "a backoff without a crash loop");
                }
            }
            Action::Notify { .. } | Action::Judged { .. } => {}
        }
    }

    /// Whether the node really has what a restart for `cause` would cure, and has had it long enough.
    fn is_ill_with(&self, cause: Cause) -> bool {
        let Some(window) = self.window() else { return false };
        let ill = match cause {
            Cause::Frozen => self.run == Run::Paused || self.ails(|a| *a == Ailment::Frozen),
            Cause::Isolated => self.network_up && self.ails(|a| matches!(a, Ailment::Deaf | Ailment::DeafForGood)),
            Cause::NoExporter => self.ails(|a| *a == Ailment::NoExporter),
            Cause::Stalled => self.ails(|a| {
                use Ailment::{Rejecting, RelayStuck, Stuck, StuckForGood};
                matches!(a, Stuck | StuckForGood | Rejecting | RelayStuck)
            }),
            _ => false,
        };
        // A try that is not worth it any more would be false too.
        let worth = self.score.tries < if cause == Cause::NoExporter { 1 } else { 2 };
        ill && worth && self.now - self.score.since + 20 * SECOND >= window
    }

    /// How long the present ailment has to last, ms.
    fn window(&self) -> Option<u64> {
        if self.run == Run::Paused {
            return Some(2 * MINUTE);
        }
        Some(match self.ailment? {
            Ailment::Frozen => 2 * MINUTE,
            Ailment::NoExporter => 10 * MINUTE,
            Ailment::Stuck | Ailment::RelayStuck | Ailment::Deaf => 5 * MINUTE,
            Ailment::StuckForGood | Ailment::DeafForGood | Ailment::Rejecting => (5 * MINUTE) << self.score.tries,
            _ => return None,
        })
    }

    /// A look by a living agent: is anything overdue? `seen` says which exporters answered.
    pub(super) fn judge_look(&mut self, passed: u64, seen: [bool; 2]) {
        let Some(budget) = self.agent.as_ref().map(Machine::budget_left) else {
            return;
        };
        if !self.docker_up || self.now < self.score.maintenance_until {
            return;
        }
        let corrupt = self.ails(|a| *a == Ailment::Corrupt);
        let full = self.disk_free < 2 << 30;
        let should_run = self.score.is_wanted() && !corrupt && !full;
        let runs = matches!(self.run, Run::Up | Run::Paused);
        let room = should_run || !full;
        self.score.astray = if runs == should_run {
            0
        } else {
            self.score.astray + passed
        };
        if self.score.astray > 10 * MINUTE && room {
            self.blame(
                |s| &mut s.missed,
                if runs {
                    "it runs but should not"
                } else {
                    "it should run but does not"
                },
            );
            self.score.astray = 0;
        } else if self.score.astray > 10 * MINUTE {
            self.blame(|s| &mut s.missed, "it runs on a full disk");
            self.score.astray = 0;
        }
        let both = seen[0] || seen[1];
        let visible = match self.ailment {
            _ if self.run == Run::Paused => !both,
            Some(Ailment::Frozen | Ailment::NoExporter) => !both && runs,
            Some(Ailment::RelayStuck) => seen[1] && self.has_peers(Chain::Relaychain),
            Some(Ailment::Deaf | Ailment::DeafForGood) => seen[0] && self.network_up,
            Some(_) => seen[0] && seen[1] && self.para.behind() > 10 && self.has_peers(Chain::Parachain),
            None => false,
        };
        let worth = match self.ailment {
            Some(Ailment::NoExporter) => self.score.tries < 1,
            _ => self.score.tries < 2,
        };
        let Some(window) = self
            .window()
            .filter(|_| visible && worth && budget > 0 && !self.is_acting())
        else {
            return;
        };
        self.score.observed += passed;
        let extension = if self.ails(|a| *a == Ailment::Rejecting) { 3 } else { 1 };
        if self.score.observed > window * extension + SLACK {
            self.blame(|s| &mut s.missed, "no restart although it was time");
            self.score.observed = 0;
        }
        debug_assert!(window < 24 * HOUR);
    }
}
