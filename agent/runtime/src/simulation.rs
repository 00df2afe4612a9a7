//! Clocks and disks of a simulation: of the thread that runs it, until its [`World`] is dropped.
//!
//! With tokio's time paused, everything here is virtual: the wall clock and the clock since boot go on with it, and work on
//! a disk is done on the runtime's thread, when and if the simulation says so. So one seed is one run.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::disk::{Disk, DiskError, StalledDisks, mark};

/// What becomes of one job on a disk.
#[derive(Debug)]
pub enum Fate {
    /// It is done at once.
    Run,
    /// It is done after a pause. Where that exceeds its bound, its caller does not wait for so long, and it is done
    /// nevertheless.
    Delay(Duration),
    /// It is not done, and its caller gets this error.
    Fail(io::Error),
    /// It is never done, and its caller waits for its bound.
    Stall,
}

/// Decides about a job on a disk, given its bound.
type Decide = dyn FnMut(Disk, Duration) -> Fate;

struct Simulated {
    began: Instant,
    /// The wall clock when the simulation began, with all its steps since.
    wall: Timestamp,
    /// Time since boot when the simulation began, with all time suspended since.
    boottime: Duration,
    boot_id: String,
    disks: Option<Rc<RefCell<Decide>>>,
    board: watch::Sender<StalledDisks>,
}

thread_local! {
    static SIMULATED: RefCell<Option<Simulated>> = const { RefCell::new(None) };
}

/// The simulated clocks and disks of this thread; the real ones are back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct World(std::marker::PhantomData<Rc<()>>);

impl World {
    /// Begins with this wall clock, an hour after the boot, and disks that answer at once. Called within the runtime whose
    /// time is paused.
    pub fn begin(wall: Timestamp) -> Self {
        SIMULATED.set(Some(Simulated {
            began: Instant::now(),
            wall,
            boottime: Duration::from_hours(1),
            boot_id: "boot".to_owned(),
            disks: None,
            board: watch::Sender::default(),
        }));
        Self(std::marker::PhantomData)
    }

    /// This boot of the host, which has lasted for `since` so far.
    pub fn set_boot(&self, id: &str, since: Duration) {
        change(|simulated| (simulated.boot_id, simulated.boottime) = (id.to_owned(), since));
    }

    /// Sets the wall clock forward or back.
    pub fn step_wall(&self, by: SignedDuration) {
        change(|simulated| simulated.wall = simulated.wall.checked_add(by).unwrap_or(simulated.wall));
    }

    /// Suspends the host: wall clock and time since boot go on, the monotonic clock does not.
    pub fn suspend(&self, time: Duration) {
        change(|simulated| {
            simulated.wall = simulated.wall.checked_add(time).unwrap_or(simulated.wall);
            simulated.boottime += time;
        });
    }

    /// Has `decide` asked about every job on a disk from now on.
    pub fn set_disks(&self, decide: impl FnMut(Disk, Duration) -> Fate + 'static) {
        change(|simulated| simulated.disks = Some(Rc::new(RefCell::new(decide))));
    }
}

/// A world beside the thread, while another one is the thread's: one for each host of a simulation.
pub struct ParkedWorld(Simulated);

impl std::fmt::Debug for ParkedWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParkedWorld").finish_non_exhaustive()
    }
}

impl World {
    /// Takes it from the thread; `None` where there is none.
    pub fn park(self) -> Option<ParkedWorld> {
        SIMULATED.take().map(ParkedWorld)
    }
}

impl ParkedWorld {
    /// Gives it back to the thread.
    pub fn resume(self) -> World {
        SIMULATED.set(Some(self.0));
        World(std::marker::PhantomData)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        SIMULATED.set(None);
    }
}

fn change(change: impl FnOnce(&mut Simulated)) {
    SIMULATED.with_borrow_mut(|simulated| simulated.as_mut().map(change));
}

fn read<T>(read: impl FnOnce(&Simulated) -> T) -> Option<T> {
    SIMULATED.with_borrow(|simulated| simulated.as_ref().map(read))
}

pub(crate) fn wall() -> Option<Timestamp> {
    read(|simulated| {
        let time = simulated.wall.checked_add(simulated.began.elapsed());
        time.unwrap_or(Timestamp::MAX)
    })
}

pub(crate) fn boottime() -> Option<Duration> {
    read(|simulated| simulated.boottime + simulated.began.elapsed())
}

pub(crate) fn boot_id() -> Option<String> {
    read(|simulated| simulated.boot_id.clone())
}

pub(crate) fn board() -> Option<watch::Sender<StalledDisks>> {
    read(|simulated| simulated.board.clone())
}

/// The fate of the next job; `None` without a simulation.
pub(crate) fn fate(disk: Disk, limit: Duration) -> Option<Fate> {
    let decide = read(|simulated| simulated.disks.clone())?;
    // Not borrowed any more while it decides, which may read a clock.
    Some(decide.map_or(Fate::Run, |decide| decide.borrow_mut()(disk, limit)))
}

pub(crate) async fn carry_out<T: Send + 'static>(
    disk: Disk,
    limit: Duration,
    fate: Fate,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DiskError> {
    let pause = match fate {
        Fate::Run => Duration::ZERO,
        Fate::Fail(error) => return Err(DiskError::Failed { disk, error }),
        Fate::Stall => {
            sleep(limit).await;
            mark(disk, true);
            return Err(DiskError::Stalled(disk));
        }
        Fate::Delay(pause) if pause < limit => pause,
        Fate::Delay(pause) => {
            tokio::spawn(async move {
                sleep(pause).await;
                job();
                mark(disk, false);
            });
            sleep(limit).await;
            mark(disk, true);
            return Err(DiskError::Stalled(disk));
        }
    };
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let done = job();
    mark(disk, false);
    Ok(done)
}
