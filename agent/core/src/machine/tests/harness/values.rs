//! Values that many tests need.

use super::*;

pub(in crate::machine) fn running(started_at: i64) -> Container {
    Container::Running {
        started_at: Some(started_at),
        spec_matches: true,
    }
}

pub(in crate::machine) fn healthy_host() -> HostFacts {
    HostFacts {
        disk_free_bytes: Some(60 << 30),
        disk_total_bytes: Some(100 << 30),
        memory_available_bytes: Some(2 << 30),
        memory_full_percent: Some(0.0),
        io_full_percent: Some(0.0),
        load1: Some(0.5),
        network_ok: Some(true),
        clock_offset_ms: Some(0.4),
    }
}

pub(in crate::machine) fn restart(cause: Cause) -> Action {
    Action::Restart {
        cause,
        spec: DesiredSpec::default(),
    }
}

pub(in crate::machine) fn start(cause: Cause) -> Action {
    Action::Start {
        cause,
        spec: DesiredSpec::default(),
    }
}

pub(in crate::machine) fn pause(seconds: u64) -> Command {
    Command::Pause {
        seconds,
        reason: "maintenance".to_owned(),
    }
}
