//! Which boot of the host this is, and the time since then, suspended time included: a clock that cannot be set.

use std::time::Duration;
use std::{fs, io};

use rustix::time::{ClockId, clock_gettime};

/// Time since the host was booted (`CLOCK_BOOTTIME`).
pub fn now() -> Duration {
    #[cfg(feature = "simulation")]
    if let Some(simulated) = crate::simulation::boottime() {
        return simulated;
    }
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The boot's id, another one after each boot.
pub fn id() -> io::Result<String> {
    #[cfg(feature = "simulation")]
    if let Some(simulated) = crate::simulation::boot_id() {
        return Ok(simulated);
    }
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
