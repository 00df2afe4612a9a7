//! What health restarts may cost, and what follows when they do not help.

use super::rig::*;
use crate::event::{Command, Failure, ScrapeError};
use crate::machine::{Cause, Health, Phase};

fn stalled() -> Rig {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig
}

#[test]
fn a_cure_that_did_not_help_twice_is_not_tried_a_third_time() {
    let mut rig = stalled();
    let since = rig.seconds();
    rig.run(48 * HOUR);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled), restart(Cause::Stalled)]);
    // The second comes after twice the window, counted from the first look at the new run.
    assert_eq!(rig.times(since), [300, 905]);
    assert_eq!(rig.judged(), [(Cause::Stalled, false), (Cause::Stalled, false)]);
    assert_eq!(rig.told(Cause::NotHelping), 1);
    assert_eq!(rig.wrong(), [Cause::Stalled, Cause::NotHelping]);
    rig.expect(Phase::Stalled, Health::Critical);
    assert_eq!(rig.machine.next(), None);
}

#[test]
fn progress_beyond_the_height_it_was_stuck_at_is_help_and_clears_the_count() {
    let mut rig = stalled();
    rig.run(MINUTE * 6);
    rig.para.moves = true;
    rig.run(10);
    assert_eq!(rig.judged(), [(Cause::Stalled, true)]);
    rig.run(HOUR);
    rig.log.clear();
    (rig.para.moves, rig.para.behind) = (false, 500);
    let since = rig.seconds();
    rig.run(HOUR);
    assert_eq!(rig.times(since), [300, 905], "the window is the first one again");
}

#[test]
fn blocks_below_the_height_it_was_stuck_at_are_no_help() {
    let mut rig = stalled();
    rig.run(MINUTE * 4);
    rig.run_with(2 * MINUTE, |rig| {
        if rig.deeds().len() == 1 {
            rig.para.best -= 40;
            rig.para.behind += 40;
            rig.para.moves = true;
        }
    });
    let stuck_at = 1_000_024;
    assert!(rig.para.best < stuck_at, "{}", rig.para.best);
    assert_eq!(rig.judged(), []);
}

#[test]
fn resume_lets_a_cure_be_tried_again_and_so_do_start_and_restart() {
    for command in [Command::Resume, Command::Start] {
        let mut rig = stalled();
        rig.run(2 * HOUR);
        assert_eq!(rig.deeds().len(), 2);
        rig.command(command);
        rig.run(4 * MINUTE);
        assert_eq!(rig.deeds().len(), 2, "new evidence is wanted");
        rig.run(2 * MINUTE);
        assert_eq!(rig.deeds().len(), 3);
        rig.run(48 * HOUR);
        assert_eq!(rig.deeds().len(), 4);
    }
}

#[test]
fn the_budget_bounds_health_restarts_and_refills_with_time() {
    let mut rig = Rig::synced();
    // Every restart helps for ten minutes.
    let mut since = 0;
    let mut restarts = 0;
    rig.run_with(13 * HOUR, |rig| {
        if rig.deeds().len() > restarts {
            restarts = rig.deeds().len();
            since = rig.seconds();
        }
        rig.para.moves = rig.seconds() < since + 600;
        rig.para.behind = 500;
    });
    let times = rig.times(0);
    assert!(times.len() >= 6, "{times:?}");
    for three_apart in times.windows(4) {
        assert!(three_apart[3] - three_apart[0] >= 6 * HOUR, "{times:?}");
    }
    let refill = times[3] - times[0];
    assert!(refill <= 6 * HOUR + 10, "it acts as soon as it may: {times:?}");
}

#[test]
fn a_spent_budget_is_said_and_what_comes_next_is_told() {
    let mut rig = Rig::synced();
    for _ in 0..3 {
        (rig.para.moves, rig.para.behind) = (false, 500);
        rig.run(310);
        rig.para.moves = true;
        rig.run(MINUTE);
    }
    assert_eq!(rig.machine.budget_left(), 0);
    rig.expect(Phase::Syncing, Health::Ok);
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds().len(), 3);
    assert_eq!(rig.wrong(), [Cause::Stalled, Cause::BudgetSpent]);
    let next = rig.machine.next().unwrap();
    assert_eq!((next.action, next.cause), ("restart", Cause::Stalled));
    let refill = rig.times(0)[0] + 6 * HOUR;
    assert!(next.at.0 / 1000 >= refill - 1 && next.at.0 / 1000 <= refill + 1);
}

#[test]
fn causes_are_counted_apart() {
    let mut rig = stalled();
    rig.run(HOUR);
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    rig.run(3 * MINUTE);
    assert_eq!(rig.deeds()[2..], [restart(Cause::Frozen)]);
}

#[test]
fn a_frozen_node_that_wakes_up_was_helped_only_by_progress() {
    let mut rig = Rig::synced();
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    (rig.para.moves, rig.relay.moves, rig.para.network_moves) = (false, false, false);
    rig.run(3 * MINUTE);
    (rig.para.error, rig.relay.error) = (None, None);
    rig.run(MINUTE);
    assert_eq!(rig.judged(), []);
    rig.relay.moves = true;
    rig.run(10);
    assert_eq!(rig.judged(), [(Cause::Frozen, true)]);
}

#[test]
fn a_restart_that_docker_could_not_be_asked_for_was_none() {
    let mut rig = stalled();
    rig.failing = Some(Failure::DockerUnreachable);
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
    assert_eq!(rig.machine.budget_left(), 3);
    rig.failing = None;
    rig.event(crate::event::Event::Docker { reachable: true });
    assert_eq!(rig.deeds().len(), 1, "what became of the container is asked first");
    rig.run(5);
    assert_eq!(rig.deeds().len(), 2);
    assert_eq!(rig.machine.budget_left(), 2);
    assert_eq!(rig.judged(), []);
}

#[test]
fn a_failure_is_over_when_the_collator_has_run_on_for_half_an_hour() {
    // Docker's policy was faster than a start that failed, or an operator's restart was refused.
    for exits in [true, false] {
        let mut rig = Rig::synced();
        rig.obeys = false;
        if exits {
            rig.exits(1, &[]);
            rig.run(35);
            rig.runs_anew();
        } else {
            let reason = String::new();
            rig.command(Command::Restart { reason });
        }
        assert_eq!(rig.deeds().len(), 1);
        rig.fails(Failure::Other);
        rig.run(29 * MINUTE);
        assert_eq!(rig.wrong(), [Cause::ActionFailed]);
        rig.run(2 * MINUTE);
        assert_eq!(rig.wrong(), []);
        assert_eq!(rig.deeds().len(), 1);
    }
}

#[test]
fn a_failure_is_over_when_the_collator_is_not_wanted_any_more() {
    let mut rig = Rig::synced();
    rig.failing = Some(Failure::Other);
    let reason = String::new();
    rig.command(Command::Restart { reason });
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.run(HOUR);
    assert_eq!(rig.wrong(), [Cause::StoppedByPerson]);

    let mut rig = Rig::synced();
    rig.failing = Some(Failure::Other);
    rig.exits(1, &[]);
    rig.run(HOUR);
    rig.failing = None;
    rig.command(Command::Stop);
    rig.run(HOUR);
    assert_eq!(rig.wrong(), [Cause::Operator]);
}

#[test]
fn a_restart_that_keeps_failing_is_retried_with_backoff_and_costs_its_budget() {
    let mut rig = stalled();
    rig.failing = Some(Failure::Other);
    rig.run(24 * HOUR);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled), restart(Cause::Stalled)]);
    assert!(rig.wrong().contains(&Cause::NotHelping));
}
