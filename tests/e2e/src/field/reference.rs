//! A second opinion: what references say about a node that stands still, and about one that does not.

use agent_core::cause::Cause;
use agent_core::event::{Chain, Reading, ReferenceError};

use super::scene::{Answer, Scene, Target};
use super::{Expect, HOUR, Kind, Label, MINUTE};

pub(super) const KINDS: &[Kind] = &[
    ("stall_at_target_no_reference", |s| stands(s, 0, |_, _| {})),
    ("stall_at_target_reference_moves", reference_moves),
    ("halt_reference_stands", |s| {
        halts(s, |s, _| s.references = vec![says(s.para.head)])
    }),
    ("halt_reference_lags", |s| {
        halts(s, |s, elapsed| {
            // A reference that syncs itself: it moves, and is always below.
            s.references = vec![says(s.para.head / 2 + elapsed * 900)];
        })
    }),
    ("halt_reference_lies", |s| {
        halts(s, |s, elapsed| {
            let leap = if (600..800).contains(&(elapsed % 1800)) {
                1_000_000_000_000
            } else {
                0
            };
            s.references = vec![says(s.para.head + leap)];
        })
    }),
    ("halt_reference_forked", |s| {
        halts(s, |s, elapsed| {
            let mut answer = says(s.para.head + elapsed * 167);
            if let (_, Ok(reading)) = &mut answer {
                reading.forked = Some(true);
            }
            s.references = vec![answer];
        })
    }),
    ("halt_reference_rate_limited", |s| {
        halts(s, |s, _| s.references = vec![fails(ReferenceError::RateLimited)])
    }),
    ("halt_reference_dies", |s| {
        halts(s, |s, elapsed| {
            let head = s.para.head;
            s.references = vec![if elapsed < 200 {
                says(head)
            } else {
                fails(ReferenceError::Unreachable)
            }];
        })
    }),
    ("halt_references_disagree", |s| {
        halts(s, |s, elapsed| {
            let (stands, moves) = (says(s.para.head), says(s.para.head + elapsed * 167));
            s.references = vec![moves, stands];
            if s.dense() {
                s.references.reverse();
            }
        })
    }),
    ("healthy_reference_ahead", |s| {
        healthy(s, |s, _| s.references = vec![says(s.para.head + 4000)])
    }),
    ("healthy_reference_lies", |s| {
        healthy(s, |s, _| {
            let leap = s.rng.pick([0, 1_000_000_000, 900_000_000_000]);
            s.references = vec![says(s.para.head + leap)];
        })
    }),
    ("healthy_reference_lags", |s| {
        healthy(s, |s, _| s.references = vec![says(s.para.head - 900_000)])
    }),
    ("healthy_reference_away", |s| {
        healthy(s, |s, _| s.references = vec![fails(ReferenceError::Unreachable)])
    }),
    ("relay_halts_reference_stands", |s| relay_stands(s, true)),
    ("relay_stalls_reference_moves", |s| relay_stands(s, false)),
    ("finality_stuck_reference_moves", finality_stuck),
    ("finality_stuck_reference_stands", finality_stands_everywhere),
];

/// At a height in thousandths, finalized three blocks below.
fn says(height: u64) -> (Chain, Answer) {
    let reading = Reading {
        best: Some(height / 1000),
        finalized: Some((height / 1000).saturating_sub(3)),
        forked: Some(false),
    };
    (Chain::Parachain, Ok(reading))
}

fn fails(error: ReferenceError) -> (Chain, Answer) {
    (Chain::Parachain, Err(error))
}

/// The node stands at what it takes for the head, with peers; the chain moves on at `rate`.
fn stands(s: &mut Scene, rate: u64, change: fn(&mut Scene, u64)) -> Label {
    s.lasts(5 * HOUR);
    s.run(s.rng.range(15, 50) * MINUTE, |s, _| change(s, 0));
    s.para.best_rate = 0;
    s.para.target = Target::Best;
    if rate == 0 {
        s.para.head_rate = 0;
    }
    s.busy(s.rng.range(5, 25), 0, 30_000);
    s.run(s.rng.range(60, 240) * MINUTE, change);
    Label::nothing(2)
}

/// The chain stands for everybody; no reference is a reason to restart.
fn halts(s: &mut Scene, change: fn(&mut Scene, u64)) -> Label {
    stands(s, 0, change)
}

fn healthy(s: &mut Scene, change: fn(&mut Scene, u64)) -> Label {
    s.run(3 * HOUR, change);
    Label::nothing(0)
}

/// Only this node stands still: the largest fault that nobody sees without a reference.
fn reference_moves(s: &mut Scene) -> Label {
    s.run(s.rng.range(15, 50) * MINUTE, |s, _| {
        s.references = vec![says(s.para.head)];
    });
    let stalled = s.now();
    s.para.best_rate = 0;
    s.para.target = Target::Best;
    s.busy(s.rng.range(5, 25), 0, 30_000);
    s.run(HOUR, |s, _| s.references = vec![says(s.para.head)]);
    Label::restart(Cause::Stalled, stalled + 4 * MINUTE, stalled + 25 * MINUTE)
}

/// The relay chain stands, here alone or everywhere, and the parachain with it.
fn relay_stands(s: &mut Scene, everywhere: bool) -> Label {
    let look = |s: &mut Scene, _| s.references = vec![(Chain::Relaychain, says(s.relay.head).1)];
    s.run(s.rng.range(15, 50) * MINUTE, look);
    let stands = s.now();
    (s.para.best_rate, s.relay.best_rate) = (0, 0);
    (s.para.target, s.relay.target) = (Target::Best, Target::Best);
    if everywhere {
        (s.para.head_rate, s.relay.head_rate) = (0, 0);
    }
    s.busy(8, 0, 30_000);
    s.run(90 * MINUTE, look);
    if everywhere {
        return Label::nothing(3);
    }
    Label::restart(Cause::Stalled, stands + 4 * MINUTE, stands + 25 * MINUTE)
}

/// Finality stands here and moves there: restarted, within the budget.
fn finality_stuck(s: &mut Scene) -> Label {
    s.lasts(4 * HOUR);
    s.run(20 * MINUTE, |s, _| s.references = vec![says(s.para.head)]);
    let stands = s.now();
    s.para.finality_stands = true;
    s.run(4 * HOUR, |s, _| s.references = vec![says(s.para.head)]);
    Label::new(Expect::Restart(None), stands + 5 * MINUTE, stands + 100 * MINUTE).told(stands, stands + 100 * MINUTE)
}

/// It stands there, too: nothing here can cure it.
fn finality_stands_everywhere(s: &mut Scene) -> Label {
    s.lasts(4 * HOUR);
    s.pass(20 * MINUTE);
    let stands = s.now();
    s.para.finality_stands = true;
    let finalized = s.para.finalized / 1000;
    s.run(4 * HOUR, |s, _| {
        let mut answer = says(s.para.head);
        if let (_, Ok(reading)) = &mut answer {
            reading.finalized = Some(finalized);
        }
        s.references = vec![answer];
    });
    Label::nothing(2).told(stands, stands + HOUR)
}
