//! The wall clock is set, forward or back, and what Docker reports afterwards is judged rightly.

use super::harness::*;
use crate::event::{ActionFailure, Command, Container, Event, Exit, HostFacts, Outcome, ScrapeError};
use crate::machine::{Action, Cause, Health, Machine, Phase};

impl Harness {
    /// Somebody sets the host's clock.
    fn step_clock(&mut self, seconds: i64) {
        self.shift_wall(seconds);
        let by_ms = seconds * 1000;
        self.event(Event::ClockStepped { by_ms });
    }

    /// As [`Self::step_clock`], and nobody notices.
    fn shift_wall(&mut self, seconds: i64) {
        self.wall_offset += seconds * 1000;
    }
}

const STEPS: [i64; 2] = [-7200, 7200];

/// A collator whose run began with an action of the agent, and a clock that was set since.
fn stepped(seconds: i64) -> Harness {
    let mut harness = Harness::synced();
    let reason = String::new();
    harness.command(Command::Restart { reason });
    harness.run(5 * MINUTE);
    harness.log.clear();
    harness.step_clock(seconds);
    harness.run(MINUTE);
    harness
}

#[test]
fn docker_stop_after_a_step_of_the_clock_is_a_persons_wish() {
    for step in STEPS {
        let mut harness = stepped(step);
        harness.docker_stop();
        harness.run(HOUR);
        assert_eq!(harness.container_actions(), [], "{step}");
        harness.expect(Phase::Stopped, Health::Critical);
    }
}

#[test]
fn exit_after_a_step_of_the_clock_is_one_and_is_mended() {
    for step in STEPS {
        let mut harness = stepped(step);
        harness.exits(1, &["panicked"]);
        harness.run(10 * MINUTE);
        assert_eq!(harness.container_actions(), [start(Cause::Exited)], "{step}");
        assert_eq!(harness.machine.crash_restarts(), 1, "{step}");
    }
}

#[test]
fn run_that_a_person_starts_after_a_step_is_the_new_one() {
    for step in STEPS {
        let mut harness = stepped(step);
        harness.docker_stop();
        harness.run(MINUTE);
        harness.runs_anew();
        harness.run(HOUR);
        assert_eq!(harness.container_actions(), [], "{step}");
        harness.expect(Phase::Synced, Health::Ok);
        assert_eq!(harness.machine.run(), Some(harness.run), "{step}");
    }
}

#[test]
fn freeze_after_a_step_of_the_clock_is_restarted_in_its_window() {
    for step in STEPS {
        let mut harness = stepped(step);
        let since = harness.seconds();
        (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
        harness.run(5 * MINUTE);
        assert_eq!(harness.container_actions(), [restart(Cause::Frozen)], "{step}");
        let window = harness.machine.policy.frozen_after.as_secs();
        assert!(
            harness.times(since)[0] <= window + 5,
            "{step}: {:?}",
            harness.times(since)
        );
    }
}

#[test]
fn crashes_in_both_directions_of_a_step_make_a_loop() {
    let mut harness = stepped(-7200);
    for _ in 0..5 {
        harness.exits(101, &[]);
        harness.run(5);
        harness.runs_anew();
        harness.run(10);
    }
    assert!(harness.wrong().contains(&Cause::CrashLoop), "{:?}", harness.wrong());
}

#[test]
fn reports_of_own_actions_from_before_a_step_stay_own() {
    let mut harness = Harness::synced();
    let reason = String::new();
    harness.command(Command::Restart { reason });
    let before = harness.wall();
    harness.log.clear();
    harness.step_clock(7200);
    harness.container(Container::Stopped { at: Some(before) });
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn stop_of_the_agents_own_that_is_repeated_after_a_step_is_nobodys_wish() {
    let mut harness = Harness::synced();
    let room = |free| HostFacts {
        disk_free_bytes: Some(free),
        ..healthy_host()
    };
    harness.host = Some(room(1));
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [Action::Stop { cause: Cause::DiskFull }]);
    let stopped = harness.wall();
    harness.step_clock(-7200);
    harness.agent_dies(5);
    harness.container(Container::Exited {
        at: Some(stopped),
        exit: Exit::default(),
        spec_matches: true,
    });
    harness.container(Container::Stopped { at: Some(stopped) });
    harness.run(MINUTE);
    harness.host = Some(room(1 << 40));
    harness.run(5 * MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn times_at_both_ends_of_their_range_are_compared() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.command(Command::STOP);
    harness.event(Event::Finished(Outcome::Done {
        container: Container::Exited {
            at: Some(i64::MIN),
            exit: Exit::default(),
            spec_matches: true,
        },
        at: None,
    }));
    harness.container(Container::Stopped { at: Some(i64::MAX) });
    harness.run(MINUTE);
    harness.expect(Phase::Stopped, Health::Critical);
}

#[test]
fn end_of_an_earlier_run_that_is_repeated_gives_way_to_a_look() {
    let mut harness = stepped(-7200);
    let earlier = Some(harness.run - 2000);
    harness.container(Container::Signalled { at: earlier, signal: 9 });
    let exit = Exit {
        code: Some(137),
        ..Exit::default()
    };
    harness.container(Container::Exited {
        at: earlier,
        exit,
        spec_matches: true,
    });
    harness.container(running(harness.run));
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn first_look_of_a_new_life_counts_whatever_its_time() {
    for step in STEPS {
        let mut harness = Harness::synced();
        // Nobody watches while the clock is set and the host is booted.
        harness.agent_dies(10);
        harness.shift_wall(step);
        harness.event(Event::Docker { reachable: true });
        harness.runs_anew();
        harness.run(HOUR);
        assert_eq!(harness.machine.run(), Some(harness.run), "{step}");
        assert_eq!(harness.container_actions(), [], "{step}");
        harness.expect(Phase::Synced, Health::Ok);
    }
}

#[test]
fn step_moves_what_docker_is_asked_from() {
    let mut harness = Harness::synced();
    harness.exits(1, &[]);
    let heard = harness.wall();
    assert_eq!(harness.machine.watch_from(), Some(heard));
    harness.step_clock(-7200);
    assert_eq!(harness.machine.watch_from(), Some(heard - 7_200_000));
    let state = serde_json::to_string(harness.machine.state()).unwrap();
    let policy = harness.machine.policy.clone();
    let resumed = Machine::resume(policy, serde_json::from_str(&state).unwrap(), harness.now);
    assert_eq!(resumed.watch_from(), Some(heard - 7_200_000));
}

#[test]
fn what_happened_while_no_agent_watched_is_asked_for_after_a_step_too() {
    for step in STEPS {
        let mut harness = Harness::synced();
        let began = harness.run;
        harness.step_clock(step);
        harness.run(MINUTE);
        harness.agent_dies(5);
        // The same moment, by the clock as it is now.
        assert_eq!(harness.machine.watch_from(), Some(began + step * 1000), "{step}");
    }
}

#[test]
fn start_holds_while_a_stop_goes_on_that_an_end_of_an_earlier_run_hides() {
    let mut harness = Harness::synced();
    harness.signalled(15);
    // After a step back, Docker's report of an earlier end may bear a time of now: this run counts as ended.
    let at = Some(harness.wall());
    harness.event(Event::Container(Container::Stopped { at }));
    harness.run(3);
    harness.expect(Phase::Stopped, Health::Critical);
    harness.obeys = false;
    harness.command(Command::START);
    harness.fails(ActionFailure::DockerUnreachable);
    harness.now.0 += 100;
    harness.exits(0, &[]);
    harness.stopped();
    harness.obeys = true;
    harness.run(HOUR);
    harness.expect(Phase::Synced, Health::Ok);
    assert!(!harness.wrong().contains(&Cause::StoppedByPerson));
}

#[test]
fn end_by_the_old_clock_hides_no_stop_of_the_next_run() {
    let mut harness = Harness::synced();
    let reason = String::new();
    harness.exits(1, &[]);
    let ended = harness.wall();
    harness.command(Command::STOP);
    harness.step_clock(-7200);
    harness.agent_dies(5);
    // The look of the next agent.
    harness.container(Container::Exited {
        at: Some(ended),
        exit: Exit::default(),
        spec_matches: true,
    });
    harness.command(Command::START);
    harness.run(5 * MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
    harness.command(Command::Restart { reason });
    harness.run(5 * MINUTE);
    assert_eq!(harness.machine.watch_from(), Some(harness.run));
    harness.log.clear();
    harness.docker_stop();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Stopped, Health::Critical);
}
