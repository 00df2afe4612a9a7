//! Hands on the container from outside, and news that are late, stale or the echo of our own doing.

use super::rig::*;
use crate::event::{Container, Event, Exit, Failure, ScrapeError};
use crate::machine::{Action, Cause, Health, Phase};

#[test]
fn docker_kill_is_mended_at_once_because_dockers_policy_stays_away() {
    let mut rig = Rig::synced();
    rig.signalled(9);
    rig.exits(137, &[]);
    rig.pass_to(crate::event::Time(rig.now.0 + 1000));
    assert_eq!(rig.deeds(), [start(Cause::Killed)]);
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1);
    assert_eq!(rig.told(Cause::Killed), 1);
    assert_eq!(rig.wrong(), []);
}

#[test]
fn docker_kill_with_a_gentle_signal_is_told_from_docker_stop() {
    let mut rig = Rig::synced();
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.run(5);
    assert_eq!(rig.deeds(), [start(Cause::Killed)]);
}

#[test]
fn a_signal_that_ends_nothing_changes_nothing() {
    let mut rig = Rig::synced();
    rig.signalled(1);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
}

#[test]
fn docker_rm_is_mended_by_creating_it_anew() {
    let mut rig = Rig::synced();
    rig.signalled(9);
    rig.exits(137, &[]);
    let at = Some(rig.wall());
    rig.container(Container::Removed { at });
    rig.run(5);
    assert_eq!(rig.deeds(), [start(Cause::Removed)]);
    assert_eq!(rig.told(Cause::Removed), 1);
}

#[test]
fn a_container_that_is_gone_when_we_look_is_created_anew() {
    let mut rig = Rig::synced();
    rig.container(Container::Missing);
    rig.run(5);
    assert_eq!(rig.deeds(), [start(Cause::Removed)]);
}

#[test]
fn a_node_that_falls_silent_while_a_person_stops_it_is_not_brought_back() {
    let mut rig = Rig::synced();
    rig.signalled(15);
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    rig.run(5 * MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.run(5 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Frozen)], "the stop's own time is over");
}

#[test]
fn a_stop_without_news_of_the_end_is_a_stop_all_the_same() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.container(Container::Stopped { at: None });
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Stopped, Health::Critical);
}

#[test]
fn an_engine_that_dies_during_our_own_stop_is_no_person_who_stops_it() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.para.moves = false;
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
    rig.signalled(15);
    rig.fails(Failure::DockerUnreachable);
    rig.event(Event::Docker { reachable: false });
    rig.run(HOUR);
    // The engine comes back, and ends what it finds: so it says.
    rig.event(Event::Docker { reachable: true });
    rig.exits(137, &[]);
    rig.stopped();
    rig.obeys = true;
    rig.para.moves = true;
    rig.run(MINUTE);
    assert_eq!(rig.deeds().last(), Some(&start(Cause::Exited)));
    rig.run(HOUR);
    assert_eq!(rig.wrong(), []);
}

#[test]
fn docker_stop_is_a_persons_wish_and_is_told_once() {
    let mut rig = Rig::synced();
    rig.signalled(15);
    rig.exits(
        0,
        &["Essential task `txpool-background` failed. Shutting down service."],
    );
    rig.stopped();
    rig.run(24 * HOUR);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Stopped, Health::Critical);
    assert_eq!(rig.log.len(), 1, "one notice");
    assert_eq!(rig.told(Cause::StoppedByPerson), 1);
}

#[test]
fn a_forced_docker_stop_is_a_wish_too_whatever_the_log_says() {
    let mut rig = Rig::synced();
    rig.signalled(15);
    rig.signalled(9);
    rig.exits(137, &["Backend error: Corruption: x"]);
    rig.stopped();
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::StoppedByPerson]);
}

#[test]
fn what_was_stopped_and_then_tidied_away_is_not_wanted() {
    for quickly in [true, false] {
        let mut rig = Rig::synced();
        rig.signalled(15);
        rig.exits(0, &[]);
        rig.stopped();
        rig.run(if quickly { 0 } else { HOUR });
        let at = Some(rig.wall());
        rig.container(Container::Removed { at });
        rig.container(Container::Missing);
        rig.run(HOUR);
        assert_eq!(rig.deeds(), []);
        assert_eq!(rig.wrong(), [Cause::StoppedByPerson]);
    }
}

#[test]
fn docker_start_takes_up_what_a_person_had_stopped() {
    let mut rig = Rig::synced();
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.run(HOUR);
    rig.runs_anew();
    rig.run(HOUR);
    rig.expect(Phase::Synced, Health::Ok);
    rig.exits(1, &[]);
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [start(Cause::Exited)], "it is wanted again");
}

#[test]
fn docker_restart_is_no_fault() {
    let mut rig = Rig::synced();
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.now.0 += 1;
    rig.runs_anew();
    rig.run(24 * HOUR);
    assert_eq!(rig.log, []);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_paused_container_is_frozen_and_cured() {
    let mut rig = Rig::synced();
    let started_at = Some(rig.run);
    rig.container(Container::Paused {
        started_at,
        spec_matches: true,
    });
    rig.para.error = Some(crate::event::ScrapeError::Timeout);
    rig.relay.error = rig.para.error;
    rig.run(2 * MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.run(10);
    assert_eq!(rig.deeds(), [restart(Cause::Frozen)]);
}

#[test]
fn the_time_a_container_was_paused_is_no_stall() {
    let mut rig = Rig::synced();
    for _ in 0..20 {
        (rig.para.moves, rig.relay.moves) = (false, false);
        rig.run(2 * MINUTE);
        let started_at = Some(rig.run);
        rig.container(Container::Paused {
            started_at,
            spec_matches: true,
        });
        rig.run(2 * MINUTE);
        rig.container(running(rig.run));
        rig.run(2 * MINUTE);
        (rig.para.moves, rig.relay.moves) = (true, true);
        rig.run(MINUTE);
    }
    assert_eq!(rig.deeds(), []);
}

#[test]
fn docker_stop_is_a_persons_wish_after_a_crash_loop_too() {
    let mut rig = Rig::after_a_crash_loop();
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert!(rig.wrong().contains(&Cause::StoppedByPerson));
}

#[test]
fn docker_kill_after_a_crash_loop_waits_like_a_crash() {
    let mut rig = Rig::after_a_crash_loop();
    rig.signalled(9);
    rig.exits(137, &[]);
    rig.run(4 * MINUTE);
    assert!(matches!(rig.deeds()[..], [Action::Backoff { .. }]));
    rig.run(2 * MINUTE);
    assert_eq!(rig.deeds()[1..], [start(Cause::CrashLoop)]);
}

#[test]
fn the_echo_of_our_own_restart_is_no_hand_from_outside() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(5 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
    let before = rig.wall();
    rig.signalled(15);
    rig.exits(0, &["Backend error: Corruption: x"]);
    rig.stopped();
    rig.now.0 += 1;
    rig.runs_anew();
    rig.now.0 += 1;
    rig.done(running(rig.run));
    (rig.para.moves, rig.obeys) = (true, true);
    // All of it once more, late.
    let at = Some(before);
    rig.event(Event::Container(Container::Signalled { at, signal: 15 }));
    rig.event(Event::Container(Container::Exited {
        at,
        exit: Exit::default(),
        spec_matches: true,
    }));
    rig.event(Event::Container(Container::Stopped { at }));
    rig.event(Event::Container(Container::Removed { at }));
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn news_of_an_earlier_run_are_ignored() {
    let mut rig = Rig::synced();
    let old_run = rig.run;
    rig.now.0 += 1000;
    rig.exits(1, &[]);
    rig.now.0 += 1000;
    rig.runs_anew();
    let new_run = rig.run;
    rig.container(running(old_run));
    let at = Some(old_run + 1500);
    rig.event(Event::Container(Container::Exited {
        at,
        exit: Exit::default(),
        spec_matches: true,
    }));
    rig.run(HOUR);
    assert_eq!(rig.machine.state().started_at, Some(new_run));
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_look_at_a_run_that_has_ended_since_does_not_bring_it_back() {
    let mut rig = Rig::synced();
    rig.now.0 += 1000;
    rig.exits(1, &[]);
    rig.event(Event::Container(running(rig.run)));
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
}

#[test]
fn a_start_that_ended_before_its_outcome_was_told_is_seen_as_ended() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.exits(1, &[]);
    rig.run(35);
    rig.runs_anew();
    let run = rig.run;
    rig.now.0 += 100;
    rig.exits(1, &[]);
    rig.done(running(run));
    rig.obeys = true;
    rig.run(MINUTE);
    assert_eq!(rig.deeds().len(), 2);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn an_outcome_that_nobody_waits_for_is_ignored() {
    let mut rig = Rig::synced();
    let before = rig.machine.clone();
    rig.done(Container::Missing);
    assert_eq!(rig.machine, before);
}

#[test]
fn dockers_clock_set_back_costs_no_action_and_blinds_nobody() {
    let mut rig = Rig::synced();
    rig.run(HOUR);
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(5 * MINUTE);
    (rig.para.moves, rig.para.behind) = (true, 0);
    // From here on the clock runs two hours behind: this run's end looks older than its beginning.
    let back = 2 * 3_600_000;
    let at = Some(rig.wall() - back);
    rig.up = false;
    rig.event(Event::Container(Container::Exited {
        at,
        exit: Exit::default(),
        spec_matches: true,
    }));
    rig.run(3 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled), restart(Cause::Frozen)]);
    rig.run = rig.wall() - back;
    rig.up = true;
    rig.run(HOUR);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_changed_configuration_is_applied_by_one_restart() {
    let mut rig = Rig::synced();
    rig.container(Container::Running {
        started_at: Some(rig.run),
        spec_matches: false,
    });
    assert_eq!(rig.deeds(), [restart(Cause::SpecChanged)]);
    assert_eq!(rig.machine.budget_left(), 3);
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1);
}

#[test]
fn what_was_just_made_counts_as_asked_for_whatever_the_engine_says() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.container(Container::Running {
        started_at: Some(rig.run),
        spec_matches: false,
    });
    rig.now.0 += 1;
    let started_at = Some(rig.wall());
    rig.done(Container::Running {
        started_at,
        spec_matches: false,
    });
    assert_eq!(rig.deeds(), [restart(Cause::SpecChanged)]);
}

#[test]
fn a_stop_that_the_engines_own_end_brought_about_is_no_wish() {
    let mut rig = Rig::synced();
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.event(Event::Docker { reachable: false });
    rig.run(MINUTE);
    rig.event(Event::Docker { reachable: true });
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
}

#[test]
fn dockers_policy_that_waits_is_given_its_time() {
    let mut rig = Rig::synced();
    rig.container(Container::Restarting);
    rig.up = false;
    rig.run(25);
    assert_eq!(rig.deeds(), []);
    rig.run(10);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
}

#[test]
fn what_a_person_starts_while_it_is_held_counts_as_cured() {
    let mut rig = Rig::synced();
    rig.exits(1, &["Backend error: Corruption: bad block"]);
    rig.run(HOUR);
    rig.runs_anew();
    rig.run(HOUR);
    assert_eq!(
        rig.deeds(),
        [Action::Hold {
            cause: Cause::DatabaseCorrupted
        }]
    );
    rig.expect(Phase::Synced, Health::Ok);
}
