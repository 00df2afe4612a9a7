//! The operator wins, in every state.

use super::harness::*;
use crate::event::{ActionFailure, Command, Container, Event, Exit, HostFacts, ScrapeError};
use crate::machine::{Action, Cause, Health, Phase};

const RESTART: fn() -> Command = || Command::Restart {
    reason: "because".to_owned(),
};

fn stop_by_operator() -> Action {
    Action::Stop { cause: Cause::Operator }
}

#[test]
fn pause_suspends_every_automatic_action_but_not_the_watching() {
    let mut harness = Harness::synced();
    harness.command(pause(2 * HOUR));
    harness.expect(Phase::Paused, Health::Degraded);
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.run(20 * MINUTE);
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    harness.run(20 * MINUTE);
    assert!(harness.wrong().contains(&Cause::Frozen));
    harness.host = Some(HostFacts {
        disk_free_bytes: Some(0),
        ..healthy_host()
    });
    harness.run(10 * MINUTE);
    harness.exits(1, &["Backend error: Corruption: x"]);
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    let next = harness.machine.next().unwrap();
    assert_eq!((next.action, next.at.0 / 1000), ("resume", 2 * MINUTE + 2 * HOUR));
}

#[test]
fn a_pause_ends_by_itself_or_by_resume() {
    for by_hand in [true, false] {
        let mut harness = Harness::synced();
        harness.command(pause(HOUR));
        harness.exits(1, &[]);
        harness.run(30 * MINUTE);
        assert_eq!(harness.container_actions(), []);
        if by_hand {
            harness.command(Command::Resume);
            harness.run(5);
        } else {
            harness.run(31 * MINUTE);
        }
        assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
    }
}

#[test]
fn commands_go_also_while_automatic_actions_are_paused() {
    let mut harness = Harness::synced();
    harness.command(pause(24 * HOUR));
    harness.command(RESTART());
    harness.command(Command::STOP);
    harness.command(Command::START);
    harness.run(5);
    let container_actions = [restart(Cause::Operator), stop_by_operator(), start(Cause::Operator)];
    assert_eq!(harness.container_actions(), container_actions);
}

#[test]
fn stop_means_stopped_until_start() {
    let mut harness = Harness::synced();
    harness.command(Command::STOP);
    assert_eq!(harness.container_actions(), [stop_by_operator()]);
    harness.run(24 * HOUR);
    harness.agent_dies(HOUR);
    harness.event(Event::Container(Container::Exited {
        at: None,
        exit: Exit::default(),
        spec_matches: true,
    }));
    harness.run(24 * HOUR);
    assert_eq!(harness.container_actions().len(), 1);
    harness.expect(Phase::Stopped, Health::Critical);
    harness.command(Command::START);
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions()[1..], [start(Cause::Operator)]);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn stop_holds_across_a_host_that_starts_its_containers() {
    let mut harness = Harness::synced();
    harness.command(Command::STOP);
    harness.agent_dies(HOUR);
    harness.runs_anew();
    assert_eq!(harness.container_actions(), [stop_by_operator(), stop_by_operator()]);
}

#[test]
fn stop_wins_over_dockers_policy_that_is_about_to_start_it() {
    for news in [true, false] {
        let mut harness = Harness::synced();
        harness.exits(1, &[]);
        if news {
            harness.container(Container::Restarting);
        }
        harness.command(Command::STOP);
        assert_eq!(harness.container_actions(), [stop_by_operator()]);
        harness.expect(Phase::Stopped, Health::Critical);
    }
}

#[test]
fn stop_waits_for_the_action_under_way_and_then_wins() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.exits(1, &[]);
    harness.run(MINUTE);
    harness.command(Command::STOP);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
    harness.now.0 += 1;
    harness.run = harness.wall();
    harness.done(running(harness.run));
    assert_eq!(harness.container_actions(), [start(Cause::Exited), stop_by_operator()]);
}

#[test]
fn stop_wins_over_a_start_that_gives_way_although_docker_carries_it_out() {
    let mut harness = Harness::synced();
    harness.command(Command::STOP);
    harness.obeys = false;
    harness.command(Command::START);
    harness.command(Command::STOP);
    harness.fails(ActionFailure::Cancelled);
    assert_eq!(
        harness.container_actions(),
        [stop_by_operator(), start(Cause::Operator), stop_by_operator()]
    );
    harness.runs_anew();
    harness.done(Container::Exited {
        at: Some(harness.wall()),
        exit: Exit::default(),
        spec_matches: true,
    });
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 3);
    harness.expect(Phase::Stopped, Health::Critical);
    assert!(
        harness.wrong().iter().all(|cause| *cause != Cause::ActionFailed),
        "nothing failed"
    );
}

#[test]
fn a_start_while_it_is_being_stopped_is_the_operators_and_no_crash() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.command(Command::STOP);
    let answer = harness.machine.acknowledge(&Command::START).unwrap();
    assert!(answer.contains("as soon as it has stopped"), "{answer}");
    harness.command(Command::START);
    harness.now.0 += 1;
    harness.done(Container::Exited {
        at: Some(harness.wall()),
        exit: Exit::default(),
        spec_matches: true,
    });
    harness.run(MINUTE);
    assert_eq!(
        harness.container_actions(),
        [stop_by_operator(), start(Cause::Operator)]
    );
}

#[test]
fn a_stop_of_ours_is_the_last_exit_however_its_news_come() {
    for told in [true, false] {
        let mut harness = Harness::synced();
        if told {
            harness.obeys = false;
            harness.command(Command::STOP);
            harness.exits(143, &[]);
        } else {
            harness.command(Command::STOP);
        }
        let exit = harness.machine.last_exit().unwrap();
        assert_eq!(exit.at, harness.now);
    }
}

#[test]
fn stop_does_not_wait_for_the_backoff_of_a_failed_action() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 500);
    harness.failing = Some(crate::event::ActionFailure::Other);
    harness.run(5 * MINUTE);
    harness.failing = None;
    harness.command(Command::STOP);
    assert_eq!(
        harness.container_actions(),
        [restart(Cause::Stalled), stop_by_operator()]
    );
}

#[test]
fn a_stopped_collator_is_not_judged() {
    let mut harness = Harness::synced();
    harness.command(Command::STOP);
    harness.run(HOUR);
    assert_eq!(harness.wrong(), [Cause::Operator]);
    assert_eq!(harness.machine.next(), None);
}

#[test]
fn start_takes_up_what_is_held_and_what_a_person_stopped() {
    let mut harness = Harness::synced();
    harness.exits(1, &["Backend error: Corruption: x"]);
    harness.run(HOUR);
    harness.command(Command::START);
    harness.run(5);
    assert_eq!(harness.container_actions()[1..], [start(Cause::Operator)]);

    let mut harness = Harness::synced();
    harness.docker_stop();
    harness.run(HOUR);
    harness.command(Command::START);
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Operator)]);
}

#[test]
fn start_does_not_wait_for_a_backoff() {
    let mut harness = Harness::synced();
    for _ in 0..5 {
        harness.exits(101, &[]);
        harness.run(5);
        harness.runs_anew();
        harness.run(5);
    }
    harness.exits(101, &[]);
    harness.log.clear();
    harness.command(Command::START);
    harness.run(5);
    assert_eq!(harness.container_actions(), [start(Cause::Operator)]);
}

#[test]
fn start_of_what_runs_changes_nothing() {
    let mut harness = Harness::synced();
    harness.command(Command::START);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn restart_acts_at_once_and_costs_no_budget() {
    let mut harness = Harness::synced();
    harness.command(RESTART());
    assert_eq!(harness.container_actions(), [restart(Cause::Operator)]);
    assert_eq!(harness.machine.budget_left(), 3);
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1);
}

#[test]
fn restart_of_what_is_down_starts_it() {
    let mut harness = Harness::synced();
    harness.command(Command::STOP);
    harness.command(RESTART());
    harness.run(5);
    assert_eq!(harness.container_actions()[1..], [start(Cause::Operator)]);
}

#[test]
fn restart_without_docker_or_room_does_nothing_and_says_so() {
    let mut harness = Harness::synced();
    harness.event(Event::Docker { reachable: false });
    harness.command(RESTART());
    assert_eq!(harness.container_actions(), []);
    assert!(
        harness
            .machine
            .acknowledge(&RESTART())
            .is_err_and(|e| e.to_string().contains("docker is unreachable"))
    );

    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.host = Some(HostFacts {
        disk_free_bytes: Some(0),
        ..healthy_host()
    });
    harness.run(MINUTE);
    harness.command(RESTART());
    assert_eq!(harness.container_actions(), [Action::Stop { cause: Cause::DiskFull }]);
    assert!(
        harness
            .machine
            .acknowledge(&RESTART())
            .is_err_and(|e| e.to_string().contains("disk"))
    );
}

#[test]
fn a_restart_that_a_hanging_engine_did_not_carry_out_is_owed() {
    let mut harness = Harness::synced();
    harness.failing = Some(ActionFailure::DockerUnreachable);
    harness.command(RESTART());
    harness.event(Event::Docker { reachable: false });
    harness.run(MINUTE);
    harness.failing = None;
    harness.event(Event::Docker { reachable: true });
    assert_eq!(harness.wrong(), [], "what failed is not told for good");
    harness.run(MINUTE);
    assert_eq!(
        harness.container_actions(),
        [restart(Cause::Operator), restart(Cause::Operator)]
    );
}

#[test]
fn start_of_what_runs_well_changes_nothing() {
    let mut harness = Harness::synced();
    let before = (harness.machine.phase(), harness.machine.health());
    for command in [Command::START, Command::Resume] {
        harness.command(command);
        assert_eq!((harness.machine.phase(), harness.machine.health()), before);
    }
}

#[test]
fn a_foreign_container_is_a_reason_to_decline() {
    let mut harness = Harness::synced();
    harness.event(Event::Container(Container::Foreign));
    for command in [Command::START, RESTART()] {
        assert!(
            harness
                .machine
                .acknowledge(&command)
                .is_err_and(|e| e.to_string().contains("not managed by this agent"))
        );
    }
}

#[test]
fn only_one_action_is_ever_under_way() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.command(RESTART());
    harness.command(RESTART());
    harness.command(Command::STOP);
    harness.command(Command::START);
    (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), [restart(Cause::Operator)]);
    assert!(
        harness
            .machine
            .acknowledge(&RESTART())
            .is_ok_and(|a| a.contains("under way"))
    );
}

#[test]
fn start_during_a_docker_stop_is_done_when_that_has_ended_it() {
    let mut harness = Harness::synced();
    harness.signalled(15);
    harness.run(2);
    let answer = harness.machine.acknowledge(&Command::START).unwrap();
    assert!(answer.contains("as soon as it has ended"), "{answer}");
    harness.command(Command::START);
    harness.run(3);
    harness.exits(0, &[]);
    harness.stopped();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), [start(Cause::Operator)]);
    harness.expect(Phase::Synced, Health::Ok);
    assert_eq!(harness.wrong(), []);
}

#[test]
fn collator_that_is_being_stopped_is_not_called_stopped() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.command(Command::STOP);
    harness.expect(Phase::Stopped, Health::Critical);
    let says = harness.machine.explain(Cause::Operator);
    assert!(says.contains("it runs still"), "{says}");
    harness.exits(0, &[]);
    let says = harness.machine.explain(Cause::Operator);
    assert!(says.starts_with("stopped by an operator"), "{says}");
}
