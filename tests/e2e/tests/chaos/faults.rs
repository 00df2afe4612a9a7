//! The faults: of the collator, of what lies around it, of the engine and of the agent; at most one of each at a time.

use std::fs;
use std::process::Command as Program;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Answer, Command, Cure, Silence};
use t0rn_agent_tests::wait::{self, LATER, SOON, until};

use crate::Random;
use crate::observer::Observer;
use crate::state_disk::StateDisk;

/// What a fault needs.
pub(crate) struct Site<'a, 'e> {
    pub(crate) engine: &'a Engine,
    pub(crate) agent: &'a mut Agent<'e>,
    pub(crate) disk: &'a StateDisk,
    pub(crate) observer: &'a Observer,
    pub(crate) random: &'a mut Random,
}

/// How many starts of the collator faults explain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Starts {
    pub(crate) least: u64,
    pub(crate) most: u64,
    /// Of them, restarts of an unhealthy collator that runs.
    pub(crate) health: u64,
}

/// In the order in which they begin: what asks something of the agent or the engine first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `docker stop` by a person, who starts it again through the agent.
    PersonStop,
    OperatorStop,
    Remove,
    KillCollator,
    KillShim,
    Freeze,
    Stall,
    Exporters,
    NoLink,
    FullDisk,
    FrozenDisk,
    KillContainerd,
    KillEngine,
    PauseEngine,
    KillAgent,
    PauseAgent,
}

const OF_THE_ENGINE: [Fault; 3] = [Fault::KillContainerd, Fault::KillEngine, Fault::PauseEngine];

/// Of each, one at most happens at a time.
const GROUPS: [&[Fault]; 4] = [
    &[
        Fault::PersonStop,
        Fault::OperatorStop,
        Fault::Remove,
        Fault::KillCollator,
        Fault::KillShim,
        Fault::Freeze,
        Fault::Stall,
    ],
    &[Fault::Exporters, Fault::NoLink, Fault::FullDisk, Fault::FrozenDisk],
    &OF_THE_ENGINE,
    &[Fault::KillAgent, Fault::PauseAgent],
];

/// One to three faults of different groups, in order.
pub(crate) fn choose(random: &mut Random, disk: &StateDisk) -> Vec<Fault> {
    let mut chosen = Vec::new();
    while chosen.is_empty() || chosen.len() > 3 {
        chosen = GROUPS
            .iter()
            .filter_map(|group| random.pick(group).filter(|_| random.range(0, 1) == 0))
            .filter(|fault| *fault != Fault::FrozenDisk || disk.can_freeze())
            .collect();
        // An agent that hangs on a disk has no end that could be awaited before the disk answers.
        if chosen.contains(&Fault::FrozenDisk) {
            chosen.retain(|fault| *fault != Fault::KillAgent);
        }
    }
    chosen
}

/// Begins the faults one after the other, leaves them for some seconds, and ends them in reverse order; `before` are those of the
/// episode before.
pub(crate) fn inflict(faults: &[Fault], before: &[Fault], site: &mut Site<'_, '_>) -> Result<Starts> {
    let mut expected = Starts::default();
    // After a kill it takes some seconds until dockerd has started the next one and speaks with it. For one that is killed before that,
    // dockerd waits a minute: it carries out nothing meanwhile, and does not report the `docker stop` that it takes.
    if faults.contains(&Fault::KillContainerd) {
        until("containerd to serve dockerd", SOON, || site.engine.reaches_containerd())?;
    }
    for fault in faults {
        let starts = fault
            .begin(site)
            .with_context(|| format!("the beginning of {fault:?}"))?;
        expected = Starts {
            least: expected.least + starts.least,
            most: expected.most + starts.most,
            health: expected.health + starts.health,
        };
        thread::sleep(site.random.seconds(0, 1));
    }
    // Docker may be late with the end of a container whose shim is gone, or that it could not see, or never report it where its
    // engine has just come back: silence is judged first.
    let of_engine = |fault: &Fault| OF_THE_ENGINE.contains(fault);
    if faults.contains(&Fault::KillShim) || faults.iter().chain(before).any(of_engine) {
        expected.health = expected.most;
    }
    thread::sleep(site.random.seconds(1, 6));
    site.observer.result()?;
    for fault in faults.iter().rev() {
        fault.end(site).with_context(|| format!("the end of {fault:?}"))?;
    }
    Ok(expected)
}

/// Asks the engine until it agrees: on a busy machine it may kill the container and give up on the rest. Returns how often, since the
/// agent may start it after each.
fn asked_until(what: &str, mut ask: impl FnMut() -> Result<String>) -> Result<u64> {
    let mut asked = 0;
    until(what, LATER, || {
        asked += 1;
        ask()
    })?;
    Ok(asked)
}

impl Fault {
    fn begin(self, site: &mut Site<'_, '_>) -> Result<Starts> {
        let container = site.agent.container().to_owned();
        let once = Starts {
            least: 1,
            most: 1,
            health: 0,
        };
        match self {
            Self::PersonStop => {
                let most = asked_until("docker stop", || site.engine.docker(["stop", &container]))?;
                site.observer.set_stays_down(true);
                return Ok(Starts { most, ..once });
            }
            Self::OperatorStop => {
                site.agent.ok(["stop"])?;
                site.agent.wait_down(SOON)?;
                site.observer.set_stays_down(true);
                return Ok(once);
            }
            Self::Remove => {
                let most = asked_until("docker rm -f", || site.engine.docker(["rm", "-f", &container]))?;
                return Ok(Starts { most, ..once });
            }
            Self::KillCollator => {
                signal(site.agent.run_id()?.pid, Signal::KILL)?;
                return Ok(once);
            }
            Self::KillShim => {
                signal(parent(site.agent.run_id()?.pid)?, Signal::KILL)?;
                return Ok(once);
            }
            Self::Freeze | Self::Stall => {
                let command = if self == Self::Freeze {
                    Command::Freeze { mode: Silence::Hang }
                } else {
                    Command::Stall {
                        chain: Chain::Parachain,
                        cure: Cure::Restart,
                        bytes_per_second: 3_000.0,
                    }
                };
                site.agent.sim().control(&command)?;
                return Ok(Starts { health: 1, ..once });
            }
            Self::Exporters => {
                let answers = [
                    Answer::Garbage,
                    Answer::Truncated,
                    Answer::Cut,
                    Answer::Empty,
                    Answer::Reset,
                    Answer::Drip,
                    Answer::Hang,
                    Answer::Refuse,
                    Answer::Status { code: 500 },
                ];
                for chain in [Chain::Parachain, Chain::Relaychain] {
                    if let Some(answer) = site.random.pick(&answers) {
                        // A collator that another fault ended has nobody to ask.
                        let _ = site.agent.sim().control(&Command::Exporter { chain, answer });
                    }
                }
            }
            Self::NoLink => link(site.engine, "down")?,
            Self::FullDisk => site.disk.fill()?,
            Self::FrozenDisk => site.disk.freeze()?,
            Self::KillContainerd => signal(site.engine.containerd()?, Signal::KILL)?,
            Self::KillEngine => {
                // Killed within a start, it forgets the container's process and its address on the bridge for good.
                if !site.observer.wants_down() {
                    until("no start under way", SOON, || site.agent.run_id())?;
                }
                site.engine.kill()?;
            }
            Self::PauseEngine => signal(site.engine.pid()?, Signal::STOP)?,
            Self::KillAgent => site.agent.kill()?,
            Self::PauseAgent => signal(i32::try_from(site.agent.pid()?)?, Signal::STOP)?,
        }
        Ok(Starts::default())
    }

    fn end(self, site: &mut Site<'_, '_>) -> Result<()> {
        match self {
            Self::PersonStop | Self::OperatorStop => {
                ensure!(site.observer.processes().is_empty(), "it was not left down");
                site.observer.set_stays_down(false);
                until("the agent to take the start", SOON, || site.agent.ok(["start"]))?;
            }
            Self::Exporters => {
                for chain in [Chain::Parachain, Chain::Relaychain] {
                    let ok = Command::Exporter {
                        chain,
                        answer: Answer::Ok,
                    };
                    // One that was started meanwhile answers anyway.
                    let _ = site.agent.sim().control(&ok);
                }
            }
            Self::NoLink => link(site.engine, "up")?,
            Self::FullDisk => site.disk.empty()?,
            Self::FrozenDisk => site.disk.thaw()?,
            Self::KillEngine => site.engine.start()?,
            Self::PauseEngine => signal(site.engine.pid()?, Signal::CONT)?,
            Self::KillAgent => site.agent.start()?,
            Self::PauseAgent => signal(i32::try_from(site.agent.pid()?)?, Signal::CONT)?,
            Self::Remove | Self::KillCollator | Self::KillShim | Self::Freeze | Self::Stall | Self::KillContainerd => {}
        }
        Ok(())
    }
}

fn signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

/// The parent of a process: for a container's first one the shim.
fn parent(pid: i32) -> Result<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(line.context("no parent")?.trim().parse()?)
}

/// All traffic between the host and the containers.
fn link(engine: &Engine, state: &str) -> Result<()> {
    let bridge = engine.bridge()?;
    let output = wait::run(10, Program::new("ip").args(["link", "set", bridge, state]))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
