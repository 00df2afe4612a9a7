//! The agent can be killed at any instant: what it knew survives, what it did not see proves nothing.

use super::rig::*;
use crate::event::{Container, Event, Exit};
use crate::machine::{Action, Cause, Health, Machine, Phase};

fn exited(at: i64, code: i64) -> Container {
    Container::Exited {
        at: Some(at),
        exit: Exit {
            code: Some(code),
            ..Exit::default()
        },
        spec_matches: true,
    }
}

#[test]
fn nothing_is_done_before_the_container_was_looked_at() {
    let mut rig = Rig::synced();
    rig.exits(1, &[]);
    rig.run(20);
    rig.agent_dies(MINUTE);
    rig.event(Event::Docker { reachable: true });
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.runs_anew();
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
}

#[test]
fn a_healthy_collator_is_adopted_and_not_touched() {
    let mut rig = Rig::synced();
    let up_since = rig.machine.up_since();
    rig.agent_dies(MINUTE);
    rig.container(running(rig.run));
    assert_eq!(rig.machine.up_since(), up_since);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn windows_start_anew_because_nobody_watched() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 500);
    for _ in 0..10 {
        rig.run(4 * MINUTE);
        rig.agent_dies(5);
        rig.container(running(rig.run));
    }
    assert_eq!(rig.deeds(), []);
    let since = rig.seconds();
    rig.run(6 * MINUTE);
    assert_eq!(rig.times(since), [305]);
}

#[test]
fn the_budget_and_the_count_of_unhelpful_restarts_survive() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(20 * MINUTE);
    assert_eq!(rig.deeds().len(), 2);
    for _ in 0..10 {
        rig.agent_dies(MINUTE);
        rig.container(running(rig.run));
        rig.run(2 * HOUR);
    }
    assert_eq!(rig.deeds().len(), 2);
    assert!(rig.wrong().contains(&Cause::NotHelping));
}

#[test]
fn what_died_meanwhile_is_started() {
    let mut rig = Rig::synced();
    rig.agent_dies(HOUR);
    rig.container(exited(rig.wall() - 1000, 1));
    rig.run(5);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
}

#[test]
fn what_a_person_stopped_meanwhile_stays_stopped() {
    let mut rig = Rig::synced();
    let died = rig.wall();
    rig.agent_dies(HOUR);
    // A look at the container first, then the events since the last one heard.
    rig.container(exited(died + 60_000, 0));
    let at = Some(died + 59_000);
    rig.event(Event::Container(Container::Signalled { at, signal: 15 }));
    rig.event(Event::Container(exited(died + 60_000, 0)));
    let at = Some(died + 60_000);
    rig.event(Event::Container(Container::Stopped { at }));
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::StoppedByPerson]);
}

#[test]
fn what_a_person_stopped_meanwhile_stays_stopped_after_a_crash_loop_too() {
    let mut rig = Rig::after_a_crash_loop();
    let at = rig.wall();
    rig.agent_dies(MINUTE);
    rig.container(exited(at, 0));
    rig.event(Event::Container(Container::Signalled {
        at: Some(at),
        signal: 15,
    }));
    rig.event(Event::Container(exited(at, 0)));
    rig.event(Event::Container(Container::Stopped { at: Some(at) }));
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert!(rig.wrong().contains(&Cause::StoppedByPerson));
}

#[test]
fn what_was_removed_meanwhile_is_created_anew() {
    let mut rig = Rig::synced();
    rig.agent_dies(HOUR);
    rig.container(Container::Missing);
    rig.run(5);
    assert_eq!(rig.deeds(), [start(Cause::Removed)]);
}

#[test]
fn what_is_told_again_begins_with_the_run_that_is_known() {
    let mut rig = Rig::synced();
    assert_eq!(rig.machine.watch_from(), Some(rig.run), "nothing was missed so far");
    // A person's `docker restart`: its stop is of the run before.
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.now.0 += 1000;
    rig.runs_anew();
    rig.run(HOUR);
    rig.agent_dies(MINUTE);
    assert_eq!(rig.machine.watch_from(), Some(rig.run));
}

#[test]
fn an_older_stop_of_ours_that_is_told_again_is_no_persons_wish() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(5 * MINUTE);
    let at = Some(rig.run - 1);
    rig.para.moves = true;
    rig.run(MINUTE);
    rig.agent_dies(5);
    rig.container(running(rig.run));
    rig.event(Event::Container(Container::Signalled { at, signal: 15 }));
    rig.event(Event::Container(exited(rig.run - 1, 0)));
    rig.event(Event::Container(Container::Stopped { at }));
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1);
    rig.expect(Phase::Synced, Health::Ok);
}

/// An action is ordered, and the agent is killed while it is carried out.
fn killed_during(order: impl Fn(&mut Rig)) -> Rig {
    let mut rig = Rig::synced();
    rig.obeys = false;
    order(&mut rig);
    assert_eq!(rig.deeds().len(), 1);
    rig.log.clear();
    rig.agent_dies(3);
    rig.obeys = true;
    rig
}

fn stall(rig: &mut Rig) {
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(5 * MINUTE);
    (rig.para.moves, rig.para.behind) = (true, 0);
}

#[test]
fn killed_before_a_restart_had_begun_the_container_is_adopted() {
    let mut rig = killed_during(stall);
    rig.container(running(rig.run));
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
}

#[test]
fn a_stop_that_never_came_of_a_restart_is_not_waited_for_for_ever() {
    let mut rig = killed_during(stall);
    rig.container(running(rig.run));
    rig.run(HOUR);
    // A person's `docker stop` is a wish and no echo.
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::StoppedByPerson]);
}

#[test]
fn killed_between_the_stop_and_the_start_of_a_restart_it_is_started() {
    let mut rig = killed_during(stall);
    let now = rig.wall();
    rig.container(exited(now, 0));
    rig.run(5);
    assert_eq!(rig.deeds().len(), 1);
    assert!(matches!(rig.deeds()[0], Action::Start { .. }));
    rig.run(HOUR);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn killed_while_the_stop_of_a_restart_goes_on_its_end_is_no_persons_wish() {
    let mut rig = killed_during(stall);
    rig.container(running(rig.run));
    rig.run(5);
    rig.exits(0, &[]);
    rig.stopped();
    rig.run(MINUTE);
    assert_eq!(rig.deeds().len(), 1);
    rig.run(HOUR);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn killed_after_the_restart_the_new_run_is_adopted() {
    let mut rig = killed_during(stall);
    rig.runs_anew();
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_hold_that_was_cut_short_is_carried_out_again() {
    let corrupt = |rig: &mut Rig| rig.exits(1, &["Backend error: Corruption: x"]);
    let hold = Action::Hold {
        cause: Cause::DatabaseCorrupted,
    };
    // Docker's policy started it again meanwhile, or did not.
    let mut rig = killed_during(corrupt);
    rig.runs_anew();
    assert_eq!(rig.deeds(), std::slice::from_ref(&hold));
    let mut rig = killed_during(corrupt);
    let now = rig.wall();
    rig.container(exited(now, 1));
    assert_eq!(rig.deeds(), [hold]);
    rig.run(HOUR);
    rig.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_start_that_was_cut_short_is_ordered_again_only_when_needed() {
    let exit = |rig: &mut Rig| {
        rig.exits(1, &[]);
        rig.run(MINUTE);
    };
    let mut rig = killed_during(exit);
    rig.runs_anew();
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    let mut rig = killed_during(exit);
    rig.container(Container::Created { spec_matches: true });
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
}

#[test]
fn pause_stop_and_hold_survive() {
    let mut rig = Rig::synced();
    rig.command(pause(24 * HOUR));
    rig.agent_dies(HOUR);
    rig.container(running(rig.run));
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Paused, Health::Critical);

    let mut rig = Rig::synced();
    rig.exits(1, &["Backend error: Corruption: x"]);
    rig.agent_dies(HOUR);
    rig.container(exited(rig.run + 1, 1));
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1);
    rig.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_chain_that_was_added_to_the_configuration_gets_its_tracker() {
    let mut policy = crate::machine::Policy::default();
    let both = policy.clone();
    policy.chains.pop();
    let rig = Rig::with(policy);
    let state = rig.machine.state().clone();
    let machine = Machine::resume(both, state, rig.now);
    assert_eq!(machine.state().trackers.len(), 2);
}
