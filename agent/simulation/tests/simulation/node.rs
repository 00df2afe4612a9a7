//! The node in a container: chain heights, exporter pages, and the key that it signs with.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::dice::Dice;
use super::outside::Chains;
use super::world::SECOND;

/// What is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ailment {
    /// Exporters answer nothing.
    Frozen,
    /// The best block of the parachain stands still, its target goes on.
    Stalled,
    /// No peers, and so no blocks.
    Isolated,
    /// It stands beside peers that announce nothing: only a reference shows that the chain goes on.
    Deaf,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// The session key that it found when it started, by its file's name.
    pub(crate) key: Option<String>,
    pub(crate) started: u64,
    /// The same by the host's wall clock then, Unix milliseconds.
    pub(crate) began: i64,
    /// When its exporters answer.
    pub(crate) ready: u64,
    /// From SIGTERM to its end, ms.
    pub(crate) shutdown: u64,
    /// What is wrong, and since when.
    pub(crate) ailment: Option<(Ailment, u64)>,
}

impl Node {
    pub(crate) fn start(mounts: &[(PathBuf, PathBuf)], now: u64, wall: i64, dice: &mut Dice) -> Self {
        let keystore = mounts.iter().find(|(_, target)| target.ends_with("keystore"));
        let key = keystore.and_then(|(source, _)| {
            let name = fs::read_dir(source).ok()?.next()?.ok()?.file_name();
            Some(name.to_string_lossy().into_owned())
        });
        let stubborn = dice.percent(10);
        Self {
            key,
            started: now,
            began: wall,
            ready: now + dice.between(2, 20) * SECOND,
            shutdown: if stubborn {
                1000 * SECOND
            } else {
                dice.between(200, 6000)
            },
            ailment: None,
        }
    }

    /// The exporter's page; `None` is no answer at all, `Err` nobody listening.
    pub(crate) fn page(&self, now: u64, is_relay: bool, chains: &Chains) -> Result<Option<String>, ()> {
        if now < self.ready {
            return Err(());
        }
        let since = self.ailment.map_or(now, |(_, since)| since.max(self.ready));
        let ailment = self.ailment.map(|(ailment, _)| ailment);
        let at = |time: u64| chains.height(is_relay, time);
        let target = at(now);
        let best = match ailment {
            Some(Ailment::Frozen) => return Ok(None),
            Some(Ailment::Stalled | Ailment::Deaf) if is_relay => target,
            Some(Ailment::Stalled | Ailment::Deaf | Ailment::Isolated) => at(since.min(now)),
            None => target,
        };
        let isolated = ailment == Some(Ailment::Isolated);
        let target = if isolated || ailment == Some(Ailment::Deaf) {
            best
        } else {
            target
        };
        let peers = if isolated { 0 } else { 25 };
        let began = self.began / 1000;
        let mut page = String::new();
        for (status, height) in [("best", best), ("finalized", best - 3), ("sync_target", target)] {
            writeln!(
                page,
                "substrate_block_height{{status=\"{status}\",chain=\"sim\"}} {height}"
            )
            .unwrap();
        }
        let imported = best - at(self.started);
        writeln!(page, "substrate_sub_libp2p_is_major_syncing 0").unwrap();
        writeln!(
            page,
            "substrate_import_queue_processed_total{{result=\"success\"}} {imported}"
        )
        .unwrap();
        writeln!(page, "substrate_sub_libp2p_peers_count {peers}").unwrap();
        writeln!(page, "substrate_process_start_time_seconds {began}").unwrap();
        writeln!(page, "substrate_node_roles 4").unwrap();
        let bytes = if isolated { 0 } else { (now - self.started) * 20 };
        writeln!(
            page,
            "substrate_sub_libp2p_network_bytes_total{{direction=\"in\"}} {bytes}"
        )
        .unwrap();
        if !is_relay {
            writeln!(page, "substrate_proposer_block_constructed_count {}", imported / 4).unwrap();
        }
        Ok(Some(page))
    }
}
