//! An update that something comes in between of: an operator, EC2, Docker, a kill.

use strum::VariantArray as _;

use super::harness::*;
use super::updates::*;
use crate::event::{ActionFailure, Command, Event, Notice, NoticeKind, Time};
use crate::machine::{Cause, Health, Machine, Phase, Policy, UpdateResult, UpdateStep};
use crate::trace::{self, Record};

#[test]
fn pause_ends_running_step_and_stops_probation_clock() {
    let mut harness = Harness::synced();
    harness.asks();
    harness.command(pause(HOUR));
    harness.pulled();
    harness.run(30 * MINUTE);
    assert_eq!(
        (harness.step(), harness.container_actions()),
        (Some(UpdateStep::Stopping), vec![])
    );
    harness.command(Command::Resume);
    assert_eq!(
        harness.container_actions(),
        [stop(Cause::Update), start_of(Cause::Update, NEW)]
    );
    harness.run(5 * MINUTE);
    harness.command(pause(HOUR));
    harness.run(30 * MINUTE);
    assert_eq!(harness.step(), Some(UpdateStep::Probation));
    harness.command(Command::Resume);
    harness.run(4 * MINUTE);
    assert_eq!(harness.step(), Some(UpdateStep::Probation));
    harness.run(2 * MINUTE);
    assert_eq!(harness.result(), Some(UpdateResult::Done));
}

#[test]
fn a_stop_gives_up_what_has_not_begun_and_lets_the_rest_wait_for_start() {
    let mut harness = Harness::synced();
    harness.asks();
    harness.command(Command::STOP);
    assert_eq!((harness.result(), harness.runs()), (Some(UpdateResult::Failed), None));
    harness.pulled();
    assert_eq!(
        (harness.container_actions(), harness.runs()),
        (vec![stop(Cause::Operator)], None)
    );

    let mut harness = Harness::on_probation();
    harness.command(Command::STOP);
    harness.run(DAY);
    assert_eq!(
        (harness.step(), harness.container_actions()),
        (Some(UpdateStep::Probation), vec![stop(Cause::Operator)])
    );
    harness.command(Command::START);
    harness.run(11 * MINUTE);
    assert_eq!(
        (harness.result(), harness.runs()),
        (Some(UpdateResult::Done), Some(NEW))
    );
}

#[test]
fn announced_instance_end_outranks_update_which_next_start_finishes() {
    let mut harness = Harness::synced();
    harness.asks();
    let kind = NoticeKind::SpotInterruption;
    harness.event(Event::Ec2(Some(Notice {
        kind,
        seconds: Some(120),
    })));
    harness.pulled();
    harness.run(MINUTE);
    assert_eq!(harness.container_actions().len(), 1);
    assert_eq!((harness.step(), harness.runs()), (Some(UpdateStep::Stopping), None));
    harness.event(Event::Ec2(None));
    harness.run(11 * MINUTE);
    assert_eq!(
        harness.container_actions()[1..],
        [stop(Cause::Update), start_of(Cause::Update, NEW)]
    );
    assert_eq!(harness.result(), Some(UpdateResult::Done));
}

/// The agent is killed before what it decided was done, and again after; what Docker then has is one of two things.
#[test]
fn a_kill_at_any_step_is_finished_or_taken_back_by_the_next_agent() {
    for step in UpdateStep::VARIANTS {
        for done in [false, true] {
            let mut harness = Harness::synced();
            harness.databases = version("4");
            harness.asks();
            harness.obeys = false;
            if *step != UpdateStep::Pulling {
                harness.pulled();
                if *step != UpdateStep::Stopping {
                    harness.event(Event::Databases(version("4")));
                    harness.done(ended());
                }
                if matches!(
                    step,
                    UpdateStep::Probation | UpdateStep::RollingBack | UpdateStep::Restoring
                ) {
                    harness.runs_now();
                }
                if matches!(step, UpdateStep::RollingBack | UpdateStep::Restoring) {
                    harness.run(5);
                    harness.exits(1, &[]);
                }
                if *step == UpdateStep::Restoring {
                    harness.event(Event::Databases(version("4")));
                    harness.done(ended());
                }
            }
            assert_eq!(harness.step(), Some(*step));
            harness.agent_dies(10);
            harness.obeys = true;
            // The last order reached Docker, or it did not.
            let up = match step {
                UpdateStep::Pulling | UpdateStep::Probation => true,
                UpdateStep::Stopping | UpdateStep::RollingBack => !done,
                UpdateStep::Starting | UpdateStep::Restoring => done,
            };
            if up {
                harness.run = harness.wall() - 1;
                harness.container(running(harness.run));
            } else {
                harness.container(ended());
            }
            if *step == UpdateStep::Pulling {
                harness.pulled();
            }
            harness.run(12 * MINUTE);
            let back = matches!(step, UpdateStep::RollingBack | UpdateStep::Restoring);
            let (result, runs) = if back {
                (UpdateResult::RolledBack, "org/node:v1")
            } else {
                (UpdateResult::Done, NEW)
            };
            assert_eq!(
                (harness.result(), harness.runs()),
                (Some(result), Some(runs)),
                "{step:?} {done}"
            );
            harness.expect(Phase::Synced, Health::Ok);
        }
    }
}

#[test]
fn docker_going_away_in_the_middle_is_waited_for() {
    let mut harness = Harness::synced();
    harness.asks();
    harness.obeys = false;
    harness.pulled();
    harness.fails(ActionFailure::DockerUnreachable);
    harness.run(MINUTE);
    assert_eq!(harness.step(), Some(UpdateStep::Stopping));
    harness.obeys = true;
    harness.event(Event::Docker { reachable: true });
    harness.container(running(harness.run));
    harness.run(11 * MINUTE);
    assert_eq!(harness.result(), Some(UpdateResult::Done));
}

#[test]
fn a_configuration_with_another_image_wins_over_an_update() {
    for finished in [true, false] {
        let mut harness = Harness::on_probation();
        if finished {
            harness.run(11 * MINUTE);
        }
        harness.agent_dies(10);
        assert_eq!(harness.runs(), Some(NEW), "the same configuration");
        harness.machine.policy.image = "org/node:v3".to_owned();
        harness.agent_dies(10);
        assert_eq!(harness.runs(), None);
        let expected = if finished {
            UpdateResult::Done
        } else {
            UpdateResult::Superseded
        };
        assert_eq!(harness.result(), Some(expected));
    }
}

impl Harness {
    fn runs_now(&mut self) {
        self.run = self.wall();
        self.up = true;
        self.done(running(self.run));
    }
}

#[test]
fn a_recorded_update_is_decided_alike_when_it_is_replayed() {
    let sample = |best: u64| Event::Sample {
        chain: crate::event::Chain::Parachain,
        sample: crate::event::Sample {
            best: Some(best),
            peers: Some(8),
            ..crate::event::Sample::default()
        },
    };
    let update = Command::Update {
        image: NEW.to_owned(),
        automatic: false,
    };
    let done = |container| Event::Finished(crate::event::Outcome::Done { container, at: None });
    let told = [
        Event::Container(running(1)),
        sample(1),
        sample(2),
        Event::Operator(update),
        Event::Pulled(Ok(images())),
        Event::Databases(version("4")),
        done(ended()),
        done(running(2)),
        sample(3),
        Event::Container(ended()),
        Event::Databases(version("5")),
        done(ended()),
    ];
    let (mut live, mut replayed) = (
        Machine::new(Policy::default(), Time(0)),
        Machine::new(Policy::default(), Time(0)),
    );
    for (second, event) in told.into_iter().enumerate() {
        let now = Time(second as u64 * 1000);
        let mut text = Vec::new();
        trace::write_line(&mut text, now, &event).unwrap();
        let (at, Record::Event(read)) = trace::parse_line(&text).unwrap() else {
            panic!("no event");
        };
        assert_eq!(live.step(now, event), replayed.step(at, read));
    }
    assert_eq!(live, replayed);
    let last = live.past_updates().next_back().map(|past| past.result);
    assert_eq!(last, Some(UpdateResult::Held));
}
