//! What the container uses: evidence that it is at work although no block shows it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::event::{Activity, Time};

/// CPU clearly above idle, percent of one core.
const BUSY_CPU: f64 = 50.0;
/// Block reads and writes of a node that follows its chains stay below these, bytes per second.
const BUSY_READS: u64 = 1 << 20;
const BUSY_WRITES: u64 = 4 << 20;
/// Reads and writes of a process that works on its database on a slow disk, bytes per second.
const DISK_MOVES: u64 = 256 << 10;
/// The same of one that has yet to open its database, from which a hanging one differs by doing nothing: percent of one core,
/// and bytes per second (random reads of a magnetic disk).
const OPENS_CPU: f64 = 10.0;
const OPENS_DISK: u64 = 64 << 10;
/// Share of a minute in which everything on the host waited for block I/O, percent.
const DISK_WAITS: f64 = 20.0;
/// A measurement of the container's activity is stale after this.
const ACTIVITY_HOLDS: Duration = Duration::from_mins(2);

/// What the container used between the last two measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Bytes per second read from block devices.
    pub read_rate: Option<u64>,
    /// Bytes per second written to block devices.
    pub write_rate: Option<u64>,
}

impl Work {
    fn between(before: Option<(Time, Activity)>, now: Time, activity: Activity) -> Self {
        let rate = |bytes: fn(&Activity) -> Option<u64>| {
            let (at, old) = before?;
            let (bytes_now, bytes_then) = (bytes(&activity)?, bytes(&old)?);
            // A counter that fell began anew.
            let moved = bytes_now.checked_sub(bytes_then).unwrap_or(bytes_now);
            moved.checked_div(now.since(at).as_secs())
        };
        Self {
            cpu_percent: activity.cpu_percent,
            read_rate: rate(|a| a.block_read_bytes),
            write_rate: rate(|a| a.block_write_bytes),
        }
    }

    /// Whether it uses the processor; `opens` its database, as far as known.
    pub(super) fn uses_cpu(&self, opens: bool) -> bool {
        let least = if opens { OPENS_CPU } else { BUSY_CPU };
        self.cpu_percent.is_some_and(|cpu| cpu >= least)
    }

    /// Clearly more than following the chains takes.
    fn is_busy(&self) -> bool {
        self.uses_cpu(false)
            || self.read_rate.is_some_and(|rate| rate >= BUSY_READS)
            || self.write_rate.is_some_and(|rate| rate >= BUSY_WRITES)
    }

    fn moves_disk(&self, opens: bool) -> bool {
        let least = if opens { OPENS_DISK } else { DISK_MOVES };
        self.read_rate.max(self.write_rate).is_some_and(|rate| rate >= least)
    }
}

impl Machine {
    pub(super) fn on_activity(&mut self, now: Time, activity: Activity) {
        let before = self.state.activity.replace((now, activity));
        self.state.work = Work::between(before, now, activity);
    }

    /// The container's work, as far as it was measured lately.
    pub fn work(&self) -> Work {
        let fresh = |(at, _)| self.state.now.since(at) <= ACTIVITY_HOLDS;
        if self.state.activity.is_some_and(fresh) {
            self.state.work
        } else {
            Work::default()
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.work().is_busy()
    }

    /// Whether the container reads or writes, or the host waits for its disks.
    pub(super) fn moves_disk(&self, opens: bool) -> bool {
        let waits = self
            .state
            .host
            .io_full_percent
            .is_some_and(|percent| percent >= DISK_WAITS);
        waits || self.work().moves_disk(opens)
    }
}
