//! The operator wins, in every state.

use super::rig::*;
use crate::event::{Command, Container, Event, Exit, Failure, HostFacts, ScrapeError};
use crate::machine::{Action, Cause, Health, Phase};

const RESTART: fn() -> Command = || Command::Restart {
    reason: "because".to_owned(),
};

fn stop_by_operator() -> Action {
    Action::Stop { cause: Cause::Operator }
}

#[test]
fn pause_suspends_every_automatic_action_but_not_the_watching() {
    let mut rig = Rig::synced();
    rig.command(pause(2 * HOUR));
    rig.expect(Phase::Paused, Health::Degraded);
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.run(20 * MINUTE);
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    rig.run(20 * MINUTE);
    assert!(rig.wrong().contains(&Cause::Frozen));
    rig.host = Some(HostFacts {
        disk_free_bytes: Some(0),
        ..healthy_host()
    });
    rig.run(10 * MINUTE);
    rig.exits(1, &["Backend error: Corruption: x"]);
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), []);
    let next = rig.machine.next().unwrap();
    assert_eq!((next.action, next.at.0 / 1000), ("resume", 2 * MINUTE + 2 * HOUR));
}

#[test]
fn a_pause_ends_by_itself_or_by_resume() {
    for by_hand in [true, false] {
        let mut rig = Rig::synced();
        rig.command(pause(HOUR));
        rig.exits(1, &[]);
        rig.run(30 * MINUTE);
        assert_eq!(rig.deeds(), []);
        if by_hand {
            rig.command(Command::Resume);
            rig.run(5);
        } else {
            rig.run(31 * MINUTE);
        }
        assert_eq!(rig.deeds(), [start(Cause::Exited)]);
    }
}

#[test]
fn commands_go_also_while_automatic_actions_are_paused() {
    let mut rig = Rig::synced();
    rig.command(pause(24 * HOUR));
    rig.command(RESTART());
    rig.command(Command::Stop);
    rig.command(Command::Start);
    rig.run(5);
    let deeds = [restart(Cause::Operator), stop_by_operator(), start(Cause::Operator)];
    assert_eq!(rig.deeds(), deeds);
}

#[test]
fn stop_means_stopped_until_start() {
    let mut rig = Rig::synced();
    rig.command(Command::Stop);
    assert_eq!(rig.deeds(), [stop_by_operator()]);
    rig.run(24 * HOUR);
    rig.agent_dies(HOUR);
    rig.event(Event::Container(Container::Exited {
        at: None,
        exit: Exit::default(),
        spec_matches: true,
    }));
    rig.run(24 * HOUR);
    assert_eq!(rig.deeds().len(), 1);
    rig.expect(Phase::Stopped, Health::Critical);
    rig.command(Command::Start);
    rig.run(MINUTE);
    assert_eq!(rig.deeds()[1..], [start(Cause::Operator)]);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn stop_holds_across_a_host_that_starts_its_containers() {
    let mut rig = Rig::synced();
    rig.command(Command::Stop);
    rig.agent_dies(HOUR);
    rig.runs_anew();
    assert_eq!(rig.deeds(), [stop_by_operator(), stop_by_operator()]);
}

#[test]
fn stop_wins_over_dockers_policy_that_is_about_to_start_it() {
    for news in [true, false] {
        let mut rig = Rig::synced();
        rig.exits(1, &[]);
        if news {
            rig.container(Container::Restarting);
        }
        rig.command(Command::Stop);
        assert_eq!(rig.deeds(), [stop_by_operator()]);
        rig.expect(Phase::Stopped, Health::Critical);
    }
}

#[test]
fn stop_waits_for_the_action_under_way_and_then_wins() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.exits(1, &[]);
    rig.run(MINUTE);
    rig.command(Command::Stop);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
    rig.now.0 += 1;
    rig.run = rig.wall();
    rig.done(running(rig.run));
    assert_eq!(rig.deeds(), [start(Cause::Exited), stop_by_operator()]);
}

#[test]
fn stop_wins_over_a_start_that_gives_way_although_docker_carries_it_out() {
    let mut rig = Rig::synced();
    rig.command(Command::Stop);
    rig.obeys = false;
    rig.command(Command::Start);
    rig.command(Command::Stop);
    rig.fails(Failure::Cancelled);
    assert_eq!(
        rig.deeds(),
        [stop_by_operator(), start(Cause::Operator), stop_by_operator()]
    );
    rig.runs_anew();
    rig.done(Container::Exited {
        at: Some(rig.wall()),
        exit: Exit::default(),
        spec_matches: true,
    });
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 3);
    rig.expect(Phase::Stopped, Health::Critical);
    assert!(
        rig.wrong().iter().all(|cause| *cause != Cause::ActionFailed),
        "nothing failed"
    );
}

#[test]
fn a_start_while_it_is_being_stopped_is_the_operators_and_no_crash() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.command(Command::Stop);
    let answer = rig.machine.acknowledge(&Command::Start).unwrap();
    assert!(answer.contains("as soon as it has stopped"), "{answer}");
    rig.command(Command::Start);
    rig.now.0 += 1;
    rig.done(Container::Exited {
        at: Some(rig.wall()),
        exit: Exit::default(),
        spec_matches: true,
    });
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [stop_by_operator(), start(Cause::Operator)]);
}

#[test]
fn a_stop_of_ours_is_the_last_exit_however_its_news_come() {
    for told in [true, false] {
        let mut rig = Rig::synced();
        if told {
            rig.obeys = false;
            rig.command(Command::Stop);
            rig.exits(143, &[]);
        } else {
            rig.command(Command::Stop);
        }
        let exit = rig.machine.last_exit().unwrap();
        assert_eq!(exit.at, rig.now);
    }
}

#[test]
fn stop_does_not_wait_for_the_backoff_of_a_failed_action() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 500);
    rig.failing = Some(crate::event::Failure::Other);
    rig.run(5 * MINUTE);
    rig.failing = None;
    rig.command(Command::Stop);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled), stop_by_operator()]);
}

#[test]
fn a_stopped_collator_is_not_judged() {
    let mut rig = Rig::synced();
    rig.command(Command::Stop);
    rig.run(HOUR);
    assert_eq!(rig.wrong(), [Cause::Operator]);
    assert_eq!(rig.machine.next(), None);
}

#[test]
fn start_takes_up_what_is_held_and_what_a_person_stopped() {
    let mut rig = Rig::synced();
    rig.exits(1, &["Backend error: Corruption: x"]);
    rig.run(HOUR);
    rig.command(Command::Start);
    rig.run(5);
    assert_eq!(rig.deeds()[1..], [start(Cause::Operator)]);

    let mut rig = Rig::synced();
    rig.signalled(15);
    rig.exits(0, &[]);
    rig.stopped();
    rig.run(HOUR);
    rig.command(Command::Start);
    rig.run(5);
    assert_eq!(rig.deeds(), [start(Cause::Operator)]);
}

#[test]
fn start_does_not_wait_for_a_backoff() {
    let mut rig = Rig::synced();
    for _ in 0..5 {
        rig.exits(101, &[]);
        rig.run(5);
        rig.runs_anew();
        rig.run(5);
    }
    rig.exits(101, &[]);
    rig.log.clear();
    rig.command(Command::Start);
    rig.run(5);
    assert_eq!(rig.deeds(), [start(Cause::Operator)]);
}

#[test]
fn start_of_what_runs_changes_nothing() {
    let mut rig = Rig::synced();
    rig.command(Command::Start);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
}

#[test]
fn restart_acts_at_once_and_costs_no_budget() {
    let mut rig = Rig::synced();
    rig.command(RESTART());
    assert_eq!(rig.deeds(), [restart(Cause::Operator)]);
    assert_eq!(rig.machine.budget_left(), 3);
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1);
}

#[test]
fn restart_of_what_is_down_starts_it() {
    let mut rig = Rig::synced();
    rig.command(Command::Stop);
    rig.command(RESTART());
    rig.run(5);
    assert_eq!(rig.deeds()[1..], [start(Cause::Operator)]);
}

#[test]
fn restart_without_docker_or_room_does_nothing_and_says_so() {
    let mut rig = Rig::synced();
    rig.event(Event::Docker { reachable: false });
    rig.command(RESTART());
    assert_eq!(rig.deeds(), []);
    assert!(
        rig.machine
            .acknowledge(&RESTART())
            .is_err_and(|e| e.contains("docker is unreachable"))
    );

    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.host = Some(HostFacts {
        disk_free_bytes: Some(0),
        ..healthy_host()
    });
    rig.run(MINUTE);
    rig.command(RESTART());
    assert_eq!(rig.deeds(), [Action::Stop { cause: Cause::DiskFull }]);
    assert!(rig.machine.acknowledge(&RESTART()).is_err_and(|e| e.contains("disk")));
}

#[test]
fn a_restart_that_a_hanging_engine_did_not_carry_out_is_owed() {
    let mut rig = Rig::synced();
    rig.failing = Some(Failure::DockerUnreachable);
    rig.command(RESTART());
    rig.event(Event::Docker { reachable: false });
    rig.run(MINUTE);
    rig.failing = None;
    rig.event(Event::Docker { reachable: true });
    assert_eq!(rig.wrong(), [], "what failed is not told for good");
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Operator), restart(Cause::Operator)]);
}

#[test]
fn start_of_what_runs_well_changes_nothing() {
    let mut rig = Rig::synced();
    let before = (rig.machine.phase(), rig.machine.health());
    for command in [Command::Start, Command::Resume] {
        rig.command(command);
        assert_eq!((rig.machine.phase(), rig.machine.health()), before);
    }
}

#[test]
fn a_foreign_container_is_a_reason_to_decline() {
    let mut rig = Rig::synced();
    rig.event(Event::Container(Container::Foreign));
    for command in [Command::Start, RESTART()] {
        assert!(
            rig.machine
                .acknowledge(&command)
                .is_err_and(|e| e.contains("not managed by this agent"))
        );
    }
}

#[test]
fn only_one_action_is_ever_under_way() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.command(RESTART());
    rig.command(RESTART());
    rig.command(Command::Stop);
    rig.command(Command::Start);
    (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
    rig.run(HOUR);
    assert_eq!(rig.deeds(), [restart(Cause::Operator)]);
    assert!(
        rig.machine
            .acknowledge(&RESTART())
            .is_ok_and(|a| a.contains("under way"))
    );
}
