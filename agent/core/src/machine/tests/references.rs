//! A second opinion: whether only this node stands still.

use super::harness::*;
use crate::event::{Chain, Event, Reading, ReferenceError};
use crate::machine::{Cause, Phase};

/// Reports `best` of one reference, with finality three blocks behind.
fn reports(harness: &mut Harness, source: usize, best: u64) {
    says(harness, source, best, best - 3, None);
}

fn says(harness: &mut Harness, source: usize, best: u64, finalized: u64, forked: Option<bool>) {
    if !harness.seconds().is_multiple_of(30) {
        return;
    }
    let reading = Reading {
        best: Some(best),
        finalized: Some(finalized),
        forked,
    };
    harness.event(Event::Reference {
        chain: Chain::Parachain,
        source,
        reading: Ok(reading),
    });
}

/// At its target with peers, as the exporter says, and without new blocks.
fn at_its_target() -> (Harness, u64) {
    let mut harness = Harness::synced();
    harness.run_with(2 * MINUTE, |harness| reports(harness, 0, harness.para.best));
    (harness.para.moves, harness.para.network_moves) = (false, false);
    let head = harness.para.best;
    (harness, head)
}

fn blocks_since(harness: &Harness, began: u64) -> u64 {
    (harness.seconds() - began) / 6
}

#[test]
fn a_reference_that_moves_on_makes_a_standstill_at_the_target_a_stall() {
    let (mut harness, head) = at_its_target();
    let began = harness.seconds();
    harness.run_with(10 * MINUTE, |harness| {
        reports(harness, 0, head + blocks_since(harness, began));
    });
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
    assert!(harness.times(began)[0] <= 400, "{:?}", harness.times(began));
}

#[test]
fn a_reference_that_stands_too_makes_it_a_halt_whatever_the_peers_announce() {
    let (mut harness, head) = at_its_target();
    harness.run_with(HOUR, |harness| reports(harness, 0, head));
    assert_eq!(harness.machine.phase(), Phase::Quiet);
    harness.para.behind = 500;
    harness.run_with(6 * HOUR, |harness| reports(harness, 0, head));
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_reference_that_cannot_be_relied_on_is_no_reason_to_act() {
    type Reference = fn(&mut Harness, u64, u64);
    let references: [Reference; 6] = [
        // It lags for ever.
        |harness, head, new| reports(harness, 0, (head - 500 + new / 2).min(head - 20)),
        // It jumps.
        |harness, head, new| reports(harness, 0, head + 1_000_000 * (new % 7)),
        // It is of another chain.
        |harness, _, new| reports(harness, 0, 40_000_000 + new),
        // It is on a fork.
        |harness, head, new| says(harness, 0, head + new, head + new, Some(true)),
        // Two disagree.
        |harness, head, new| {
            reports(harness, 0, head + new);
            reports(harness, 1, head);
        },
        // It gives no answer.
        |harness, _, _| {
            harness.event(Event::Reference {
                chain: Chain::Parachain,
                source: 0,
                reading: Err(ReferenceError::RateLimited),
            });
        },
    ];
    for (n, reference) in references.into_iter().enumerate() {
        let (mut harness, head) = at_its_target();
        harness.run_with(MINUTE, |harness| reports(harness, 1, head));
        let began = harness.seconds();
        harness.run_with(6 * HOUR, |harness| {
            let new = blocks_since(harness, began);
            reference(harness, head, new);
        });
        assert_eq!(harness.container_actions(), [], "reference {n}");
    }
}

#[test]
fn finality_that_moves_elsewhere_is_worth_a_restart_after_its_window() {
    let mut harness = Harness::synced();
    harness.para.finality_moves = false;
    let began = harness.seconds();
    let stuck_at = harness.para.best;
    harness.run_with(40 * MINUTE, |harness| {
        let best = harness.para.best;
        says(harness, 0, best, stuck_at + blocks_since(harness, began), None);
    });
    assert_eq!(harness.container_actions(), [restart(Cause::FinalityStalled)]);
    assert_eq!(harness.told(Cause::FinalityStalled), 1);
}

#[test]
fn finality_that_stands_without_a_reference_is_reported_and_restarted_for_once() {
    let mut harness = Harness::synced();
    (harness.para.finality_moves, harness.relay.finality_moves) = (false, false);
    harness.run(31 * MINUTE);
    assert_eq!(harness.told(Cause::FinalityStalled), 1);
    assert_eq!(harness.container_actions(), []);
    harness.run(2 * DAY);
    assert_eq!(harness.container_actions(), [restart(Cause::FinalityStalled)]);
    assert_eq!(harness.told(Cause::FinalityStalled), 1);
}

/// Behind what its peers announce, and without new blocks.
fn stuck(harness: &mut Harness, blocks: u64) -> u64 {
    (harness.para.moves, harness.para.behind) = (false, blocks);
    harness.para.best
}

#[test]
fn a_reference_that_never_moved_suppresses_no_stall_and_compels_none() {
    let mut harness = Harness::synced();
    let head = stuck(&mut harness, 500);
    let since = harness.seconds();
    harness.run_with(6 * MINUTE, |harness| reports(harness, 0, head));
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
    assert_eq!(harness.times(since), [300]);
    // At its target there is no evidence of its own, and the two that disagree are none.
    let (mut harness, head) = at_its_target();
    let began = harness.seconds();
    harness.run_with(HOUR, |harness| {
        reports(harness, 0, head + blocks_since(harness, began));
        reports(harness, 1, head);
    });
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn two_references_that_disagree_suppress_no_stall() {
    let mut harness = Harness::synced();
    harness.run_with(2 * MINUTE, |harness| {
        reports(harness, 0, harness.para.best);
        reports(harness, 1, harness.para.best);
    });
    let head = stuck(&mut harness, 500);
    let began = harness.seconds();
    harness.run_with(6 * MINUTE, |harness| {
        reports(harness, 0, head + blocks_since(harness, began));
        reports(harness, 1, head);
    });
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
    assert_eq!(harness.times(began), [300]);
}

#[test]
fn a_reference_that_fell_proves_no_halt_and_a_short_reorganisation_does() {
    for (fall, halts) in [(40, false), (3, true)] {
        let mut harness = Harness::synced();
        harness.run_with(2 * MINUTE, |harness| reports(harness, 0, harness.para.best));
        let head = stuck(&mut harness, 500);
        let began = harness.seconds();
        harness.run_with(20 * MINUTE, |harness| {
            // It rises again, and never above where it was before.
            let back = blocks_since(harness, began) / 8;
            reports(harness, 0, head - fall + if halts { 0 } else { back.min(fall) });
        });
        assert_eq!(harness.container_actions().is_empty(), halts, "{fall}");
    }
}

#[test]
fn a_reference_that_was_away_and_moves_on_shows_that_only_this_node_stands() {
    // It answers for so many seconds of so many.
    for (answers, of) in [(30, 10 * MINUTE), (5 * MINUTE, 7 * MINUTE)] {
        let (mut harness, head) = at_its_target();
        let began = harness.seconds();
        harness.run_with(HOUR, |harness| {
            let passed = harness.seconds() - began;
            // Away at first: what cut the node off cut this off as well.
            if passed > 15 * MINUTE && passed % of < answers {
                reports(harness, 0, head + blocks_since(harness, began));
            }
        });
        assert_eq!(
            harness.container_actions().first(),
            Some(&restart(Cause::Stalled)),
            "{answers} of {of}"
        );
        assert!(
            harness.times(began)[0] > 15 * MINUTE + 300,
            "{:?}",
            harness.times(began)
        );
    }
}

#[test]
fn a_reference_that_comes_back_and_stands_still_is_no_reason_to_act() {
    // Somewhat further, very much further, and where it was.
    for further in [100, 3_000_000, 0] {
        let (mut harness, head) = at_its_target();
        let began = harness.seconds();
        harness.run_with(3 * HOUR, |harness| {
            if harness.seconds() - began > 15 * MINUTE {
                reports(harness, 0, head + further);
            }
        });
        assert_eq!(harness.container_actions(), [], "{further}");
    }
}

#[test]
fn two_references_that_are_away_in_turns_show_together_that_only_this_node_stands() {
    let (mut harness, head) = at_its_target();
    harness.run_with(2 * MINUTE, |harness| reports(harness, 1, head));
    let began = harness.seconds();
    harness.run_with(HOUR, |harness| {
        let source = usize::from((harness.seconds() - began) % (6 * MINUTE) < 3 * MINUTE);
        reports(harness, source, head + blocks_since(harness, began));
    });
    assert_eq!(harness.container_actions().first(), Some(&restart(Cause::Stalled)));
}
