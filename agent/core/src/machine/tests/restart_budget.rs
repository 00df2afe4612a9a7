//! What health restarts may cost, and what follows when they do not help.

use super::harness::*;
use crate::event::{ActionFailure, Command, ScrapeError};
use crate::machine::{Cause, Health, Phase};

fn stalled() -> Harness {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness
}

#[test]
fn a_cure_that_did_not_help_twice_is_not_tried_a_third_time() {
    let mut harness = stalled();
    let since = harness.seconds();
    harness.run(48 * HOUR);
    assert_eq!(
        harness.container_actions(),
        [restart(Cause::Stalled), restart(Cause::Stalled)]
    );
    // The second comes after twice the window, counted from the first look at the new run.
    assert_eq!(harness.times(since), [300, 905]);
    assert_eq!(harness.judged(), [(Cause::Stalled, false), (Cause::Stalled, false)]);
    assert_eq!(harness.told(Cause::NotHelping), 1);
    assert_eq!(harness.wrong(), [Cause::Stalled, Cause::NotHelping]);
    harness.expect(Phase::Stalled, Health::Critical);
    assert_eq!(harness.machine.next(), None);
}

#[test]
fn progress_beyond_stuck_height_counts_as_help_and_clears_tries() {
    let mut harness = stalled();
    harness.run(MINUTE * 6);
    harness.para.moves = true;
    harness.run(10);
    assert_eq!(harness.judged(), [(Cause::Stalled, true)]);
    harness.run(HOUR);
    harness.log.clear();
    (harness.para.moves, harness.para.behind) = (false, 500);
    let since = harness.seconds();
    harness.run(HOUR);
    assert_eq!(harness.times(since), [300, 905], "the window is the first one again");
}

#[test]
fn blocks_below_the_height_it_was_stuck_at_are_no_help() {
    let mut harness = stalled();
    harness.run(MINUTE * 4);
    harness.run_with(2 * MINUTE, |harness| {
        if harness.container_actions().len() == 1 {
            harness.para.best -= 40;
            harness.para.behind += 40;
            harness.para.moves = true;
        }
    });
    let stuck_at = 1_000_024;
    assert!(harness.para.best < stuck_at, "{}", harness.para.best);
    assert_eq!(harness.judged(), []);
}

#[test]
fn resume_lets_a_cure_be_tried_again_and_so_do_start_and_restart() {
    for command in [Command::Resume, Command::START] {
        let mut harness = stalled();
        harness.run(2 * HOUR);
        assert_eq!(harness.container_actions().len(), 2);
        harness.command(command);
        harness.run(4 * MINUTE);
        assert_eq!(harness.container_actions().len(), 2, "new evidence is wanted");
        harness.run(2 * MINUTE);
        assert_eq!(harness.container_actions().len(), 3);
        harness.run(48 * HOUR);
        assert_eq!(harness.container_actions().len(), 4);
    }
}

#[test]
fn restart_before_resume_is_judged_by_what_follows() {
    for moves in [true, false] {
        let mut harness = stalled();
        harness.run(6 * MINUTE);
        assert_eq!(harness.container_actions().len(), 1);
        harness.command(Command::Resume);
        harness.para.moves = moves;
        harness.run(6 * MINUTE);
        assert_eq!(harness.judged(), [(Cause::Stalled, moves)]);
    }
}

#[test]
fn the_budget_bounds_health_restarts_and_refills_with_time() {
    let mut harness = Harness::synced();
    // Every restart helps for ten minutes.
    let mut since = 0;
    let mut restarts = 0;
    harness.run_with(13 * HOUR, |harness| {
        if harness.container_actions().len() > restarts {
            restarts = harness.container_actions().len();
            since = harness.seconds();
        }
        harness.para.moves = harness.seconds() < since + 600;
        harness.para.behind = 500;
    });
    let times = harness.times(0);
    assert!(times.len() >= 6, "{times:?}");
    for three_apart in times.windows(4) {
        assert!(three_apart[3] - three_apart[0] >= 6 * HOUR, "{times:?}");
    }
    let refill = times[3] - times[0];
    assert!(refill <= 6 * HOUR + 10, "it acts as soon as it may: {times:?}");
}

#[test]
fn a_spent_budget_is_said_and_what_comes_next_is_told() {
    let mut harness = Harness::synced();
    for _ in 0..3 {
        (harness.para.moves, harness.para.behind) = (false, 500);
        harness.run(310);
        harness.para.moves = true;
        harness.run(MINUTE);
    }
    assert_eq!(harness.machine.budget_left(), 0);
    harness.expect(Phase::Syncing, Health::Ok);
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions().len(), 3);
    assert_eq!(harness.wrong(), [Cause::Stalled, Cause::BudgetSpent]);
    let next = harness.machine.next().unwrap();
    assert_eq!((next.action, next.cause), ("restart", Cause::Stalled));
    let refill = harness.times(0)[0] + 6 * HOUR;
    assert!(next.at.0 / 1000 >= refill - 1 && next.at.0 / 1000 <= refill + 1);
}

#[test]
fn causes_are_counted_apart() {
    let mut harness = stalled();
    harness.run(HOUR);
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    harness.run(3 * MINUTE);
    assert_eq!(harness.container_actions()[2..], [restart(Cause::Frozen)]);
}

#[test]
fn a_frozen_node_that_wakes_up_was_helped_only_by_progress() {
    let mut harness = Harness::synced();
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    (harness.para.moves, harness.relay.moves, harness.para.network_moves) = (false, false, false);
    harness.run(3 * MINUTE);
    (harness.para.error, harness.relay.error) = (None, None);
    harness.run(MINUTE);
    assert_eq!(harness.judged(), []);
    harness.relay.moves = true;
    harness.run(10);
    assert_eq!(harness.judged(), [(Cause::Frozen, true)]);
}

#[test]
fn a_restart_that_docker_could_not_be_asked_for_was_none() {
    let mut harness = stalled();
    harness.failing = Some(ActionFailure::DockerUnreachable);
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
    assert_eq!(harness.machine.budget_left(), 3);
    harness.failing = None;
    harness.event(crate::event::Event::Docker { reachable: true });
    assert_eq!(
        harness.container_actions().len(),
        1,
        "what became of the container is asked first"
    );
    harness.run(5);
    assert_eq!(harness.container_actions().len(), 2);
    assert_eq!(harness.machine.budget_left(), 2);
    assert_eq!(harness.judged(), []);
}

#[test]
fn restart_that_a_hanging_engine_carries_out_after_all_was_one() {
    for runs_anew in [false, true] {
        let mut harness = stalled();
        harness.failing = Some(ActionFailure::DockerUnreachable);
        harness.run(10 * MINUTE);
        assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
        assert_eq!(harness.machine.health_restarts(), 0);
        harness.failing = None;
        harness.obeys = false;
        harness.event(crate::event::Event::Docker { reachable: true });
        if runs_anew {
            harness.runs_anew();
        } else {
            harness.exits(137, &[]);
        }
        assert_eq!(harness.machine.budget_left(), 2, "{runs_anew}");
        assert_eq!(harness.machine.health_restarts(), 1, "{runs_anew}");
        harness.exits(1, &[]);
        assert_eq!(harness.machine.budget_left(), 2, "{runs_anew}: once");
    }
}

#[test]
fn new_run_long_after_a_restart_that_failed_confirms_nothing() {
    let mut harness = stalled();
    harness.failing = Some(ActionFailure::DockerUnreachable);
    harness.run(10 * MINUTE);
    harness.failing = None;
    let seconds = HOUR;
    let reason = String::new();
    harness.command(Command::Pause { seconds, reason });
    harness.event(crate::event::Event::Docker { reachable: true });
    harness.container(running(harness.run));
    harness.run(30 * MINUTE);
    harness.runs_anew();
    assert_eq!(harness.machine.budget_left(), 3);
    assert_eq!(harness.machine.health_restarts(), 0);
}

#[test]
fn a_failure_is_over_when_the_collator_has_run_on_for_half_an_hour() {
    // Docker's policy was faster than a start that failed, or an operator's restart was refused.
    for exits in [true, false] {
        let mut harness = Harness::synced();
        harness.obeys = false;
        if exits {
            harness.exits(1, &[]);
            harness.run(35);
            harness.runs_anew();
        } else {
            let reason = String::new();
            harness.command(Command::Restart { reason });
        }
        assert_eq!(harness.container_actions().len(), 1);
        harness.fails(ActionFailure::Other);
        harness.run(29 * MINUTE);
        assert_eq!(harness.wrong(), [Cause::ActionFailed]);
        harness.run(2 * MINUTE);
        assert_eq!(harness.wrong(), []);
        assert_eq!(harness.container_actions().len(), 1);
    }
}

#[test]
fn a_failure_is_over_when_the_collator_is_not_wanted_any_more() {
    let mut harness = Harness::synced();
    harness.failing = Some(ActionFailure::Other);
    let reason = String::new();
    harness.command(Command::Restart { reason });
    harness.docker_stop();
    harness.run(HOUR);
    assert_eq!(harness.wrong(), [Cause::StoppedByPerson]);

    let mut harness = Harness::synced();
    harness.failing = Some(ActionFailure::Other);
    harness.exits(1, &[]);
    harness.run(HOUR);
    harness.failing = None;
    harness.command(Command::STOP);
    harness.run(HOUR);
    assert_eq!(harness.wrong(), [Cause::Operator]);
}

#[test]
fn restart_that_keeps_failing_backs_off_and_costs_its_budget() {
    let mut harness = stalled();
    harness.failing = Some(ActionFailure::Other);
    harness.run(24 * HOUR);
    assert_eq!(
        harness.container_actions(),
        [restart(Cause::Stalled), restart(Cause::Stalled)]
    );
    assert!(harness.wrong().contains(&Cause::NotHelping));
}
