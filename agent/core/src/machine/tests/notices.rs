//! What EC2 announces: a clean end inside the time left, no start before it is called off.

use super::rig::*;
use crate::event::{Command, Container, Event, Exit, Failure, HostFacts, LifecycleAnswer, Notice, NoticeKind};
use crate::machine::{Action, Cause, Health, Phase};

impl Rig {
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
fn a_spot_interruption_stops_the_collator_at_once_and_within_the_time_left() {
    let mut rig = Rig::synced();
    rig.told_by_ec2(NoticeKind::SpotInterruption, 118);
    assert_eq!(rig.deeds(), [stop_within(Cause::SpotInterruption, 103)]);
    assert_eq!(rig.told(Cause::SpotInterruption), 1);
    rig.expect(Phase::Holding, Health::Critical);
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1, "nobody starts it again");
    assert_eq!(rig.wrong(), [Cause::SpotInterruption]);
    assert_eq!(rig.machine.down_by(), Some(Cause::SpotInterruption));
    assert_eq!(rig.machine.next(), None);
}

#[test]
fn the_stop_never_takes_longer_than_the_time_left_and_never_longer_than_usual() {
    for (left, within) in [(1000, 300), (60, 45), (30, 15), (20, 10), (4, 2), (1, 1), (0, 1)] {
        let mut rig = Rig::synced();
        rig.told_by_ec2(NoticeKind::SpotInterruption, left);
        assert_eq!(rig.deeds(), [stop_within(Cause::SpotInterruption, within)], "{left}");
        assert!(within <= left.max(1));
    }
    let mut rig = Rig::synced();
    rig.told_by_ec2(NoticeKind::Termination, None);
    assert_eq!(rig.deeds(), [stop_within(Cause::Termination, 300)]);
}

#[test]
fn a_recommendation_or_work_on_the_host_stops_nothing() {
    for (kind, cause) in [
        (NoticeKind::Rebalance, Cause::Rebalance),
        (NoticeKind::Maintenance, Cause::Maintenance),
    ] {
        let mut rig = Rig::synced();
        rig.told_by_ec2(kind, 0);
        rig.run(HOUR);
        assert_eq!((rig.deeds(), rig.told(cause)), (vec![], 1));
        rig.expect(Phase::Synced, Health::Degraded);
        rig.called_off();
        rig.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn a_scheduled_stop_lets_it_run_until_shortly_before() {
    let mut rig = Rig::synced();
    rig.told_by_ec2(NoticeKind::ScheduledStop, HOUR);
    rig.expect(Phase::Synced, Health::Degraded);
    let since = rig.seconds();
    assert_eq!(rig.machine.next().map(|next| next.action), Some("stop"));
    rig.run(HOUR);
    assert_eq!(rig.times(since), [HOUR - 345]);
    assert_eq!(rig.deeds(), [stop_within(Cause::ScheduledStop, 300)]);
    rig.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_notice_that_is_called_off_lets_it_run_again() {
    let mut rig = Rig::synced();
    rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
    rig.run(HOUR);
    rig.called_off();
    rig.run(MINUTE);
    assert_eq!(rig.deeds()[1..], [start(Cause::NoticeOver)]);
    rig.run(10 * MINUTE);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_called_off_notice_starts_nothing_that_is_down_for_another_reason() {
    let full = HostFacts {
        disk_free_bytes: Some(1),
        ..healthy_host()
    };
    for other in ["operator", "hold", "disk"] {
        let mut rig = Rig::synced();
        match other {
            "operator" => rig.command(Command::Stop),
            "hold" => rig.exits(1, &["Backend error: Corruption: bad block"]),
            _ => rig.host = Some(full.clone()),
        }
        rig.run(2 * MINUTE);
        rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
        rig.run(MINUTE);
        rig.called_off();
        rig.run(HOUR);
        assert_eq!(rig.deeds().len(), 1, "{other}: {:?}", rig.deeds());
    }
}

#[test]
fn notices_in_any_order_stop_it_once_and_the_last_one_counts() {
    let mut rig = Rig::synced();
    rig.told_by_ec2(NoticeKind::Rebalance, None);
    rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
    rig.told_by_ec2(NoticeKind::Termination, 110);
    rig.told_by_ec2(NoticeKind::SpotInterruption, 100);
    rig.run(MINUTE);
    assert_eq!(rig.deeds(), [stop_within(Cause::SpotInterruption, 105)]);
    rig.told_by_ec2(NoticeKind::Rebalance, None);
    rig.run(MINUTE);
    assert_eq!(rig.deeds()[1..], [start(Cause::NoticeOver)]);
}

#[test]
fn whoever_wishes_it_up_is_told_why_it_is_not() {
    for command in [Command::Start, Command::Restart { reason: String::new() }] {
        let mut rig = Rig::synced();
        rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
        let refusal = rig.machine.acknowledge(&command).unwrap_err();
        assert!(refusal.contains("EC2 takes this spot instance back in 2m"), "{refusal}");
        rig.command(command);
        rig.run(MINUTE);
        assert_eq!(rig.deeds().len(), 1);
    }
}

#[test]
fn what_docker_or_a_person_starts_in_spite_of_the_notice_is_stopped_again() {
    let mut rig = Rig::synced();
    rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
    rig.run(20);
    rig.runs_anew();
    assert_eq!(rig.deeds()[1..], [stop_within(Cause::SpotInterruption, 85)]);
}

#[test]
fn a_pause_does_not_keep_it_from_a_clean_end() {
    let mut rig = Rig::synced();
    rig.command(pause(HOUR));
    rig.told_by_ec2(NoticeKind::Termination, 600);
    assert_eq!(rig.deeds(), [stop_within(Cause::Termination, 300)]);
    rig.expect(Phase::Holding, Health::Critical);
}

#[test]
fn an_action_under_way_is_followed_by_the_stop_however_it_ends() {
    for failed in [false, true] {
        let mut rig = Rig::synced();
        rig.obeys = false;
        rig.command(Command::Restart { reason: String::new() });
        rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
        rig.obeys = true;
        if failed {
            rig.fails(Failure::Other);
        } else {
            rig.done(running(rig.wall()));
        }
        assert_eq!(rig.deeds()[1..], [stop_within(Cause::SpotInterruption, 105)]);
        assert_eq!(rig.wrong(), [Cause::SpotInterruption]);
    }
}

#[test]
fn a_start_that_gives_way_may_have_happened_all_the_same() {
    let mut rig = Rig::fresh();
    rig.obeys = false;
    rig.container(Container::Missing);
    rig.told_by_ec2(NoticeKind::Termination, None);
    rig.fails(Failure::Cancelled);
    assert_eq!(rig.answered(), Some(LifecycleAnswer::Wait), "nobody knows");
    assert_eq!(rig.deeds()[1..], [stop_within(Cause::Termination, 300)]);
    rig.done(Container::Missing);
    assert_eq!(rig.answered(), Some(LifecycleAnswer::Complete));
}

#[test]
fn a_stop_that_fails_is_tried_again_a_second_later_with_what_is_left() {
    let mut rig = Rig::synced();
    rig.failing = Some(Failure::Other);
    let since = rig.seconds();
    rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
    rig.run(5);
    assert_eq!(rig.times(since), [0, 1, 2, 3, 4, 5]);
    assert_eq!(rig.deeds()[5], stop_within(Cause::SpotInterruption, 100));
    rig.failing = None;
    rig.run(5);
    assert_eq!(rig.wrong(), [Cause::SpotInterruption]);
}

#[test]
fn a_notice_outlives_the_agent() {
    let mut rig = Rig::synced();
    rig.told_by_ec2(NoticeKind::SpotInterruption, 120);
    rig.run(10);
    rig.agent_dies(30);
    rig.container(Container::Exited {
        at: None,
        exit: Exit::default(),
        spec_matches: true,
    });
    rig.run(HOUR);
    assert!(rig.deeds().iter().all(|deed| !matches!(deed, Action::Start { .. })));
    rig.expect(Phase::Holding, Health::Critical);
}

#[test]
fn the_group_gets_the_instance_only_once_the_collator_is_known_to_be_down() {
    let mut rig = Rig::synced();
    assert_eq!(rig.answered(), None, "nobody asks for it");
    rig.obeys = false;
    rig.told_by_ec2(NoticeKind::Termination, None);
    assert_eq!(rig.answered(), Some(LifecycleAnswer::Wait));
    rig.obeys = true;
    rig.fails(Failure::DockerUnreachable);
    rig.run(MINUTE);
    assert_eq!(rig.answered(), Some(LifecycleAnswer::Wait), "nobody knows");
    rig.container(running(rig.run));
    rig.run(5);
    assert_eq!(rig.answered(), Some(LifecycleAnswer::Complete));
    rig.told_by_ec2(NoticeKind::SpotInterruption, 10);
    assert_eq!(rig.answered(), None);
}
