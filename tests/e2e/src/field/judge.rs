//! Judges what was done to a case by its label, and runs the agent's core over a case, in virtual time and open loop: after
//! an action the case goes on as it is.

use std::collections::BTreeSet;

use agent_core::cause::Cause;
use agent_core::event::{Container, Event, Exit, Outcome, Time};
use agent_core::machine::{Action, Machine, Phase};

use super::{Case, Expect, Label};

/// Deadlines between two events at most: more is one that does not move.
const MAX_TICKS: u32 = 10_000;

/// Something done to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Restart,
    /// Stopped and left so.
    Hold,
    /// Started after it ended by itself.
    Revive,
}

/// When it was done, seconds, and why where that is known.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    pub at: u64,
    pub step: Step,
    pub cause: Option<Cause>,
}

/// What was done in the course of a case.
#[derive(Debug, Default)]
pub struct Record {
    pub acts: Vec<Act>,
    /// When it was told that a condition began, seconds, and which.
    pub messages: Vec<(u64, Cause)>,
    pub phases: BTreeSet<Phase>,
}

/// What of it was wrong.
#[derive(Debug, Default)]
pub struct Judgement {
    /// The action that was needed did not come, or too late.
    pub missed: Option<String>,
    /// An action that was not needed.
    pub excess: Option<String>,
    /// Starts and restarts that threw work away or damaged the database.
    pub harmful: usize,
    /// Too many messages, none where one was needed, a phase that is not so.
    pub words: Vec<String>,
}

impl Judgement {
    /// The core has a fault: what it wrote stands on standard error.
    pub(super) fn panicked() -> Self {
        Self {
            words: vec!["panicked".to_owned()],
            ..Self::default()
        }
    }

    pub fn is_right(&self) -> bool {
        self.acts_right() && self.words.is_empty()
    }

    pub fn acts_right(&self) -> bool {
        self.missed.is_none() && self.excess.is_none() && self.harmful == 0
    }

    pub fn text(&self) -> String {
        let harm = (self.harmful > 0).then(|| format!("{} harmful", self.harmful));
        let parts = [self.missed.clone(), self.excess.clone(), harm];
        let all: Vec<_> = parts.into_iter().flatten().chain(self.words.iter().cloned()).collect();
        all.join("; ")
    }
}

impl Label {
    /// Judges the actions; those that come up to `later` seconds after their time are in time.
    pub fn judge_acts(&self, acts: &[Act], later: u64) -> Judgement {
        let mut judgement = Judgement::default();
        let harms = |act: &&Act| {
            let hit = self
                .fragile
                .iter()
                .any(|(from, until)| (*from..*until).contains(&act.at));
            act.step != Step::Hold && hit
        };
        judgement.harmful = acts.iter().filter(harms).count();
        let acts: Vec<_> = acts.iter().filter(|act| act.step != Step::Revive).collect();
        let Some(first) = acts.first() else {
            if self.expect != Expect::Nothing {
                judgement.missed = Some(format!("missed {:?}", self.expect));
            }
            return judgement;
        };
        let found = format!("{:?} ({}) at {} s", first.step, name(first.cause), first.at);
        let same = |wanted: Option<Cause>| wanted.is_none() || first.cause.is_none() || first.cause == wanted;
        let fits = match self.expect {
            Expect::Nothing => {
                if acts.len() > self.max_restarts {
                    judgement.excess = Some(format!("{} actions, the first {found}", acts.len()));
                }
                return judgement;
            }
            Expect::Restart(cause) => first.step == Step::Restart && same(cause),
            Expect::Hold(cause) => first.step == Step::Hold && same(Some(cause)),
        };
        if first.at < self.from {
            judgement.excess = Some(format!("{found}, not before {} s", self.from));
        } else if !fits {
            judgement.missed = Some(format!("{found} instead of {:?}", self.expect));
        } else if first.at > self.until + later {
            judgement.missed = Some(format!("{found}, not after {} s", self.until));
        }
        judgement
    }

    /// Judges actions, messages and phases.
    pub fn judge(&self, record: &Record) -> Judgement {
        let mut judgement = self.judge_acts(&record.acts, 0);
        let words = &mut judgement.words;
        let told = &record.messages;
        if let Some(most) = self.notify_max.filter(|most| told.len() > *most) {
            let list: Vec<_> = told
                .iter()
                .take(8)
                .map(|(at, cause)| format!("{} {at}", name(Some(*cause))))
                .collect();
            words.push(format!("{} messages, at most {most}: {}", told.len(), list.join(", ")));
        }
        if let Some(by) = self.tells_by
            && !told.iter().any(|(at, _)| (self.from..=by).contains(at))
        {
            words.push(format!("not told from {} to {by} s", self.from));
        }
        words.extend(
            self.never
                .iter()
                .filter(|p| record.phases.contains(p))
                .map(|p| format!("phase {p:?}")),
        );
        judgement
    }
}

fn name(cause: Option<Cause>) -> &'static str {
    cause.map_or("-", |cause| cause.into_str())
}

/// What the agent's core does in a case.
pub fn agent(case: &Case) -> Record {
    let began = case.events.first().map_or(Time(0), |(at, _)| *at);
    let mut player = Player {
        machine: Machine::new(case.policy.clone(), began),
        now: began,
        awaited: None,
        presumed: false,
        record: Record::default(),
    };
    for (at, event) in &case.events {
        player.event(*at, event.clone());
    }
    player.record
}

struct Player {
    machine: Machine,
    now: Time,
    /// What the container is after the action that is under way.
    awaited: Option<Container>,
    /// The core started it, and the case has not shown it running since: failed scrapes mean nothing.
    presumed: bool,
    record: Record,
}

impl Player {
    fn event(&mut self, at: Time, event: Event) {
        self.settle();
        self.presumed &= !matches!(
            event,
            Event::Sample { .. } | Event::Container(Container::Running { .. })
        );
        if matches!(event, Event::Gap) {
            self.now = at;
        }
        for _ in 0..MAX_TICKS {
            let Some(due) = self.machine.next_deadline().filter(|due| *due <= at) else {
                break;
            };
            self.step(due.max(self.now), Event::Tick);
            self.settle();
        }
        let missed = self.presumed && matches!(event, Event::ScrapeFailed { .. });
        self.step(at, if missed { Event::Tick } else { event });
    }

    fn settle(&mut self) {
        while let Some(container) = self.awaited.take() {
            self.step(self.now, Event::Finished(Outcome::Done { container, at: None }));
        }
    }

    fn step(&mut self, now: Time, event: Event) {
        self.now = now;
        let actions = self.machine.step(now, event);
        self.record.phases.insert(self.machine.phase());
        for action in actions {
            self.note(&action);
        }
    }

    fn note(&mut self, action: &Action) {
        let (at, cause) = (self.now.0 / 1000, action.cause());
        let running = Container::Running {
            started_at: None,
            spec_matches: true,
        };
        let exited = Container::Exited {
            at: None,
            exit: Exit::default(),
            spec_matches: true,
        };
        let (step, after) = match action {
            Action::Notify { over: false, .. } => return self.record.messages.push((at, cause)),
            Action::Start { .. } => (Some(Step::Revive), running),
            Action::Restart { .. } => (Some(Step::Restart), running),
            Action::Stop { .. } | Action::StopWithin { .. } | Action::Hold { .. } => (Some(Step::Hold), exited),
            Action::Backoff { .. } => (None, exited),
            _ => return,
        };
        self.presumed = step == Some(Step::Revive);
        self.awaited = Some(after);
        self.record.acts.extend(step.map(|step| Act {
            at,
            step,
            cause: Some(cause),
        }));
    }
}
