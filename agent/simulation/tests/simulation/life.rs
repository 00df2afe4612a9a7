//! One host, the whole program, and everything that can befall it at random times.

use std::fs;

use agent_core::event::Command;
use agent_daemon::api::{CommandReply, CommandRequest};
use tokio::sync::oneshot;

use super::engine::Run;
use super::host::Host;
use super::trouble::{LIFE, Trouble, course};
use super::two_hosts::{KEY, Outcome};
use super::watch::Wish;
use super::world::{SECOND, State, Storage, World};

/// The host is led for this long at a time, ms.
const QUANTUM: u64 = 500;
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
    let world = World::new(seed, Storage::Own, &root, 1);
    let mut course = course(seed, &mut world.lock().dice);
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
    let wanted = state.judge.watch.wish == Wish::Runs;
    state.judge_update(wanted);
    if state.judge.violations.is_empty() && wanted && state.signer(0).is_none() {
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
        let runs = state.collator().is_some_and(|(_, runs)| runs);
        let machine = state.machine(0);
        match trouble {
            Trouble::Ails(ailment, time, cured) => {
                // The agent has to have seen it well: before its first answer a node has `startup_grace`.
                let ready = machine.engine.containers.first().map_or(u64::MAX, |c| c.node.ready);
                let is_well = state.judge.ailment.is_none() && now > ready.saturating_add(60 * SECOND);
                if is_well && runs {
                    state.ail(ailment, cured);
                    later(time, Relief::Cured);
                }
            }
            Trouble::NodeEnds => {
                if runs {
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
            Trouble::StateStalls(time) => {
                machine.state_falls_ill(now);
                machine.stalled_state = now + time;
            }
            Trouble::StateFull(time) | Trouble::StateFails(time) => {
                machine.state_falls_ill(now);
                let error = if matches!(trouble, Trouble::StateFull(_)) {
                    28
                } else {
                    5
                };
                (machine.failing_state, machine.state_error) = (now + time, error);
            }
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
            Trouble::ChainHalts(time) => state.outside.halt(now, time),
            Trouble::Reference(opinion, time) => state.outside.disturb_reference(opinion, now, time),
            Trouble::Webhook(hook, time) => state.outside.disturb_webhook(hook, now, time),
            Trouble::Types(command) => {
                drop(state);
                self.ask(command);
            }
            by_hand => {
                drop(state);
                self.by_hand(&by_hand);
            }
        }
    }

    /// What a person does with Docker itself.
    fn by_hand(&mut self, trouble: &Trouble) {
        let world = self.world.clone();
        let mut state = world.lock();
        let Some((id, runs)) = state.collator() else { return };
        let engine = &state.machine(0).engine;
        let has_ended = matches!(engine.containers[0].run, Run::Created | Run::Exited);
        if !engine.up || engine.hangs > self.now {
            return;
        }
        match trouble {
            Trouble::HandStop if runs => {
                state.wish_stopped();
                state.stop(0, &id, 10).unwrap();
            }
            // Of one that runs, also while it is being stopped, Docker takes no start, and nobody hears of it.
            Trouble::HandStart if has_ended => {
                state.wish_runs();
                // Without its mounts it cannot.
                let _ = state.start(0, &id);
            }
            Trouble::HandPause(time) if runs => {
                state.set_paused(0, &id, true).unwrap();
                self.reliefs.push((self.now + time, Relief::Unpause));
            }
            Trouble::HandKill if runs => state.kill(0, &id),
            Trouble::HandRemove if runs => state.remove(0, &id, true).unwrap(),
            _ => {}
        }
    }

    fn cut_power(&mut self, time: u64) {
        {
            let mut state = self.world.lock();
            state.agent_dies();
            state.engine_dies(0);
            let machine = state.machine(0);
            machine.lose_power(self.now);
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
    /// The container, and whether it runs and does not stop.
    fn collator(&mut self) -> Option<(String, bool)> {
        let container = self.machine(0).engine.containers.first()?;
        let runs = container.run == Run::Running && container.ending.is_none();
        Some((container.id.clone(), runs))
    }

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
