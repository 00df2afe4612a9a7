//! Reports from Docker that are late, stale or caused by the agent itself.

use super::harness::*;
use crate::event::{Container, Event, Exit};
use crate::machine::{Cause, Health, Phase};

#[test]
fn the_echo_of_our_own_restart_is_no_hand_from_outside() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(5 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
    let before = harness.wall();
    harness.signalled(15);
    harness.exits(0, &["Backend error: Corruption: x"]);
    harness.stopped();
    harness.now.0 += 1;
    harness.runs_anew();
    harness.now.0 += 1;
    harness.done(running(harness.run));
    (harness.para.moves, harness.obeys) = (true, true);
    // All of it once more, late.
    let at = Some(before);
    harness.event(Event::Container(Container::Signalled { at, signal: 15 }));
    harness.event(Event::Container(Container::Exited {
        at,
        exit: Exit::default(),
        spec_matches: true,
    }));
    harness.event(Event::Container(Container::Stopped { at }));
    harness.event(Event::Container(Container::Removed { at }));
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn news_of_an_earlier_run_are_ignored() {
    let mut harness = Harness::synced();
    let old_run = harness.run;
    harness.now.0 += 1000;
    harness.exits(1, &[]);
    harness.now.0 += 1000;
    harness.runs_anew();
    let new_run = harness.run;
    harness.container(running(old_run));
    let at = Some(old_run + 1500);
    harness.event(Event::Container(Container::Exited {
        at,
        exit: Exit::default(),
        spec_matches: true,
    }));
    harness.run(HOUR);
    assert_eq!(harness.machine.state().started_at, Some(new_run));
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_look_that_finds_a_run_going_on_has_the_last_word_over_its_end() {
    let mut harness = Harness::synced();
    harness.now.0 += 1000;
    harness.docker_stop();
    harness.container(running(harness.run));
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_start_that_ended_before_its_outcome_was_told_is_seen_as_ended() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.exits(1, &[]);
    harness.run(35);
    harness.runs_anew();
    let run = harness.run;
    harness.now.0 += 100;
    harness.exits(1, &[]);
    harness.done(running(run));
    harness.obeys = true;
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions().len(), 2);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn an_outcome_that_nobody_waits_for_is_ignored() {
    let mut harness = Harness::synced();
    let before = harness.machine.clone();
    harness.done(Container::Missing);
    assert_eq!(harness.machine, before);
}

#[test]
fn dockers_clock_set_back_costs_no_action_and_blinds_nobody() {
    let mut harness = Harness::synced();
    harness.run(HOUR);
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(5 * MINUTE);
    (harness.para.moves, harness.para.behind) = (true, 0);
    // From here on the clock runs two hours behind: this run's end looks older than its beginning.
    let back = 2 * 3_600_000;
    let at = Some(harness.wall() - back);
    harness.up = false;
    harness.event(Event::Container(Container::Exited {
        at,
        exit: Exit::default(),
        spec_matches: true,
    }));
    harness.run(3 * MINUTE);
    assert_eq!(
        harness.container_actions(),
        [restart(Cause::Stalled), restart(Cause::Frozen)]
    );
    harness.run = harness.wall() - back;
    harness.up = true;
    harness.run(HOUR);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_stop_that_the_engines_own_end_brought_about_is_no_wish() {
    let mut harness = Harness::synced();
    harness.docker_stop();
    harness.event(Event::Docker { reachable: false });
    harness.run(MINUTE);
    harness.event(Event::Docker { reachable: true });
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
}
