//! What the hosts of a simulation share: time, the cloud, the judge. Plain data behind one lock.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use super::cloud::Cloud;
use super::dice::Dice;
use super::judge::Judge;
use super::machine::MachineState;
use super::outside::{Outside, has_outside};

pub(crate) const SECOND: u64 = 1000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
/// The wall clock of a world's beginning, Unix milliseconds: 2026-11-01.
pub(crate) const EPOCH: i64 = 1_793_491_200_000;
/// Lines of the story that are kept.
const STORY: usize = 400;

/// How the identity reaches the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// The keys lie in a directory of the host's own.
    Own,
    /// A shared directory; only the lease keeps the hosts apart.
    Lease,
    /// An EBS volume.
    Volume,
}

/// The world; cheap to clone.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

pub(crate) struct State {
    pub(crate) storage: Storage,
    pub(crate) has_outside: bool,
    pub(crate) dice: Dice,
    pub(crate) machines: Vec<MachineState>,
    pub(crate) cloud: Cloud,
    pub(crate) judge: Judge,
    pub(crate) outside: Outside,
    pub(crate) story: Vec<String>,
    /// Time at the beginning of the present step, and the runtime's clock then, within a step.
    base: u64,
    stepping: Option<Instant>,
}

impl World {
    pub(crate) fn new(seed: u64, storage: Storage, dir: &Path, hosts: usize) -> Self {
        let machines = (0..hosts).map(|index| MachineState::new(index, storage, dir)).collect();
        Self(Arc::new(Mutex::new(State {
            storage,
            has_outside: storage == Storage::Own && has_outside(seed),
            cloud: Cloud::new(dir),
            dice: Dice(seed),
            machines,
            judge: Judge::default(),
            outside: Outside::default(),
            story: Vec::new(),
            base: 0,
            stepping: None,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A host's step begins; called within its runtime.
    pub(crate) fn begin_step(&self, now: u64, lag: std::time::Duration) {
        let mut state = self.lock();
        state.base = now;
        state.stepping = Some(Instant::now() + lag);
    }

    pub(crate) fn end_step(&self) {
        self.lock().stepping = None;
    }

    pub(crate) fn set_now(&self, now: u64) {
        self.lock().base = now;
    }
}

impl State {
    /// Time since the world began, ms. It never stops, whatever becomes of a host.
    pub(crate) fn now(&self) -> u64 {
        let within = self.stepping.map_or(0, |began| began.elapsed().as_millis());
        self.base + u64::try_from(within).unwrap()
    }

    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        let seconds = f64::from(u32::try_from(self.now()).unwrap()) / 1000.0;
        if self.story.len() == STORY {
            self.story.remove(0);
        }
        let line = format!("{seconds:>8.1} s  {}", text.as_ref());
        tracing::info!("{line}");
        self.story.push(line);
    }

    pub(crate) fn machine(&mut self, index: usize) -> &mut MachineState {
        &mut self.machines[index]
    }

    /// The wall clock of a host, Unix milliseconds.
    pub(crate) fn wall(&self, host: usize) -> i64 {
        EPOCH + i64::try_from(self.now()).unwrap() + self.machines[host].skew
    }
}
