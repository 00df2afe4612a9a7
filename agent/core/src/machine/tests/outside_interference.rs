//! Hands on the container from outside, and news that are late, stale or the echo of our own doing.

use super::harness::*;
use crate::event::{ActionFailure, Chain, Command, Container, Event, Sample, ScrapeError};
use crate::machine::{Action, Cause, Health, Phase};

#[test]
fn docker_kill_is_mended_at_once_because_dockers_policy_stays_away() {
    let mut harness = Harness::synced();
    harness.signalled(9);
    harness.exits(137, &[]);
    harness.pass_to(crate::event::Time(harness.now.0 + 1000));
    assert_eq!(harness.container_actions(), [start(Cause::Killed)]);
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1);
    assert_eq!(harness.told(Cause::Killed), 1);
    assert_eq!(harness.wrong(), []);
}

#[test]
fn docker_kill_with_a_gentle_signal_is_told_from_docker_stop() {
    let mut harness = Harness::synced();
    harness.signalled(15);
    harness.exits(0, &[]);
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Killed)]);
}

#[test]
fn a_signal_that_ends_nothing_changes_nothing() {
    let mut harness = Harness::synced();
    harness.signalled(1);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn docker_rm_is_mended_by_creating_it_anew() {
    let mut harness = Harness::synced();
    harness.signalled(9);
    harness.exits(137, &[]);
    let at = Some(harness.wall());
    harness.container(Container::Removed { at });
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Removed)]);
    assert_eq!(harness.told(Cause::Removed), 1);
}

#[test]
fn a_container_that_is_gone_when_we_look_is_created_anew() {
    let mut harness = Harness::synced();
    harness.container(Container::Missing);
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Removed)]);
}

#[test]
fn a_node_that_falls_silent_while_a_person_stops_it_is_not_brought_back() {
    let mut harness = Harness::synced();
    harness.signalled(15);
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    harness.run(5 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.run(5 * MINUTE);
    assert_eq!(
        harness.container_actions(),
        [restart(Cause::Frozen)],
        "the stop's own time is over"
    );
}

#[test]
fn a_stop_without_news_of_the_end_is_a_stop_all_the_same() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.container(Container::Stopped { at: None });
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Stopped, Health::Critical);
}

#[test]
fn an_engine_that_dies_during_our_own_stop_is_no_person_who_stops_it() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.para.moves = false;
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
    harness.signalled(15);
    harness.fails(ActionFailure::DockerUnreachable);
    harness.event(Event::Docker { reachable: false });
    harness.run(HOUR);
    // The engine comes back, and ends what it finds: so it says.
    harness.event(Event::Docker { reachable: true });
    harness.exits(137, &[]);
    harness.stopped();
    harness.obeys = true;
    harness.para.moves = true;
    harness.run(MINUTE);
    assert_eq!(harness.container_actions().last(), Some(&start(Cause::Exited)));
    harness.run(HOUR);
    assert_eq!(harness.wrong(), []);
}

#[test]
fn a_stop_of_an_update_that_docker_carries_out_after_its_failure_is_no_persons_wish() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.asks();
    harness.pulled();
    assert_eq!(harness.container_actions().len(), 1);
    harness.signalled(15);
    harness.fails(ActionFailure::Other);
    harness.exits(0, &[]);
    harness.stopped();
    harness.obeys = true;
    harness.run(HOUR);
    assert_eq!(harness.container_actions().last(), Some(&start(Cause::Exited)));
    harness.expect(Phase::Synced, Health::Ok);
    assert!(!harness.wrong().contains(&Cause::StoppedByPerson));
}

#[test]
fn docker_stop_is_a_persons_wish_and_is_told_once() {
    let mut harness = Harness::synced();
    harness.signalled(15);
    harness.exits(
        0,
        &["Essential task `txpool-background` failed. Shutting down service."],
    );
    harness.stopped();
    harness.run(24 * HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Stopped, Health::Critical);
    assert_eq!(harness.log.len(), 1, "one notice");
    assert_eq!(harness.told(Cause::StoppedByPerson), 1);
}

#[test]
fn a_forced_docker_stop_is_a_wish_too_whatever_the_log_says() {
    let mut harness = Harness::synced();
    harness.signalled(15);
    harness.signalled(9);
    harness.exits(137, &["Backend error: Corruption: x"]);
    harness.stopped();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::StoppedByPerson]);
}

#[test]
fn what_was_stopped_and_then_tidied_away_is_not_wanted() {
    for quickly in [true, false] {
        let mut harness = Harness::synced();
        harness.docker_stop();
        harness.run(if quickly { 0 } else { HOUR });
        let at = Some(harness.wall());
        harness.container(Container::Removed { at });
        harness.container(Container::Missing);
        harness.run(HOUR);
        assert_eq!(harness.container_actions(), []);
        assert_eq!(harness.wrong(), [Cause::StoppedByPerson]);
    }
}

#[test]
fn docker_start_takes_up_what_a_person_had_stopped() {
    let mut harness = Harness::synced();
    harness.docker_stop();
    harness.run(HOUR);
    harness.runs_anew();
    harness.run(HOUR);
    harness.expect(Phase::Synced, Health::Ok);
    harness.exits(1, &[]);
    harness.run(MINUTE);
    assert_eq!(
        harness.container_actions(),
        [start(Cause::Exited)],
        "it is wanted again"
    );
}

#[test]
fn docker_restart_is_no_fault() {
    let mut harness = Harness::synced();
    harness.docker_stop();
    harness.now.0 += 1;
    harness.runs_anew();
    harness.run(24 * HOUR);
    assert_eq!(harness.log, []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_paused_container_is_frozen_and_cured() {
    let mut harness = Harness::synced();
    let started_at = Some(harness.run);
    harness.container(Container::Paused {
        started_at,
        spec_matches: true,
    });
    harness.para.error = Some(crate::event::ScrapeError::Timeout);
    harness.relay.error = harness.para.error;
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.run(10);
    assert_eq!(harness.container_actions(), [restart(Cause::Frozen)]);
}

#[test]
fn the_time_a_container_was_paused_is_no_stall() {
    let mut harness = Harness::synced();
    for _ in 0..20 {
        (harness.para.moves, harness.relay.moves) = (false, false);
        harness.run(2 * MINUTE);
        let started_at = Some(harness.run);
        harness.container(Container::Paused {
            started_at,
            spec_matches: true,
        });
        harness.run(2 * MINUTE);
        harness.container(running(harness.run));
        harness.run(2 * MINUTE);
        (harness.para.moves, harness.relay.moves) = (true, true);
        harness.run(MINUTE);
    }
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn docker_stop_is_a_persons_wish_after_a_crash_loop_too() {
    let mut harness = Harness::after_a_crash_loop();
    harness.docker_stop();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert!(harness.wrong().contains(&Cause::StoppedByPerson));
}

#[test]
fn docker_kill_after_a_crash_loop_waits_like_a_crash() {
    let mut harness = Harness::after_a_crash_loop();
    harness.signalled(9);
    harness.exits(137, &[]);
    harness.run(4 * MINUTE);
    assert!(matches!(harness.container_actions()[..], [Action::Backoff { .. }]));
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions()[1..], [start(Cause::CrashLoop)]);
}

#[test]
fn a_changed_configuration_is_applied_by_one_restart() {
    let mut harness = Harness::synced();
    harness.container(Container::Running {
        started_at: Some(harness.run),
        spec_matches: false,
    });
    assert_eq!(harness.container_actions(), [restart(Cause::SpecChanged)]);
    assert_eq!(harness.machine.budget_left(), 3);
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1);
}

#[test]
fn what_was_just_made_counts_as_asked_for_whatever_the_engine_says() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.container(Container::Running {
        started_at: Some(harness.run),
        spec_matches: false,
    });
    harness.now.0 += 1;
    let started_at = Some(harness.wall());
    harness.done(Container::Running {
        started_at,
        spec_matches: false,
    });
    assert_eq!(harness.container_actions(), [restart(Cause::SpecChanged)]);
}

#[test]
fn dockers_policy_that_waits_is_given_its_time() {
    let mut harness = Harness::synced();
    harness.container(Container::Restarting);
    harness.up = false;
    harness.run(25);
    assert_eq!(harness.container_actions(), []);
    harness.run(10);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
}

#[test]
fn what_a_person_starts_while_it_is_held_counts_as_cured() {
    let mut harness = Harness::synced();
    harness.exits(1, &["Backend error: Corruption: bad block"]);
    harness.run(HOUR);
    harness.runs_anew();
    harness.run(HOUR);
    assert_eq!(
        harness.container_actions(),
        [Action::Hold {
            cause: Cause::DatabaseCorrupted
        }]
    );
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn altered_container_is_told_and_runs_on() {
    let mut harness = Harness::synced();
    harness.event(Event::Altered(Some("its name is old instead of node".to_owned())));
    harness.run(MINUTE);
    harness.expect(Phase::Synced, Health::Degraded);
    assert!(
        harness
            .machine
            .explain(Cause::Altered)
            .contains("its name is old instead of node")
    );
    assert_eq!(harness.told(Cause::Altered), 1);
    harness.event(Event::Altered(None));
    harness.run(MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn another_container_with_the_keys_is_critical_while_it_has_them() {
    let mut harness = Harness::synced();
    harness.event(Event::Shared(Some("copy has /id/keystore".to_owned())));
    harness.run(MINUTE);
    harness.expect(Phase::Synced, Health::Critical);
    assert!(harness.machine.explain(Cause::Shared).contains("copy has /id/keystore"));
    harness.event(Event::Shared(None));
    harness.run(MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn start_that_found_no_other_container_ends_the_report_of_one() {
    let mut harness = Harness::synced();
    harness.exits(1, &[]);
    harness.event(Event::Shared(Some("copy has /id/keystore".to_owned())));
    harness.run(5 * MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn exporter_of_another_container_before_the_first_look_is_no_removal() {
    let mut harness = Harness::fresh();
    harness.event(Event::Sample {
        chain: Chain::Parachain,
        sample: Sample::default(),
    });
    harness.container(Container::Missing);
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Missing)]);
}

#[test]
fn docker_stop_beside_an_operators_stop_takes_nothing_from_it() {
    let mut harness = Harness::synced();
    harness.failing = Some(ActionFailure::Other);
    harness.command(Command::STOP);
    harness.docker_stop();
    harness.run(5);
    assert_eq!(harness.wrong(), [Cause::Operator, Cause::ActionFailed]);
}
