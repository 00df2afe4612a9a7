//! Both directions in a world of engine, systemd and agent, killed and booted after each step.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

/// The engine, systemd and the agent, as far as a takeover touches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct World {
    policy: Policy,
    /// What the record says; `None` without one.
    recorded: Option<Policy>,
    is_kept: bool,
    runs: bool,
    /// Docker's own note that it was stopped by hand.
    stopped_by_hand: bool,
    unit: Option<UnitState>,
    /// Without systemd.
    agent_lives: bool,
    /// The agent keeps its collator stopped, also after it was started anew.
    agent_stopped: bool,
    collator: CollatorState,
    collator_by_hand: bool,
    /// Whether both containers are to have one name.
    one_name: bool,
    /// Whether an identity is required that another host holds.
    lacks_identity: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    No,
    Always,
    UnlessStopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Back,
}

impl World {
    fn begin(policy: Policy, unit: Option<UnitState>, one_name: bool) -> Self {
        Self {
            policy,
            recorded: None,
            is_kept: false,
            runs: true,
            stopped_by_hand: false,
            unit,
            agent_lives: true,
            agent_stopped: false,
            collator: CollatorState::Missing,
            collator_by_hand: false,
            one_name,
            lacks_identity: false,
        }
    }

    fn has_agent(&self) -> bool {
        self.unit.map_or(self.agent_lives, |unit| unit.is_active)
    }

    fn observe(&self) -> Observed {
        Observed {
            is_recorded: self.recorded.is_some(),
            predecessor: Some(PredecessorState {
                is_kept: self.is_kept,
                runs: self.runs,
                restarts: self.policy != Policy::No,
                has_recorded_policy: self.recorded.is_none_or(|recorded| recorded == self.policy),
            }),
            unit: self.unit,
            agent: match self.has_agent() {
                false => AgentState::Absent,
                true if self.agent_stopped => AgentState::Stopped,
                true => AgentState::Answers,
            },
            collator: self.collator,
            collator_has_name: self.one_name && self.collator != CollatorState::Missing,
            lacks_identity: self.lacks_identity,
        }
    }

    /// What the agent does by itself; it starts nothing beside another container on the data.
    fn agent_acts(&mut self) {
        let name_is_free = !self.one_name || self.is_kept;
        if !self.has_agent() || self.agent_stopped || !name_is_free || self.lacks_identity {
            return;
        }
        if self.collator == CollatorState::Missing {
            self.collator = CollatorState::Down;
        }
        if !self.runs {
            self.collator = CollatorState::Runs;
            self.collator_by_hand = false;
        }
    }

    /// Docker starts what its policies say, and systemd what is enabled.
    fn boot(&mut self) {
        self.runs = match self.policy {
            Policy::No => false,
            Policy::Always => true,
            Policy::UnlessStopped => !self.stopped_by_hand,
        };
        if self.collator == CollatorState::Runs && self.collator_by_hand {
            self.collator = CollatorState::Down;
        }
        if let Some(unit) = &mut self.unit {
            unit.is_active = unit.is_enabled;
        }
        self.check();
        self.agent_acts();
    }

    fn check(&self) {
        assert!(
            !(self.runs && self.collator == CollatorState::Runs),
            "both run: {self:?}"
        );
    }

    fn someone_runs(&self) -> bool {
        self.runs || self.collator == CollatorState::Runs
    }

    fn do_step(&mut self, step: Step) {
        match step {
            Step::Record => self.recorded = Some(self.policy),
            Step::EnableUnit => self.unit.as_mut().unwrap().is_enabled = true,
            Step::StartAgent => self.unit.as_mut().unwrap().is_active = true,
            Step::AwaitIdentity => self.lacks_identity = false,
            Step::Rename => self.is_kept = true,
            Step::Prepare | Step::StartCollator => self.agent_stopped = false,
            Step::DisableRestarts => self.policy = Policy::No,
            Step::StopPredecessor => {
                self.agent_stopped = false;
                (self.runs, self.stopped_by_hand) = (false, true);
            }
            Step::Done => {}
        }
        self.agent_acts();
        self.check();
    }

    fn do_undo_step(&mut self, step: UndoStep) {
        match step {
            UndoStep::StopAgent => {
                if let Some(unit) = &mut self.unit {
                    unit.is_active = false;
                } else {
                    self.agent_stopped = true;
                    self.stop_collator();
                }
            }
            UndoStep::StopCollator => self.stop_collator(),
            UndoStep::StartPredecessor => {
                assert!(self.collator != CollatorState::Runs, "{self:?}");
                (self.runs, self.stopped_by_hand) = (true, false);
            }
            UndoStep::RestoreRestarts => self.policy = self.recorded.unwrap(),
            UndoStep::RemoveCollator => self.collator = CollatorState::Missing,
            UndoStep::RenameBack => {
                assert!(!self.observe().collator_has_name, "{self:?}");
                self.is_kept = false;
            }
            UndoStep::DisableUnit => self.unit.as_mut().unwrap().is_enabled = false,
            UndoStep::Forget => self.recorded = None,
            UndoStep::Done => {}
        }
        self.agent_acts();
        self.check();
    }

    fn stop_collator(&mut self) {
        if self.collator == CollatorState::Runs {
            (self.collator, self.collator_by_hand) = (CollatorState::Down, true);
        }
    }

    /// One step in that direction; `false` when there is none left.
    fn advance(&mut self, direction: Direction) -> bool {
        match direction {
            Direction::Forward => {
                let step = next_step(&self.observe());
                self.do_step(step);
                step != Step::Done
            }
            Direction::Back => {
                let step = next_undo_step(&self.observe());
                self.do_undo_step(step);
                step != UndoStep::Done
            }
        }
    }

    /// As many steps as there are, or `most`.
    fn run(&mut self, direction: Direction, most: usize) -> usize {
        let steps = (0..most.min(30)).take_while(|_| self.advance(direction)).count();
        assert!(steps < 30, "no end: {self:?}");
        steps
    }
}

fn beginnings() -> Vec<World> {
    let unit = |is_enabled, is_active| Some(UnitState { is_enabled, is_active });
    let mut worlds = Vec::new();
    for policy in [Policy::No, Policy::Always, Policy::UnlessStopped] {
        for unit in [None, unit(false, false), unit(true, false), unit(true, true)] {
            for one_name in [false, true] {
                worlds.push(World::begin(policy, unit, one_name));
            }
        }
    }
    worlds
}

/// Every world in which a call can be killed, in either direction, and after a boot.
fn interrupted() -> Vec<World> {
    let mut worlds = Vec::new();
    for begin in beginnings() {
        let mut there = begin;
        let length = there.run(Direction::Forward, usize::MAX);
        let back = there.run(Direction::Back, usize::MAX);
        for forward in 0..=length {
            let mut world = begin;
            world.run(Direction::Forward, forward);
            worlds.push(world);
        }
        for back in 0..=back {
            let mut world = begin;
            world.run(Direction::Forward, usize::MAX);
            world.run(Direction::Back, back);
            worlds.push(world);
        }
    }
    let booted = worlds.clone().into_iter().map(|mut world| {
        world.boot();
        world
    });
    worlds.extend(booted.collect::<Vec<_>>());
    worlds
}

#[test]
fn takeover_ends_with_the_collator_and_keeps_the_way_back() {
    for mut world in beginnings() {
        let policy = world.policy;
        world.run(Direction::Forward, usize::MAX);
        assert_eq!(
            (world.collator, world.runs, world.is_kept, world.policy, world.recorded),
            (CollatorState::Runs, false, true, Policy::No, Some(policy))
        );
    }
}

#[test]
fn undo_after_takeover_restores_name_policy_and_run() {
    for begin in beginnings() {
        let mut world = begin;
        world.run(Direction::Forward, usize::MAX);
        world.run(Direction::Back, usize::MAX);
        assert_eq!(
            (world.runs, world.is_kept, world.policy, world.recorded),
            (true, false, begin.policy, None)
        );
        assert!(
            world.unit.is_none_or(|unit| !unit.is_enabled && !unit.is_active),
            "{world:?}"
        );
    }
}

#[test]
fn interrupted_takeover_ends_in_the_next_call_of_either_direction() {
    for begin in interrupted() {
        let mut world = begin;
        world.run(Direction::Forward, usize::MAX);
        assert!(
            world.collator == CollatorState::Runs && !world.runs,
            "{begin:?} {world:?}"
        );
        let mut world = begin;
        world.run(Direction::Back, usize::MAX);
        assert!(
            world.runs && world.collator != CollatorState::Runs,
            "{begin:?} {world:?}"
        );
    }
}

#[test]
fn killed_takeover_leaves_one_running_before_and_after_a_boot() {
    for begin in beginnings() {
        for steps in 0..12 {
            let mut world = begin;
            world.run(Direction::Forward, steps);
            assert!(world.someone_runs(), "killed after {steps}: {world:?}");
            world.boot();
            // Without a restart policy nothing came back with the host before either.
            let came_back = begin.policy != Policy::No;
            assert!(world.someone_runs() || !came_back, "booted after {steps}: {world:?}");
        }
    }
}

#[test]
fn killed_undo_leaves_none_running_only_between_stop_and_start() {
    for begin in beginnings() {
        for steps in 0..12 {
            let mut world = begin;
            world.run(Direction::Forward, usize::MAX);
            world.run(Direction::Back, steps);
            let next = next_undo_step(&world.observe());
            let is_between = next == UndoStep::StartPredecessor;
            assert!(world.someone_runs() || is_between, "killed after {steps}: {world:?}");
            world.boot();
            // An agent that systemd does not run keeps its collator stopped.
            let is_restored = !is_between && next != UndoStep::RestoreRestarts;
            let comes_back = begin.policy != Policy::No && (world.unit.is_some() || is_restored);
            assert!(world.someone_runs() || !comes_back, "booted after {steps}: {world:?}");
        }
    }
}

#[test]
fn predecessor_gone_on_exit_leaves_the_start_to_the_agent() {
    let gone = |collator| Observed {
        predecessor: None,
        collator,
        ..World::begin(Policy::No, None, false).observe()
    };
    assert_eq!(next_step(&gone(CollatorState::Down)), Step::StartCollator);
    assert_eq!(next_step(&gone(CollatorState::Runs)), Step::Done);
}

#[test]
fn outdated_agent_is_started_anew_before_anything_is_renamed() {
    let mut seen = World::begin(Policy::Always, None, false).observe();
    (seen.is_recorded, seen.agent) = (true, AgentState::Outdated);
    assert_eq!(next_step(&seen), Step::StartAgent);
    seen.collator = CollatorState::Runs;
    assert_eq!(next_step(&seen), Step::Rename);
}

#[test]
fn nothing_is_taken_from_a_predecessor_that_runs_while_the_identity_is_not_held() {
    for begin in interrupted().into_iter().filter(|world| world.runs) {
        let mut world = World {
            lacks_identity: true,
            ..begin
        };
        while world.lacks_identity {
            let before = (world.is_kept, world.policy, world.runs);
            assert!(world.advance(Direction::Forward), "{begin:?}");
            assert_eq!((world.is_kept, world.policy, world.runs), before, "{begin:?}");
        }
        world.run(Direction::Forward, usize::MAX);
        assert!(!world.runs && world.collator == CollatorState::Runs, "{begin:?}");
    }
}
