//! Updates whose database is migrated, and images that come and go by name.

use super::harness::*;
use super::updates::*;
use crate::event::{ActionFailure, Command, Event, Image, Images, Versions};
use crate::machine::{Cause, Health, Phase, UpdateResult};

#[test]
fn a_migrated_database_keeps_a_failed_image_down_with_the_cure() {
    let mut harness = Harness::on_probation();
    harness.databases = version("5");
    harness.exits(1, &[]);
    assert_eq!(harness.container_actions(), [stop(Cause::UpdateFailed)]);
    assert_eq!(
        (harness.result(), harness.runs()),
        (Some(UpdateResult::Held), Some(NEW))
    );
    assert_eq!(harness.told(Cause::DatabaseMigrated), 1);
    harness.expect(Phase::Holding, Health::Critical);
    assert!(
        harness.machine.problems()[0]
            .text
            .contains("restore the chain data from a snapshot")
    );
    harness.run(DAY);
    harness.agent_dies(MINUTE);
    harness.container(ended());
    harness.run(HOUR);
    assert_eq!(harness.container_actions().len(), 1, "it stays down");
    harness.command(Command::START);
    harness.run(MINUTE);
    assert_eq!(
        harness.container_actions().last(),
        Some(&start_of(Cause::Operator, NEW))
    );
}

#[test]
fn with_the_data_restored_an_update_to_the_old_image_is_the_way_back() {
    let mut harness = Harness::on_probation();
    harness.databases = version("5");
    harness.run(5);
    harness.exits(1, &[]);
    let cure = harness.machine.explain(Cause::DatabaseMigrated);
    assert!(cure.contains("t0rn-agent update --image org/node:v1"), "{cure}");
    harness.databases = version("4");
    harness.command(Command::Update {
        image: "org/node:v1".to_owned(),
        automatic: false,
    });
    let Images { from, to } = images();
    harness.event(Event::Pulled(Ok(Images { from: to, to: from })));
    harness.run(11 * MINUTE);
    assert_eq!(
        (harness.result(), harness.runs()),
        (Some(UpdateResult::Done), Some("org/node:v1"))
    );
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn moved_tag_does_not_replace_updated_image() {
    let mut harness = Harness::synced();
    harness.asks();
    harness.failing = Some(ActionFailure::Other);
    let from = Image {
        pin: "org/node@sha256:old".to_owned(),
        ..image(NEW)
    };
    harness.event(Event::Pulled(Ok(Images {
        from: from.clone(),
        to: image(NEW),
    })));
    assert_eq!(
        (harness.result(), harness.machine.image()),
        (Some(UpdateResult::Failed), Some(&from))
    );
}

#[test]
fn database_counts_as_migrated_only_when_its_version_appears() {
    for (before, after, result) in [
        (Versions::new(), version("5"), UpdateResult::Held),
        (Versions::new(), Versions::new(), UpdateResult::RolledBack),
        (version("4"), Versions::new(), UpdateResult::RolledBack),
        (version("4"), version("4"), UpdateResult::RolledBack),
    ] {
        let mut harness = Harness::synced();
        harness.databases = before;
        harness.asks();
        harness.pulled();
        harness.databases = after;
        harness.run(5);
        harness.exits(1, &[]);
        assert_eq!(harness.result(), Some(result));
    }
}

#[test]
fn unreadable_database_versions_before_or_after_hold_a_rollback() {
    for (before, after) in [(true, false), (false, true), (true, true)] {
        let mut harness = Harness::synced();
        harness.databases = version("4");
        harness.databases_unreadable = before;
        harness.asks();
        harness.pulled();
        harness.run(5);
        harness.databases_unreadable = after;
        harness.exits(1, &[]);
        assert_eq!(harness.result(), Some(UpdateResult::Held), "{before} {after}");
        assert_eq!(harness.told(Cause::DatabaseMigrated), 1);
    }
}

#[test]
fn a_migration_is_no_harm_to_an_image_that_works() {
    let mut harness = Harness::on_probation();
    harness.databases = version("5");
    harness.run(11 * MINUTE);
    assert_eq!(harness.result(), Some(UpdateResult::Done));
}
