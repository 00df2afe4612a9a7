//! An update: pulled first, put in place cleanly, watched, and kept or taken back.

use super::rig::*;
use crate::event::{Command, DesiredSpec, Event, Failure, Image, Images, Notice, NoticeKind, ScrapeError, Versions};
use crate::machine::{Action, Cause, Health, Phase, Step, UpdateResult};

pub(super) const NEW: &str = "org/node:v2";
const OLD: &str = "org/node:v1";

pub(super) fn image(reference: &str) -> Image {
    Image {
        reference: reference.to_owned(),
        pin: format!("{reference}@sha256:pin"),
    }
}

pub(super) fn images() -> Images {
    Images {
        from: image("org/node:v1"),
        to: image(NEW),
    }
}

pub(super) fn version(version: &str) -> Versions {
    [("chains/t0rn/db/full/db_version".to_owned(), version.to_owned())].into()
}

pub(super) fn stop(cause: Cause) -> Action {
    Action::Stop { cause }
}

/// The start of a collator with its keys, from the image of that name.
pub(super) fn start_of(cause: Cause, reference: &str) -> Action {
    Action::Start {
        cause,
        spec: DesiredSpec {
            image: Some(image(reference)),
            keys: true,
        },
    }
}

impl Rig {
    pub(super) fn asks(&mut self) {
        self.command(Command::Update {
            image: NEW.to_owned(),
            automatic: false,
        });
    }

    pub(super) fn pulled(&mut self) {
        self.event(Event::Pulled(Ok(images())));
    }

    /// The new image runs, and is on probation.
    pub(super) fn on_probation() -> Self {
        let mut rig = Self::synced();
        rig.databases = version("4");
        rig.asks();
        rig.pulled();
        rig.run(5);
        assert_eq!(rig.step(), Some(Step::Probation));
        rig.log.clear();
        rig
    }

    pub(super) fn step(&self) -> Option<Step> {
        self.machine.update().map(|update| update.step)
    }

    pub(super) fn result(&self) -> Option<UpdateResult> {
        assert_eq!(self.machine.update(), None);
        self.machine.past_updates().next_back().map(|past| past.result)
    }

    pub(super) fn reason(&self) -> String {
        let past = self.machine.past_updates().next_back().unwrap();
        past.reason.clone().unwrap_or_default()
    }

    pub(super) fn runs(&self) -> Option<&str> {
        self.machine.image().map(|image| image.reference.as_str())
    }
}

#[test]
fn an_image_that_makes_progress_is_kept_after_its_probation() {
    let mut rig = Rig::synced();
    rig.asks();
    assert!(
        rig.log
            .iter()
            .any(|(_, a)| *a == Action::Pull { image: NEW.to_owned() })
    );
    rig.run(5 * MINUTE);
    assert_eq!(
        (rig.deeds(), rig.runs()),
        (vec![], None),
        "it runs on while the image is pulled"
    );
    rig.expect(Phase::Synced, Health::Ok);
    rig.pulled();
    assert_eq!(rig.deeds(), [stop(Cause::Update), start_of(Cause::Update, NEW)]);
    assert_eq!((rig.step(), rig.runs()), (Some(Step::Probation), Some(NEW)));
    rig.run(9 * MINUTE);
    assert_eq!(rig.step(), Some(Step::Probation));
    rig.run(2 * MINUTE);
    assert_eq!(rig.result(), Some(UpdateResult::Done));
    rig.run(HOUR);
    assert_eq!((rig.deeds().len(), rig.runs()), (2, Some(NEW)));
    assert_eq!(rig.machine.budget_left(), 3);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn an_image_that_cannot_be_had_changes_nothing() {
    let mut rig = Rig::synced();
    rig.asks();
    rig.event(Event::Pulled(Err("the registry cannot be reached".to_owned())));
    assert_eq!(rig.result(), Some(UpdateResult::Failed));
    assert!(
        rig.machine
            .explain(Cause::UpdateFailed)
            .contains("nothing was changed: the registry")
    );
    rig.run(HOUR);
    assert_eq!((rig.deeds(), rig.runs()), (vec![], None));
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn the_image_that_runs_already_is_left_alone() {
    let mut rig = Rig::synced();
    rig.asks();
    let to = image(NEW);
    let from = Image {
        reference: "org/node:latest".to_owned(),
        ..to.clone()
    };
    rig.event(Event::Pulled(Ok(Images { from, to })));
    assert_eq!((rig.result(), rig.deeds()), (Some(UpdateResult::Unchanged), vec![]));
}

#[test]
fn an_image_that_crashes_is_taken_back_at_once() {
    for log in [&[][..], &["error: unexpected argument '--sim' found"]] {
        let mut rig = Rig::on_probation();
        rig.exits(1, log);
        assert_eq!(
            rig.deeds(),
            [stop(Cause::UpdateFailed), start_of(Cause::UpdateFailed, OLD)]
        );
        assert_eq!(
            (rig.result(), rig.runs()),
            (Some(UpdateResult::RolledBack), Some("org/node:v1"))
        );
        assert!(rig.reason().starts_with("it exited with code 1"), "{}", rig.reason());
        rig.run(HOUR);
        assert_eq!(rig.deeds().len(), 2);
        rig.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn an_image_that_cannot_be_started_is_taken_back() {
    for kind in [Failure::Executable, Failure::Image, Failure::Other] {
        let mut rig = Rig::synced();
        rig.asks();
        rig.obeys = false;
        rig.pulled();
        rig.event(Event::Databases(version("4")));
        rig.done(ended());
        rig.fails(kind);
        rig.obeys = true;
        rig.done(ended());
        assert_eq!(
            rig.deeds().last(),
            Some(&start_of(Cause::UpdateFailed, OLD)),
            "{kind:?}"
        );
        assert_eq!(
            (rig.result(), rig.runs()),
            (Some(UpdateResult::RolledBack), Some("org/node:v1"))
        );
        rig.run(MINUTE);
        rig.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn a_stop_that_fails_gives_the_update_up_and_nothing_is_left_of_it() {
    let mut rig = Rig::synced();
    rig.asks();
    rig.failing = Some(Failure::Other);
    rig.pulled();
    assert_eq!((rig.deeds(), rig.runs()), (vec![stop(Cause::Update)], None));
    assert_eq!(rig.result(), Some(UpdateResult::Failed));
    rig.run(MINUTE);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn what_would_cost_a_restart_takes_the_image_back_instead() {
    type Fault = fn(&mut Rig);
    let faults: [(Fault, &str); 3] = [
        (|rig| rig.para.moves = false, "no progress"),
        (
            |rig| (rig.para.error, rig.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout)),
            "none of its exporters",
        ),
        (|rig| (rig.para.peers, rig.para.moves) = (Some(0), false), "no peers"),
    ];
    for (fault, reason) in faults {
        let mut rig = Rig::on_probation();
        rig.run(MINUTE);
        rig.run_with(9 * MINUTE, |rig| {
            if rig.machine.image().is_some_and(|image| image.reference == NEW) {
                fault(rig);
            } else {
                (rig.para.moves, rig.para.peers) = (true, Some(8));
                (rig.para.error, rig.relay.error) = (None, None);
            }
        });
        assert_eq!(rig.result(), Some(UpdateResult::RolledBack), "{reason}");
        assert!(rig.reason().contains(reason), "{}", rig.reason());
        assert_eq!(
            rig.deeds(),
            [stop(Cause::UpdateFailed), start_of(Cause::UpdateFailed, OLD)]
        );
        assert_eq!((rig.machine.budget_left(), rig.machine.health_restarts()), (3, 0));
        rig.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn an_image_that_begins_to_stall_before_the_probation_ends_is_not_done() {
    let mut rig = Rig::on_probation();
    rig.run(7 * MINUTE);
    rig.run_with(8 * MINUTE, |rig| {
        rig.para.moves = rig.machine.image().is_none_or(|image| image.reference != NEW);
    });
    assert_eq!(rig.result(), Some(UpdateResult::RolledBack));
    assert!(rig.reason().contains("no progress"), "{}", rig.reason());
}

#[test]
fn an_isolation_that_was_there_before_is_not_the_images_fault() {
    let mut rig = Rig::synced();
    (rig.para.peers, rig.para.moves) = (Some(0), false);
    rig.run(3 * MINUTE);
    rig.asks();
    rig.pulled();
    rig.run(9 * MINUTE);
    assert_eq!(
        rig.step(),
        Some(Step::Probation),
        "{:?}",
        rig.machine.past_updates().next_back()
    );
    rig.run(2 * MINUTE);
    // The relay chain moves as it did.
    assert_eq!((rig.result(), rig.runs()), (Some(UpdateResult::Done), Some(NEW)));
}

#[test]
fn a_migrated_database_keeps_a_failed_image_down_with_the_cure() {
    let mut rig = Rig::on_probation();
    rig.databases = version("5");
    rig.exits(1, &[]);
    assert_eq!(rig.deeds(), [stop(Cause::UpdateFailed)]);
    assert_eq!((rig.result(), rig.runs()), (Some(UpdateResult::Held), Some(NEW)));
    assert_eq!(rig.told(Cause::DatabaseMigrated), 1);
    rig.expect(Phase::Holding, Health::Critical);
    assert!(
        rig.machine.problems()[0]
            .text
            .contains("restore the chain data from a snapshot")
    );
    rig.run(DAY);
    rig.agent_dies(MINUTE);
    rig.container(ended());
    rig.run(HOUR);
    assert_eq!(rig.deeds().len(), 1, "it stays down");
    rig.command(Command::Start);
    rig.run(MINUTE);
    assert_eq!(rig.deeds().last(), Some(&start_of(Cause::Operator, NEW)));
}

#[test]
fn with_the_data_restored_an_update_to_the_old_image_is_the_way_back() {
    let mut rig = Rig::on_probation();
    rig.databases = version("5");
    rig.run(5);
    rig.exits(1, &[]);
    let cure = rig.machine.explain(Cause::DatabaseMigrated);
    assert!(cure.contains("t0rn-agent update --image org/node:v1"), "{cure}");
    rig.databases = version("4");
    rig.command(Command::Update {
        image: "org/node:v1".to_owned(),
        automatic: false,
    });
    let Images { from, to } = images();
    rig.event(Event::Pulled(Ok(Images { from: to, to: from })));
    rig.run(11 * MINUTE);
    assert_eq!(
        (rig.result(), rig.runs()),
        (Some(UpdateResult::Done), Some("org/node:v1"))
    );
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_name_that_means_another_image_by_now_does_not_bring_it_in_by_the_back_door() {
    let mut rig = Rig::synced();
    rig.asks();
    rig.failing = Some(Failure::Other);
    let from = Image {
        pin: "org/node@sha256:old".to_owned(),
        ..image(NEW)
    };
    rig.event(Event::Pulled(Ok(Images {
        from: from.clone(),
        to: image(NEW),
    })));
    assert_eq!(
        (rig.result(), rig.machine.image()),
        (Some(UpdateResult::Failed), Some(&from))
    );
}

#[test]
fn a_database_that_told_nothing_before_and_does_now_counts_as_migrated_and_one_that_never_told_does_not() {
    for (before, after, result) in [
        (Versions::new(), version("5"), UpdateResult::Held),
        (Versions::new(), Versions::new(), UpdateResult::RolledBack),
        (version("4"), Versions::new(), UpdateResult::RolledBack),
        (version("4"), version("4"), UpdateResult::RolledBack),
    ] {
        let mut rig = Rig::synced();
        rig.databases = before;
        rig.asks();
        rig.pulled();
        rig.databases = after;
        rig.run(5);
        rig.exits(1, &[]);
        assert_eq!(rig.result(), Some(result));
    }
}

#[test]
fn a_migration_is_no_harm_to_an_image_that_works() {
    let mut rig = Rig::on_probation();
    rig.databases = version("5");
    rig.run(11 * MINUTE);
    assert_eq!(rig.result(), Some(UpdateResult::Done));
}

#[test]
fn blocks_that_came_before_have_to_come_again() {
    let mut rig = Rig::on_probation();
    rig.para.moves = false;
    // Not yet long enough for a stall, because it is busy; yet the time is over.
    rig.machine.policy.windows.stall_after = std::time::Duration::from_hours(1);
    rig.run(11 * MINUTE);
    assert_eq!(rig.result(), Some(UpdateResult::RolledBack));
    assert!(rig.reason().contains("no block arrived"), "{}", rig.reason());
}

#[test]
fn what_nobody_can_tell_prolongs_the_probation_three_times_and_then_it_is_kept_unproven() {
    let mut rig = Rig::on_probation();
    // The parachain's exporter alone is silent, so it is neither good nor bad.
    rig.para.error = Some(ScrapeError::Timeout);
    rig.run(35 * MINUTE);
    assert_eq!(rig.step(), Some(Step::Probation));
    rig.run(6 * MINUTE);
    assert_eq!(rig.result(), Some(UpdateResult::NotProven));
    assert_eq!((rig.deeds(), rig.runs()), (vec![], Some(NEW)));
}

#[test]
fn a_second_update_is_refused_while_one_is_under_way_with_the_reason() {
    let rig = Rig::on_probation();
    let command = Command::Update {
        image: "org/node:v3".to_owned(),
        automatic: false,
    };
    let refused = rig.machine.acknowledge(&command).unwrap_err();
    assert!(
        refused.contains("an update to org/node:v2 is under way (probation)"),
        "{refused}"
    );
}

#[test]
fn what_is_stopped_paused_or_about_to_end_is_not_updated() {
    type Obstacle = fn(&mut Rig);
    let obstacles: [(Obstacle, &str); 5] = [
        (|rig| rig.command(Command::Stop), "is stopped"),
        (|rig| rig.command(pause(HOUR)), "are paused"),
        (
            |rig| rig.event(Event::Docker { reachable: false }),
            "docker is unreachable",
        ),
        (
            |rig| {
                rig.event(Event::Ec2(Some(Notice {
                    kind: NoticeKind::Termination,
                    seconds: None,
                })));
            },
            "the auto scaling group",
        ),
        (
            |rig| {
                rig.event(Event::Host(crate::event::HostFacts {
                    disk_free_bytes: Some(1),
                    ..healthy_host()
                }));
            },
            "no room",
        ),
    ];
    for (obstacle, reason) in obstacles {
        let mut rig = Rig::synced();
        obstacle(&mut rig);
        let command = Command::Update {
            image: NEW.to_owned(),
            automatic: false,
        };
        let refused = rig.machine.acknowledge(&command).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
        rig.command(command);
        assert_eq!(rig.machine.update(), None, "{reason}");
    }
}

#[test]
fn an_image_that_was_taken_back_is_not_taken_again_by_itself() {
    let mut rig = Rig::on_probation();
    rig.exits(1, &[]);
    assert!(!rig.machine.may_update_to("sha256:pin"));
    assert!(rig.machine.may_update_to("sha256:other"));
    rig.run(MINUTE);
    rig.asks();
    assert!(rig.machine.update().is_some(), "a person may insist");
}

#[test]
fn ten_updates_are_remembered() {
    let mut rig = Rig::synced();
    for _ in 0..12 {
        rig.asks();
        rig.event(Event::Pulled(Err(String::new())));
    }
    assert_eq!(rig.machine.past_updates().count(), 10);
}

pub(super) fn ended() -> crate::event::Container {
    crate::event::Container::Exited {
        at: None,
        exit: crate::event::Exit::default(),
        spec_matches: true,
    }
}
