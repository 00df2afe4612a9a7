//! Finality that stands still while best moves, and best that stands still while blocks are imported.

use agent_core::cause::Cause;

use super::scene::Scene;
use super::{HOUR, Kind, Label, MINUTE};

pub(super) const KINDS: &[Kind] = &[
    ("finality_stuck_relay", |s| stuck(s, true)),
    ("finality_stuck_parachain", |s| stuck(s, false)),
    ("finality_stuck_solo", |s| {
        s.chains = vec![agent_core::event::Chain::Relaychain];
        stuck(s, true)
    }),
    ("finality_pauses", |s| recovers(s, 5, 22, 0)),
    ("finality_stuck_and_recovers", |s| recovers(s, 62, 80, 2)),
    ("finality_in_steps", in_steps),
    ("finality_far_behind_in_sync", far_behind_in_sync),
    ("best_frozen_imports_go_on", best_frozen),
];

/// What the relay chain does not finalize, no parachain has final.
fn stand(s: &mut Scene, stands: bool, relay: bool) {
    s.para.finality_stands = stands;
    s.relay.finality_stands = stands && relay;
}

/// For hours: told within one, and restarted at most once, since it may be the whole network.
fn stuck(s: &mut Scene, relay: bool) -> Label {
    s.lasts(6 * HOUR);
    s.pass(s.rng.range(10, 40) * MINUTE);
    let stands = s.now();
    stand(s, true, relay);
    s.pass(s.rng.range(210, 350) * MINUTE);
    Label {
        max_restarts: 1,
        ..Label::nothing(4).told(stands, stands + HOUR)
    }
}

/// Back after some minutes; `messages` at most.
fn recovers(s: &mut Scene, low: u64, high: u64, messages: usize) -> Label {
    s.pass(s.rng.range(15, 40) * MINUTE);
    let stands = s.now();
    stand(s, true, true);
    s.pass(s.rng.range(low, high) * MINUTE);
    stand(s, false, true);
    s.pass(HOUR);
    let label = Label::nothing(messages);
    if messages == 0 {
        label
    } else {
        label.told(stands, stands + HOUR)
    }
}

/// A chain whose finality comes in leaps of minutes.
fn in_steps(s: &mut Scene) -> Label {
    let leap = s.rng.range(4, 12) * MINUTE;
    s.run(4 * HOUR, |s, elapsed| {
        let step = s.step();
        stand(s, elapsed % leap >= step, true);
    });
    Label::nothing(0)
}

/// A first sync without justifications: nothing is final until it nears the end.
fn far_behind_in_sync(s: &mut Scene) -> Label {
    s.para.best = s.para.head / 10;
    s.para.finalized = 0;
    s.para.finality_stands = true;
    s.para.major_syncing = true;
    s.para.best_rate = (s.para.head - s.para.best) / (s.rng.range(70, 150) * MINUTE) + 100;
    s.para.bytes_rate = 400_000;
    s.busy(110, 40_000, 3_000_000);
    s.run(3 * HOUR, |s, _| {
        if s.para.best == s.para.head {
            s.para.major_syncing = false;
            s.para.finality_stands = false;
        }
    });
    Label::nothing(1)
}

/// Forks and known blocks are imported; best stands still, and the target moves on.
fn best_frozen(s: &mut Scene) -> Label {
    s.pass(s.rng.range(10, 30) * MINUTE);
    let frozen = s.now();
    s.para.best_rate = 0;
    s.para.other_imports = s.para.head_rate;
    s.pass(110 * MINUTE);
    Label::restart(Cause::Stalled, frozen + 4 * MINUTE, frozen + 85 * MINUTE)
}
