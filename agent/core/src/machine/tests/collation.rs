//! A collator that builds no blocks any more: said when it is so, and at no other time.

use super::rig::*;
use crate::event::Command;
use crate::machine::{Action, Cause, Health, Phase, Policy};

/// A collator that has built ten blocks and then, for a minute, none.
fn collator() -> Rig {
    let mut rig = Rig::synced();
    rig.para.built = Some(9);
    rig.run(5);
    rig.para.built = Some(10);
    rig.run(MINUTE);
    rig.log.clear();
    rig
}

fn is_said(rig: &Rig) -> bool {
    rig.wrong().contains(&Cause::NoCollation)
}

#[test]
fn a_collator_that_builds_none_while_its_chain_goes_on_is_told_once_and_never_restarted() {
    let mut rig = collator();
    rig.run(28 * MINUTE);
    rig.expect(Phase::Synced, Health::Ok);
    rig.run(2 * MINUTE);
    rig.expect(Phase::Synced, Health::Degraded);
    rig.run(5 * HOUR);
    assert_eq!((rig.told(Cause::NoCollation), rig.deeds()), (1, vec![]));
    let problem = rig.machine.problems().remove(0);
    assert!(
        problem.text.contains("30m") && problem.text.contains("session key"),
        "{problem:?}"
    );
}

#[test]
fn the_next_block_it_builds_ends_that() {
    let mut rig = collator();
    rig.run(HOUR);
    assert!(is_said(&rig));
    rig.para.built = Some(11);
    rig.run(5);
    rig.expect(Phase::Synced, Health::Ok);
    let over = Action::Notify {
        cause: Cause::NoCollation,
        over: true,
    };
    assert_eq!(rig.log.last().map(|(_, a)| a), Some(&over));
}

#[test]
fn a_block_now_and_then_is_enough() {
    let mut rig = collator();
    rig.run_with(DAY, |rig| rig.para.built = Some(10 + rig.seconds() / (29 * MINUTE)));
    assert_eq!(rig.told(Cause::NoCollation), 0);
}

#[test]
fn a_node_that_never_built_one_is_no_collator() {
    for built in [None, Some(0)] {
        let mut rig = Rig::synced();
        rig.para.built = built;
        rig.run(DAY);
        rig.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn what_it_built_before_anybody_watched_makes_it_a_collator() {
    let mut rig = Rig::synced();
    rig.para.built = Some(500);
    rig.run(29 * MINUTE);
    assert!(!is_said(&rig));
    rig.run(2 * MINUTE);
    assert!(is_said(&rig));
}

#[test]
fn a_chain_that_stands_still_gives_nobody_a_turn() {
    let mut rig = collator();
    (rig.para.moves, rig.para.network_moves) = (false, false);
    rig.run(DAY);
    rig.expect(Phase::Quiet, Health::Degraded);
    assert!(!is_said(&rig));
}

#[test]
fn a_chain_that_makes_a_block_an_hour_takes_thirty_of_them() {
    let mut rig = collator();
    let hourly = |rig: &mut Rig| {
        let moves = rig.seconds().is_multiple_of(HOUR);
        (rig.para.moves, rig.para.network_moves) = (moves, moves);
    };
    rig.run_with(28 * HOUR, hourly);
    assert!(!is_said(&rig));
    rig.run_with(3 * HOUR, hourly);
    assert!(is_said(&rig));
}

#[test]
fn a_node_that_is_behind_cannot_build_one() {
    let mut rig = collator();
    rig.para.behind = 1_000_000;
    rig.run(5 * HOUR);
    rig.expect(Phase::Syncing, Health::Ok);
}

#[test]
fn a_restart_begins_anew_and_is_no_block() {
    for process_alone in [false, true] {
        let mut rig = collator();
        rig.run(25 * MINUTE);
        if !process_alone {
            rig.exits(1, &[]);
            rig.runs_anew();
        }
        rig.para.built = Some(0);
        rig.run(29 * MINUTE);
        assert!(!is_said(&rig), "its counter began anew, and so does the window");
        rig.run(2 * MINUTE);
        assert!(
            is_said(&rig),
            "it was a collator before: a restart that cost it its keys is found"
        );
        assert_eq!(rig.told(Cause::NoCollation), 1);
    }
}

#[test]
fn once_said_a_restart_does_not_unsay_it() {
    let mut rig = collator();
    rig.run(HOUR);
    rig.command(Command::Restart { reason: String::new() });
    rig.para.built = Some(0);
    rig.run(MINUTE);
    assert_eq!(
        (is_said(&rig), rig.told(Cause::NoCollation)),
        (false, 1),
        "an operator said that things changed"
    );

    let mut rig = collator();
    rig.run(HOUR);
    rig.exits(1, &[]);
    rig.runs_anew();
    rig.para.built = Some(0);
    rig.run(MINUTE);
    assert!(is_said(&rig));
    assert_eq!(rig.told(Cause::NoCollation), 1);
}

#[test]
fn time_that_nobody_watched_and_pages_without_the_metric_count_for_nothing() {
    let mut rig = collator();
    rig.run(25 * MINUTE);
    rig.agent_dies(5 * HOUR);
    rig.run(25 * MINUTE);
    rig.gap(HOUR, true);
    rig.run(25 * MINUTE);
    rig.para.built = None;
    rig.run(5 * HOUR);
    assert!(!is_said(&rig));
    rig.para.built = Some(10);
    rig.run(6 * MINUTE);
    assert!(is_said(&rig));
}

#[test]
fn an_operator_who_wants_no_word_of_it_gets_none() {
    let mut rig = Rig::with(Policy {
        no_collation_after: None,
        ..Policy::default()
    });
    rig.runs_anew();
    rig.para.built = Some(10);
    rig.run(DAY);
    rig.expect(Phase::Synced, Health::Ok);
}
