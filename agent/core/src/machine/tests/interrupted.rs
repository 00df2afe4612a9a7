//! An update that something comes in between of: an operator, EC2, Docker, a kill.

use super::rig::*;
use super::updates::*;
use crate::event::{Command, Event, Failure, Notice, NoticeKind, Time};
use crate::machine::{Cause, Health, Machine, Phase, Policy, Step, UpdateResult};
use crate::trace::{self, Record};

#[test]
fn a_pause_lets_the_step_under_way_end_and_stops_the_clock_of_the_probation() {
    let mut rig = Rig::synced();
    rig.asks();
    rig.command(pause(HOUR));
    rig.pulled();
    rig.run(30 * MINUTE);
    assert_eq!((rig.step(), rig.deeds()), (Some(Step::Stopping), vec![]));
    rig.command(Command::Resume);
    assert_eq!(rig.deeds(), [stop(Cause::Update), start_of(Cause::Update, NEW)]);
    rig.run(5 * MINUTE);
    rig.command(pause(HOUR));
    rig.run(30 * MINUTE);
    assert_eq!(rig.step(), Some(Step::Probation));
    rig.command(Command::Resume);
    rig.run(4 * MINUTE);
    assert_eq!(rig.step(), Some(Step::Probation));
    rig.run(2 * MINUTE);
    assert_eq!(rig.result(), Some(UpdateResult::Done));
}

#[test]
fn a_stop_gives_up_what_has_not_begun_and_lets_the_rest_wait_for_start() {
    let mut rig = Rig::synced();
    rig.asks();
    rig.command(Command::Stop);
    assert_eq!((rig.result(), rig.runs()), (Some(UpdateResult::Failed), None));
    rig.pulled();
    assert_eq!((rig.deeds(), rig.runs()), (vec![stop(Cause::Operator)], None));

    let mut rig = Rig::on_probation();
    rig.command(Command::Stop);
    rig.run(DAY);
    assert_eq!(
        (rig.step(), rig.deeds()),
        (Some(Step::Probation), vec![stop(Cause::Operator)])
    );
    rig.command(Command::Start);
    rig.run(11 * MINUTE);
    assert_eq!((rig.result(), rig.runs()), (Some(UpdateResult::Done), Some(NEW)));
}

#[test]
fn an_announced_end_of_the_instance_outranks_an_update_and_the_next_start_finishes_it() {
    let mut rig = Rig::synced();
    rig.asks();
    let kind = NoticeKind::SpotInterruption;
    rig.event(Event::Ec2(Some(Notice {
        kind,
        seconds: Some(120),
    })));
    rig.pulled();
    rig.run(MINUTE);
    assert_eq!(rig.deeds().len(), 1);
    assert_eq!((rig.step(), rig.runs()), (Some(Step::Stopping), None));
    rig.event(Event::Ec2(None));
    rig.run(11 * MINUTE);
    assert_eq!(rig.deeds()[1..], [stop(Cause::Update), start_of(Cause::Update, NEW)]);
    assert_eq!(rig.result(), Some(UpdateResult::Done));
}

/// The agent is killed before what it decided was done, and again after; what Docker then has is one of two things.
#[test]
fn a_kill_at_any_step_is_finished_or_taken_back_by_the_next_agent() {
    for step in Step::ALL {
        for done in [false, true] {
            let mut rig = Rig::synced();
            rig.databases = version("4");
            rig.asks();
            rig.obeys = false;
            if *step != Step::Pulling {
                rig.pulled();
                if *step != Step::Stopping {
                    rig.event(Event::Databases(version("4")));
                    rig.done(ended());
                }
                if matches!(step, Step::Probation | Step::RollingBack | Step::Restoring) {
                    rig.runs_now();
                }
                if matches!(step, Step::RollingBack | Step::Restoring) {
                    rig.run(5);
                    rig.exits(1, &[]);
                }
                if *step == Step::Restoring {
                    rig.event(Event::Databases(version("4")));
                    rig.done(ended());
                }
            }
            assert_eq!(rig.step(), Some(*step));
            rig.agent_dies(10);
            rig.obeys = true;
            // The last order reached Docker, or it did not.
            let up = match step {
                Step::Pulling | Step::Probation => true,
                Step::Stopping | Step::RollingBack => !done,
                Step::Starting | Step::Restoring => done,
            };
            if up {
                rig.run = rig.wall() - 1;
                rig.container(running(rig.run));
            } else {
                rig.container(ended());
            }
            if *step == Step::Pulling {
                rig.pulled();
            }
            rig.run(12 * MINUTE);
            let back = matches!(step, Step::RollingBack | Step::Restoring);
            let (result, runs) = if back {
                (UpdateResult::RolledBack, "org/node:v1")
            } else {
                (UpdateResult::Done, NEW)
            };
            assert_eq!(
                (rig.result(), rig.runs()),
                (Some(result), Some(runs)),
                "{step:?} {done}"
            );
            rig.expect(Phase::Synced, Health::Ok);
        }
    }
}

#[test]
fn docker_going_away_in_the_middle_is_waited_for() {
    let mut rig = Rig::synced();
    rig.asks();
    rig.obeys = false;
    rig.pulled();
    rig.fails(Failure::DockerUnreachable);
    rig.run(MINUTE);
    assert_eq!(rig.step(), Some(Step::Stopping));
    rig.obeys = true;
    rig.event(Event::Docker { reachable: true });
    rig.container(running(rig.run));
    rig.run(11 * MINUTE);
    assert_eq!(rig.result(), Some(UpdateResult::Done));
}

#[test]
fn a_configuration_with_another_image_wins_over_an_update() {
    for finished in [true, false] {
        let mut rig = Rig::on_probation();
        if finished {
            rig.run(11 * MINUTE);
        }
        rig.agent_dies(10);
        assert_eq!(rig.runs(), Some(NEW), "the same configuration");
        rig.machine.policy.image = "org/node:v3".to_owned();
        rig.agent_dies(10);
        assert_eq!(rig.runs(), None);
        let expected = if finished {
            UpdateResult::Done
        } else {
            UpdateResult::Superseded
        };
        assert_eq!(rig.result(), Some(expected));
    }
}

impl Rig {
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
