//! One condition is one message when it begins and one when it is over, whatever else happens to node and agent.

use super::harness::*;
use crate::event::{Event, Exit, ScrapeError};
use crate::machine::Cause;

/// The machine boots again: neither the end of the run nor the agent's own is seen.
fn host_reboots(harness: &mut Harness) {
    harness.agent_dies(20);
    harness.runs_anew();
}

#[test]
fn an_end_for_want_of_memory_is_told_once_and_not_for_a_later_unseen_end() {
    let mut harness = Harness::synced();
    harness.ends(Exit {
        code: Some(137),
        oom: true,
        log: Vec::new(),
    });
    harness.run(2);
    harness.runs_anew();
    harness.run(20 * MINUTE);
    host_reboots(&mut harness);
    assert_eq!(harness.wrong(), [], "the reboot is the newest end");
    harness.run(12 * HOUR);
    host_reboots(&mut harness);
    harness.run(HOUR);
    assert_eq!(harness.told(Cause::OutOfMemory), 1);
    assert_eq!(harness.over(Cause::OutOfMemory), 1);
}

#[test]
fn a_stall_is_no_falling_behind_as_well_before_it_or_after_it() {
    for minutes in [2, 3, 4, 20] {
        let mut harness = Harness::synced();
        harness.run(30 * MINUTE);
        harness.obeys = false;
        harness.para.moves = false;
        harness.run(minutes * MINUTE);
        harness.para.moves = true;
        harness.run(HOUR);
        assert_eq!(harness.told(Cause::FallingBehind), 0, "{minutes}");
    }
}

#[test]
fn falling_behind_lasts_through_a_restart_of_the_agent_and_of_the_node() {
    let mut harness = Harness::synced();
    let slow = |harness: &mut Harness| {
        // It imports every third block of the network.
        harness.para.moves = harness.seconds().is_multiple_of(15);
        if harness.para.moves {
            harness.para.best -= 3;
            harness.para.behind += 3;
        }
    };
    harness.run_with(HOUR, slow);
    for _ in 0..4 {
        harness.agent_dies(MINUTE);
        harness.container(running(harness.run));
        harness.run_with(6 * MINUTE, slow);
    }
    host_reboots(&mut harness);
    harness.run_with(HOUR, slow);
    assert_eq!(harness.wrong(), [Cause::FallingBehind]);
    assert_eq!(harness.told(Cause::FallingBehind), 1);
    assert_eq!(harness.over(Cause::FallingBehind), 0);
}

#[test]
fn peers_that_starts_suspends_silence_and_the_network_cost_are_not_unsteady() {
    type Loss = fn(&mut Harness);
    let losses: [Loss; 4] = [
        Harness::runs_anew,
        |harness| harness.gap(HOUR, false),
        |harness| {
            harness.para.error = Some(ScrapeError::Timeout);
            harness.run(MINUTE);
            harness.para.error = None;
        },
        // That it is down shows a while later.
        |harness| {
            harness.para.peers = Some(0);
            harness.run(30);
            let mut host = healthy_host();
            host.network_ok = Some(false);
            harness.event(Event::Host(host));
            harness.run(20);
            harness.event(Event::Host(healthy_host()));
        },
    ];
    for (n, loss) in losses.into_iter().enumerate() {
        let mut harness = Harness::synced();
        for _ in 0..8 {
            loss(&mut harness);
            harness.para.peers = Some(0);
            harness.run(20);
            harness.para.peers = Some(8);
            harness.run(2 * MINUTE);
        }
        assert_eq!(harness.told(Cause::UnsteadyPeers), 0, "{n}");
    }
}

#[test]
fn a_missing_exporter_is_neither_a_slow_start_nor_blind_until_its_restart_failed() {
    let mut harness = Harness::fresh();
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    harness.container(running(1));
    harness.run(11 * MINUTE);
    let told = |harness: &Harness| [Cause::NoExporter, Cause::SlowStart, Cause::Blind].map(|cause| harness.told(cause));
    assert_eq!(told(&harness), [1, 0, 0]);
    harness.run(HOUR);
    harness.agent_dies(MINUTE);
    harness.container(running(harness.run));
    harness.run(HOUR);
    assert_eq!(told(&harness), [1, 0, 1]);
    assert_eq!(harness.over(Cause::Blind), 0);
}

#[test]
fn one_exporter_that_answers_later_than_the_other_after_a_silence_is_not_blind() {
    let mut harness = Harness::synced();
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    harness.run(115);
    harness.para.error = None;
    harness.run(30);
    harness.relay.error = None;
    harness.run(MINUTE);
    assert_eq!(harness.told(Cause::Blind), 0);
}

#[test]
fn finality_that_stands_is_told_once_over_restarts_of_agent_and_node() {
    let mut harness = Harness::synced();
    (harness.para.finality_moves, harness.relay.finality_moves) = (false, false);
    harness.run(31 * MINUTE);
    for _ in 0..4 {
        harness.agent_dies(MINUTE);
        harness.container(running(harness.run));
        harness.run(20 * MINUTE);
        assert_eq!(harness.wrong(), [Cause::FinalityStalled]);
    }
    let text = harness.machine.explain(Cause::FinalityStalled);
    assert!(text.contains("has stood still for 1h50m"), "{text}");
    host_reboots(&mut harness);
    harness.run(20 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.told(Cause::FinalityStalled), 1);
    assert_eq!(harness.over(Cause::FinalityStalled), 0);
    (harness.para.finality_moves, harness.relay.finality_moves) = (true, true);
    harness.run(HOUR);
    assert_eq!(harness.wrong(), []);
    assert_eq!(harness.over(Cause::FinalityStalled), 1);
}

#[test]
fn what_does_not_help_is_told_once_over_restarts_of_the_agent() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(30 * MINUTE);
    for _ in 0..4 {
        harness.agent_dies(MINUTE);
        harness.container(running(harness.run));
        harness.run(30 * MINUTE);
    }
    assert_eq!(harness.told(Cause::NotHelping), 1);
    assert_eq!(harness.over(Cause::NotHelping), 0);
    (harness.para.moves, harness.relay.moves) = (true, true);
    harness.run(HOUR);
    assert_eq!(harness.over(Cause::NotHelping), 1);
}

#[test]
fn a_quiet_chain_is_told_once_over_a_reboot() {
    let mut harness = Harness::synced();
    harness.run(10 * MINUTE);
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.run(20 * MINUTE);
    host_reboots(&mut harness);
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Refused), Some(ScrapeError::Refused));
    harness.run(8 * MINUTE);
    (harness.para.error, harness.relay.error) = (None, None);
    harness.run(HOUR);
    assert_eq!(harness.told(Cause::Quiet), 1);
    assert_eq!(harness.over(Cause::Quiet), 0);
}
