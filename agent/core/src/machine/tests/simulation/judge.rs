//! The judge knows what is really wrong, and keeps its own books.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::messages::Messages;
use super::troubles::{Ailment, Trouble};
use super::world::{HOUR, MINUTE, Run, SECOND, World};
use crate::event::{Chain, Command, LifecycleAnswer, NoticeKind};
use crate::machine::{Action, Cause};

/// From the end of a window to the order: looks are up to a minute apart, looks at the host five.
const SLACK: u64 = 130 * SECOND;
/// The core counts from the last block before the trouble; blocks are up to twelve seconds apart.
pub(super) const EARLY: u64 = 20 * SECOND;
const BUDGET: usize = 3;
const BUDGET_WINDOW: u64 = 6 * HOUR;

#[derive(Default)]
pub(super) struct Score {
    pub(super) missed: Vec<String>,
    pub(super) wrong: Vec<String>,
    pub(super) harmful: Vec<String>,
    /// Messages beyond one when a condition begins and one when it is over.
    pub(super) repeated: Vec<String>,
    pub(super) restarts: BTreeMap<Cause, u32>,
    pub(super) met: BTreeMap<Trouble, u32>,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let counts = [&self.missed, &self.wrong, &self.harmful, &self.repeated].map(Vec::len);
        let troubles: u32 = self.met.values().sum();
        write!(
            f,
            "missed, false, harmful, repeated {counts:?}; {troubles} troubles, restarts {:?}",
            self.restarts
        )
    }
}

#[derive(Default)]
pub(super) struct Judge {
    pub(super) score: Score,
    pub(super) person_stopped: bool,
    pub(super) operator_stopped: bool,
    /// What EC2 announces.
    pub(super) notice: Option<NoticeKind>,
    pub(super) maintenance_until: u64,
    /// The agent has seen what it has to hold the container for.
    pub(super) hold_known: bool,
    /// When the present ailment began.
    began: u64,
    /// When it began or the present run, whichever is later.
    since: u64,
    /// Blocks that the parachain's exporter told of in the present run, whether they were seen to grow in
    /// number, and whether it was at its target then.
    imported: Option<u64>,
    moved: bool,
    pub(super) was_synced: bool,
    /// Nobody watched before.
    pub(super) watched_since: u64,
    /// Watched time of the present ailment in the present run, ms.
    pub(super) observed: u64,
    /// Restarts for the present ailment.
    tries: u32,
    /// Orders of health restarts, and watched time of ailments since one could last not be afforded, ms.
    spent: VecDeque<u64>,
    affordable: u64,
    /// Watched time that it has been down although it should run, or running although it should not, ms.
    astray: u64,
    /// Ends that nobody asked for, and whether they came so close together that it is a crash loop.
    crashes: VecDeque<u64>,
    pub(super) looping: bool,
    /// Watched time that a condition was not told, and that something was told that is not so, ms.
    pub(super) untold: BTreeMap<Cause, u64>,
    pub(super) baseless: BTreeMap<Cause, u64>,
    pub(super) messages: Messages,
}

impl Judge {
    pub(super) fn begin(&mut self, now: u64) {
        (self.began, self.since, self.observed, self.tries) = (now, now, 0, 0);
    }

    pub(super) fn begin_run(&mut self, now: u64) {
        (self.since, self.observed) = (now, 0);
        (self.imported, self.moved, self.was_synced) = (None, false, false);
        self.untold.clear();
        // Actions that fail after a start that did not are others.
        self.messages.begin_anew(Cause::ActionFailed);
    }

    /// Nobody watched until now.
    pub(super) fn watch_anew(&mut self, now: u64) {
        (self.watched_since, self.observed) = (now, 0);
        self.untold.clear();
    }

    pub(super) fn note_sample(&mut self, imported: u64, at_target: bool) {
        self.moved |= self.imported.is_some_and(|before| imported > before);
        self.imported = Some(imported);
        self.was_synced |= self.moved && at_target;
    }

    /// What nobody has seen well cannot be seen to fall ill.
    pub(super) fn has_seen_this_run(&self) -> bool {
        self.imported.is_some()
    }

    pub(super) fn run_lasts(&self, now: u64) -> u64 {
        now - self.since
    }

    pub(super) fn began(&self) -> u64 {
        self.began
    }

    /// How long the present ailment was watched in the present run, at most.
    pub(super) fn watched_for(&self, now: u64) -> u64 {
        now - self.since.max(self.watched_since)
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.person_stopped && !self.operator_stopped && !self.leaves()
    }

    /// Whether the instance is about to end.
    pub(super) fn leaves(&self) -> bool {
        self.notice >= Some(NoticeKind::SpotInterruption)
    }

    pub(super) fn is_new_trouble(&self, now: u64) -> bool {
        now - self.began < 3 * MINUTE
    }

    pub(super) fn note_crash(&mut self, now: u64) {
        self.crashes.retain(|at| now - at <= 10 * MINUTE);
        self.crashes.push_back(now);
        self.looping |= self.crashes.len() >= 5;
    }

    /// `resume`, `start` and `restart` say that things have changed.
    pub(super) fn note_command(&mut self, now: u64, command: &Command) {
        match command {
            Command::Resume => self.watch_anew(now),
            Command::Start { .. } | Command::Restart { .. } => {
                self.watch_anew(now);
                self.crashes.clear();
                self.looping = false;
            }
            Command::Stop { .. } | Command::Pause { .. } | Command::Update { .. } => {}
        }
    }

    /// Docker could not be asked: nothing was tried and nothing was spent.
    pub(super) fn was_not_done(&mut self, action: &Action) {
        if matches!(action, Action::Restart { cause, .. } if *cause != Cause::Operator) {
            self.tries -= 1;
            self.spent.pop_back();
        }
    }

    fn budget_left(&self, now: u64) -> usize {
        let spent = self.spent.iter().filter(|at| now - **at < BUDGET_WINDOW).count();
        BUDGET.saturating_sub(spent)
    }
}

impl World {
    pub(super) fn blame(&mut self, list: fn(&mut Score) -> &mut Vec<String>, what: String) {
        self.note(what);
        let story: Vec<_> = self.log.iter().rev().take(20).rev().cloned().collect();
        list(&mut self.judge.score).push(story.join("\n"));
    }

    fn false_order(&mut self, what: &str) {
        self.blame(|s| &mut s.wrong, what.to_owned());
    }

    fn harmful_order(&mut self, what: &str) {
        self.blame(|s| &mut s.harmful, what.to_owned());
    }

    pub(super) fn is_full(&self) -> bool {
        self.disk_free < self.policy.disk_floor
    }

    /// What the core orders, before it is done.
    pub(super) fn judge_order(&mut self, action: &Action) {
        let wanted = self.judge.is_wanted();
        let paused = self.now < self.judge.maintenance_until;
        let held = self.ails(Ailment::is_held) && self.judge.hold_known;
        let full = self.is_full();
        match *action {
            Action::Restart {
                cause: Cause::Operator, ..
            } => {
                *self.judge.score.restarts.entry(Cause::Operator).or_default() += 1;
            }
            Action::Restart { cause, .. } => {
                *self.judge.score.restarts.entry(cause).or_default() += 1;
                if !wanted || paused || held || full || !self.is_up() || !self.docker_up {
                    self.harmful_order("a restart against a wish, a hold or a full disk");
                }
                if self.ails(|a| a == Ailment::StateSync) {
                    self.harmful_order("a restart that throws a state sync away");
                }
                if self.judge.budget_left(self.now) == 0 {
                    self.harmful_order("a restart beyond the budget");
                }
                if !self.is_ill_with(cause) {
                    self.false_order("a restart without its cause");
                }
                self.judge.tries += 1;
                self.judge.spent.retain(|at| self.now - at < BUDGET_WINDOW);
                self.judge.spent.push_back(self.now);
            }
            Action::Start { .. } => {
                if !wanted || held || full || paused || !self.docker_up {
                    self.harmful_order("a start against a wish, a hold or a full disk");
                }
                if self.is_up() {
                    self.false_order("a start of what runs");
                }
            }
            Action::Stop { cause } => {
                let asked = cause == Cause::Operator && self.judge.operator_stopped;
                let no_room = cause == Cause::DiskFull && full;
                if !asked && !no_room {
                    self.harmful_order("a stop without reason");
                }
            }
            Action::StopWithin { .. } => {
                if !self.judge.leaves() {
                    self.harmful_order("a stop for a notice that nobody gave");
                }
            }
            Action::Hold { cause } => {
                let no_room = cause == Cause::DiskFull && full;
                if !no_room && !self.ails(|a| a == Ailment::Held(cause)) {
                    self.harmful_order("a hold without reason");
                }
            }
            Action::Backoff { .. } => {
                if !self.judge.looping {
                    self.false_order("a backoff without a crash loop");
                }
            }
            Action::AnswerLifecycle {
                answer: Some(LifecycleAnswer::Complete),
            } => {
                if self.is_up() {
                    self.harmful_order("an instance given up under a collator");
                }
            }
            Action::ReleaseIdentity { .. } | Action::HoldIdentity => {
                self.harmful_order("an order about a volume that this host does not have");
            }
            Action::Notify { .. }
            | Action::Judged { .. }
            | Action::Pull { .. }
            | Action::Updated { .. }
            | Action::AnswerLifecycle { .. } => {}
        }
    }

    /// Whether the node really has what a restart for `cause` would cure, and has had it long enough.
    fn is_ill_with(&self, cause: Cause) -> bool {
        if cause == Cause::FinalityStalled {
            return self.may_restart_for_finality();
        }
        let Some(window) = self.window() else { return false };
        let ill = match cause {
            Cause::Frozen => self.run == Run::Paused || self.ails(|a| a == Ailment::Frozen),
            Cause::Isolated => {
                use Ailment::{BothDeaf, Deaf, DeafForGood};
                self.network_up && self.ails(|a| matches!(a, Deaf | BothDeaf | DeafForGood))
            }
            Cause::NoExporter => self.ails(|a| matches!(a, Ailment::NoExporter | Ailment::NoExporterForGood)),
            Cause::Stalled => self.ails(|a| {
                use Ailment::{Eclipsed, ForksOnly, Rejecting, RelayStuck, Stuck, StuckForGood};
                matches!(a, Stuck | StuckForGood | Rejecting | RelayStuck | ForksOnly | Eclipsed)
            }),
            _ => false,
        };
        ill && self.is_worth_a_try() && self.judge.watched_for(self.now) + EARLY >= window
    }

    /// What did not help twice is not tried again; for want of an exporter or of finality once.
    pub(super) fn is_worth_a_try(&self) -> bool {
        use Ailment::{FinalityStands, NoExporter, NoExporterForGood};
        let once = self.ails(|a| matches!(a, NoExporter | NoExporterForGood | FinalityStands { .. }));
        self.judge.tries < if once { 1 } else { 2 }
    }

    /// How long the present ailment has to last, ms.
    fn window(&self) -> Option<u64> {
        use Ailment::{BothDeaf, Deaf, DeafForGood, ForksOnly, Rejecting, RelayStuck, Stuck, StuckForGood};
        if self.run == Run::Paused {
            return Some(2 * MINUTE);
        }
        Some(match self.ailment? {
            Ailment::Frozen => 2 * MINUTE,
            Ailment::NoExporter | Ailment::NoExporterForGood => 10 * MINUTE,
            Ailment::FinalityStands { alone: true } if self.reference_compels() => 30 * MINUTE,
            Ailment::Eclipsed if self.reference_may_know() => (5 * MINUTE) << self.judge.tries,
            Stuck | RelayStuck | Deaf | BothDeaf | StuckForGood | DeafForGood | Rejecting | ForksOnly => {
                (5 * MINUTE) << self.judge.tries
            }
            _ => return None,
        })
    }

    /// A look by a living agent: is anything overdue? `seen` says which exporters answered.
    pub(super) fn judge_look(&mut self, passed: u64, seen: [bool; 2]) {
        // The core forgets a crash loop after half an hour of running that it has seen.
        if self.run == Run::Up && self.now - self.judge.since > 35 * MINUTE {
            self.judge.looping = false;
        }
        self.judge_reports(passed, seen);
        if self.docker_up && self.now >= self.judge.maintenance_until {
            self.judge_wishes(passed);
            self.judge_ailment(passed, seen);
        }
    }

    /// Whether it runs exactly when it should.
    fn judge_wishes(&mut self, passed: u64) {
        let held = self.ails(Ailment::is_held);
        let full = self.is_full();
        let should_run = self.judge.is_wanted() && !held && !full;
        let possible = !should_run || self.now >= self.no_starts_until;
        if self.is_up() == should_run || !possible {
            self.judge.astray = 0;
            return;
        }
        self.judge.astray += passed;
        // The backoff of a crash loop and of starts that failed is five minutes; the host's room is looked
        // at every five.
        if self.judge.astray > 11 * MINUTE {
            self.judge.astray = 0;
            let what = match (self.is_up(), full) {
                (true, true) => "it runs on a full disk",
                (true, false) => "it runs but should not",
                (false, _) => "it should run but does not",
            };
            self.blame(|s| &mut s.missed, what.to_owned());
        }
    }

    /// Whether a restart is overdue.
    fn judge_ailment(&mut self, passed: u64, [para, relay]: [bool; 2]) {
        let visible = match self.ailment {
            _ if self.run == Run::Paused => !para && !relay,
            Some(Ailment::Frozen | Ailment::NoExporter | Ailment::NoExporterForGood) => {
                !para && !relay && self.run == Run::Up
            }
            Some(Ailment::RelayStuck) => relay && self.has_peers(Chain::Relaychain),
            Some(Ailment::Deaf | Ailment::BothDeaf | Ailment::DeafForGood) => para && self.network_up,
            Some(Ailment::FinalityStands { .. }) => para && relay && self.network_up && self.para.behind() < 5,
            Some(Ailment::Eclipsed) if !self.reference_compels() => false,
            Some(_) => para && relay && self.para.behind() > 10 && self.has_peers(Chain::Parachain),
            None => false,
        };
        let Some(window) = self.window().filter(|_| visible && self.is_worth_a_try()) else {
            return;
        };
        if self.in_flight.is_some() {
            return;
        }
        self.judge.observed += passed;
        self.judge.affordable = match self.judge.budget_left(self.now) {
            0 => 0,
            _ => self.judge.affordable + passed,
        };
        let works = self.ails(|a| matches!(a, Ailment::Rejecting | Ailment::ForksOnly));
        let extension = if works { 3 } else { 1 };
        if self.judge.affordable > SLACK && self.judge.observed > window * extension + SLACK {
            self.blame(|s| &mut s.missed, "no restart although it was time".to_owned());
            self.judge.observed = 0;
        }
    }
}
