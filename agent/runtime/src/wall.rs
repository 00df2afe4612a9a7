//! The wall clock, which a person or a time service may set at any moment, and how that is noticed.

use std::time::Duration;

use jiff::Timestamp;

use crate::boottime;

/// Change of the wall clock against the clock since boot that is a step, milliseconds. Time services that slew a clock slew
/// both.
const STEP_MS: i64 = 250;
/// The two clocks are read within this time, or read again.
const AT_ONCE: Duration = Duration::from_millis(20);

/// The wall clock's time.
pub fn now() -> Timestamp {
    #[cfg(feature = "simulation")]
    if let Some(simulated) = crate::simulation::wall() {
        return simulated;
    }
    Timestamp::now()
}

/// The wall clock's time, Unix milliseconds.
pub fn unix_ms() -> i64 {
    now().as_millisecond()
}

/// The wall clock less the time since boot, milliseconds: constant until the wall clock is set.
pub fn distance_ms() -> i64 {
    let mut distance = 0;
    for _ in 0..4 {
        let (before, wall, after) = (boottime::now(), unix_ms(), boottime::now());
        distance = wall - i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        if after.saturating_sub(before) < AT_ONCE {
            break;
        }
    }
    distance
}

/// How far the clock was set between two [`distance_ms`]; `None` is not at all.
pub fn step_between(before: i64, after: i64) -> Option<i64> {
    let by = after.saturating_sub(before);
    (by.saturating_abs() >= STEP_MS).then_some(by)
}

/// Notices steps of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct StepDetector {
    distance_ms: i64,
}

impl StepDetector {
    /// From now on.
    pub fn begin() -> Self {
        Self {
            distance_ms: distance_ms(),
        }
    }

    /// How far the clock was set since the last step, in milliseconds.
    pub fn step(&mut self) -> Option<i64> {
        let now = distance_ms();
        let by = step_between(self.distance_ms, now)?;
        self.distance_ms = now;
        Some(by)
    }
}
