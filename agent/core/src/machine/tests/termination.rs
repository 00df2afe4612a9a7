//! What EC2 announces: a clean end inside the time left, no start before it is called off.

use super::harness::*;
use crate::event::{ActionFailure, Command, Container, Event, Exit, HostFacts, LifecycleAnswer, Notice, NoticeKind};
use crate::machine::{Action, Cause, Health, Phase};

impl Harness {
    fn told_by_ec2(&mut self, kind: NoticeKind, seconds: impl Into<Option<u64>>) {
        let seconds = seconds.into();
        self.event(Event::Ec2(Some(Notice { kind, seconds })));
    }

    fn called_off(&mut self) {
        self.event(Event::Ec2(None));
    }
}

fn stop_within(cause: Cause, seconds: u64) -> Action {
    Action::StopWithin { cause, seconds }
}

#[test]
fn spot_interruption_stops_collator_at_once_within_time_left() {
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::SpotInterruption, 118);
    assert_eq!(harness.container_actions(), [stop_within(Cause::SpotInterruption, 103)]);
    assert_eq!(harness.told(Cause::SpotInterruption), 1);
    harness.expect(Phase::Holding, Health::Critical);
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1, "nobody starts it again");
    assert_eq!(harness.wrong(), [Cause::SpotInterruption]);
    assert_eq!(harness.machine.stop_cause(), Some(Cause::SpotInterruption));
    assert_eq!(harness.machine.next(), None);
}

#[test]
fn stop_takes_at_most_time_left_and_usual_timeout() {
    for (left, within) in [(1000, 300), (60, 45), (30, 15), (20, 10), (4, 2), (1, 1), (0, 1)] {
        let mut harness = Harness::synced();
        harness.told_by_ec2(NoticeKind::SpotInterruption, left);
        assert_eq!(
            harness.container_actions(),
            [stop_within(Cause::SpotInterruption, within)],
            "{left}"
        );
        assert!(within <= left.max(1));
    }
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::Termination, None);
    assert_eq!(harness.container_actions(), [stop_within(Cause::Termination, 300)]);
}

#[test]
fn a_recommendation_or_work_on_the_host_stops_nothing() {
    for (kind, cause) in [
        (NoticeKind::Rebalance, Cause::Rebalance),
        (NoticeKind::Maintenance, Cause::Maintenance),
    ] {
        let mut harness = Harness::synced();
        harness.told_by_ec2(kind, 0);
        harness.run(HOUR);
        assert_eq!((harness.container_actions(), harness.told(cause)), (vec![], 1));
        harness.expect(Phase::Synced, Health::Degraded);
        harness.called_off();
        harness.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn a_scheduled_stop_lets_it_run_until_shortly_before() {
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::ScheduledStop, HOUR);
    harness.expect(Phase::Synced, Health::Degraded);
    let since = harness.seconds();
    assert_eq!(harness.machine.next().map(|next| next.action), Some("stop"));
    harness.run(HOUR);
    assert_eq!(harness.times(since), [HOUR - 345]);
    assert_eq!(harness.container_actions(), [stop_within(Cause::ScheduledStop, 300)]);
    harness.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_notice_that_is_called_off_lets_it_run_again() {
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
    harness.run(HOUR);
    harness.called_off();
    harness.run(MINUTE);
    assert_eq!(harness.container_actions()[1..], [start(Cause::NoticeOver)]);
    harness.run(10 * MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_called_off_notice_starts_nothing_that_is_down_for_another_reason() {
    let full = HostFacts {
        disk_free_bytes: Some(1),
        ..healthy_host()
    };
    for other in ["operator", "hold", "disk"] {
        let mut harness = Harness::synced();
        match other {
            "operator" => harness.command(Command::STOP),
            "hold" => harness.exits(1, &["Backend error: Corruption: bad block"]),
            _ => harness.host = Some(full.clone()),
        }
        harness.run(2 * MINUTE);
        harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
        harness.run(MINUTE);
        harness.called_off();
        harness.run(HOUR);
        assert_eq!(
            harness.container_actions().len(),
            1,
            "{other}: {:?}",
            harness.container_actions()
        );
    }
}

#[test]
fn notices_in_any_order_stop_it_once_and_the_last_one_counts() {
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::Rebalance, None);
    harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
    harness.told_by_ec2(NoticeKind::Termination, 110);
    harness.told_by_ec2(NoticeKind::SpotInterruption, 100);
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [stop_within(Cause::SpotInterruption, 105)]);
    harness.told_by_ec2(NoticeKind::Rebalance, None);
    harness.run(MINUTE);
    assert_eq!(harness.container_actions()[1..], [start(Cause::NoticeOver)]);
}

#[test]
fn whoever_wishes_it_up_is_told_why_it_is_not() {
    for command in [Command::START, Command::Restart { reason: String::new() }] {
        let mut harness = Harness::synced();
        harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
        let refusal = harness.machine.acknowledge(&command).unwrap_err().to_string();
        assert!(refusal.contains("EC2 takes this spot instance back in 2m"), "{refusal}");
        harness.command(command);
        harness.run(MINUTE);
        assert_eq!(harness.container_actions().len(), 1);
    }
}

#[test]
fn what_docker_or_a_person_starts_in_spite_of_the_notice_is_stopped_again() {
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
    harness.run(20);
    harness.runs_anew();
    assert_eq!(
        harness.container_actions()[1..],
        [stop_within(Cause::SpotInterruption, 85)]
    );
}

#[test]
fn a_pause_does_not_keep_it_from_a_clean_end() {
    let mut harness = Harness::synced();
    harness.command(pause(HOUR));
    harness.told_by_ec2(NoticeKind::Termination, 600);
    assert_eq!(harness.container_actions(), [stop_within(Cause::Termination, 300)]);
    harness.expect(Phase::Holding, Health::Critical);
}

#[test]
fn an_action_under_way_is_followed_by_the_stop_however_it_ends() {
    for failed in [false, true] {
        let mut harness = Harness::synced();
        harness.obeys = false;
        harness.command(Command::Restart { reason: String::new() });
        harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
        harness.obeys = true;
        if failed {
            harness.fails(ActionFailure::Other);
        } else {
            harness.done(running(harness.wall()));
        }
        assert_eq!(
            harness.container_actions()[1..],
            [stop_within(Cause::SpotInterruption, 105)]
        );
        assert_eq!(harness.wrong(), [Cause::SpotInterruption]);
    }
}

#[test]
fn a_start_that_gives_way_may_have_happened_all_the_same() {
    let mut harness = Harness::fresh();
    harness.obeys = false;
    harness.container(Container::Missing);
    harness.told_by_ec2(NoticeKind::Termination, None);
    harness.fails(ActionFailure::Cancelled);
    assert_eq!(harness.answered(), Some(LifecycleAnswer::Wait), "nobody knows");
    assert_eq!(harness.container_actions()[1..], [stop_within(Cause::Termination, 300)]);
    harness.done(Container::Missing);
    assert_eq!(harness.answered(), Some(LifecycleAnswer::Complete));
}

#[test]
fn a_stop_that_fails_is_tried_again_a_second_later_with_what_is_left() {
    let mut harness = Harness::synced();
    harness.failing = Some(ActionFailure::Other);
    let since = harness.seconds();
    harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
    harness.run(5);
    assert_eq!(harness.times(since), [0, 1, 2, 3, 4, 5]);
    assert_eq!(
        harness.container_actions()[5],
        stop_within(Cause::SpotInterruption, 100)
    );
    harness.failing = None;
    harness.run(5);
    assert_eq!(harness.wrong(), [Cause::SpotInterruption]);
}

#[test]
fn a_notice_outlives_the_agent() {
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::SpotInterruption, 120);
    harness.run(10);
    harness.agent_dies(30);
    harness.container(Container::Exited {
        at: None,
        exit: Exit::default(),
        spec_matches: true,
    });
    harness.run(HOUR);
    assert!(
        harness
            .container_actions()
            .iter()
            .all(|deed| !matches!(deed, Action::Start { .. }))
    );
    harness.expect(Phase::Holding, Health::Critical);
}

#[test]
fn the_group_gets_the_instance_only_once_the_collator_is_known_to_be_down() {
    let mut harness = Harness::synced();
    assert_eq!(harness.answered(), None, "nobody asks for it");
    harness.obeys = false;
    harness.told_by_ec2(NoticeKind::Termination, None);
    assert_eq!(harness.answered(), Some(LifecycleAnswer::Wait));
    harness.obeys = true;
    harness.fails(ActionFailure::DockerUnreachable);
    harness.run(MINUTE);
    assert_eq!(harness.answered(), Some(LifecycleAnswer::Wait), "nobody knows");
    harness.container(running(harness.run));
    harness.run(5);
    assert_eq!(harness.answered(), Some(LifecycleAnswer::Complete));
    harness.told_by_ec2(NoticeKind::SpotInterruption, 10);
    assert_eq!(harness.answered(), None);
}

#[test]
fn notice_of_a_former_life_stops_nothing_before_it_is_confirmed() {
    for confirmed in [false, true] {
        let mut harness = Harness::synced();
        harness.told_by_ec2(NoticeKind::SpotInterruption, 118);
        harness.agent_dies(10);
        harness.log.clear();
        // Somebody called it off, and Docker's policy or a person started the collator again.
        harness.runs_anew();
        harness.run(MINUTE);
        assert_eq!(harness.container_actions(), []);
        if confirmed {
            harness.told_by_ec2(NoticeKind::SpotInterruption, 48);
            assert_eq!(harness.container_actions(), [stop_within(Cause::SpotInterruption, 33)]);
        } else {
            harness.called_off();
            harness.run(HOUR);
            assert_eq!(harness.container_actions(), []);
            harness.expect(Phase::Synced, Health::Ok);
        }
    }
}

#[test]
fn notice_of_a_former_life_starts_nothing_before_it_is_called_off() {
    let mut harness = Harness::synced();
    harness.told_by_ec2(NoticeKind::Termination, None);
    harness.agent_dies(10);
    harness.log.clear();
    let at = Some(harness.wall());
    harness.container(Container::Exited {
        at,
        exit: Exit::default(),
        spec_matches: true,
    });
    harness.run(HOUR);
    assert_eq!((harness.container_actions(), harness.answered()), (vec![], None));
    harness.called_off();
    harness.run(10);
    assert_eq!(harness.container_actions(), [start(Cause::NoticeOver)]);
}

#[test]
fn restart_waits_until_a_notice_of_a_former_life_is_called_off() {
    for confirmed in [false, true] {
        let mut harness = Harness::synced();
        harness.told_by_ec2(NoticeKind::SpotInterruption, None);
        harness.agent_dies(10);
        harness.log.clear();
        harness.runs_anew();
        harness.run(MINUTE);
        harness.command(Command::Restart { reason: String::new() });
        harness.run(10);
        assert_eq!(harness.container_actions(), []);
        let expected = if confirmed {
            harness.told_by_ec2(NoticeKind::SpotInterruption, 48);
            stop_within(Cause::SpotInterruption, 33)
        } else {
            harness.called_off();
            restart(Cause::Operator)
        };
        harness.run(10);
        assert_eq!(harness.container_actions(), [expected]);
    }
}

#[test]
fn deadline_that_passed_while_the_host_lived_kills_nothing() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.told_by_ec2(NoticeKind::SpotInterruption, 10);
    harness.run(20);
    harness.fails(ActionFailure::Other);
    harness.run(5);
    let last = harness.container_actions().pop().unwrap();
    assert_eq!(last, stop_within(Cause::SpotInterruption, 300));
}
