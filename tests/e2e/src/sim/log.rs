//! The node's own log lines, to stderr.

use std::io::Write as _;
use std::net::SocketAddr;

use jiff::Timestamp;

use super::Chain;
use super::args::Args;
use super::model::View;

/// One line with the node's time stamp.
pub(super) fn line(text: &str) {
    let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    raw(format!("{now} {text}\n").as_bytes());
}

pub(super) fn lines(texts: &[String]) {
    for text in texts {
        line(text);
    }
}

/// Bytes as they stand. A closed stderr is no reason to end.
pub(super) fn raw(bytes: &[u8]) {
    let _ = std::io::stderr().lock().write_all(bytes);
}

pub(super) fn banner(args: &Args, starts: u64) {
    line("Simulated Collator");
    line("✌️  version 1.25.1-0");
    line(&format!("🏷  Node name: {}", args.name));
    line(&format!(
        "👤 Role: {}",
        if args.collator { "AUTHORITY" } else { "FULL" }
    ));
    line(&format!(
        "💾 Database: RocksDb at {}/chains/{}/db/full",
        args.base_path.display(),
        Chain::Parachain.id()
    ));
    line(&format!("⛓  Start number {starts} on this database"));
}

pub(super) fn exporter_started(chain: Chain, address: SocketAddr) {
    line(&format!("{} 〽️ Prometheus exporter started at {address}", chain.tag()));
}

/// The line that tells where a chain stands; `rate` is in blocks per second, `down` and `up` in bytes per second.
pub(super) fn informant(chain: Chain, view: &View, rate: f64, down: f64, up: f64) {
    let View {
        best,
        finalized,
        target,
        peers,
        ..
    } = view;
    let what = if view.major_syncing {
        format!("⚙️  Syncing {rate:.1} bps, target=#{target} ({peers} peers)")
    } else {
        format!("💤 Idle ({peers} peers)")
    };
    let (best_hash, finalized_hash) = (hash(chain, *best), hash(chain, *finalized));
    line(&format!(
        "{} {what}, best: #{best} ({best_hash}), finalized #{finalized} ({finalized_hash}), ⬇ {:.1}kiB/s ⬆ {:.1}kiB/s",
        chain.tag(),
        down / 1024.0,
        up / 1024.0,
    ));
}

/// A made-up hash, always the same for one block.
fn hash(chain: Chain, height: u64) -> String {
    let mixed = (height + 1 + chain.index() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("0x{:04x}…{:04x}", mixed >> 48, mixed >> 16 & 0xffff)
}
