//! An update: pulled first, put in place cleanly, watched, and kept or taken back.

use super::harness::*;
use crate::event::{ActionFailure, Command, DesiredSpec, Event, Image, Images, PullError, ScrapeError, Versions};
use crate::machine::{Action, Cause, Health, Phase, UpdateResult, UpdateStep};

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

impl Harness {
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
        let mut harness = Self::synced();
        harness.databases = version("4");
        harness.asks();
        harness.pulled();
        harness.run(5);
        assert_eq!(harness.step(), Some(UpdateStep::Probation));
        harness.log.clear();
        harness
    }

    pub(super) fn step(&self) -> Option<UpdateStep> {
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
    let mut harness = Harness::synced();
    harness.asks();
    assert!(
        harness
            .log
            .iter()
            .any(|(_, a)| *a == Action::Pull { image: NEW.to_owned() })
    );
    harness.run(5 * MINUTE);
    assert_eq!(
        (harness.container_actions(), harness.runs()),
        (vec![], None),
        "it runs on while the image is pulled"
    );
    harness.expect(Phase::Synced, Health::Ok);
    harness.pulled();
    assert_eq!(
        harness.container_actions(),
        [stop(Cause::Update), start_of(Cause::Update, NEW)]
    );
    assert_eq!(
        (harness.step(), harness.runs()),
        (Some(UpdateStep::Probation), Some(NEW))
    );
    harness.run(9 * MINUTE);
    assert_eq!(harness.step(), Some(UpdateStep::Probation));
    harness.run(2 * MINUTE);
    assert_eq!(harness.result(), Some(UpdateResult::Done));
    harness.run(HOUR);
    assert_eq!((harness.container_actions().len(), harness.runs()), (2, Some(NEW)));
    assert_eq!(harness.machine.budget_left(), 3);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn an_image_that_cannot_be_had_changes_nothing() {
    let mut harness = Harness::synced();
    harness.asks();
    harness.event(Event::Pulled(Err(PullError(
        "the registry cannot be reached".to_owned(),
    ))));
    assert_eq!(harness.result(), Some(UpdateResult::Failed));
    assert!(
        harness
            .machine
            .explain(Cause::UpdateFailed)
            .contains("nothing was changed: the registry")
    );
    harness.run(HOUR);
    assert_eq!((harness.container_actions(), harness.runs()), (vec![], None));
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn the_image_that_runs_already_is_left_alone() {
    let mut harness = Harness::synced();
    harness.asks();
    let to = image(NEW);
    let from = Image {
        reference: "org/node:latest".to_owned(),
        ..to.clone()
    };
    harness.event(Event::Pulled(Ok(Images { from, to })));
    assert_eq!(
        (harness.result(), harness.container_actions()),
        (Some(UpdateResult::Unchanged), vec![])
    );
}

#[test]
fn an_image_that_crashes_is_taken_back_at_once() {
    for log in [&[][..], &["error: unexpected argument '--sim' found"]] {
        let mut harness = Harness::on_probation();
        harness.exits(1, log);
        assert_eq!(
            harness.container_actions(),
            [stop(Cause::UpdateFailed), start_of(Cause::UpdateFailed, OLD)]
        );
        assert_eq!(
            (harness.result(), harness.runs()),
            (Some(UpdateResult::RolledBack), Some("org/node:v1"))
        );
        assert!(
            harness.reason().starts_with("it exited with code 1"),
            "{}",
            harness.reason()
        );
        harness.run(HOUR);
        assert_eq!(harness.container_actions().len(), 2);
        harness.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn an_image_that_cannot_be_started_is_taken_back() {
    for kind in [ActionFailure::Executable, ActionFailure::Image, ActionFailure::Other] {
        let mut harness = Harness::synced();
        harness.asks();
        harness.obeys = false;
        harness.pulled();
        harness.event(Event::Databases(version("4")));
        harness.done(ended());
        harness.fails(kind);
        harness.obeys = true;
        harness.event(Event::Databases(version("4")));
        harness.done(ended());
        assert_eq!(
            harness.container_actions().last(),
            Some(&start_of(Cause::UpdateFailed, OLD)),
            "{kind:?}"
        );
        assert_eq!(
            (harness.result(), harness.runs()),
            (Some(UpdateResult::RolledBack), Some("org/node:v1"))
        );
        harness.run(2 * MINUTE);
        harness.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn a_stop_that_fails_gives_the_update_up_and_nothing_is_left_of_it() {
    let mut harness = Harness::synced();
    harness.asks();
    harness.failing = Some(ActionFailure::Other);
    harness.pulled();
    assert_eq!(
        (harness.container_actions(), harness.runs()),
        (vec![stop(Cause::Update)], None)
    );
    assert_eq!(harness.result(), Some(UpdateResult::Failed));
    harness.run(MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn what_would_cost_a_restart_takes_the_image_back_instead() {
    type Fault = fn(&mut Harness);
    let faults: [(Fault, &str); 3] = [
        (|harness| harness.para.moves = false, "has stood at block"),
        (
            |harness| {
                (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
            },
            "none of its exporters",
        ),
        (
            |harness| (harness.para.peers, harness.para.moves) = (Some(0), false),
            "no peers",
        ),
    ];
    for (fault, reason) in faults {
        let mut harness = Harness::on_probation();
        harness.run(MINUTE);
        harness.run_with(9 * MINUTE, |harness| {
            if harness.machine.image().is_some_and(|image| image.reference == NEW) {
                fault(harness);
            } else {
                (harness.para.moves, harness.para.peers) = (true, Some(8));
                (harness.para.error, harness.relay.error) = (None, None);
            }
        });
        assert_eq!(harness.result(), Some(UpdateResult::RolledBack), "{reason}");
        assert!(harness.reason().contains(reason), "{}", harness.reason());
        assert_eq!(
            harness.container_actions(),
            [stop(Cause::UpdateFailed), start_of(Cause::UpdateFailed, OLD)]
        );
        assert_eq!(
            (harness.machine.budget_left(), harness.machine.health_restarts()),
            (3, 0)
        );
        harness.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn an_image_that_begins_to_stall_before_the_probation_ends_is_not_done() {
    let mut harness = Harness::on_probation();
    harness.run(7 * MINUTE);
    harness.run_with(8 * MINUTE, |harness| {
        harness.para.moves = harness.machine.image().is_none_or(|image| image.reference != NEW);
    });
    assert_eq!(harness.result(), Some(UpdateResult::RolledBack));
    assert!(harness.reason().contains("has stood at block"), "{}", harness.reason());
}

#[test]
fn an_isolation_that_was_there_before_is_not_the_images_fault() {
    let mut harness = Harness::synced();
    (harness.para.peers, harness.para.moves) = (Some(0), false);
    harness.run(3 * MINUTE);
    harness.asks();
    harness.pulled();
    harness.run(9 * MINUTE);
    assert_eq!(
        harness.step(),
        Some(UpdateStep::Probation),
        "{:?}",
        harness.machine.past_updates().next_back()
    );
    harness.run(2 * MINUTE);
    // The relay chain moves as it did.
    assert_eq!(
        (harness.result(), harness.runs()),
        (Some(UpdateResult::Done), Some(NEW))
    );
}

#[test]
fn blocks_that_came_before_have_to_come_again() {
    let mut harness = Harness::on_probation();
    harness.para.moves = false;
    // Not yet long enough for a stall, because it is busy; yet the time is over.
    harness.machine.policy.windows.stall_after = std::time::Duration::from_hours(1);
    harness.run(11 * MINUTE);
    assert_eq!(harness.result(), Some(UpdateResult::RolledBack));
    assert!(harness.reason().contains("no block arrived"), "{}", harness.reason());
}

#[test]
fn unclear_probation_is_prolonged_three_times_then_kept_unproven() {
    let mut harness = Harness::on_probation();
    // The parachain's exporter alone is silent, so it is neither good nor bad.
    harness.para.error = Some(ScrapeError::Timeout);
    harness.run(35 * MINUTE);
    assert_eq!(harness.step(), Some(UpdateStep::Probation));
    harness.run(6 * MINUTE);
    assert_eq!(harness.result(), Some(UpdateResult::NotProven));
    assert_eq!((harness.container_actions(), harness.runs()), (vec![], Some(NEW)));
}

#[test]
fn ten_updates_are_remembered() {
    let mut harness = Harness::synced();
    for _ in 0..12 {
        harness.asks();
        harness.event(Event::Pulled(Err(PullError(String::new()))));
    }
    assert_eq!(harness.machine.past_updates().count(), 10);
}

pub(super) fn ended() -> crate::event::Container {
    crate::event::Container::Exited {
        at: None,
        exit: crate::event::Exit::default(),
        spec_matches: true,
    }
}
