//! Observations that flap or are wrong for a moment, around a node that is well.

use agent_core::event::{Event, ScrapeError};

use super::scene::Scene;
use super::{HOUR, Kind, Label, MINUTE};

pub(super) const KINDS: &[Kind] = &[
    ("healthy_day", |s| {
        s.lasts(12 * HOUR);
        s.pass(12 * HOUR);
        Label::nothing(0)
    }),
    ("host_network_flaps", |s| {
        flaps(s, |s, bad| s.host.network_ok = Some(!bad))
    }),
    ("docker_flaps", |s| flaps(s, docker_away)),
    ("clock_flaps", |s| {
        flaps(s, |s, bad| {
            s.host.clock_offset_ms = Some(if bad { 700.0 } else { 300.0 });
        })
    }),
    ("memory_pressure_flaps", |s| {
        flaps(s, |s, bad| {
            s.host.memory_full_percent = Some(if bad { 30.0 } else { 5.0 });
        })
    }),
    ("disk_low_flaps", |s| {
        flaps(s, |s, bad| {
            s.host.disk_free_bytes = Some(if bad { 49 << 30 } else { 52 << 30 });
        })
    }),
    ("scrapes_fail_at_random", scrapes_fail),
    ("page_moments_of_zero", |s| {
        s.zeros = s.rng.range(1, 3);
        s.lasts(6 * HOUR);
        s.pass(6 * HOUR);
        Label::nothing(2)
    }),
    ("agent_suspended", |s| {
        s.pass(HOUR);
        s.skip(3 * HOUR);
        s.tell(Event::Gap);
        s.pass(HOUR);
        Label::nothing(0)
    }),
];

fn docker_away(s: &mut Scene, away: bool) {
    s.tell(Event::Docker { reachable: !away });
    if !away {
        s.running();
    }
}

/// Good and bad in turn for hours: one condition, two messages at most.
fn flaps(s: &mut Scene, set: fn(&mut Scene, bad: bool)) -> Label {
    s.lasts(5 * HOUR);
    s.pass(20 * MINUTE);
    for _ in 0..s.rng.range(10, 24) {
        set(s, true);
        s.pass(s.rng.range(70, 420));
        set(s, false);
        s.pass(s.rng.range(60, 420));
    }
    s.pass(HOUR);
    Label::nothing(2)
}

/// One page in twenty-five is lost.
fn scrapes_fail(s: &mut Scene) -> Label {
    s.step_at_most(10);
    s.lasts(6 * HOUR);
    s.run(6 * HOUR, |s, _| {
        let lost = || s.rng.percent(4).then_some(ScrapeError::Timeout);
        let (para, relay) = (lost(), lost());
        (s.para.error, s.relay.error) = (para, relay);
    });
    Label::nothing(1)
}
