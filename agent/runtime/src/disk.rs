//! Work on disks: off the runtime's thread, within a bound, and one job at a time for each disk.
//!
//! A disk may stop to answer for ever, and a system call on it with that; nothing can end the thread that made the call.
//! So each disk has two lanes, for short and for long jobs, with at most one job each. A caller waits for its turn and for
//! its job, both within its bound; while a job has exceeded its own bound, others on that lane fail at once, and the other
//! lane is tried for a second. A stalled disk costs at most two threads, however much is asked of it.
//!
//! A job whose caller stopped waiting goes on, and is done when the disk answers again.

use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a short job may take.
pub const LIMIT: Duration = Duration::from_secs(5);
/// How long a job may take while another job has shown that its disk is stalled.
const LIMIT_STALLED: Duration = Duration::from_secs(1);
/// Number of disks.
const DISKS: usize = 6;

/// A disk by its use. Several may be one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disk {
    /// Of `agent.state_dir`.
    State,
    /// Of `data.path`.
    Data,
    /// Of `identity.mount`, and its device.
    Identity,
    /// Of the operating system: configuration, authorities, runtime directory, and what the kernel shows as files.
    System,
    /// Of the sources of `[[mounts]]`.
    Mounts,
    /// Of the directories of other containers.
    Foreign,
}

impl Disk {
    pub const ALL: [Self; DISKS] = [
        Self::State,
        Self::Data,
        Self::Identity,
        Self::System,
        Self::Mounts,
        Self::Foreign,
    ];

    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state disk",
            Self::Data => "data disk",
            Self::Identity => "identity disk",
            Self::System => "system disk",
            Self::Mounts => "disk of a mount source",
            Self::Foreign => "disk of another container",
        }
    }
}

/// Why work on a disk has no result.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The disk did not answer in time. The work may still be done later.
    #[error("the {} does not answer: check its device and mount", .0.name())]
    Stalled(Disk),
    /// The work could not be done at all.
    #[error("work on the {} failed: {error}", disk.name())]
    Failed { disk: Disk, error: io::Error },
}

impl DiskError {
    pub const fn disk(&self) -> Disk {
        match self {
            Self::Stalled(disk) | Self::Failed { disk, .. } => *disk,
        }
    }

    pub const fn is_stall(&self) -> bool {
        matches!(self, Self::Stalled(_))
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Stalled(_) => Self::new(io::ErrorKind::TimedOut, error),
            DiskError::Failed { error, .. } => error,
        }
    }
}

/// The disks that do not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StalledDisks([bool; DISKS]);

impl StalledDisks {
    pub const fn contains(self, disk: Disk) -> bool {
        self.0[disk as usize]
    }
}

impl FromIterator<Disk> for StalledDisks {
    fn from_iter<T: IntoIterator<Item = Disk>>(disks: T) -> Self {
        let mut stalled = Self::default();
        disks.into_iter().for_each(|disk| stalled.0[disk as usize] = true);
        stalled
    }
}

/// Which disks do not answer, now and from now on.
pub fn stalled() -> watch::Receiver<StalledDisks> {
    board().subscribe()
}

/// Does a short job within [`LIMIT`].
///
/// # Errors
/// The disk does not answer, or the job panicked.
pub async fn run<T: Send + 'static>(disk: Disk, job: impl FnOnce() -> T + Send + 'static) -> Result<T, DiskError> {
    run_on(&SHORT, disk, LIMIT, job).await
}

/// Does a long job within `limit`, on the disk's lane for those: it delays no short one.
///
/// # Errors
/// As [`run`].
pub async fn run_long<T: Send + 'static>(
    disk: Disk,
    limit: Duration,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DiskError> {
    run_on(&LONG, disk, limit, job).await
}

/// As [`run`], and waits for no more than `patience`: a job that takes longer is done all the same.
///
/// # Errors
/// As [`run`].
pub async fn run_within<T: Send + 'static>(
    patience: Duration,
    disk: Disk,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DiskError> {
    let done = timeout(patience, run(disk, job)).await;
    done.unwrap_or(Err(DiskError::Stalled(disk)))
}

/// As [`run`], for a job with a result of its own: one error for both.
///
/// # Errors
/// The job's error, or as [`run`].
pub async fn run_io<T: Send + 'static>(
    disk: Disk,
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    run(disk, job).await?
}

async fn run_on<T: Send + 'static>(
    lanes: &'static [Lane; DISKS],
    disk: Disk,
    limit: Duration,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DiskError> {
    #[cfg(feature = "simulation")]
    if let Some(fate) = crate::simulation::fate(disk, limit) {
        return crate::simulation::carry_out(disk, limit, fate, job).await;
    }
    let lane = &lanes[disk as usize];
    let is_known = board().borrow().contains(disk);
    let end = Instant::now() + if is_known { limit.min(LIMIT_STALLED) } else { limit };
    let stalled = || {
        mark(disk, true);
        DiskError::Stalled(disk)
    };
    if lane.is_stalled() {
        return Err(stalled());
    }
    let turn = timeout_at(end, lane.turn.acquire()).await;
    // A lane that is merely busy says nothing about its disk.
    let turn = turn.map_err(|_| {
        if lane.is_stalled() {
            stalled()
        } else {
            DiskError::Stalled(disk)
        }
    })?;
    let turn = Turn {
        lane,
        disk,
        _permit: turn.map_err(|closed| failed(disk, closed))?,
    };
    lane.set_due(Some(end));
    let work = spawn(move || {
        // Given back when the job is over, whether or not a caller still waits for it.
        let _turn = turn;
        job()
    });
    match timeout_at(end, work).await {
        Ok(done) => done.map_err(|error| failed(disk, error)),
        Err(_) => Err(stalled()),
    }
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

fn failed(disk: Disk, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DiskError {
    DiskError::Failed {
        disk,
        error: io::Error::other(error),
    }
}

static SHORT: [Lane; DISKS] = [const { Lane::new() }; DISKS];
static LONG: [Lane; DISKS] = [const { Lane::new() }; DISKS];

/// The jobs of one kind on one disk.
struct Lane {
    turn: Semaphore,
    /// Until when the job under way should be done.
    due: Mutex<Option<Instant>>,
}

impl Lane {
    const fn new() -> Self {
        Self {
            turn: Semaphore::const_new(1),
            due: Mutex::new(None),
        }
    }

    fn is_stalled(&self) -> bool {
        let due = *self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.is_some_and(|due| due <= Instant::now())
    }

    fn set_due(&self, due: Option<Instant>) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }
}

/// The right to be the job under way of a lane.
struct Turn {
    lane: &'static Lane,
    disk: Disk,
    _permit: SemaphorePermit<'static>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lane.set_due(None);
        let lanes = [&SHORT, &LONG];
        if !lanes.into_iter().any(|lanes| lanes[self.disk as usize].is_stalled()) {
            mark(self.disk, false);
        }
    }
}

/// Records whether a disk answers.
pub(crate) fn mark(disk: Disk, is_stalled: bool) {
    board().send_if_modified(|disks| std::mem::replace(&mut disks.0[disk as usize], is_stalled) != is_stalled);
}

fn board() -> watch::Sender<StalledDisks> {
    static BOARD: LazyLock<watch::Sender<StalledDisks>> = LazyLock::new(watch::Sender::default);
    #[cfg(feature = "simulation")]
    if let Some(simulated) = crate::simulation::board() {
        return simulated;
    }
    BOARD.clone()
}

#[cfg(test)]
mod tests;
