//! Distances from the head that swing, stay, grow, and shrink too slowly.

use super::scene::{Scene, Target};
use super::{HOUR, Kind, Label, MINUTE};
use agent_core::machine::Phase;

pub(super) const KINDS: &[Kind] = &[
    ("lag_swings_500ms_blocks", lag_swings),
    ("lag_steady", lag_steady),
    ("falling_behind", falling_behind),
    ("first_sync_target_runs_away", runs_away),
    ("first_sync_closes_slowly", closes_slowly),
    ("catches_up_after_pause", catches_up),
    ("target_leaps_for_moments", target_leaps),
];

/// Elastic scaling: 500 ms blocks, and a lag that swings from 12 to 30.
fn lag_swings(s: &mut Scene) -> Label {
    s.para.head_rate = 2000;
    s.para.gap = 36_000;
    let (low, high) = (s.rng.range(8, 14), s.rng.range(24, 34));
    s.run(2 * HOUR, |s, elapsed| {
        let lag = if elapsed < 5 * MINUTE {
            0
        } else {
            s.rng.range(low, high)
        };
        s.para.best = s.para.best.max(s.para.head - lag * 1000);
        s.para.best_rate = 0;
        s.para.imported = elapsed * 2000;
        s.para.major_syncing = lag > 5;
    });
    Label::nothing(2)
}

fn lag_steady(s: &mut Scene) -> Label {
    s.para.head_rate = s.rng.pick([500, 1000, 2000]);
    let lag = s.rng.range(11, 40) * 1000;
    s.para.gap = 30_000;
    s.run(2 * HOUR, |s, _| {
        s.para.best = s.para.best.max(s.para.head - lag);
        s.para.best_rate = 0;
    });
    Label::nothing(1).never(&[Phase::Stalled])
}

/// In sync, then slower than the chain for good: told, not restarted.
fn falling_behind(s: &mut Scene) -> Label {
    s.para.head_rate = s.rng.pick([167, 500, 2000]);
    s.pass(s.rng.range(20, 60) * MINUTE);
    let began = s.now();
    s.para.best_rate = s.para.head_rate * s.rng.range(30, 70) / 100;
    s.para.major_syncing = true;
    s.busy(110, 100_000, 400_000);
    s.pass(150 * MINUTE);
    Label::nothing(2).told(began, began + 45 * MINUTE)
}

/// A first sync on a machine that is too slow: it never arrives.
fn runs_away(s: &mut Scene) -> Label {
    let head_rate = s.rng.pick([500, 1000, 2000]);
    let percent = s.rng.range(40, 95);
    first_sync(s, 7 * HOUR, head_rate, percent);
    Label::nothing(2).told(0, 6 * HOUR)
}

fn closes_slowly(s: &mut Scene) -> Label {
    let head_rate = s.rng.pick([167, 500]);
    let percent = s.rng.range(150, 300);
    first_sync(s, 5 * HOUR, head_rate, percent);
    Label::nothing(1)
}

/// A first sync from a third of the way, at so many percent of the speed at which the chain grows.
fn first_sync(s: &mut Scene, lasts: u64, head_rate: u64, percent: u64) {
    s.lasts(lasts);
    s.para.head_rate = head_rate;
    s.para.best = s.para.head / 3;
    s.para.finalized = s.para.best;
    s.para.best_rate = head_rate * percent / 100;
    s.para.major_syncing = true;
    s.busy(110, 100_000, 400_000);
    s.pass(lasts);
}

/// The peers announce a height far ahead for a minute or two, and take it back.
fn target_leaps(s: &mut Scene) -> Label {
    for _ in 0..6 {
        s.pass(s.rng.range(5, 40) * MINUTE);
        s.para.target = Target::Block(s.para.head + s.rng.range(50, 5000) * 1000);
        s.pass(s.rng.range(20, 120));
        s.para.target = Target::Head;
    }
    s.pass(20 * MINUTE);
    Label::nothing(0).never(&[Phase::Stalled])
}

/// A busy spell of minutes, then it catches up: no falling behind, or told once.
fn catches_up(s: &mut Scene) -> Label {
    s.pass(30 * MINUTE);
    let rate = s.para.head_rate;
    s.para.best_rate = rate / 2;
    s.pass(s.rng.range(5, 15) * MINUTE);
    s.para.best_rate = 5 * rate;
    s.pass(HOUR);
    Label::nothing(1)
}
