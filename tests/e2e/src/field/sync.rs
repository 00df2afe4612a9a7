//! Long work that shows no block, and syncs that really stand still.

use agent_core::cause::Cause;
use agent_core::machine::Phase;

use super::scene::{Scene, Target};
use super::{HOUR, Kind, Label, MINUTE};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

pub(super) const KINDS: &[Kind] = &[
    ("state_download_target_block", |s| state_sync(s, Shown::Block, 100)),
    ("state_download_target_best", |s| state_sync(s, Shown::Best, 100)),
    ("state_download_target_moves", |s| state_sync(s, Shown::Head, 100)),
    ("state_import_little_work", |s| state_sync(s, Shown::Block, 20)),
    ("state_import_target_best", |s| state_sync(s, Shown::Best, 20)),
    ("state_download_logged", |s| {
        s.log = Some("⚙️  Downloading state, 1 %, 0.20 Mib".to_owned());
        state_sync(s, Shown::Block, 60)
    }),
    ("state_download_pauses", state_download_pauses),
    ("relay_state_download", relay_state_sync),
    ("warp_proofs", warp_proofs),
    ("warp_waits_for_target", |s| warp_waits(s, Shown::Block)),
    ("warp_waits_for_peers", |s| warp_waits(s, Shown::Best)),
    ("state_sync_hung", state_sync_hung),
    ("full_sync_stalled", |s| full_sync_stalled(s, 2)),
    ("full_sync_rejects_blocks", |s| full_sync_stalled(s, 200)),
    ("full_sync_heavy_blocks", full_sync_heavy_blocks),
    ("full_sync_then_synced", full_sync),
    ("history_sync", history_sync),
    ("relay_sync_stalled", relay_sync_stalled),
    ("para_waits_for_relay", para_waits_for_relay),
];

/// What the exporter shows as target while state is downloaded: it differs by the version of the node.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    Block,
    Best,
    Head,
}

impl Shown {
    fn target(self, head: u64) -> Target {
        match self {
            Self::Block => Target::Block(head),
            Self::Best => Target::Best,
            Self::Head => Target::Head,
        }
    }
}

/// Warp proofs, a download of hours, then an import with at most `cpu` percent of a core.
fn state_sync(s: &mut Scene, shown: Shown, cpu: u64) -> Label {
    let rate = s.rng.range(200, 1024) * KIB;
    let (download, importing) = (s.rng.range(60, 720) * MINUTE, s.rng.range(8, 90) * MINUTE);
    s.lasts(download + importing);
    let logged = s.log.is_some();
    s.para.begin_at_genesis();
    s.para.target = Target::Best;
    s.para.bytes_rate = 60 * KIB;
    s.busy(s.rng.range(40, 120), 4 * KIB, 40 * KIB);
    s.pass(s.rng.range(2, 15) * MINUTE);
    s.para.target = shown.target(s.para.head);
    s.para.bytes_rate = rate;
    s.busy(s.rng.range(20, 130), 4 * KIB, 100 * KIB);
    s.run(download, |s, elapsed| {
        if logged {
            let (percent, mib) = (100 * elapsed / download, elapsed * rate / MIB);
            s.log = Some(format!("⚙️  Downloading state, {percent} %, {mib}.00 Mib"));
        }
    });
    s.para.major_syncing = s.rng.percent(30);
    s.para.bytes_rate = 6 * KIB;
    // Where hardly anything shows that it works, nothing else may count against it.
    let (cpu, writes) = if cpu <= 20 {
        (s.rng.range(8, cpu), 4 * KIB)
    } else {
        (s.rng.range(55, cpu), s.rng.range(1, 40) * MIB)
    };
    s.busy(cpu, 4 * KIB, writes);
    s.log = logged.then(|| "⚙️  Importing state".to_owned());
    s.pass(importing);
    let there = s.now();
    s.log = None;
    s.para.arrive();
    s.para.bytes_rate = 20 * KIB;
    s.busy(40, 4 * KIB, 60 * KIB);
    s.pass(20 * MINUTE);
    Label::nothing(2).never(&[Phase::Quiet]).fragile(0, there)
}

/// Peers that leave and come back, and now and then no byte for many minutes.
fn state_download_pauses(s: &mut Scene) -> Label {
    let (rate, peers) = (s.rng.range(200, 1024) * KIB, s.para.peers);
    s.lasts(6 * HOUR);
    s.para.begin_at_genesis();
    s.para.target = s.rng.pick([Target::Block(s.para.head), Target::Best]);
    for _ in 0..s.rng.range(3, 6) {
        s.para.bytes_rate = rate;
        s.busy(s.rng.range(20, 110), 4 * KIB, 100 * KIB);
        s.pass(s.rng.range(10, 60) * MINUTE);
        s.para.bytes_rate = 500;
        s.busy(3, 0, 0);
        s.para.peers = s.rng.pick([0, 1, peers]);
        let most = if s.para.peers == 0 { 3 } else { 40 };
        s.pass(s.rng.range(1, most) * MINUTE);
        s.para.peers = peers;
    }
    s.para.bytes_rate = rate;
    s.pass(20 * MINUTE);
    let there = s.now();
    s.para.arrive();
    s.pass(20 * MINUTE);
    Label::nothing(2).never(&[Phase::Quiet]).fragile(0, there)
}

/// The relay chain comes first: the parachain has no target before it.
fn relay_state_sync(s: &mut Scene) -> Label {
    let (download, importing) = (s.rng.range(60, 240) * MINUTE, s.rng.range(10, 60) * MINUTE);
    s.lasts(download + importing);
    s.relay.begin_at_genesis();
    s.para.begin_at_genesis();
    s.para.target = Target::Best;
    s.para.major_syncing = s.rng.percent(50);
    s.para.bytes_rate = 3 * KIB;
    s.relay.target = s.rng.pick([Target::Block(s.relay.head), Target::Best]);
    s.relay.bytes_rate = s.rng.range(200, 1024) * KIB;
    s.busy(s.rng.range(20, 130), 4 * KIB, 100 * KIB);
    s.pass(download);
    s.relay.major_syncing = false;
    s.relay.bytes_rate = 20 * KIB;
    s.busy(s.rng.range(60, 110), 4 * KIB, 20 * MIB);
    s.pass(importing);
    let there = s.now();
    s.relay.arrive();
    s.relay.bytes_rate = 200_000;
    s.pass(2 * MINUTE);
    s.para.target = Target::Head;
    s.para.best_rate = s.para.head / (40 * MINUTE);
    s.para.major_syncing = true;
    s.para.bytes_rate = 500 * KIB;
    s.pass(45 * MINUTE);
    Label::nothing(2).never(&[Phase::Quiet]).fragile(0, there)
}

fn warp_proofs(s: &mut Scene) -> Label {
    s.para.begin_at_genesis();
    s.para.target = Target::Best;
    s.para.bytes_rate = s.rng.range(34, 120) * KIB;
    s.busy(s.rng.range(60, 110), 4 * KIB, 60 * KIB);
    s.pass(s.rng.range(10, 60) * MINUTE);
    let there = s.now();
    s.para.arrive();
    s.pass(15 * MINUTE);
    Label::nothing(2).never(&[Phase::Quiet]).fragile(0, there)
}

/// Waiting for the target block, or for enough peers, with little CPU and hardly any traffic.
fn warp_waits(s: &mut Scene, shown: Shown) -> Label {
    s.para.begin_at_genesis();
    s.para.target = shown.target(s.para.head);
    if shown == Shown::Best {
        s.para.peers = s.rng.range(1, 2);
    }
    s.para.bytes_rate = s.rng.range(2, 6) * KIB;
    s.busy(s.rng.range(8, 30), 0, 20 * KIB);
    s.pass(s.rng.range(30, 90) * MINUTE);
    let there = s.now();
    s.para.peers = 12;
    s.para.arrive();
    s.pass(15 * MINUTE);
    Label::nothing(2).never(&[Phase::Quiet]).fragile(0, there)
}

/// No byte, no CPU, no disk for twelve hours: one restart is allowed, and it has to be told.
fn state_sync_hung(s: &mut Scene) -> Label {
    s.lasts(13 * HOUR);
    s.para.begin_at_genesis();
    s.para.target = s.rng.pick([Target::Block(s.para.head), Target::Best]);
    s.para.bytes_rate = 700 * KIB;
    s.busy(60, 4 * KIB, 60 * KIB);
    s.pass(s.rng.range(20, 90) * MINUTE);
    let hung = s.now();
    s.para.bytes_rate = 0;
    s.busy(2, 0, 0);
    s.pass(12 * HOUR - 10 * MINUTE);
    Label {
        max_restarts: 1,
        ..Label::nothing(4).told(hung, s.now()).never(&[Phase::Quiet])
    }
}

fn begin_full_sync(s: &mut Scene) {
    let head = s.para.head;
    let height = s.rng.pick([1, 1000, 15_121, 200_000, 1_000_000]) * 1000;
    s.para.best = height.min(head / 2);
    s.para.finalized = s.para.best.saturating_sub(500_000);
    s.para.gap = 500_000;
    s.para.best_rate = s.rng.range(800, 60_000);
    s.para.major_syncing = true;
    s.para.bytes_rate = 300 * KIB;
    s.busy(s.rng.range(60, 160), 40 * KIB, 2 * MIB);
    s.pass(s.rng.range(5, 25) * MINUTE);
}

/// The import stands still for good; `kib` a second still come in.
fn full_sync_stalled(s: &mut Scene, kib: u64) -> Label {
    s.para.head = s.para.head.max(8_000_000_000);
    begin_full_sync(s);
    let stalled = s.now();
    s.para.best_rate = 0;
    s.para.bytes_rate = kib * KIB;
    s.busy(s.rng.range(3, 15), 0, 40 * KIB);
    s.pass(40 * MINUTE);
    Label::restart(Cause::Stalled, stalled + 4 * MINUTE, stalled + 20 * MINUTE)
}

/// A block takes minutes at full load.
fn full_sync_heavy_blocks(s: &mut Scene) -> Label {
    begin_full_sync(s);
    s.para.best_rate = 1000 / s.rng.range(100, 230);
    s.busy(s.rng.range(90, 110), 6 * MIB, 8 * MIB);
    s.pass(2 * HOUR);
    Label::nothing(2).never(&[Phase::Stalled])
}

fn full_sync(s: &mut Scene) -> Label {
    begin_full_sync(s);
    s.para.best = s.para.best.max(s.para.head - s.rng.range(20_000, 200_000) * 1000);
    s.run(3 * HOUR, |s, _| s.para.major_syncing = s.para.head - s.para.best > 5000);
    Label::nothing(1).never(&[Phase::Quiet])
}

/// After a warp sync: at the head, while the blocks before it are downloaded.
fn history_sync(s: &mut Scene) -> Label {
    s.para.other_imports = 300_000;
    s.para.bytes_rate = 800 * KIB;
    s.busy(80, 40 * KIB, 3 * MIB);
    s.pass(s.rng.range(60, 180) * MINUTE);
    s.para.other_imports = 0;
    s.para.bytes_rate = 20 * KIB;
    s.pass(30 * MINUTE);
    Label::nothing(0)
}

fn relay_sync_stalled(s: &mut Scene) -> Label {
    s.relay.best = s.relay.head / 2;
    s.relay.finalized = s.relay.best - 512_000;
    s.relay.best_rate = s.rng.range(5000, 40_000);
    s.relay.major_syncing = true;
    s.para.best /= 2;
    s.para.finalized = s.para.best;
    s.para.best_rate = 0;
    s.para.target = Target::Best;
    s.pass(s.rng.range(10, 40) * MINUTE);
    let stalled = s.now();
    s.relay.best_rate = 0;
    s.relay.bytes_rate = 2 * KIB;
    s.busy(4, 0, 40 * KIB);
    s.pass(40 * MINUTE);
    Label::restart(Cause::Stalled, stalled + 4 * MINUTE, stalled + 20 * MINUTE)
}

/// The relay chain syncs for hours, and the parachain stands behind its target until it is there.
fn para_waits_for_relay(s: &mut Scene) -> Label {
    s.lasts(4 * HOUR);
    s.relay.best = s.relay.head - s.rng.range(60_000, 200_000) * 1000;
    s.relay.finalized = s.relay.best - 512_000;
    s.relay.best_rate = s.rng.range(14_000, 40_000);
    s.relay.major_syncing = true;
    s.relay.bytes_rate = 400 * KIB;
    s.para.best -= s.rng.range(5000, 15_000) * 1000;
    s.para.finalized = s.para.best;
    s.para.best_rate = 0;
    s.busy(90, 40 * KIB, 4 * MIB);
    s.run(4 * HOUR, |s, _| {
        if s.relay.best == s.relay.head {
            s.relay.major_syncing = false;
            s.para.best_rate = 20_000;
        }
    });
    Label::nothing(2)
}
