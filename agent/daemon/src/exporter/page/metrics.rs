//! The needed metrics, and a page's values from their lines.

use super::super::line::SampleLine;
use super::super::{CollationCounts, ExporterPage};
use agent_core::event::Sample;

/// Needed metrics, without the prefix and its underscore.
pub(super) const NODE: [&str; 10] = [
    "block_height",
    "build_info",
    "import_queue_processed_total",
    "node_roles",
    "process_start_time_seconds",
    "proposer_block_constructed_count",
    "sub_libp2p_is_major_syncing",
    "sub_libp2p_network_bytes_total",
    "sub_libp2p_peers_count",
    "sync_peers",
];

/// Position of the block height in [`NODE`].
pub(super) const BLOCK_HEIGHT: usize = 0;

/// Of the relay side's collator protocol, whose prefix is the same everywhere.
pub(super) const COLLATIONS_SENT: &str = "polkadot_parachain_collations_sent_total";

/// The needed lines as a page, and whether there is a block height among them.
pub(super) fn read(prefix: &str, lines: &[String]) -> (ExporterPage, bool) {
    let (mut sample, mut collation, mut page) =
        (Sample::default(), CollationCounts::default(), ExporterPage::default());
    let (mut peers_count, mut sync_peers) = (None, None);
    let mut has_height = false;
    for line in lines.iter().filter_map(|line| SampleLine::parse(line)) {
        // It is shown on terminals.
        let label = |name: &str| line.label(name).map(|value| value.replace(char::is_control, "_"));
        let node_name = line.name.strip_prefix(prefix).and_then(|name| name.strip_prefix('_'));
        let slot = match node_name.unwrap_or_default() {
            _ if line.name == COLLATIONS_SENT => &mut collation.sent,
            "block_height" => {
                has_height = true;
                page.chain_id = page.chain_id.or_else(|| label("chain"));
                match line.label("status").as_deref() {
                    Some("best") => &mut sample.best,
                    Some("finalized") => &mut sample.finalized,
                    Some("sync_target") => &mut sample.target,
                    _ => continue,
                }
            }
            "build_info" => {
                page.node_version = page.node_version.or_else(|| label("version"));
                continue;
            }
            "sub_libp2p_is_major_syncing" => {
                sample.major_syncing = sample.major_syncing.or(match whole(line.value) {
                    Some(0) => Some(false),
                    Some(1) => Some(true),
                    _ => None,
                });
                continue;
            }
            "import_queue_processed_total" if line.label("result").as_deref() == Some("success") => {
                &mut sample.imported_total
            }
            "sub_libp2p_network_bytes_total" if line.label("direction").as_deref() == Some("in") => {
                &mut sample.bytes_in
            }
            "node_roles" => &mut page.node_roles,
            "process_start_time_seconds" => &mut sample.process_start,
            "proposer_block_constructed_count" => &mut collation.built,
            "sub_libp2p_peers_count" => &mut peers_count,
            "sync_peers" => &mut sync_peers,
            _ => continue,
        };
        // Of repeated samples the first counts.
        *slot = slot.or_else(|| whole(line.value));
    }
    sample.peers = peers_count.or(sync_peers);
    sample.built_total = collation.built;
    let page = ExporterPage {
        sample,
        collation,
        ..page
    };
    (page, has_height)
}

/// The value as a count; `None` when it is none: not a number, negative, or beyond what a float can count.
pub fn whole(value: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0 to 2^53"
    )]
    (0.0..=EXACT).contains(&value).then_some(value as u64)
}
