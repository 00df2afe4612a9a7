//! Faults of the host and of Docker: what is done, and what is not.

use super::harness::*;
use crate::event::{Container, Event, HostFacts};
use crate::machine::{Cause, Health, Phase};

#[test]
fn with_the_hosts_network_down_nothing_is_restarted_but_reported() {
    let mut harness = Harness::synced();
    harness.host = Some(HostFacts {
        network_ok: Some(false),
        ..healthy_host()
    });
    (harness.para.moves, harness.relay.moves) = (false, false);
    // The node still counts peers at first.
    harness.run(20 * MINUTE);
    (harness.para.peers, harness.relay.peers) = (Some(0), Some(0));
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::NetworkDown]);
    assert_eq!(harness.machine.health(), Health::Degraded);

    harness.host = Some(healthy_host());
    harness.run(4 * MINUTE);
    assert_eq!(
        harness.container_actions(),
        [],
        "it gets a whole window to find its peers"
    );
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Isolated)]);
}

#[test]
fn a_network_in_doubt_postpones_the_restart_but_not_for_ever() {
    let mut harness = Harness::synced();
    harness.host = Some(HostFacts {
        network_ok: None,
        ..healthy_host()
    });
    harness.run(MINUTE);
    (harness.para.peers, harness.relay.peers) = (Some(0), Some(0));
    (harness.para.moves, harness.relay.moves) = (false, false);
    harness.run(14 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Isolated, Health::Degraded);
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Isolated)]);
}

#[test]
fn a_clock_that_is_off_is_reported() {
    for offset in [501.0, -501.0] {
        let mut harness = Harness::synced();
        harness.host = Some(HostFacts {
            clock_offset_ms: Some(offset),
            ..healthy_host()
        });
        harness.run(2 * MINUTE);
        assert_eq!(harness.wrong(), [Cause::ClockOff]);
        assert_eq!(harness.container_actions(), []);
    }
}

#[test]
fn want_of_memory_is_reported_and_nothing_restarted_for_it() {
    for (percent, wrong) in [
        (Some(20.0), &[Cause::MemoryPressure][..]),
        (Some(19.9), &[]),
        (None, &[]),
    ] {
        let mut harness = Harness::synced();
        harness.host = Some(HostFacts {
            memory_full_percent: percent,
            ..healthy_host()
        });
        harness.run(10 * MINUTE);
        assert_eq!(harness.wrong(), wrong);
        assert_eq!(harness.container_actions(), []);
    }
}

#[test]
fn docker_unreachable_does_nothing_then_adopts_container() {
    let mut harness = Harness::synced();
    harness.event(Event::Docker { reachable: false });
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(MINUTE);
    harness.expect(Phase::DockerUnreachable, Health::Degraded);
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    (harness.para.moves, harness.para.behind) = (true, 0);
    harness.run(MINUTE);
    harness.event(Event::Docker { reachable: true });
    harness.container(running(harness.run));
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn an_engine_that_comes_back_gets_time_to_start_its_containers_itself() {
    let mut harness = Harness::synced();
    harness.event(Event::Docker { reachable: false });
    harness.up = false;
    harness.run(MINUTE);
    harness.event(Event::Docker { reachable: true });
    harness.exits(137, &[]);
    harness.run(25);
    assert_eq!(harness.container_actions(), []);
    harness.runs_anew();
    assert!(harness.machine.state().crashes.is_empty());
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn after_a_gap_the_windows_start_anew() {
    for told in [true, false] {
        let mut harness = Harness::synced();
        (harness.para.moves, harness.para.behind) = (false, 500);
        harness.run(4 * MINUTE);
        harness.gap(HOUR, told);
        let since = harness.seconds();
        harness.run(295);
        assert_eq!(harness.container_actions(), []);
        harness.run(15);
        assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
        assert_eq!(harness.times(since), [305]);
    }
}

#[test]
fn a_container_that_is_not_ours_is_never_touched() {
    let mut harness = Harness::fresh();
    harness.container(Container::Foreign);
    harness.up = true;
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::Foreign]);
}
