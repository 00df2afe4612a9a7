//! Exporters that answer nothing: while the node works, while it does nothing, while it starts.

use agent_core::cause::Cause;
use agent_core::event::ScrapeError;

use super::scene::Scene;
use super::{Kind, Label, MINUTE};

const MIB: u64 = 1 << 20;

pub(super) const KINDS: &[Kind] = &[
    ("silent_busy_130s", |s| silent_busy(s, 130)),
    ("silent_busy_5min", |s| silent_busy(s, 5 * MINUTE)),
    ("silent_busy_10min", |s| silent_busy(s, 10 * MINUTE)),
    ("silent_busy_writes_only", |s| {
        let writes = s.rng.range(1, 60);
        silent(s, 8 * MINUTE, 85, 0, writes * MIB)
    }),
    ("silent_idle", silent_idle),
    ("slow_start_25min", |s| slow_start(s, 25)),
    ("slow_start_50min", |s| slow_start(s, 50)),
    ("slow_start_75min", |s| slow_start(s, 75)),
    ("slow_start_waits_for_disk", slow_start_waits_for_disk),
    ("start_never_comes_up", never_comes_up),
    ("one_exporter_silent", one_silent),
];

fn silent(s: &mut Scene, seconds: u64, cpu: u64, reads: u64, writes: u64) -> Label {
    s.pass(s.rng.range(12, 40) * MINUTE);
    let began = s.now();
    let before = s.work;
    s.busy(cpu, reads, writes);
    s.silence(Some(ScrapeError::Timeout));
    (s.para.best_rate, s.relay.best_rate) = (0, 0);
    s.pass(seconds);
    let ended = s.now();
    s.work = before;
    s.silence(None);
    (s.para.best_rate, s.relay.best_rate) = (2000, 2000);
    s.pass(25 * MINUTE);
    Label::nothing(2).fragile(began, ended)
}

/// A database that optimises itself.
fn silent_busy(s: &mut Scene, seconds: u64) -> Label {
    let disk = s.rng.range(1, 60) * MIB;
    let (reads, writes) = s.rng.pick([(disk, 0), (0, disk), (disk, disk)]);
    let cpu = s.rng.range(80, 200);
    silent(s, seconds, cpu, reads, writes)
}

fn silent_idle(s: &mut Scene) -> Label {
    s.pass(s.rng.range(12, 60) * MINUTE);
    let began = s.now();
    s.busy(s.rng.range(0, 3), 0, 0);
    s.silence(Some(s.rng.pick([ScrapeError::Timeout, ScrapeError::Refused])));
    s.pass(20 * MINUTE);
    Label::restart(Cause::Frozen, began + 30, began + 200 + 2 * s.step())
}

fn starts(s: &mut Scene, minutes: u64) -> Label {
    s.silence(Some(ScrapeError::Refused));
    s.pass(minutes * MINUTE);
    let opened = s.now();
    s.silence(None);
    s.busy(30, 4000, 60_000);
    s.pass(20 * MINUTE);
    Label::nothing(2).fragile(0, opened)
}

/// Opening or migrating the database, with disk or CPU busy.
fn slow_start(s: &mut Scene, minutes: u64) -> Label {
    let disk = s.rng.range(1, 40) * MIB;
    let (cpu, reads, writes) = s
        .rng
        .pick([(30, disk, 0), (25, 0, disk), (100, 4096, 4096), (90, disk, disk)]);
    s.busy(cpu, reads, writes);
    starts(s, minutes)
}

/// A slow disk: hardly any CPU and little throughput, but everything waits for it.
fn slow_start_waits_for_disk(s: &mut Scene) -> Label {
    s.busy(s.rng.range(3, 9), s.rng.range(300, 900) * 1024, 0);
    s.host.io_full_percent = Some(60.0);
    let minutes = s.rng.range(20, 60);
    starts(s, minutes)
}

/// Nothing works in there, and nothing comes up: one restart.
fn never_comes_up(s: &mut Scene) -> Label {
    s.busy(s.rng.range(0, 2), 0, 0);
    s.silence(Some(ScrapeError::Refused));
    s.pass(90 * MINUTE);
    Label {
        notify_max: Some(4),
        ..Label::restart(Cause::NoExporter, MINUTE, 17 * MINUTE)
    }
}

/// One exporter refuses, the other answers: never a reason to restart by itself.
fn one_silent(s: &mut Scene) -> Label {
    s.pass(30 * MINUTE);
    s.relay.error = Some(ScrapeError::Refused);
    s.pass(90 * MINUTE);
    Label::nothing(2)
}
