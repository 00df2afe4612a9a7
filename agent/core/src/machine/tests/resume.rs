//! The agent can be killed at any instant: what it knew survives, what it did not see proves nothing.

use super::harness::*;
use crate::event::{Command, Container, Event, Exit};
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
    let mut harness = Harness::synced();
    harness.exits(1, &[]);
    harness.run(20);
    harness.agent_dies(MINUTE);
    harness.event(Event::Docker { reachable: true });
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.runs_anew();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_healthy_collator_is_adopted_and_not_touched() {
    let mut harness = Harness::synced();
    let up_since = harness.machine.up_since();
    harness.agent_dies(MINUTE);
    harness.container(running(harness.run));
    assert_eq!(harness.machine.up_since(), up_since);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn windows_start_anew_because_nobody_watched() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 500);
    for _ in 0..10 {
        harness.run(4 * MINUTE);
        harness.agent_dies(5);
        harness.container(running(harness.run));
    }
    assert_eq!(harness.container_actions(), []);
    let since = harness.seconds();
    harness.run(6 * MINUTE);
    assert_eq!(harness.times(since), [305]);
}

#[test]
fn the_budget_and_the_count_of_unhelpful_restarts_survive() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(20 * MINUTE);
    assert_eq!(harness.container_actions().len(), 2);
    for _ in 0..10 {
        harness.agent_dies(MINUTE);
        harness.container(running(harness.run));
        harness.run(2 * HOUR);
    }
    assert_eq!(harness.container_actions().len(), 2);
    assert!(harness.wrong().contains(&Cause::NotHelping));
}

#[test]
fn what_died_meanwhile_is_started() {
    let mut harness = Harness::synced();
    harness.agent_dies(HOUR);
    harness.container(exited(harness.wall() - 1000, 1));
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
}

/// What Docker reports of a `docker stop`, after the first look: what happened since it was heard last.
fn repeat_stop(harness: &mut Harness, at: i64) {
    harness.event(Event::Container(Container::Signalled {
        at: Some(at),
        signal: 15,
    }));
    harness.event(Event::Container(exited(at, 0)));
    harness.event(Event::Container(Container::Stopped { at: Some(at) }));
}

#[test]
fn what_a_person_stopped_meanwhile_stays_stopped() {
    let mut harness = Harness::synced();
    let died = harness.wall();
    harness.agent_dies(HOUR);
    // A look at the container first, then the events since the last one heard.
    harness.container(exited(died + 60_000, 0));
    let at = Some(died + 59_000);
    harness.event(Event::Container(Container::Signalled { at, signal: 15 }));
    harness.event(Event::Container(exited(died + 60_000, 0)));
    let at = Some(died + 60_000);
    harness.event(Event::Container(Container::Stopped { at }));
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::StoppedByPerson]);
}

#[test]
fn what_a_person_stopped_meanwhile_stays_stopped_after_a_crash_loop_too() {
    let mut harness = Harness::after_a_crash_loop();
    let at = harness.wall();
    harness.agent_dies(MINUTE);
    harness.container(exited(at, 0));
    repeat_stop(&mut harness, at);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert!(harness.wrong().contains(&Cause::StoppedByPerson));
}

#[test]
fn start_that_is_asked_for_before_docker_repeats_the_stop_holds() {
    for seen_whole in [true, false] {
        let mut harness = Harness::synced();
        harness.signalled(15);
        harness.exits(0, &[]);
        let at = harness.wall();
        if seen_whole {
            harness.event(Event::Container(Container::Stopped { at: Some(at) }));
            harness.run(MINUTE);
            assert_eq!(harness.wrong(), [Cause::StoppedByPerson]);
        }
        harness.agent_dies(3);
        harness.command(Command::START);
        harness.container(exited(at, 0));
        harness.event(Event::Container(Container::Stopped { at: Some(at) }));
        harness.run(HOUR);
        assert_eq!(harness.container_actions(), [start(Cause::Operator)]);
        harness.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn start_that_is_asked_for_before_docker_reports_an_unheard_stop_holds() {
    let away: [fn(&mut Harness); 2] = [
        |harness| harness.agent_dies(3),
        |harness| harness.event(Event::Docker { reachable: false }),
    ];
    for goes_away in away {
        for over in [true, false] {
            let mut harness = Harness::synced();
            goes_away(&mut harness);
            let at = harness.wall();
            harness.now.0 += 1000;
            let answer = harness.machine.acknowledge(&Command::START);
            assert!(answer.is_ok_and(|text| text.contains("if it does not run now")));
            harness.command(Command::START);
            harness.event(Event::Docker { reachable: true });
            harness.up = false;
            harness.container(if over { exited(at, 0) } else { running(harness.run) });
            repeat_stop(&mut harness, at);
            harness.run(HOUR);
            let cause = if over { Cause::Operator } else { Cause::Exited };
            assert_eq!(harness.container_actions(), [start(cause)]);
            harness.expect(Phase::Synced, Health::Ok);
        }
    }
}

#[test]
fn docker_stop_after_a_start_that_found_it_running_is_a_persons_wish() {
    let mut harness = Harness::synced();
    harness.agent_dies(3);
    harness.command(Command::START);
    harness.container(running(harness.run));
    harness.run(6);
    harness.docker_stop();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::StoppedByPerson]);
}

#[test]
fn what_was_removed_meanwhile_is_created_anew() {
    let mut harness = Harness::synced();
    harness.agent_dies(HOUR);
    harness.container(Container::Missing);
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Removed)]);
}

#[test]
fn what_is_told_again_begins_with_the_run_that_is_known() {
    let mut harness = Harness::synced();
    assert_eq!(
        harness.machine.watch_from(),
        Some(harness.run),
        "nothing was missed so far"
    );
    // A person's `docker restart`: its stop is of the run before.
    harness.docker_stop();
    harness.now.0 += 1000;
    harness.runs_anew();
    harness.run(HOUR);
    harness.agent_dies(MINUTE);
    assert_eq!(harness.machine.watch_from(), Some(harness.run));
}

#[test]
fn an_older_stop_of_ours_that_is_told_again_is_no_persons_wish() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(5 * MINUTE);
    let at = harness.run - 1;
    harness.para.moves = true;
    harness.run(MINUTE);
    harness.agent_dies(5);
    harness.container(running(harness.run));
    repeat_stop(&mut harness, at);
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1);
    harness.expect(Phase::Synced, Health::Ok);
}

/// An action is ordered, and the agent is killed while it is carried out.
fn killed_during(order: impl Fn(&mut Harness)) -> Harness {
    let mut harness = Harness::synced();
    harness.obeys = false;
    order(&mut harness);
    assert_eq!(harness.container_actions().len(), 1);
    harness.log.clear();
    harness.agent_dies(3);
    harness.obeys = true;
    harness
}

fn stall(harness: &mut Harness) {
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(5 * MINUTE);
    (harness.para.moves, harness.para.behind) = (true, 0);
}

#[test]
fn killed_before_a_restart_had_begun_the_container_is_adopted() {
    let mut harness = killed_during(stall);
    harness.container(running(harness.run));
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_stop_that_never_came_of_a_restart_is_not_waited_for_for_ever() {
    let mut harness = killed_during(stall);
    harness.container(running(harness.run));
    harness.run(HOUR);
    // A person's `docker stop` is a wish and no echo.
    harness.docker_stop();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::StoppedByPerson]);
}

#[test]
fn killed_between_the_stop_and_the_start_of_a_restart_it_is_started() {
    let mut harness = killed_during(stall);
    let now = harness.wall();
    harness.container(exited(now, 0));
    harness.run(5);
    assert_eq!(harness.container_actions().len(), 1);
    assert!(matches!(harness.container_actions()[0], Action::Start { .. }));
    harness.run(HOUR);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn killed_while_the_stop_of_a_restart_goes_on_its_end_is_no_persons_wish() {
    let mut harness = killed_during(stall);
    harness.container(running(harness.run));
    harness.run(5);
    harness.exits(0, &[]);
    harness.stopped();
    harness.run(MINUTE);
    assert_eq!(harness.container_actions().len(), 1);
    harness.run(HOUR);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn killed_after_the_restart_the_new_run_is_adopted() {
    let mut harness = killed_during(stall);
    harness.runs_anew();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_hold_that_was_cut_short_is_carried_out_again() {
    let corrupt = |harness: &mut Harness| harness.exits(1, &["Backend error: Corruption: x"]);
    let hold = Action::Hold {
        cause: Cause::DatabaseCorrupted,
    };
    // Docker's policy started it again meanwhile, or did not.
    let mut harness = killed_during(corrupt);
    harness.runs_anew();
    assert_eq!(harness.container_actions(), std::slice::from_ref(&hold));
    let mut harness = killed_during(corrupt);
    let now = harness.wall();
    harness.container(exited(now, 1));
    assert_eq!(harness.container_actions(), [hold]);
    harness.run(HOUR);
    harness.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_start_that_was_cut_short_is_ordered_again_only_when_needed() {
    let exit = |harness: &mut Harness| {
        harness.exits(1, &[]);
        harness.run(MINUTE);
    };
    let mut harness = killed_during(exit);
    harness.runs_anew();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    let mut harness = killed_during(exit);
    harness.container(Container::Created { spec_matches: true });
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
}

#[test]
fn pause_stop_and_hold_survive() {
    let mut harness = Harness::synced();
    harness.command(pause(24 * HOUR));
    harness.agent_dies(HOUR);
    harness.container(running(harness.run));
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Paused, Health::Critical);

    let mut harness = Harness::synced();
    harness.exits(1, &["Backend error: Corruption: x"]);
    harness.agent_dies(HOUR);
    harness.container(exited(harness.run + 1, 1));
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1);
    harness.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_chain_that_was_added_to_the_configuration_gets_its_tracker() {
    let mut policy = crate::machine::Policy::default();
    let both = policy.clone();
    policy.chains.pop();
    let harness = Harness::with(policy);
    let state = harness.machine.state().clone();
    let machine = Machine::resume(both, state, harness.now);
    assert_eq!(machine.state().trackers.len(), 2);
}

#[test]
fn start_that_was_owed_is_older_than_a_stop_of_the_run_that_it_began() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.command(Command::STOP);
    harness.docker_stop();
    harness.done(Container::Exited {
        at: Some(harness.wall()),
        exit: Exit::default(),
        spec_matches: true,
    });
    harness.run(2);
    harness.command(Command::START);
    assert_eq!(
        harness.container_actions(),
        [Action::Stop { cause: Cause::Operator }, start(Cause::Operator)]
    );
    // Docker carries it out, and a person stops it while no agent watches.
    harness.agent_dies(5);
    harness.log.clear();
    harness.obeys = true;
    harness.docker_stop();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Stopped, Health::Critical);
}
