//! Random lives of a collator. [`InvariantChecker`] checks every step; the tests here say which lives are led.

mod strategies;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use strategies::*;

use super::harness::*;
use super::invariants::InvariantChecker;
use crate::event::{
    ActionFailure, Activity, Command, Container, Event, Exit, Holding, HostFacts, Notice, ScrapeError, Time,
};
use crate::machine::WithoutVolume;
use crate::machine::{Action, Cause, Machine, Policy};

#[derive(Debug, Clone)]
enum Move {
    Watch {
        looks: u16,
        para: Mood,
        relay: Mood,
    },
    Exit {
        code: i64,
        line: &'static str,
        oom: bool,
    },
    RunsAnew,
    DockerStop,
    DockerKill,
    DockerRemove,
    DockerPause,
    Docker {
        reachable: bool,
    },
    Host {
        free: u64,
        network_ok: Option<bool>,
    },
    Activity {
        cpu: f64,
    },
    Ec2(Option<Notice>),
    Identity(Holding),
    Gap {
        seconds: u64,
        told: bool,
    },
    AgentDies {
        seconds: u64,
    },
    Command(Command),
    /// From now on actions fail like this, stay under way, or succeed.
    Luck(Option<ActionFailure>, bool),
    /// An outcome out of nowhere.
    Finished,
    Update {
        pulled: Option<bool>,
    },
    Pulled {
        good: bool,
    },
    /// The databases tell another version from now on.
    Migrates,
}

/// Leads such a life under the eyes of an invariant checker.
fn lead(moves: &[Move]) -> Harness {
    lead_on(Harness::fresh(), moves)
}

/// The same on a host that has to hold the volume with the keys, which it does at first.
fn lead_fenced(moves: &[Move]) -> Harness {
    let policy = Policy {
        identity: Some(WithoutVolume::Nothing),
        ..Policy::default()
    };
    let moves: Vec<_> = std::iter::once(Move::Identity(Holding::Held))
        .chain(moves.iter().cloned())
        .collect();
    lead_on(Harness::with(policy), &moves)
}

fn lead_on(mut harness: Harness, moves: &[Move]) -> Harness {
    harness.invariants = Some(InvariantChecker::default());
    let mut dice: u32 = 1;
    let mut roll = move || {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from((dice >> 16) % 100).unwrap()
    };
    for a_move in moves {
        harness.now.0 += 1;
        match a_move.clone() {
            Move::Watch { looks, para, relay } => {
                for (node, mood) in [(&mut harness.para, &para), (&mut harness.relay, &relay)] {
                    (node.moves, node.network_moves) = (mood.moves, mood.network_moves);
                    (node.behind, node.peers, node.traffic) = (mood.behind, mood.peers, mood.traffic);
                }
                harness.run_with(u64::from(looks) * 5, |harness| {
                    let error =
                        |mood: &Mood, roll: u8| mood.error.or((roll < mood.flaps).then_some(ScrapeError::Timeout));
                    harness.para.error = error(&para, roll());
                    harness.relay.error = error(&relay, roll());
                });
            }
            Move::Exit { code, line, oom } => harness.ends(Exit {
                code: Some(code),
                oom,
                log: vec![line.to_owned()],
            }),
            Move::RunsAnew => harness.runs_anew(),
            Move::DockerStop => {
                harness.docker_stop();
            }
            Move::DockerKill => {
                harness.signalled(9);
                harness.exits(137, &[]);
            }
            Move::DockerRemove => {
                let at = Some(harness.wall());
                harness.container(Container::Removed { at });
            }
            Move::DockerPause => {
                let started_at = Some(harness.run);
                harness.container(Container::Paused {
                    started_at,
                    spec_matches: true,
                });
            }
            Move::Docker { reachable } => harness.event(Event::Docker { reachable }),
            Move::Host { free, network_ok } => {
                harness.host = Some(HostFacts {
                    disk_free_bytes: Some(free),
                    network_ok,
                    ..healthy_host()
                });
            }
            Move::Activity { cpu } => harness.event(Event::Activity(Activity {
                cpu_percent: Some(cpu),
                block_read_bytes: None,
                block_write_bytes: None,
            })),
            Move::Identity(holding) => harness.event(told(holding)),
            Move::Ec2(notice) => harness.event(Event::Ec2(notice)),
            Move::Gap { seconds, told } => harness.gap(seconds, told),
            Move::AgentDies { seconds } => harness.agent_dies(seconds),
            Move::Command(command) => harness.command(command),
            Move::Luck(failing, obeys) => (harness.failing, harness.obeys) = (failing, obeys),
            Move::Finished => harness.done(running(harness.run)),
            Move::Update { pulled: result } => {
                harness.command(update());
                if let Some(good) = result {
                    harness.event(Event::Pulled(pulled(good)));
                }
            }
            Move::Pulled { good } => harness.event(Event::Pulled(pulled(good))),
            Move::Migrates => {
                let version = harness.databases.len().to_string();
                harness.databases.insert(version.clone(), version);
            }
        }
    }
    harness
}

/// So many cases in every test run; `PROPTEST_CASES` asks for more.
#[expect(clippy::disallowed_methods, reason = "a person chooses how many")]
fn cases(few: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        default.cases
    } else {
        few
    };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn no_life_makes_the_core_do_what_it_may_never_do(moves in life()) {
        lead(&moves);
        lead_fenced(&moves);
    }

    #[test]
    fn a_chain_wide_halt_is_never_answered_with_a_restart(
        stretches in prop::collection::vec((1..400_u16, mood(), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let mut harness = Harness::synced();
        harness.invariants = Some(InvariantChecker::default());
        (harness.para.moves, harness.para.network_moves) = (false, false);
        for (looks, mood, gap, dies) in stretches {
            let errors = [mood.error.filter(|e| !e.is_silence()), mood.error];
            harness.relay.behind = if mood.moves { mood.behind } else { 0 };
            let mut look: u16 = 0;
            harness.run_with(u64::from(looks) * 5, |harness| {
                look = look.wrapping_add(7);
                let flaps = look % 100 < u16::from(mood.flaps);
                harness.para.error = if flaps { Some(ScrapeError::Timeout) } else { errors[0] };
                harness.relay.error = if flaps { None } else { errors[1] };
                harness.para.behind = u64::from(look % 10);
            });
            if gap {
                harness.gap(1000, dies);
            } else if dies {
                harness.agent_dies(1000);
            }
        }
        prop_assert_eq!(harness.container_actions(), vec![]);
    }

    #[test]
    fn no_sequence_of_events_makes_it_panic(events in prop::collection::vec((any::<u32>(), any_event()), 1..200)) {
        let mut machine = Machine::new(Policy::default(), Time(0));
        let mut now = Time(0);
        for (passed, event) in events {
            now = Time(now.0 + u64::from(passed % 400_000));
            let actions = machine.step(now, event);
            let container_actions = actions.iter().filter(|a| a.is_on_container());
            prop_assert!(container_actions.count() <= 1);
            prop_assert!(machine.next_deadline().is_none_or(|due| due > now));
            let _ = (machine.phase(), machine.health(), machine.problems(), machine.next());
        }
    }
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn written_down_and_read_back_at_every_step_it_decides_the_same(moves in life()) {
        let moves: Vec<Move> = moves.into_iter().filter(|m| !matches!(m, Move::AgentDies { .. })).collect();
        let harness = lead(&moves);
        let mut once = Machine::new(Policy::default(), Time(0));
        let mut again = once.clone();
        for (now, event) in harness.fed {
            let state = serde_json::to_string(&again.state).unwrap();
            again.state = serde_json::from_str(&state).unwrap();
            prop_assert_eq!(once.step(now, event.clone()), again.step(now, event));
        }
        prop_assert_eq!(&once, &again);
        prop_assert_eq!(once, harness.machine);
    }
}

#[test]
fn the_lives_led_here_are_eventful() {
    // A property about restarts is worth nothing when no life ever meets one.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met: std::collections::BTreeMap<Cause, u32> = std::collections::BTreeMap::new();
    for _ in 0..100 {
        let moves = life().new_tree(&mut runner).unwrap().current();
        for deed in lead(&moves).container_actions() {
            let (Action::Restart { cause, .. }
            | Action::Start { cause, .. }
            | Action::Stop { cause }
            | Action::Hold { cause }) = deed
            else {
                continue;
            };
            *met.entry(cause).or_default() += 1;
        }
    }
    for cause in [
        Cause::Stalled,
        Cause::Isolated,
        Cause::Frozen,
        Cause::Exited,
        Cause::Killed,
        Cause::Removed,
        Cause::DatabaseCorrupted,
        Cause::DiskFull,
        Cause::Operator,
        Cause::Update,
        Cause::UpdateFailed,
    ] {
        assert!(met.contains_key(&cause), "{cause:?} is never met: {met:?}");
    }
}
