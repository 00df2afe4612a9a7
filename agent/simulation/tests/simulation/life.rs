//! One host, the whole program, and everything that can befall it at random times.

use std::fs;

use agent_core::event::Command;
use agent_daemon::api::{CommandReply, CommandRequest};
use tokio::sync::oneshot;

use super::dice::Dice;
use super::engine::Run;
use super::host::Host;
use super::node::Ailment;
use super::two_hosts::{KEY, Outcome};
use super::world::{MINUTE, SECOND, State, Storage, World};

/// The host is led for this long at a time, ms.
const QUANTUM: u64 = 500;
/// How long a life is. Nothing befalls it in its last part.
const LIFE: u64 = 120 * MINUTE;
const QUIET: u64 = 20 * MINUTE;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Trouble {
    /// Until a restart, when that cures it, or for so long.
    Ails(Ailment, u64, bool),
    NodeEnds,
    /// The engine is replaced; containers live on.
    EngineRestart(u64),
    /// The engine dies with its containers.
    EngineDies(u64),
    EngineHangs(u64),
    AgentKilled,
    /// SIGSTOP.
    AgentPaused(u64),
    Suspended(u64),
    PowerCut(u64),
    ClockSet(i64),
    StateStalls(u64),
    StateFull(u64),
    StateFails(u64),
    DataStalls(u64),
    NoMetadata(u64),
    /// A spot notice; taken back before its time, or the power goes then.
    Notice {
        called_off: bool,
    },
    Types(Command),
    /// `docker stop`, `start`, `pause`, `kill`, `rm -f`.
    HandStop,
    HandStart,
    HandPause(u64),
    HandKill,
    HandRemove,
}

fn trouble(dice: &mut Dice) -> Trouble {
    let while_ = |dice: &mut Dice, low: u64, high: u64| dice.between(low, high) * SECOND;
    match dice.between(0, 27) {
        0..=5 => {
            let ailment = dice.pick(&[Ailment::Frozen, Ailment::Stalled, Ailment::Isolated]);
            Trouble::Ails(ailment, while_(dice, 30, 1200), dice.percent(80))
        }
        6 | 7 => Trouble::NodeEnds,
        8 => Trouble::EngineRestart(while_(dice, 1, 30)),
        9 => Trouble::EngineDies(while_(dice, 1, 60)),
        10 => Trouble::EngineHangs(while_(dice, 5, 120)),
        11 | 12 => Trouble::AgentKilled,
        13 => Trouble::AgentPaused(while_(dice, 1, 100)),
        14 => Trouble::Suspended(while_(dice, 10, 1200)),
        15 => Trouble::PowerCut(while_(dice, 20, 120)),
        16 => Trouble::ClockSet(i64::try_from(dice.between(0, 14_400)).unwrap() * 1000 - 7_200_000),
        17 => Trouble::StateStalls(while_(dice, 10, 300)),
        18 => dice.pick(&[Trouble::StateFull, Trouble::StateFails])(while_(dice, 10, 300)),
        19 => Trouble::DataStalls(while_(dice, 10, 200)),
        20 => Trouble::NoMetadata(while_(dice, 10, 300)),
        21 => Trouble::Notice {
            called_off: dice.percent(50),
        },
        22 | 23 => Trouble::Types(match dice.between(0, 3) {
            0 => Command::Stop,
            1 => Command::Restart {
                reason: "a person".to_owned(),
            },
            2 => Command::Pause {
                seconds: dice.between(30, 900),
                reason: "a person".to_owned(),
            },
            _ => Command::Resume,
        }),
        24 => Trouble::HandStop,
        25 => Trouble::HandPause(while_(dice, 5, 100)),
        26 => Trouble::HandKill,
        _ => Trouble::HandRemove,
    }
}

/// Troubles with their times, the last first. What a person stops is started again later.
fn course(dice: &mut Dice) -> Vec<(u64, Trouble)> {
    let mut all = Vec::new();
    let mut at = dice.between(60, 600) * SECOND;
    while at < LIFE - QUIET {
        let next = trouble(dice);
        let end = (at + dice.between(30, 900) * SECOND).min(LIFE - QUIET);
        match &next {
            Trouble::Types(Command::Stop) => all.push((end, Trouble::Types(Command::Start))),
            Trouble::HandStop => {
                let back = if dice.percent(50) {
                    Trouble::HandStart
                } else {
                    Trouble::Types(Command::Start)
                };
                all.push((end, back));
            }
            _ => {}
        }
        all.push((at, next));
        let soon = dice.percent(25);
        at += if soon {
            dice.between(1, 60)
        } else {
            dice.between(120, 1200)
        } * SECOND;
    }
    all.push((LIFE - QUIET, Trouble::Types(Command::Start)));
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all
}

/// What ends a trouble.
#[derive(Debug, Clone, PartialEq)]
enum Relief {
    Engine,
    Wakes,
    Power,
    Unpause,
    Notice { called_off: bool },
    Cured,
}

struct Life {
    world: World,
    host: Host,
    reliefs: Vec<(u64, Relief)>,
    asked: Vec<(Command, oneshot::Receiver<CommandReply>)>,
    now: u64,
}

pub(crate) fn live(seed: u64) -> Outcome {
    fastrand::seed(seed);
    let dir = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let root = dir.path().canonicalize().unwrap();
    let keystore = root.join("alpha/identity/keystore");
    fs::create_dir_all(&keystore).unwrap();
    fs::write(keystore.join(KEY), "\"phrase\"").unwrap();
    let world = World::new(seed, Storage::Own, root, 1);
    let mut course = course(&mut world.lock().dice);
    let blows = course.len();
    let mut life = Life {
        host: Host::new(&world, 0),
        world,
        reliefs: Vec::new(),
        asked: Vec::new(),
        now: 0,
    };
    while life.now < LIFE {
        while course.last().is_some_and(|(at, _)| *at <= life.now) {
            let (_, trouble) = course.pop().unwrap();
            life.befall(trouble);
        }
        let now = life.now;
        for (_, relief) in life.reliefs.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            life.relieve(&relief);
        }
        life.host.step(now, QUANTUM);
        life.now += QUANTUM;
        life.world.set_now(life.now);
        life.take_answers();
        let mut state = life.world.lock();
        if state.machine(0).powered && !state.machine(0).suspended {
            state.tick_engine(0);
        }
        state.watch(&life.host, QUANTUM);
        if !state.judge.violations.is_empty() {
            break;
        }
    }
    let mut state = life.world.lock();
    if state.judge.violations.is_empty() && state.signer(0).is_none() {
        state.blame("it does not collate although nothing has been wrong for long");
    }
    Outcome {
        violations: std::mem::take(&mut state.judge.violations),
        blows,
        signed: state.judge.signed,
        starts: state.judge.starts,
        story: state.story.join("\n"),
    }
}

impl Life {
    fn befall(&mut self, trouble: Trouble) {
        let (now, world) = (self.now, self.world.clone());
        let mut state = world.lock();
        state.note_of(0, format!("{trouble:?}"));
        if !state.machine(0).powered || state.machine(0).suspended {
            return;
        }
        let mut later = |after: u64, relief: Relief| self.reliefs.push((now + after, relief));
        let container = state
            .machine(0)
            .engine
            .containers
            .first()
            .map(|c| (c.id.clone(), c.run, c.ending.is_some()));
        let running = container
            .clone()
            .filter(|(_, run, ending)| *run == Run::Running && !ending)
            .map(|(id, ..)| id);
        let machine = state.machine(0);
        match trouble {
            Trouble::Ails(ailment, time, cured) => {
                let is_well = state.judge.ailment.is_none();
                if is_well && running.is_some() {
                    state.ail(ailment, cured);
                    later(time, Relief::Cured);
                }
            }
            Trouble::NodeEnds => {
                if running.is_some() {
                    machine.engine.containers[0].ending = Some((now, 1, false));
                }
            }
            Trouble::EngineRestart(time) | Trouble::EngineDies(time) => {
                let dies = matches!(trouble, Trouble::EngineDies(_));
                if machine.engine.up {
                    machine.engine.up = false;
                    if dies {
                        state.engine_dies(0);
                    } else {
                        state.engine_restarts(0);
                    }
                    later(time, Relief::Engine);
                }
            }
            Trouble::EngineHangs(time) => machine.engine.hangs = now + time,
            Trouble::AgentKilled => {
                drop(state);
                self.host.kill(now);
            }
            Trouble::AgentPaused(time) => self.host.stopped_until = now + time,
            Trouble::Suspended(time) => {
                machine.suspended = true;
                later(time, Relief::Wakes);
            }
            Trouble::PowerCut(time) => {
                drop(state);
                self.cut_power(time);
            }
            Trouble::ClockSet(by) => machine.skew = by,
            Trouble::StateStalls(time) => machine.stalled_state = now + time,
            Trouble::StateFull(time) => (machine.failing_state, machine.state_error) = (now + time, 28),
            Trouble::StateFails(time) => (machine.failing_state, machine.state_error) = (now + time, 5),
            Trouble::DataStalls(time) => machine.stalled_data = now + time,
            Trouble::NoMetadata(time) => machine.no_metadata = now + time,
            Trouble::Notice { called_off } => {
                if state.judge.notice.is_none() {
                    let at = state.wall(0) + 120_000;
                    state.judge.notice = Some((now, at));
                    later(
                        if called_off { 60 * SECOND } else { 120 * SECOND },
                        Relief::Notice { called_off },
                    );
                }
            }
            Trouble::Types(command) => {
                drop(state);
                self.ask(command);
            }
            Trouble::HandStop => {
                if let Some(id) = running {
                    state.wish_stopped();
                    state.stop(0, &id, 10).unwrap();
                }
            }
            Trouble::HandStart => {
                if let Some((id, ..)) = container
                    && machine.engine.up
                {
                    state.wish_runs();
                    // Without its mounts it cannot.
                    let _ = state.start(0, &id);
                }
            }
            Trouble::HandPause(time) => {
                if let Some(id) = running {
                    state.set_paused(0, &id, true).unwrap();
                    later(time, Relief::Unpause);
                }
            }
            Trouble::HandKill => {
                if let Some(id) = running {
                    state.kill(0, &id);
                }
            }
            Trouble::HandRemove => {
                if let Some(id) = running {
                    state.remove(0, &id, true).unwrap();
                }
            }
        }
    }

    fn cut_power(&mut self, time: u64) {
        {
            let mut state = self.world.lock();
            state.engine_dies(0);
            let machine = state.machine(0);
            machine.powered = false;
            machine.boots += 1;
            machine.engine.up = true;
            // What was stalled or stopped is not any more.
            (machine.engine.hangs, machine.stalled_state, machine.stalled_data) = (0, 0, 0);
        }
        self.reliefs
            .retain(|(_, relief)| !matches!(relief, Relief::Engine | Relief::Unpause));
        self.reliefs.push((self.now + time, Relief::Power));
        self.host.power_off(self.now, time);
    }

    fn relieve(&mut self, relief: &Relief) {
        let mut state = self.world.lock();
        state.note_of(0, format!("{relief:?}"));
        match relief {
            Relief::Engine => state.machine(0).engine.up = true,
            Relief::Wakes => state.machine(0).suspended = false,
            Relief::Power => state.machine(0).powered = true,
            Relief::Unpause => {
                let id = state.machine(0).engine.containers.first().map(|c| c.id.clone());
                // It may be gone.
                let _ = id.map(|id| state.set_paused(0, &id, false));
            }
            Relief::Notice { called_off } => {
                if *called_off {
                    state.judge.notice = None;
                    state.judge.calm = self.now;
                } else {
                    state.judge_notice();
                    state.judge.notice = None;
                    drop(state);
                    self.cut_power(60 * SECOND);
                }
            }
            Relief::Cured => state.cure(),
        }
    }

    fn ask(&mut self, command: Command) {
        let (reply, answer) = oneshot::channel();
        let request = CommandRequest {
            command: command.clone(),
            reply,
        };
        let handle = self.host.handle.lock().unwrap();
        let sent = handle
            .as_ref()
            .is_some_and(|handle| handle.commands.try_send(request).is_ok());
        if sent {
            self.world.lock().asked(&command);
            drop(handle);
            self.asked.push((command, answer));
        }
    }

    fn take_answers(&mut self) {
        let world = self.world.clone();
        self.asked.retain_mut(|(command, answer)| match answer.try_recv() {
            Ok(reply) => {
                let mut state = world.lock();
                state.note_of(0, format!("{command:?}: {reply:?}"));
                state.answered(command, reply.is_ok());
                false
            }
            Err(oneshot::error::TryRecvError::Empty) => true,
            // Killed before it answered: nobody knows.
            Err(oneshot::error::TryRecvError::Closed) => {
                world.lock().unanswered(command);
                false
            }
        });
    }
}

impl State {
    fn kill(&mut self, host: usize, id: &str) {
        let index = self.machines[host]
            .engine
            .containers
            .iter()
            .position(|c| c.id == id)
            .unwrap();
        self.machines[host].engine.containers[index].by_hand = true;
        self.signal(host, index, 9);
        self.end(host, index, 137, false);
    }
}
