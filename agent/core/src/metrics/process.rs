//! The agent's own process, under the names that every exporter uses.

use super::page::MetricsPage;

/// What the kernel has about a process; `None` where it cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessStats {
    /// User and system time.
    pub cpu_seconds: Option<f64>,
    pub open_fds: Option<u64>,
    pub max_fds: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub resident_bytes: Option<u64>,
    /// Unix time, seconds.
    pub started: Option<f64>,
}

pub(super) fn process(page: &mut MetricsPage, stats: &ProcessStats) {
    page.counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        [],
        [([], stats.cpu_seconds)],
    );
    page.one("process_open_fds", "Number of open file descriptors.", stats.open_fds);
    page.one(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        stats.max_fds,
    );
    page.one(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        stats.virtual_bytes,
    );
    page.one(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        stats.resident_bytes,
    );
    page.one(
        "process_start_time_seconds",
        "Start time of the process since the Unix epoch in seconds.",
        stats.started,
    );
}
