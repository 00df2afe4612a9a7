//! What operators report of chains that rest, lag, or wait for another one.

use std::time::Duration;

use super::harness::*;
use crate::event::{Activity, Chain, Event, HostFacts, Reading, ScrapeError};
use crate::machine::policy::Idle;
use crate::machine::{Action, Cause, Policy};

fn resting(chain: Chain, idle: Idle) -> Policy {
    Policy {
        idle: [(chain, idle)].into(),
        ..Policy::default()
    }
}

/// Reports `best` of a reference of one chain, with its finality at `finalized`.
fn reference(harness: &mut Harness, chain: Chain, best: u64, finalized: u64) {
    if !harness.seconds().is_multiple_of(30) {
        return;
    }
    let (best, finalized) = (Some(best), Some(finalized));
    harness.event(Event::Reference {
        chain,
        source: 0,
        reading: Ok(Reading {
            best,
            finalized,
            forked: None,
        }),
    });
}

fn messages(harness: &Harness, of: Cause) -> usize {
    let is_one = |(_, action): &&(u64, Action)| matches!(action, Action::Notify { cause, .. } if *cause == of);
    harness.log.iter().filter(is_one).count()
}

#[test]
fn a_solo_chain_that_may_rest_is_left_alone() {
    let idle = Idle {
        expected: false,
        max: Some(Duration::from_mins(30)),
    };
    let mut harness = Harness::with(Policy {
        chains: vec![Chain::Relaychain],
        ..resting(Chain::Relaychain, idle)
    });
    harness.para.unseen = true;
    harness.runs_anew();
    harness.run(5 * MINUTE);
    (harness.relay.moves, harness.relay.network_moves) = (false, false);
    harness.run(6 * HOUR);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_target_of_its_own_with_peers_that_blink_is_no_stall() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.para.always_syncing = true;
    harness.run_with(HOUR, |harness| {
        let blinks = harness.seconds() % 230 < 5;
        harness.para.peers = Some(if blinks { 0 } else { 7 });
        harness.para.always_syncing = !blinks;
    });
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_reference_that_moves_on_is_a_target_of_a_node_that_knows_none() {
    let mut harness = Harness::synced();
    harness.run_with(2 * MINUTE, |harness| {
        let best = harness.para.best;
        reference(harness, Chain::Parachain, best, best);
    });
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.para.always_syncing = true;
    let (head, began) = (harness.para.best, harness.seconds());
    harness.run_with(10 * MINUTE, |harness| {
        let best = head + (harness.seconds() - began) / 6;
        reference(harness, Chain::Parachain, best, best);
    });
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn finality_of_a_parachain_waits_for_that_of_its_relay_chain() {
    let mut harness = Harness::synced();
    (harness.para.finality_moves, harness.relay.finality_moves) = (false, false);
    let finalized = harness.relay.best;
    harness.run_with(12 * HOUR, |harness| {
        let best = harness.relay.best;
        reference(harness, Chain::Relaychain, best, finalized);
    });
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.told(Cause::FinalityStalled), 1);
}

#[test]
fn a_chain_that_loses_a_block_in_twenty_falls_behind() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.run_with(8 * HOUR, |harness| {
        if harness.seconds().is_multiple_of(100) {
            harness.para.behind += 1;
        } else {
            harness.para.best += 1;
        }
    });
    assert_eq!(harness.told(Cause::FallingBehind), 1);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_relay_chain_near_its_head_excuses_no_parachain() {
    let mut harness = Harness::synced();
    harness.para.moves = false;
    (harness.relay.moves, harness.relay.network_moves, harness.relay.behind) = (false, false, 14);
    harness.run_with(10 * MINUTE, |harness| harness.relay.best += 1);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn a_reference_of_a_chain_with_rare_blocks_moves_on_by_few() {
    let idle = Idle {
        expected: true,
        max: None,
    };
    let mut harness = Harness::with(resting(Chain::Parachain, idle));
    harness.runs_anew();
    harness.run_with(10 * MINUTE, |harness| {
        let best = harness.para.best;
        reference(harness, Chain::Parachain, best, best);
    });
    (harness.para.moves, harness.para.network_moves) = (false, false);
    let (head, began) = (harness.para.best, harness.seconds());
    harness.run_with(50 * MINUTE, |harness| {
        let best = head + (harness.seconds() - began) / (20 * MINUTE);
        reference(harness, Chain::Parachain, best, best);
    });
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn a_reference_that_stands_one_block_further_shows_a_halt() {
    let mut harness = Harness::synced();
    harness.run_with(5 * MINUTE, |harness| {
        let best = harness.para.best;
        reference(harness, Chain::Parachain, best, best);
    });
    (harness.para.moves, harness.para.network_moves) = (false, false);
    let head = harness.para.best;
    harness.run_with(6 * HOUR, |harness| reference(harness, Chain::Parachain, head + 1, head));
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_slow_disk_at_the_start_is_work_and_an_idle_process_is_none() {
    for (bytes_per_second, restarts) in [(150 << 10, 0), (1 << 10, 1)] {
        let mut harness = Harness::fresh();
        harness.para.error = Some(ScrapeError::Refused);
        harness.relay.error = harness.para.error;
        harness.runs_anew();
        harness.run_with(25 * MINUTE, |harness| {
            let read = harness.seconds() * bytes_per_second;
            harness.event(Event::Activity(Activity {
                cpu_percent: Some(3.0),
                block_read_bytes: Some(read),
                block_write_bytes: None,
            }));
        });
        let restarted = harness.container_actions().len().min(1);
        assert_eq!(restarted, restarts, "{bytes_per_second} bytes a second");
    }
}

#[test]
fn exporters_without_heights_are_reported() {
    let mut harness = Harness::fresh();
    harness.para.error = Some(ScrapeError::MetricMissing);
    harness.relay.error = harness.para.error;
    harness.runs_anew();
    harness.run(HOUR);
    assert_eq!(harness.told(Cause::Blind), 1);
    assert!(
        harness.machine.explain(Cause::Blind).contains("check prefix"),
        "{}",
        harness.machine.explain(Cause::Blind)
    );
}

#[test]
fn a_condition_that_comes_and_goes_all_day_is_a_few_messages() {
    for (every, lasts) in [(25 * MINUTE, 3 * MINUTE), (40 * MINUTE, 5 * MINUTE)] {
        let mut harness = Harness::synced();
        harness.run_with(DAY, |harness| {
            let fails = harness.seconds() % every < lasts;
            harness.relay.error = fails.then_some(ScrapeError::Timeout);
        });
        let messages = messages(&harness, Cause::Blind);
        assert!((1..=6).contains(&messages), "{messages} messages, every {every} s");
    }
}

#[test]
fn a_network_that_fails_a_single_look_is_not_down() {
    let mut harness = Harness::synced();
    harness.run_with(6 * HOUR, |harness| {
        let fails = harness.seconds() % HOUR < MINUTE;
        harness.host = Some(HostFacts {
            network_ok: Some(!fails),
            ..healthy_host()
        });
    });
    assert_eq!(harness.told(Cause::NetworkDown), 0);
}

#[test]
fn a_collator_that_makes_blocks_alone_is_not_isolated() {
    let idle = Idle {
        expected: true,
        max: None,
    };
    let mut harness = Harness::with(resting(Chain::Parachain, idle));
    harness.runs_anew();
    harness.run(5 * MINUTE);
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.run_with(2 * DAY, |harness| {
        harness.para.peers = Some(0);
        if harness.seconds().is_multiple_of(20 * MINUTE) {
            harness.para.best += 1;
        }
    });
    assert!(
        harness.container_actions().len() <= 1,
        "{:?}",
        harness.container_actions()
    );
}

#[test]
fn an_idle_chain_whose_peers_stay_away_is_restarted_for_no_more_than_once() {
    for away in [5 * MINUTE + 20, 8 * MINUTE] {
        let mut harness = Harness::synced();
        (harness.para.moves, harness.para.network_moves) = (false, false);
        let began = harness.seconds();
        harness.run_with(2 * DAY, |harness| {
            let alone = (harness.seconds() - began) % (away + 50) >= 50;
            harness.para.peers = Some(if alone { 0 } else { 6 });
            if harness.seconds().is_multiple_of(2 * HOUR) {
                harness.para.best += 1;
            }
        });
        assert!(
            harness.container_actions().len() <= 1,
            "{away}: {:?}",
            harness.container_actions()
        );
        // One that does not end is another one.
        harness.para.peers = Some(0);
        harness.log.clear();
        harness.run(40 * MINUTE);
        assert_eq!(
            harness.container_actions().first(),
            Some(&restart(Cause::Isolated)),
            "{away}"
        );
    }
}

#[test]
fn a_chain_that_went_on_without_the_node_was_not_borne_without_peers() {
    let mut harness = Harness::synced();
    for _ in 0..3 {
        harness.para.peers = Some(0);
        harness.para.moves = false;
        harness.run(4 * MINUTE);
        (harness.para.peers, harness.para.moves) = (Some(6), true);
        harness.run(5 * MINUTE);
    }
    (harness.para.peers, harness.para.moves) = (Some(0), false);
    harness.run(6 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Isolated)]);
}

#[test]
fn a_head_of_which_nothing_is_final_is_reported_where_the_relay_chain_finalizes() {
    for (relay_is_final, reports) in [(true, 1), (false, 0)] {
        let mut harness = Harness::fresh();
        (harness.para.finality_moves, harness.para.finalized) = (false, 0);
        if !relay_is_final {
            (harness.relay.finality_moves, harness.relay.finalized) = (false, 0);
        }
        harness.runs_anew();
        harness.run(25 * MINUTE);
        assert_eq!(harness.told(Cause::FinalityStalled), 0);
        harness.run(3 * HOUR);
        assert_eq!(harness.told(Cause::FinalityStalled), reports);
        assert_eq!(harness.container_actions(), []);
    }
}

#[test]
fn a_relay_chain_by_rpc_whose_page_does_not_answer_is_nothing_to_report() {
    let mut harness = Harness::synced();
    harness.relay.error = Some(ScrapeError::MetricMissing);
    harness.runs_anew();
    harness.run(HOUR);
    harness.run_with(DAY, |harness| {
        let away = match harness.seconds() % (2 * HOUR) {
            ..5 => Some(ScrapeError::Timeout),
            2000..2300 => Some(ScrapeError::Refused),
            _ => Some(ScrapeError::MetricMissing),
        };
        harness.relay.error = away;
    });
    assert_eq!(messages(&harness, Cause::Blind), 0);
    // A page of something else has no such excuse.
    harness.relay.error = Some(ScrapeError::HttpStatus);
    harness.run(5 * MINUTE);
    assert_eq!(messages(&harness, Cause::Blind), 1);
}
