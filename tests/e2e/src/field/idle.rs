//! Chains that are idle by design, nodes that are alone by design, and nodes that lose what they had.

use agent_core::cause::Cause;
use agent_core::machine::Phase;

use super::scene::Scene;
use super::{HOUR, Kind, Label, MINUTE};

pub(super) const KINDS: &[Kind] = &[
    ("idle_day_with_peers", idle_day),
    ("idle_evicted_20_120", |s| evicted(s, 20, 120)),
    ("idle_evicted_30_30", |s| evicted(s, 30, 30)),
    ("idle_evicted_60_10", |s| evicted(s, 60, 10)),
    ("idle_evicted_25_45", |s| evicted(s, 25, 45)),
    ("idle_evicted_10_60", |s| evicted(s, 10, 60)),
    ("idle_evicted_any_rhythm", |s| {
        let (on, off) = (s.rng.range(10, 240), s.rng.range(10, 130));
        evicted(s, on, off)
    }),
    ("idle_evicted_from_the_start", |s| {
        s.step_at_most(10);
        idle(s);
        let (on, off) = s.rng.pick([(20, 120), (30, 30), (60, 10), (25, 45)]);
        flap(s, 4, on, off)
    }),
    ("lone_collator_block_an_hour", |s| lone_collator(s, 3600)),
    ("lone_collator_no_block", |s| lone_collator(s, 0)),
    ("chain_halts", |s| halt(s, false)),
    ("chain_halts_and_resumes", |s| halt(s, true)),
    ("peers_lost_parachain", |s| peers_lost(s, false)),
    ("peers_lost_both", |s| peers_lost(s, true)),
    ("peers_lost_host_network_down", host_network_down),
    ("peers_lost_and_found", lost_and_found),
];

/// An on-demand chain: a handful of blocks a day.
fn idle(s: &mut Scene) {
    s.para.head_rate = 0;
    s.para.gap = 0;
    s.para.finalized = s.para.best;
    s.para.bytes_rate = 2000;
    s.busy(s.rng.range(10, 30), 0, 30_000);
}

fn idle_day(s: &mut Scene) -> Label {
    let hours = s.rng.range(12, 24);
    s.lasts(hours * HOUR);
    idle(s);
    let blocks = s.rng.pick([0, 0, 1, 3]);
    for _ in 0..=blocks {
        s.pass(hours * HOUR / (blocks + 1));
        s.para.head += 1000;
    }
    Label::nothing(2)
}

/// Peers leave after `on` seconds without a block and are back after `off`.
fn evicted(s: &mut Scene, on: u64, off: u64) -> Label {
    s.step_at_most(10);
    let hours = s.rng.range(2, 6);
    s.lasts(hours * HOUR);
    idle(s);
    s.pass(s.rng.range(2, 40) * MINUTE);
    flap(s, hours, on, off)
}

fn flap(s: &mut Scene, hours: u64, on: u64, off: u64) -> Label {
    let peers = s.para.peers.min(8);
    s.run(hours * HOUR, |s, elapsed| {
        s.para.peers = if elapsed % (on + off) < on { peers } else { 0 };
    });
    Label::nothing(3)
}

/// The only collator of its chain: it never has a peer, and builds a block every `every` seconds.
fn lone_collator(s: &mut Scene, every: u64) -> Label {
    s.lasts(24 * HOUR);
    idle(s);
    s.para.peers = 0;
    s.para.built = Some(0);
    let mut built = 0;
    s.run(24 * HOUR, |s, elapsed| {
        let due = elapsed.checked_div(every).unwrap_or(0);
        if due > built {
            built = due;
            s.para.built = Some(due);
            s.para.head += 1000;
            s.para.best = s.para.head;
        }
    });
    Label::nothing(2)
}

/// The parachain stands for everybody, the relay chain moves: nothing here can be cured by a restart.
fn halt(s: &mut Scene, resumes: bool) -> Label {
    let hours = s.rng.range(2, 10);
    s.lasts(hours * HOUR);
    s.pass(s.rng.range(15, 60) * MINUTE);
    let rate = std::mem::take(&mut s.para.head_rate);
    s.pass(hours * HOUR);
    if resumes {
        s.para.head_rate = rate;
        s.pass(HOUR);
    }
    Label::nothing(2)
}

/// It had peers and really loses them all.
fn peers_lost(s: &mut Scene, both: bool) -> Label {
    s.pass(s.rng.range(20, 90) * MINUTE);
    let lost = s.now();
    lose(s, both);
    s.busy(3, 0, 10_000);
    s.pass(40 * MINUTE);
    Label::restart(Cause::Isolated, lost + 4 * MINUTE, lost + 15 * MINUTE)
}

fn lose(s: &mut Scene, both: bool) {
    (s.para.peers, s.para.best_rate, s.para.bytes_rate) = (0, 0, 100);
    if both {
        (s.relay.peers, s.relay.best_rate, s.relay.bytes_rate) = (0, 0, 100);
    }
}

fn host_network_down(s: &mut Scene) -> Label {
    s.pass(30 * MINUTE);
    let (para, relay) = (s.para.peers, s.relay.peers);
    lose(s, true);
    s.host.network_ok = Some(false);
    s.pass(s.rng.range(10, 90) * MINUTE);
    s.host.network_ok = Some(true);
    (s.para.peers, s.para.best_rate, s.para.bytes_rate) = (para, 50_000, 20_000);
    (s.relay.peers, s.relay.best_rate, s.relay.bytes_rate) = (relay, 50_000, 200_000);
    s.pass(30 * MINUTE);
    Label::nothing(3)
}

/// Away for less than the window, a few times.
fn lost_and_found(s: &mut Scene) -> Label {
    let peers = s.para.peers;
    for _ in 0..4 {
        s.pass(s.rng.range(15, 30) * MINUTE);
        s.para.peers = 0;
        s.pass(s.rng.range(60, 150));
        s.para.peers = peers;
    }
    s.pass(10 * MINUTE);
    Label::nothing(2).never(&[Phase::Isolated])
}
