//! Ways of running a node that look like a fault: the relay chain by RPC, solo chains.

use agent_core::cause::Cause;
use agent_core::event::{Chain, ScrapeError};
use agent_core::machine::Phase;

use super::scene::{Exporter, Scene};
use super::{HOUR, Kind, Label, MINUTE};

pub(super) const KINDS: &[Kind] = &[
    ("relay_by_rpc", relay_by_rpc),
    ("relay_by_rpc_stalled", relay_by_rpc_stalled),
    ("relay_by_rpc_silent_idle", relay_by_rpc_silent),
    ("solo_chain", |s| {
        solo(s);
        s.pass(6 * HOUR);
        Label::nothing(0)
    }),
    ("solo_chain_stalled", solo_stalled),
    ("parachain_table_alone", |s| {
        s.chains = vec![Chain::Parachain];
        s.pass(6 * HOUR);
        Label::nothing(0)
    }),
];

fn by_rpc(s: &mut Scene) {
    s.relay.error = Some(ScrapeError::MetricMissing);
}

/// The relay side has an exporter without a height, all day.
fn relay_by_rpc(s: &mut Scene) -> Label {
    let hours = s.rng.range(6, 20);
    s.lasts(hours * HOUR);
    by_rpc(s);
    s.pass(hours * HOUR);
    Label::nothing(0).never(&[Phase::Frozen])
}

fn relay_by_rpc_stalled(s: &mut Scene) -> Label {
    by_rpc(s);
    s.para.best -= 6_000_000;
    s.para.finalized = s.para.best;
    s.para.best_rate = 2000;
    s.para.major_syncing = true;
    s.pass(s.rng.range(15, 40) * MINUTE);
    stall(s, |s| &mut s.para)
}

fn relay_by_rpc_silent(s: &mut Scene) -> Label {
    by_rpc(s);
    s.pass(s.rng.range(15, 60) * MINUTE);
    let began = s.now();
    s.busy(1, 0, 0);
    s.silence(Some(ScrapeError::Timeout));
    s.pass(20 * MINUTE);
    Label::restart(Cause::Frozen, began + 30, began + 200 + 2 * s.step())
}

fn solo(s: &mut Scene) {
    s.chains = vec![Chain::Relaychain];
}

fn solo_stalled(s: &mut Scene) -> Label {
    solo(s);
    s.pass(s.rng.range(10, 40) * MINUTE);
    stall(s, |s| &mut s.relay)
}

fn stall(s: &mut Scene, chain: fn(&mut Scene) -> &mut Exporter) -> Label {
    let stalled = s.now();
    let exporter = chain(s);
    (exporter.best_rate, exporter.bytes_rate) = (0, 2000);
    s.busy(5, 0, 20_000);
    s.pass(40 * MINUTE);
    Label::restart(Cause::Stalled, stalled + 4 * MINUTE, stalled + 20 * MINUTE)
}
