//! A collator that builds no blocks any more: said when it is so, and at no other time.

use super::harness::*;
use crate::event::Command;
use crate::machine::{Action, Cause, Health, Phase, Policy};

/// A collator that has built ten blocks and then, for a minute, none.
fn collator() -> Harness {
    let mut harness = Harness::synced();
    harness.para.built = Some(9);
    harness.run(5);
    harness.para.built = Some(10);
    harness.run(MINUTE);
    harness.log.clear();
    harness
}

fn is_said(harness: &Harness) -> bool {
    harness.wrong().contains(&Cause::NoCollation)
}

#[test]
fn collator_without_blocks_on_moving_chain_is_told_once_never_restarted() {
    let mut harness = collator();
    harness.run(28 * MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
    harness.run(2 * MINUTE);
    harness.expect(Phase::Synced, Health::Degraded);
    harness.run(5 * HOUR);
    assert_eq!(
        (harness.told(Cause::NoCollation), harness.container_actions()),
        (1, vec![])
    );
    let problem = harness.machine.problems().remove(0);
    assert!(
        problem.text.contains("30m") && problem.text.contains("session key"),
        "{problem:?}"
    );
}

#[test]
fn the_next_block_it_builds_ends_that() {
    let mut harness = collator();
    harness.run(HOUR);
    assert!(is_said(&harness));
    harness.para.built = Some(11);
    harness.run(5);
    harness.expect(Phase::Synced, Health::Ok);
    let over = Action::Notify {
        cause: Cause::NoCollation,
        over: true,
    };
    assert_eq!(harness.log.last().map(|(_, a)| a), Some(&over));
}

#[test]
fn a_block_now_and_then_is_enough() {
    let mut harness = collator();
    harness.run_with(DAY, |harness| {
        harness.para.built = Some(10 + harness.seconds() / (29 * MINUTE));
    });
    assert_eq!(harness.told(Cause::NoCollation), 0);
}

#[test]
fn a_node_that_never_built_one_is_no_collator() {
    for built in [None, Some(0)] {
        let mut harness = Harness::synced();
        harness.para.built = built;
        harness.run(DAY);
        harness.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn what_it_built_before_anybody_watched_makes_it_a_collator() {
    let mut harness = Harness::synced();
    harness.para.built = Some(500);
    harness.run(29 * MINUTE);
    assert!(!is_said(&harness));
    harness.run(2 * MINUTE);
    assert!(is_said(&harness));
}

#[test]
fn a_chain_that_stands_still_gives_nobody_a_turn() {
    let mut harness = collator();
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.run(DAY);
    harness.expect(Phase::Quiet, Health::Degraded);
    assert!(!is_said(&harness));
}

#[test]
fn a_chain_that_makes_a_block_an_hour_takes_thirty_of_them() {
    let mut harness = collator();
    let hourly = |harness: &mut Harness| {
        let moves = harness.seconds().is_multiple_of(HOUR);
        (harness.para.moves, harness.para.network_moves) = (moves, moves);
    };
    harness.run_with(28 * HOUR, hourly);
    assert!(!is_said(&harness));
    harness.run_with(3 * HOUR, hourly);
    assert!(is_said(&harness));
}

#[test]
fn a_node_that_is_behind_cannot_build_one() {
    let mut harness = collator();
    harness.para.behind = 1_000_000;
    harness.run(5 * HOUR);
    harness.expect(Phase::Syncing, Health::Ok);
}

#[test]
fn a_restart_begins_anew_and_is_no_block() {
    for process_alone in [false, true] {
        let mut harness = collator();
        harness.run(25 * MINUTE);
        if !process_alone {
            harness.exits(1, &[]);
            harness.runs_anew();
        }
        harness.para.built = Some(0);
        harness.run(29 * MINUTE);
        assert!(!is_said(&harness), "its counter began anew, and so does the window");
        harness.run(2 * MINUTE);
        assert!(
            is_said(&harness),
            "it was a collator before: a restart that cost it its keys is found"
        );
        assert_eq!(harness.told(Cause::NoCollation), 1);
    }
}

#[test]
fn once_said_a_restart_does_not_unsay_it() {
    let mut harness = collator();
    harness.run(HOUR);
    harness.command(Command::Restart { reason: String::new() });
    harness.para.built = Some(0);
    harness.run(MINUTE);
    assert_eq!(
        (is_said(&harness), harness.told(Cause::NoCollation)),
        (false, 1),
        "an operator said that things changed"
    );

    let mut harness = collator();
    harness.run(HOUR);
    harness.exits(1, &[]);
    harness.runs_anew();
    harness.para.built = Some(0);
    harness.run(MINUTE);
    assert!(is_said(&harness));
    assert_eq!(harness.told(Cause::NoCollation), 1);
}

#[test]
fn unwatched_time_and_pages_without_metric_do_not_count() {
    let mut harness = collator();
    harness.run(25 * MINUTE);
    harness.agent_dies(5 * HOUR);
    harness.run(25 * MINUTE);
    harness.gap(HOUR, true);
    harness.run(25 * MINUTE);
    harness.para.built = None;
    harness.run(5 * HOUR);
    assert!(!is_said(&harness));
    harness.para.built = Some(10);
    harness.run(6 * MINUTE);
    assert!(is_said(&harness));
}

#[test]
fn an_operator_who_wants_no_word_of_it_gets_none() {
    let mut harness = Harness::with(Policy {
        no_collation_after: None,
        ..Policy::default()
    });
    harness.runs_anew();
    harness.para.built = Some(10);
    harness.run(DAY);
    harness.expect(Phase::Synced, Health::Ok);
}
