//! Updates that are refused, and why.

use super::harness::*;
use super::updates::*;
use crate::event::{Command, Event, Notice, NoticeKind};

#[test]
fn a_second_update_is_refused_while_one_is_under_way_with_the_reason() {
    let harness = Harness::on_probation();
    let command = Command::Update {
        image: "org/node:v3".to_owned(),
        automatic: false,
    };
    let refused = harness.machine.acknowledge(&command).unwrap_err().to_string();
    assert!(
        refused.contains("an update to org/node:v2 is under way (probation)"),
        "{refused}"
    );
}

#[test]
fn what_is_stopped_paused_or_about_to_end_is_not_updated() {
    type Obstacle = fn(&mut Harness);
    let obstacles: [(Obstacle, &str); 5] = [
        (|harness| harness.command(Command::STOP), "is stopped"),
        (|harness| harness.command(pause(HOUR)), "are paused"),
        (
            |harness| harness.event(Event::Docker { reachable: false }),
            "docker is unreachable",
        ),
        (
            |harness| {
                harness.event(Event::Ec2(Some(Notice {
                    kind: NoticeKind::Termination,
                    seconds: None,
                })));
            },
            "the auto scaling group",
        ),
        (
            |harness| {
                harness.event(Event::Host(crate::event::HostFacts {
                    disk_free_bytes: Some(1),
                    ..healthy_host()
                }));
            },
            "no room",
        ),
    ];
    for (obstacle, reason) in obstacles {
        let mut harness = Harness::synced();
        obstacle(&mut harness);
        let command = Command::Update {
            image: NEW.to_owned(),
            automatic: false,
        };
        let refused = harness.machine.acknowledge(&command).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
        harness.command(command);
        assert_eq!(harness.machine.update(), None, "{reason}");
    }
}

#[test]
fn an_image_that_was_taken_back_is_not_taken_again_by_itself() {
    let mut harness = Harness::on_probation();
    harness.exits(1, &[]);
    assert!(!harness.machine.may_update_to("sha256:pin"));
    assert!(harness.machine.may_update_to("sha256:other"));
    harness.run(MINUTE);
    harness.asks();
    assert!(harness.machine.update().is_some(), "a person may insist");
}
