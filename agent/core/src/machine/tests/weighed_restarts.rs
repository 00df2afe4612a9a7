//! What a restart would throw away, and what only looks like a fault.

use super::harness::*;
use crate::event::{Activity, Event, ScrapeError};
use crate::machine::{Cause, Health, Machine, Phase};

/// A state sync: best is zero, the target is the state's block, and nothing is kept before the end.
fn state_sync(traffic: u64) -> Harness {
    let mut harness = Harness::fresh();
    harness.para.best = 0;
    (harness.para.behind, harness.para.traffic) = (4_500_000, traffic);
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.runs_anew();
    harness
}

fn works(harness: &mut Harness, cpu_percent: f64, bytes_per_second: u64) {
    let written = harness.seconds() * bytes_per_second;
    harness.event(Event::Activity(Activity {
        cpu_percent: Some(cpu_percent),
        block_read_bytes: None,
        block_write_bytes: Some(written),
    }));
}

#[test]
fn a_state_sync_of_many_hours_is_left_alone() {
    let mut harness = state_sync(200 << 10);
    harness.run(20 * HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Syncing, Health::Ok);
}

#[test]
fn a_state_sync_without_any_work_is_restarted_after_hours() {
    let mut harness = state_sync(1 << 10);
    harness.run(4 * HOUR - MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.run(3 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn a_state_sync_whose_peers_pause_again_and_again_is_left_alone() {
    // Seconds with and without traffic.
    for (on, off) in [
        (30 * MINUTE, 30 * MINUTE),
        (48 * MINUTE, 12 * MINUTE),
        (2 * MINUTE, 3 * HOUR),
    ] {
        let mut harness = state_sync(0);
        harness.run_with(23 * HOUR, |harness| {
            let pauses = harness.seconds() % (on + off) >= on;
            harness.para.traffic = if pauses { 0 } else { 100 << 10 };
        });
        assert_eq!(harness.container_actions(), [], "{on} {off}");
        harness.run_with(4 * HOUR, |harness| harness.para.traffic = 0);
        assert_eq!(harness.container_actions(), [restart(Cause::Stalled)], "{on} {off}");
    }
}

#[test]
fn a_state_that_is_written_slowly_is_work_and_a_wait_for_peers_is_none() {
    for (bytes_per_second, restarts) in [(300 << 10, 0), (100 << 10, 1)] {
        let mut harness = state_sync(1 << 10);
        harness.run_with(5 * HOUR, |harness| works(harness, 30.0, bytes_per_second));
        assert_eq!(
            harness.container_actions().len(),
            restarts,
            "{bytes_per_second} bytes a second"
        );
    }
}

#[test]
fn a_full_sync_that_stands_at_block_zero_is_restarted_after_its_window() {
    let mut harness = state_sync(9 << 10);
    (harness.para.network_moves, harness.para.peers) = (true, Some(1));
    harness.run(6 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

fn log(harness: &mut Harness, line: String) {
    harness.event(Event::Log(vec![line]));
}

#[test]
fn a_full_sync_by_the_nodes_own_log_is_no_state_sync() {
    let mut harness = state_sync(9 << 10);
    harness.run_with(6 * MINUTE, |harness| {
        log(
            harness,
            "⚙️  Syncing  0.0 bps, target=#4500000 (8 peers), best: #0 (0x1…2), finalized #0 (0x1…2)".to_owned(),
        );
    });
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn an_idle_relay_chain_at_zero_without_a_target_is_not_restarted_early() {
    let mut harness = Harness::fresh();
    (harness.relay.best, harness.relay.behind) = (0, 0);
    (harness.relay.moves, harness.relay.network_moves) = (false, false);
    harness.para.error = Some(ScrapeError::Refused);
    harness.runs_anew();
    harness.run_with(3 * HOUR, |harness| {
        log(
            harness,
            "[Relaychain] 💤 Idle (2 peers), best: #0 (0x6408…063e), finalized #0 (0x6408…063e), ⬇ 25 B/s ⬆ 25 B/s"
                .to_owned(),
        );
    });
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_share_of_the_state_that_rises_is_progress_for_as_long_as_it_rises() {
    let mut harness = state_sync(1 << 10);
    harness.run_with(40 * HOUR, |harness| {
        let percent = harness.seconds() / (HOUR / 2);
        log(
            harness,
            format!("⚙️  State sync, Downloading state, {percent}%, 11.37 Mib (8 peers), best: #0 (0x1…2), finalized #0 (0x1…2), ⬇ 1.0MiB/s ⬆ 1kiB/s"),
        );
    });
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_target_that_is_best_proves_nothing_while_major_syncing() {
    let mut harness = state_sync(1 << 10);
    harness.para.behind = 0;
    harness.para.always_syncing = true;
    harness.run_with(3 * HOUR, |harness| {
        assert!(!matches!(harness.machine.phase(), Phase::Quiet | Phase::Synced));
    });
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_node_is_in_sync_after_a_minute_near_a_credible_target() {
    let mut harness = Harness::fresh();
    harness.runs_anew();
    harness.run_with(MINUTE, |harness| assert_ne!(harness.machine.phase(), Phase::Synced));
    harness.run(10);
    assert_eq!(harness.machine.phase(), Phase::Synced);
}

#[test]
fn silence_with_work_on_the_disk_gets_half_an_hour_and_with_cpu_alone_twelve_minutes() {
    for (cpu, disk, limit) in [
        (5.0, 50 << 20, 1800),
        (95.0, 300 << 10, 1800),
        (100.0, 0, 725),
        (3.0, 0, 120),
    ] {
        let mut harness = Harness::synced();
        (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
        let since = harness.seconds();
        harness.run_with(40 * MINUTE, |harness| works(harness, cpu, disk));
        let first = harness.times(since)[0];
        assert!((limit..=limit + 15).contains(&first), "{cpu} {disk}: {first}");
    }
}

#[test]
fn a_node_that_never_had_a_peer_is_not_isolated_and_reported_once() {
    let mut harness = Harness::fresh();
    harness.para.peers = Some(0);
    harness.runs_anew();
    harness.run(DAY);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.told(Cause::NeverConnected), 1);
    assert_eq!(harness.wrong(), [Cause::NeverConnected]);
}

#[test]
fn peers_of_an_idle_chain_that_leave_and_return_are_one_condition() {
    for (on, off) in [(20, 120), (30, 30), (60, 10), (45, 240)] {
        let mut harness = Harness::synced();
        (harness.para.moves, harness.para.network_moves) = (false, false);
        let since = harness.seconds();
        harness.log.clear();
        harness.run_with(6 * HOUR, |harness| {
            let away = (harness.seconds() - since) % (on + off) >= on;
            harness.para.peers = Some(if away { 0 } else { 5 });
        });
        assert_eq!(harness.container_actions(), [], "{on} {off}");
        let messages = [Cause::UnsteadyPeers, Cause::Quiet, Cause::Isolated].map(|cause| harness.told(cause));
        assert_eq!(messages[0], 1, "{on} {off}");
        assert!(messages[1] <= 1 && messages[2] == 0, "{on} {off}: {messages:?}");
    }
}

#[test]
fn a_condition_is_over_when_it_stayed_away_for_ten_minutes() {
    let mut harness = Harness::synced();
    for round in 0..20 {
        harness.event(Event::Docker {
            reachable: round % 2 == 1,
        });
        harness.run(2 * MINUTE);
    }
    assert_eq!(harness.told(Cause::DockerUnreachable), 1);
    assert_eq!(harness.machine.returns(Cause::DockerUnreachable), 9);
    harness.run(10 * MINUTE);
    let over = |machine: &Machine| !machine.state().active_problems.contains(&Cause::DockerUnreachable);
    assert!(over(&harness.machine));
}

#[test]
fn quiet_says_what_was_seen_and_no_more() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.run(12 * MINUTE);
    let text = harness.machine.explain(Cause::Quiet);
    assert!(
        text.starts_with("no new block of the parachain for 12m from 8 peers; the relay chain moves: whether"),
        "{text}"
    );
}
