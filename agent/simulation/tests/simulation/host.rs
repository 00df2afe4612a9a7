//! One host's agent: the real daemon in a runtime of its own, stepped by the world.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_config::Config;
use agent_daemon::api::Handle;
use agent_daemon::supervisor::supervise;
use agent_runtime::disk::Disk;
use agent_runtime::simulation::{self as clocks, Fate, ParkedWorld};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;
use tokio::time::{advance, sleep};

use super::images::IMAGE;
use super::machine::{Kernel, VOLUME};
use super::network::HostNetwork;
use super::outside::{REFERENCE, WEBHOOK};
use super::world::{SECOND, Storage, World};

/// `WatchdogSec` and `RestartSec` of dist/systemd/t0rn-agent.service.
const WATCHDOG: u64 = 60 * SECOND;
const RESTART: u64 = 5 * SECOND;
/// From power on to the beginning of the world, ms.
const BOOT: u64 = 10 * SECOND;

type Agent = Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// A running agent.
struct Process {
    agent: Agent,
    runtime: Runtime,
    clocks: Option<ParkedWorld>,
    /// The skew that its wall clock has.
    skew: i64,
    /// Monotonic time that it has not seen yet, ms.
    lag: u64,
    /// For how long it has not run, ms.
    silent: u64,
    /// Time that only the clocks for it have seen, ms: the machine was suspended.
    suspended: u64,
}

pub(crate) struct Host {
    world: World,
    index: usize,
    config: Config,
    process: Option<Process>,
    /// The agent's own interface, once it serves.
    pub(crate) handle: Arc<Mutex<Option<Handle>>>,
    /// When the service manager starts the agent.
    starts: Option<u64>,
    /// Until when the agent is stopped (SIGSTOP).
    pub(crate) stopped_until: u64,
}

impl Host {
    pub(crate) fn new(world: &World, index: usize) -> Self {
        Self {
            config: config(world, index),
            world: world.clone(),
            index,
            process: None,
            handle: Arc::default(),
            starts: Some(0),
            stopped_until: 0,
        }
    }

    /// Kills the agent; the service manager starts it again.
    pub(crate) fn kill(&mut self, now: u64) {
        if let Some(mut process) = self.process.take() {
            self.world.lock().agent_dies();
            let clocks = process.clocks.take().map(ParkedWorld::resume);
            self.enter();
            {
                let _context = process.runtime.enter();
                drop(process.agent);
            }
            process.runtime.shutdown_background();
            drop(clocks);
            leave();
        }
        self.handle.lock().unwrap().take();
        self.stopped_until = 0;
        self.starts = Some(now + RESTART);
    }

    /// Whether the agent is there and takes its turns.
    pub(crate) fn is_running(&self, now: u64) -> bool {
        self.process.is_some() && self.stopped_until <= now
    }

    /// The power is gone; the agent is started `after` ms from now.
    pub(crate) fn power_off(&mut self, now: u64, after: u64) {
        self.kill(now);
        self.starts = Some(now + after);
    }

    /// Leads the host's life for `quantum` ms.
    pub(crate) fn step(&mut self, now: u64, quantum: u64) {
        {
            let mut state = self.world.lock();
            let machine = state.machine(self.index);
            if !machine.powered {
                return;
            }
            if machine.suspended {
                if let Some(process) = &mut self.process {
                    process.suspended += quantum;
                }
                return;
            }
        }
        if self.starts.is_some_and(|at| at <= now) {
            self.starts = None;
            self.start();
        }
        let Some(process) = &mut self.process else { return };
        if self.stopped_until > now {
            process.lag += quantum;
            process.silent += quantum;
            if process.silent >= WATCHDOG {
                self.world.lock().note_of(self.index, "the watchdog ends the agent");
                self.kill(now);
            }
            return;
        }
        process.silent = 0;
        self.run(now, quantum);
    }

    fn run(&mut self, now: u64, quantum: u64) {
        self.enter();
        let Some(mut process) = self.process.take() else { return };
        let skew = self.world.lock().machine(self.index).skew;
        let lag = Duration::from_millis(std::mem::take(&mut process.lag));
        let suspended = Duration::from_millis(std::mem::take(&mut process.suspended));
        let parked = process.clocks.take();
        let (agent, runtime) = (&mut process.agent, &process.runtime);
        let ended = runtime.block_on(async {
            let clocks = match parked {
                Some(parked) => {
                    let clocks = parked.resume();
                    clocks.suspend(suspended);
                    clocks
                }
                None => self.begin_clocks(),
            };
            clocks.step_wall(SignedDuration::from_millis(skew - process.skew));
            self.world.begin_step(now, lag);
            if !lag.is_zero() {
                advance(lag).await;
            }
            let ended = tokio::select! {
                biased;
                ended = agent => Some(ended),
                () = sleep(Duration::from_millis(quantum)) => None,
            };
            process.clocks = clocks.park();
            ended
        });
        process.skew = skew;
        self.world.end_step();
        self.process = Some(process);
        leave();
        if let Some(ended) = ended {
            let text = match ended {
                Ok(()) => "the agent ends".to_owned(),
                Err(error) => format!("the agent ends: {error:#}"),
            };
            self.world.lock().note_of(self.index, text);
            self.kill(now);
        }
    }

    fn start(&mut self) {
        self.world.lock().note_of(self.index, "the agent starts");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let (config, slot) = (self.config.clone(), Arc::clone(&self.handle));
        let serving = move |handle| *slot.lock().unwrap() = Some(handle);
        self.process = Some(Process {
            agent: Box::pin(supervise(config, std::future::pending(), serving)),
            runtime,
            clocks: None,
            skew: self.world.lock().machine(self.index).skew,
            lag: 0,
            silent: 0,
            suspended: 0,
        });
    }

    /// The clocks and disks of this host, as of now; within its runtime.
    fn begin_clocks(&self) -> clocks::World {
        let mut state = self.world.lock();
        let (now, wall) = (state.now(), state.wall(self.index));
        let clocks = clocks::World::begin(Timestamp::from_millisecond(wall).unwrap());
        let machine = state.machine(self.index);
        let boot = format!("{}-boot-{}", machine.name, machine.boots);
        clocks.set_boot(&boot, Duration::from_millis(BOOT + now - machine.booted));
        drop(state);
        let (world, host) = (self.world.clone(), self.index);
        clocks.set_disks(move |disk, _| {
            let mut state = world.lock();
            let now = state.now();
            let machine = state.machine(host);
            let (stalled, failing, error) = match disk {
                Disk::Identity => (machine.stalled_identity, machine.failing_identity, 5),
                Disk::State => (machine.stalled_state, machine.failing_state, machine.state_error),
                Disk::Data => (machine.stalled_data, 0, 0),
                _ => (0, 0, 0),
            };
            if stalled > now {
                // It is done when the disk answers again.
                return Fate::Delay(Duration::from_millis(stalled - now));
            }
            if failing > now {
                return Fate::Fail(std::io::Error::from_raw_os_error(error));
            }
            if disk != Disk::Identity {
                return Fate::Run;
            }
            match state.dice.between(0, 99) {
                0..20 => Fate::Delay(Duration::from_millis(state.dice.between(1, 400))),
                _ => Fate::Run,
            }
        });
        clocks
    }

    fn enter(&self) {
        let (world, host) = (self.world.clone(), self.index);
        agent_net::simulation::set(Some(Arc::new(HostNetwork {
            world: world.clone(),
            host,
        })));
        agent_daemon::simulation::set(Some(Arc::new(Kernel { world, host })));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill(0);
    }
}

fn leave() {
    agent_net::simulation::set(None);
    agent_daemon::simulation::set(None);
}

fn config(world: &World, index: usize) -> Config {
    let mut state = world.lock();
    let (storage, has_outside) = (state.storage, state.has_outside);
    let machine = state.machine(index);
    let (dir, mount) = (machine.dir.display(), machine.mount_point(storage));
    let mount = mount.display();
    let volume = if storage == Storage::Volume { VOLUME } else { "" };
    let scrape = if storage == Storage::Own { "15s" } else { "30s" };
    let (required, ec2) = (storage != Storage::Own, storage != Storage::Lease);
    let outside = if has_outside {
        format!(
            "[chains.parachain]\nreference = \"http://{REFERENCE}/\"\n[chains.relaychain]\n\
             [notify]\nwebhook = \"http://{WEBHOOK}/hook\"\nformat = \"json\"\n"
        )
    } else {
        String::new()
    };
    let text = format!(
        "[agent]\nstate_dir = \"{dir}/state\"\nsocket = \"{dir}/agent.sock\"\ndocker = \"{dir}/docker.sock\"\n\
         [collator]\nimage = \"{IMAGE}\"\nuser = \"\"\nstop_timeout = \"1m\"\n\
         [data]\npath = \"{dir}/data\"\n\
         [[mounts]]\nsource = \"{mount}/keystore\"\ntarget = \"/identity/keystore\"\n\
         [update]\nprobation = \"2m\"\n[health]\nscrape_interval = \"{scrape}\"\n[metrics]\nlisten = \"\"\n[ec2]\nenabled = {ec2}\n\
         [identity]\nrequired = {required}\nvolume = \"{volume}\"\nmount = \"{mount}\"\n{outside}"
    );
    Config::parse(&text, "agent.toml").unwrap()
}
