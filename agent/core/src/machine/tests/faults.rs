//! One test per row of the table of faults: what is done, and what is not.

use super::harness::*;
use crate::event::{ActionFailure, Activity, Container, Event, ScrapeError, Time};
use crate::machine::{Action, Cause, Health, Phase};

#[test]
fn exited_container_is_started_only_when_docker_policy_does_not() {
    let mut harness = Harness::synced();
    harness.exits(1, &["Thread 'main' panicked at 'x'"]);
    harness.expect(Phase::Backoff, Health::Degraded);
    harness.run(25);
    assert_eq!(harness.container_actions(), []);
    harness.runs_anew();
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.told(Cause::Exited), 1);

    harness.exits(1, &[]);
    let since = harness.seconds();
    harness.run(40);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
    assert_eq!(harness.times(since), [30]);
}

#[test]
fn starts_that_do_not_hold_come_further_and_further_apart_up_to_the_cap() {
    let mut harness = Harness::synced();
    harness.failing = Some(ActionFailure::Other);
    harness.exits(1, &[]);
    harness.run(HOUR);
    let times = harness.times(0);
    let apart: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    for (apart, most) in apart.iter().zip([1_u64, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]) {
        assert!(
            ((most * 3 / 4).saturating_sub(1)..=most + 1).contains(apart),
            "{apart} s where {most} s are the most"
        );
    }
    assert!(apart.len() >= 12);
    harness.expect(Phase::Backoff, Health::Degraded);
    assert_eq!(harness.wrong(), [Cause::ActionFailed, Cause::Exited]);
}

#[test]
fn half_an_hour_of_running_resets_the_backoff() {
    let mut harness = Harness::synced();
    for _ in 0..4 {
        harness.exits(1, &[]);
        harness.run(12 * MINUTE);
    }
    assert_eq!(harness.machine.state().attempts, 4);
    harness.run(31 * MINUTE);
    assert_eq!(harness.machine.state().attempts, 0);
}

#[test]
fn a_frozen_node_is_restarted_after_two_minutes_of_silence_and_not_before() {
    let mut harness = Harness::synced();
    let since = harness.seconds();
    harness.para.error = Some(ScrapeError::Timeout);
    harness.relay.error = Some(ScrapeError::Refused);
    harness.run(MINUTE);
    harness.expect(Phase::Frozen, Health::Unknown);
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Frozen)]);
    assert_eq!(harness.times(since), [125]);
}

#[test]
fn exporters_that_fall_silent_one_after_the_other_are_one_trouble() {
    let mut harness = Harness::synced();
    harness.para.error = Some(ScrapeError::Timeout);
    harness.run(10);
    harness.relay.error = Some(ScrapeError::Timeout);
    harness.run(3 * MINUTE);
    assert_eq!((harness.told(Cause::Frozen), harness.told(Cause::Blind)), (1, 0));
}

#[test]
fn a_missed_scrape_does_not_hide_a_stall() {
    let mut harness = Harness::synced();
    harness.para.moves = false;
    harness.machine.policy.budget = 0;
    harness.run(10 * MINUTE);
    harness.expect(Phase::Stalled, Health::Critical);
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    harness.run(5);
    harness.expect(Phase::Stalled, Health::Critical);
}

#[test]
fn silence_that_ends_within_its_window_is_no_freeze() {
    let mut harness = Harness::synced();
    for _ in 0..20 {
        (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
        harness.run(115);
        (harness.para.error, harness.relay.error) = (None, Some(ScrapeError::Timeout));
        harness.run(5);
    }
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn garbage_is_an_answer_and_no_freeze() {
    let mut harness = Harness::synced();
    harness.para.error = Some(ScrapeError::HttpStatus);
    harness.relay.error = Some(ScrapeError::Timeout);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::Blind]);
}

#[test]
fn silence_while_docker_is_away_too_proves_nothing() {
    let mut harness = Harness::synced();
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    harness.event(Event::Docker { reachable: false });
    harness.run(10 * MINUTE);
    harness.event(Event::Docker { reachable: true });
    harness.run(115);
    assert_eq!(harness.container_actions(), []);
    harness.run(15);
    assert_eq!(harness.container_actions(), [restart(Cause::Frozen)]);
}

#[test]
fn a_stall_is_restarted_after_its_window_and_told() {
    let mut harness = Harness::synced();
    harness.para.behind = 500;
    harness.para.moves = false;
    let since = harness.seconds();
    harness.run(295);
    assert_eq!(harness.container_actions(), []);
    harness.run(10);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
    assert_eq!(harness.times(since), [300]);
}

#[test]
fn relay_chain_still_with_peers_at_its_target_is_stalled() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.network_moves) = (false, false);
    (harness.relay.moves, harness.relay.network_moves) = (false, false);
    harness.run(305);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn a_node_without_peers_is_restarted_when_the_hosts_network_is_fine() {
    let mut harness = Harness::synced();
    harness.para.peers = Some(0);
    harness.relay.peers = Some(0);
    (harness.para.moves, harness.relay.moves) = (false, false);
    harness.run(295);
    assert_eq!(harness.container_actions(), []);
    harness.run(10);
    assert_eq!(harness.container_actions(), [restart(Cause::Isolated)]);
}

#[test]
fn relay_chain_without_peers_leaves_progressing_parachain_alone() {
    let mut harness = Harness::synced();
    (harness.relay.peers, harness.relay.moves) = (Some(0), false);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::Isolated]);
    harness.expect(Phase::Synced, Health::Degraded);
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.run(6 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Isolated)]);
}

#[test]
fn exporter_never_up_gets_one_restart_after_startup_grace() {
    let mut harness = Harness::fresh();
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    harness.container(running(1));
    harness.run(9 * MINUTE);
    harness.expect(Phase::Starting, Health::Unknown);
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::NoExporter)]);
    harness.run(24 * HOUR);
    assert_eq!(harness.container_actions().len(), 1, "one restart, no more");
    assert_eq!(harness.wrong(), [Cause::Blind]);
    assert_eq!(harness.judged(), [(Cause::NoExporter, false)]);
}

#[test]
fn an_exporter_that_comes_up_after_the_restart_was_helped() {
    let mut harness = Harness::fresh();
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    harness.container(running(1));
    harness.run(11 * MINUTE);
    (harness.para.error, harness.relay.error) = (None, None);
    harness.run(MINUTE);
    assert_eq!(harness.judged(), [(Cause::NoExporter, true)]);
}

#[test]
fn a_busy_node_gets_longer_to_bring_up_its_exporters_but_not_for_ever() {
    let mut harness = Harness::fresh();
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    harness.container(running(1));
    let busy = |harness: &mut Harness| {
        harness.event(Event::Activity(Activity {
            cpu_percent: Some(120.0),
            block_read_bytes: None,
            block_write_bytes: None,
        }));
    };
    harness.run_with(4 * HOUR - MINUTE, busy);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.told(Cause::SlowStart), 1);
    harness.run_with(2 * MINUTE, busy);
    assert_eq!(harness.container_actions(), [restart(Cause::NoExporter)]);
}

#[test]
fn one_silent_exporter_is_reported_and_never_a_reason_to_restart() {
    let mut harness = Harness::synced();
    harness.para.error = Some(ScrapeError::Refused);
    harness.run(24 * HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::Blind]);
    assert_eq!(harness.told(Cause::Blind), 1);
}

#[test]
fn parachain_exporter_waiting_for_relay_warp_sync_is_no_fault() {
    let mut harness = Harness::fresh();
    harness.container(running(1));
    harness.para.error = Some(ScrapeError::Refused);
    harness.relay.behind = 20_000;
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), []);
    harness.expect(Phase::Syncing, Health::Ok);
}

#[test]
fn a_chain_wide_halt_is_told_once_and_never_restarted() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.run(72 * HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.told(Cause::Quiet), 1);
    harness.expect(Phase::Quiet, Health::Degraded);
}

#[test]
fn a_chain_that_makes_a_block_now_and_then_is_told_quiet_once() {
    let mut harness = Harness::synced();
    let mut looks = 0;
    harness.run_with(24 * HOUR, |harness| {
        looks += 1;
        let block = looks % 90 == 0;
        (harness.para.moves, harness.para.network_moves) = (block, block);
    });
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.told(Cause::Quiet), 1);
}

#[test]
fn five_exits_in_ten_minutes_put_the_backoff_at_its_cap() {
    let mut harness = Harness::synced();
    for round in 0..5 {
        harness.exits(101, &["Thread 'main' panicked at 'x'"]);
        let loops = Action::Backoff {
            cause: Cause::CrashLoop,
            wait: harness.machine.policy.backoff_max,
        };
        assert_eq!(harness.container_actions().contains(&loops), round == 4);
        if round < 4 {
            harness.run(5);
            harness.runs_anew();
            harness.run(MINUTE);
        }
    }
    let since = harness.seconds();
    harness.log.clear();
    harness.run(4 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Backoff, Health::Critical);
    assert_eq!(harness.wrong(), [Cause::CrashLoop]);
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions(), [start(Cause::CrashLoop)]);
    assert_eq!(harness.times(since), [300]);
    harness.run(31 * MINUTE);
    assert_eq!(harness.wrong(), []);
}

#[test]
fn runs_too_short_to_be_seen_are_counted_all_the_same() {
    for restarting in [true, false] {
        let mut harness = Harness::synced();
        for _ in 0..5 {
            harness.exits(101, &[]);
            harness.pass_to(Time(harness.now.0 + 300));
            if restarting {
                harness.container(Container::Restarting);
            }
        }
        let loops = |a: &Action| matches!(a, Action::Backoff { .. });
        assert_eq!(harness.container_actions().iter().filter(|a| loops(a)).count(), 1);
        assert_eq!(harness.machine.crash_restarts(), 5);
    }
}

#[test]
fn news_of_a_run_that_we_stopped_in_a_crash_loop_starts_nothing() {
    let mut harness = Harness::synced();
    for _ in 0..5 {
        harness.exits(101, &[]);
        harness.pass_to(Time(harness.now.0 + 300));
    }
    let before_the_stop = harness.wall() - 350;
    harness.log.clear();
    harness.container(running(before_the_stop));
    harness.up = false;
    harness.run(4 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Backoff, Health::Critical);
}

#[test]
fn exits_spread_over_time_are_no_crash_loop() {
    let mut harness = Harness::synced();
    for _ in 0..20 {
        harness.exits(101, &[]);
        harness.run(5);
        harness.runs_anew();
        harness.run(3 * MINUTE);
    }
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn falling_behind_is_reported_and_not_restarted() {
    let mut harness = Harness::synced();
    harness.run_with(HOUR, |harness| {
        // It imports every third block of the network.
        harness.para.moves = harness.seconds().is_multiple_of(15);
        if harness.para.moves {
            harness.para.best -= 3;
            harness.para.behind += 3;
        }
    });
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::FallingBehind]);
}
