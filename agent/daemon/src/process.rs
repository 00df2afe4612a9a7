//! The agent's own process as `/proc/self` has it, read when it is asked for.
#![expect(clippy::disallowed_methods, reason = "files of the kernel, which no disk holds")]

use std::fs;

use agent_core::metrics::ProcessStats;
use agent_core::published::AgentSnapshot;
use agent_core::status::Status;
use jiff::Timestamp;

/// Ticks in a second of the times in `/proc`: `USER_HZ`, part of the kernel's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Everything of this process; `started` is when it began.
pub(crate) fn stats(started: Timestamp) -> ProcessStats {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The system call that reports them is refused to the service.
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    // The directory itself is open while it is read.
    let open = fs::read_dir("/proc/self/fd").map(|entries| entries.count().saturating_sub(1));
    ProcessStats {
        cpu_seconds: cpu_seconds(&stat),
        open_fds: open.ok().and_then(|open| open.try_into().ok()),
        max_fds: max_open_files(&limits),
        virtual_bytes: memory(&status, "VmSize:"),
        resident_bytes: memory(&status, "VmRSS:"),
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of centuries fit")]
        started: Some(started.as_millisecond() as f64 / 1000.0),
    }
}

/// The published status, with the resident memory of this moment.
pub(crate) fn status_now(snapshot: &AgentSnapshot) -> Status {
    let mut status = snapshot.status.clone();
    status.agent.rss_bytes = resident();
    status
}

/// Resident memory, bytes.
fn resident() -> Option<u64> {
    memory(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn memory(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// The soft limit; `None` is also none.
fn max_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_kernel_are_read_as_bytes_and_seconds() {
        let status = "Name:\tx\nVmSize:\t   12345 kB\nVmRSS:\t    6000 kB\n";
        assert_eq!(memory(status, "VmSize:"), Some(12_641_280));
        assert_eq!(memory(status, "VmRSS:"), Some(6_144_000));
        assert_eq!(memory(status, "VmSwap:"), None);
        let limits = "Limit    Soft Limit  Hard Limit  Units\nMax open files   1024   524288   files\n";
        assert_eq!(max_open_files(limits), Some(1024));
        let stat = "7 (a ) 1) S 1 7 7 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 3 0 1234 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.25));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn stats_of_this_process_are_all_known() {
        let stats = stats(Timestamp::UNIX_EPOCH);
        assert_eq!(stats.started, Some(0.0));
        assert!(stats.cpu_seconds.is_some_and(|seconds| seconds >= 0.0), "{stats:?}");
        assert!(
            stats.open_fds >= Some(3) && stats.open_fds <= stats.max_fds,
            "{stats:?}"
        );
        assert!(
            stats.resident_bytes > Some(1 << 20) && stats.virtual_bytes >= stats.resident_bytes,
            "{stats:?}"
        );
    }
}
