//! One test per row of the table of faults: what is done, and what is not.

use super::rig::*;
use crate::event::{Activity, Container, Event, Failure, HostFacts, ScrapeError, Time};
use crate::machine::{Action, Cause, Health, Phase};

#[test]
fn what_has_exited_is_left_to_dockers_policy_and_started_only_when_that_does_not() {
    let mut rig = Rig::synced();
    rig.exits(1, &["Thread 'main' panicked at 'x'"]);
    rig.expect(Phase::Backoff, Health::Degraded);
    rig.run(25);
    assert_eq!(rig.deeds(), []);
    rig.runs_anew();
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.told(Cause::Exited), 1);

    rig.exits(1, &[]);
    let since = rig.seconds();
    rig.run(40);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
    assert_eq!(rig.times(since), [30]);
}

#[test]
fn starts_that_do_not_hold_come_further_and_further_apart_up_to_the_cap() {
    let mut rig = Rig::synced();
    rig.failing = Some(Failure::Other);
    rig.exits(1, &[]);
    rig.run(HOUR);
    let times = rig.times(0);
    let apart: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    for (apart, most) in apart.iter().zip([1_u64, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]) {
        assert!(
            ((most * 3 / 4).saturating_sub(1)..=most + 1).contains(apart),
            "{apart} s where {most} s are the most"
        );
    }
    assert!(apart.len() >= 12);
    rig.expect(Phase::Backoff, Health::Degraded);
    assert_eq!(rig.wrong(), [Cause::ActionFailed, Cause::Exited]);
}

#[test]
fn half_an_hour_of_running_resets_the_backoff() {
    let mut rig = Rig::synced();
    for _ in 0..4 {
        rig.exits(1, &[]);
        rig.run(12 * MINUTE);
    }
    assert_eq!(rig.machine.state().attempts, 4);
    rig.run(31 * MINUTE);
    assert_eq!(rig.machine.state().attempts, 0);
}

#[test]
fn a_frozen_node_is_restarted_after_two_minutes_of_silence_and_not_before() {
    let mut rig = Rig::synced();
    let since = rig.seconds();
    rig.para.error = Some(ScrapeError::Timeout);
    rig.relay.error = Some(ScrapeError::Refused);
    rig.run(MINUTE);
    rig.expect(Phase::Frozen, Health::Unknown);
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Frozen)]);
    assert_eq!(rig.times(since), [125]);
}

#[test]
fn exporters_that_fall_silent_one_after_the_other_are_one_trouble() {
    let mut rig = Rig::synced();
    rig.para.error = Some(ScrapeError::Timeout);
    rig.run(10);
    rig.relay.error = Some(ScrapeError::Timeout);
    rig.run(3 * MINUTE);
    assert_eq!((rig.told(Cause::Frozen), rig.told(Cause::Blind)), (1, 0));
}

#[test]
fn a_missed_scrape_does_not_hide_a_stall() {
    let mut rig = Rig::synced();
    rig.para.moves = false;
    rig.machine.policy.budget = 0;
    rig.run(10 * MINUTE);
    rig.expect(Phase::Stalled, Health::Critical);
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    rig.run(5);
    rig.expect(Phase::Stalled, Health::Critical);
}

#[test]
fn silence_that_ends_within_its_window_is_no_freeze() {
    let mut rig = Rig::synced();
    for _ in 0..20 {
        (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
        rig.run(115);
        (rig.para.error, rig.relay.error) = (None, Some(ScrapeError::Timeout));
        rig.run(5);
    }
    assert_eq!(rig.deeds(), []);
}

#[test]
fn garbage_is_an_answer_and_no_freeze() {
    let mut rig = Rig::synced();
    rig.para.error = Some(ScrapeError::HttpStatus);
    rig.relay.error = Some(ScrapeError::Timeout);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::Blind]);
}

#[test]
fn silence_while_docker_is_away_too_proves_nothing() {
    let mut rig = Rig::synced();
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    rig.event(Event::Docker { reachable: false });
    rig.run(10 * MINUTE);
    rig.event(Event::Docker { reachable: true });
    rig.run(115);
    assert_eq!(rig.deeds(), []);
    rig.run(15);
    assert_eq!(rig.deeds(), [restart(Cause::Frozen)]);
}

#[test]
fn a_stall_is_restarted_after_its_window_and_told() {
    let mut rig = Rig::synced();
    rig.para.behind = 500;
    rig.para.moves = false;
    let since = rig.seconds();
    rig.run(295);
    assert_eq!(rig.deeds(), []);
    rig.run(10);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
    assert_eq!(rig.times(since), [300]);
}

#[test]
fn a_relay_chain_that_stands_still_with_peers_is_a_stall_even_at_its_target() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.network_moves) = (false, false);
    (rig.relay.moves, rig.relay.network_moves) = (false, false);
    rig.run(305);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
}

#[test]
fn a_node_without_peers_is_restarted_when_the_hosts_network_is_fine() {
    let mut rig = Rig::synced();
    rig.para.peers = Some(0);
    rig.relay.peers = Some(0);
    (rig.para.moves, rig.relay.moves) = (false, false);
    rig.run(295);
    assert_eq!(rig.deeds(), []);
    rig.run(10);
    assert_eq!(rig.deeds(), [restart(Cause::Isolated)]);
}

#[test]
fn with_the_hosts_network_down_nothing_is_restarted_but_reported() {
    let mut rig = Rig::synced();
    rig.host = Some(HostFacts {
        network_ok: Some(false),
        ..healthy_host()
    });
    (rig.para.moves, rig.relay.moves) = (false, false);
    // The node still counts peers at first.
    rig.run(20 * MINUTE);
    (rig.para.peers, rig.relay.peers) = (Some(0), Some(0));
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::Isolated, Cause::NetworkDown]);
    assert_eq!(rig.machine.health(), Health::Degraded);

    rig.host = Some(healthy_host());
    rig.run(4 * MINUTE);
    assert_eq!(rig.deeds(), [], "it gets a whole window to find its peers");
    rig.run(2 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Isolated)]);
}

#[test]
fn a_network_in_doubt_postpones_the_restart_but_not_for_ever() {
    let mut rig = Rig::synced();
    rig.host = Some(HostFacts {
        network_ok: None,
        ..healthy_host()
    });
    rig.run(MINUTE);
    (rig.para.peers, rig.relay.peers) = (Some(0), Some(0));
    (rig.para.moves, rig.relay.moves) = (false, false);
    rig.run(14 * MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Isolated, Health::Degraded);
    rig.run(2 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Isolated)]);
}

#[test]
fn a_relay_chain_without_peers_does_not_interrupt_a_parachain_whose_blocks_arrive() {
    let mut rig = Rig::synced();
    (rig.relay.peers, rig.relay.moves) = (Some(0), false);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::Isolated]);
    rig.expect(Phase::Synced, Health::Degraded);
    (rig.para.moves, rig.para.network_moves) = (false, false);
    rig.run(6 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Isolated)]);
}

#[test]
fn an_exporter_that_never_comes_up_is_worth_one_restart_after_the_startup_grace() {
    let mut rig = Rig::fresh();
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    rig.container(running(1));
    rig.run(9 * MINUTE);
    rig.expect(Phase::Starting, Health::Unknown);
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::NoExporter)]);
    rig.run(24 * HOUR);
    assert_eq!(rig.deeds().len(), 1, "one restart, no more");
    assert_eq!(rig.wrong(), [Cause::Blind]);
    assert_eq!(rig.judged(), [(Cause::NoExporter, false)]);
}

#[test]
fn an_exporter_that_comes_up_after_the_restart_was_helped() {
    let mut rig = Rig::fresh();
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    rig.container(running(1));
    rig.run(11 * MINUTE);
    (rig.para.error, rig.relay.error) = (None, None);
    rig.run(MINUTE);
    assert_eq!(rig.judged(), [(Cause::NoExporter, true)]);
}

#[test]
fn a_busy_node_gets_longer_to_bring_up_its_exporters_but_not_for_ever() {
    let mut rig = Rig::fresh();
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    rig.container(running(1));
    let busy = |rig: &mut Rig| {
        rig.event(Event::Activity(Activity {
            cpu_percent: Some(120.0),
            block_read_bytes: None,
        }));
    };
    rig.run_with(29 * MINUTE, busy);
    assert_eq!(rig.deeds(), []);
    rig.run_with(2 * MINUTE, busy);
    assert_eq!(rig.deeds(), [restart(Cause::NoExporter)]);
}

#[test]
fn one_silent_exporter_is_reported_and_never_a_reason_to_restart() {
    let mut rig = Rig::synced();
    rig.para.error = Some(ScrapeError::Refused);
    rig.run(24 * HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::Blind]);
    assert_eq!(rig.told(Cause::Blind), 1);
}

#[test]
fn a_parachain_exporter_that_waits_for_the_relay_chains_warp_sync_is_normal() {
    let mut rig = Rig::fresh();
    rig.container(running(1));
    rig.para.error = Some(ScrapeError::Refused);
    rig.relay.behind = 20_000;
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), []);
    rig.expect(Phase::Syncing, Health::Ok);
}

#[test]
fn a_chain_wide_halt_is_told_once_and_never_restarted() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.network_moves) = (false, false);
    rig.run(72 * HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.told(Cause::Quiet), 1);
    rig.expect(Phase::Quiet, Health::Degraded);
}

#[test]
fn a_chain_that_makes_a_block_now_and_then_is_told_quiet_once() {
    let mut rig = Rig::synced();
    let mut looks = 0;
    rig.run_with(24 * HOUR, |rig| {
        looks += 1;
        let block = looks % 90 == 0;
        (rig.para.moves, rig.para.network_moves) = (block, block);
    });
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.told(Cause::Quiet), 1);
}

#[test]
fn five_exits_in_ten_minutes_put_the_backoff_at_its_cap() {
    let mut rig = Rig::synced();
    for round in 0..5 {
        rig.exits(101, &["Thread 'main' panicked at 'x'"]);
        let loops = Action::Backoff {
            cause: Cause::CrashLoop,
            wait: rig.machine.policy.backoff_max,
        };
        assert_eq!(rig.deeds().contains(&loops), round == 4);
        if round < 4 {
            rig.run(5);
            rig.runs_anew();
            rig.run(MINUTE);
        }
    }
    let since = rig.seconds();
    rig.log.clear();
    rig.run(4 * MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Backoff, Health::Critical);
    assert_eq!(rig.wrong(), [Cause::CrashLoop]);
    rig.run(2 * MINUTE);
    assert_eq!(rig.deeds(), [start(Cause::CrashLoop)]);
    assert_eq!(rig.times(since), [300]);
    rig.run(31 * MINUTE);
    assert_eq!(rig.wrong(), []);
}

#[test]
fn runs_too_short_to_be_seen_are_counted_all_the_same() {
    for restarting in [true, false] {
        let mut rig = Rig::synced();
        for _ in 0..5 {
            rig.exits(101, &[]);
            rig.pass_to(Time(rig.now.0 + 300));
            if restarting {
                rig.container(Container::Restarting);
            }
        }
        let loops = |a: &Action| matches!(a, Action::Backoff { .. });
        assert_eq!(rig.deeds().iter().filter(|a| loops(a)).count(), 1);
        assert_eq!(rig.machine.crash_restarts(), 5);
    }
}

#[test]
fn news_of_a_run_that_we_stopped_in_a_crash_loop_starts_nothing() {
    let mut rig = Rig::synced();
    for _ in 0..5 {
        rig.exits(101, &[]);
        rig.pass_to(Time(rig.now.0 + 300));
    }
    let before_the_stop = rig.wall() - 350;
    rig.log.clear();
    rig.container(running(before_the_stop));
    rig.up = false;
    rig.run(4 * MINUTE);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Backoff, Health::Critical);
}

#[test]
fn exits_spread_over_time_are_no_crash_loop() {
    let mut rig = Rig::synced();
    for _ in 0..20 {
        rig.exits(101, &[]);
        rig.run(5);
        rig.runs_anew();
        rig.run(3 * MINUTE);
    }
    assert_eq!(rig.deeds(), []);
}

#[test]
fn falling_behind_is_reported_and_not_restarted() {
    let mut rig = Rig::synced();
    rig.run_with(HOUR, |rig| {
        // It imports every third block of the network.
        rig.para.moves = rig.seconds().is_multiple_of(15);
        if rig.para.moves {
            rig.para.best -= 3;
            rig.para.behind += 3;
        }
    });
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::FallingBehind]);
}

#[test]
fn a_clock_that_is_off_is_reported() {
    for offset in [501.0, -501.0] {
        let mut rig = Rig::synced();
        rig.host = Some(HostFacts {
            clock_offset_ms: Some(offset),
            ..healthy_host()
        });
        rig.run(2 * MINUTE);
        assert_eq!(rig.wrong(), [Cause::ClockOff]);
        assert_eq!(rig.deeds(), []);
    }
}

#[test]
fn want_of_memory_is_reported_and_nothing_restarted_for_it() {
    for (percent, wrong) in [
        (Some(20.0), &[Cause::MemoryPressure][..]),
        (Some(19.9), &[]),
        (None, &[]),
    ] {
        let mut rig = Rig::synced();
        rig.host = Some(HostFacts {
            memory_full_percent: percent,
            ..healthy_host()
        });
        rig.run(10 * MINUTE);
        assert_eq!(rig.wrong(), wrong);
        assert_eq!(rig.deeds(), []);
    }
}

#[test]
fn nothing_is_done_while_docker_is_unreachable_and_afterwards_the_container_is_adopted() {
    let mut rig = Rig::synced();
    rig.event(Event::Docker { reachable: false });
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(MINUTE);
    rig.expect(Phase::DockerUnreachable, Health::Degraded);
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), []);
    (rig.para.moves, rig.para.behind) = (true, 0);
    rig.run(MINUTE);
    rig.event(Event::Docker { reachable: true });
    rig.container(running(rig.run));
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn an_engine_that_comes_back_gets_time_to_start_its_containers_itself() {
    let mut rig = Rig::synced();
    rig.event(Event::Docker { reachable: false });
    rig.up = false;
    rig.run(MINUTE);
    rig.event(Event::Docker { reachable: true });
    rig.exits(137, &[]);
    rig.run(25);
    assert_eq!(rig.deeds(), []);
    rig.runs_anew();
    assert!(rig.machine.state().crashes.is_empty());
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
}

#[test]
fn after_a_gap_the_windows_start_anew() {
    for told in [true, false] {
        let mut rig = Rig::synced();
        (rig.para.moves, rig.para.behind) = (false, 500);
        rig.run(4 * MINUTE);
        rig.gap(HOUR, told);
        let since = rig.seconds();
        rig.run(295);
        assert_eq!(rig.deeds(), []);
        rig.run(15);
        assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
        assert_eq!(rig.times(since), [305]);
    }
}

#[test]
fn a_container_that_is_not_ours_is_never_touched() {
    let mut rig = Rig::fresh();
    rig.container(Container::Foreign);
    rig.up = true;
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::Foreign]);
}
