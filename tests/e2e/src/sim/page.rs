//! An exporter's page: the metrics that are looked at, among all the others, sorted by name as the node sorts them.

use std::fmt::Write as _;

use super::Chain;
use super::filler_metrics::{self, Family};
use super::model::View;

/// What renders one chain's page.
#[derive(Debug)]
pub(super) struct Page {
    chain: Chain,
    filler: Vec<Family>,
    prefix: String,
    name: String,
    collator: bool,
    /// Unix seconds.
    process_start: u64,
}

impl Page {
    pub(super) fn new(chain: Chain, prefix: &str, name: &str, collator: bool, process_start: u64) -> Self {
        Self {
            chain,
            filler: filler_metrics::families(chain),
            prefix: prefix.to_owned(),
            name: name.to_owned(),
            collator,
            process_start,
        }
    }

    pub(super) fn render(&self, view: &View) -> String {
        let live = self.live(view);
        let mut families: Vec<&Family> = self.filler.iter().chain(&live).collect();
        families.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let page: String = families.iter().map(|f| f.text.as_str()).collect();
        if self.prefix == "substrate" {
            page
        } else {
            page.replace("substrate_", &format!("{}_", self.prefix))
        }
    }

    /// The families that change, or that tell which node this is.
    fn live(&self, view: &View) -> Vec<Family> {
        let build = format!("name=\"{}\",version=\"1.25.1-0\",", self.name);
        let protocol = format!("protocol=\"/{}/block-announces/1\",state=\"in\",", self.chain.genesis());
        let role = if self.collator { 4 } else { 1 };
        let mut all = vec![
            self.family(
                "substrate_block_height",
                "gauge",
                "Block height info of the chain",
                &[
                    ("status=\"best\",", view.best),
                    ("status=\"finalized\",", view.finalized),
                    ("status=\"sync_target\",", view.target),
                ],
            ),
            self.family(
                "substrate_build_info",
                "gauge",
                "A metric with a constant '1' value labeled by name, version",
                &[(&build, 1)],
            ),
            self.family(
                "substrate_sub_libp2p_peerset_num_state",
                "gauge",
                "Number of nodes that a protocol of the chain knows, by state",
                &[(&protocol, view.peers)],
            ),
            self.family(
                "substrate_sub_libp2p_network_bytes_total",
                "counter",
                "Total bandwidth usage",
                &[
                    ("direction=\"in\",", view.bytes_in),
                    ("direction=\"out\",", view.bytes_out),
                ],
            ),
        ];
        for (name, help, value) in [
            ("node_roles", "The roles the node is running as", role),
            (
                "process_start_time_seconds",
                "Number of seconds between the UNIX epoch and the moment the process started",
                self.process_start,
            ),
            (
                "sub_libp2p_is_major_syncing",
                "Whether the node is performing a major sync or not.",
                u64::from(view.major_syncing),
            ),
            ("sub_libp2p_peers_count", "Number of connected peers", view.peers),
            ("sync_peers", "Number of peers we sync with", view.peers),
            ("sync_queued_blocks", "Number of blocks in import queue", view.queued),
        ] {
            all.push(self.family(&format!("substrate_{name}"), "gauge", help, &[("", value)]));
        }
        // The node's counters with a result label only appear once there is something to count.
        let results = [
            ("result=\"success\",", view.imported),
            ("result=\"verification_failed\",", view.rejected),
        ];
        let counted: Vec<_> = results.into_iter().filter(|(_, count)| *count > 0).collect();
        if !counted.is_empty() {
            let name = "substrate_import_queue_processed_total";
            all.push(self.family(name, "counter", "Blocks processed by import queue", &counted));
        }
        match self.chain {
            Chain::Parachain => all.push(self.constructed(view.built)),
            Chain::Relaychain => all.extend(self.collations(view)),
        }
        all
    }

    fn constructed(&self, built: u64) -> Family {
        let (name, chain) = ("substrate_proposer_block_constructed", self.chain.id());
        let mut family = self.family(name, "histogram", "Histogram of time taken to construct new block", &[]);
        for bound in [
            "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
        ] {
            let _ = writeln!(family.text, "{name}_bucket{{chain=\"{chain}\",le=\"{bound}\"}} {built}");
        }
        let _ = writeln!(family.text, "{name}_sum{{chain=\"{chain}\"}} {}", built / 100);
        let _ = writeln!(family.text, "{name}_count{{chain=\"{chain}\"}} {built}");
        family
    }

    fn collations(&self, view: &View) -> Vec<Family> {
        let counters = [
            (
                "collations_generated_total",
                "Number of collations generated.",
                view.built,
            ),
            (
                "collation_advertisements_made_total",
                "A number of collation advertisements sent to validators.",
                view.built * 4,
            ),
            (
                "collations_sent_requested_total",
                "A number of collations requested to be sent to validators.",
                view.built,
            ),
            (
                "collations_sent_total",
                "A number of collations sent to validators.",
                view.built,
            ),
        ];
        let mut all: Vec<_> = counters
            .into_iter()
            .map(|(name, help, value)| {
                self.family(&format!("polkadot_parachain_{name}"), "counter", help, &[("", value)])
            })
            .collect();
        let round = ("", view.finalized / 2);
        all.push(self.family(
            "substrate_finality_grandpa_round",
            "gauge",
            "Highest completed GRANDPA round.",
            &[round],
        ));
        all
    }

    /// A family and its samples, each with labels of its own before the chain's.
    fn family(&self, name: &str, kind: &str, help: &str, samples: &[(&str, u64)]) -> Family {
        let mut text = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{{{labels}chain=\"{}\"}} {value}", self.chain.id());
        }
        Family {
            name: name.to_owned(),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View {
            best: 1234,
            finalized: 1232,
            target: 5678,
            peers: 8,
            major_syncing: true,
            queued: 128,
            imported: 1000,
            rejected: 0,
            bytes_in: 99,
            bytes_out: 9,
            built: 7,
        }
    }

    fn page(chain: Chain, prefix: &str) -> String {
        Page::new(chain, prefix, "me", true, 1_795_387_498).render(&view())
    }

    #[test]
    fn both_pages_have_the_size_of_the_node_s_own() {
        for chain in Chain::BOTH {
            let page = page(chain, "substrate");
            let lines = page.lines().count();
            assert!((1_200..=2_500).contains(&lines), "{chain:?}: {lines} lines");
            assert!(
                (120_000..=270_000).contains(&page.len()),
                "{chain:?}: {} bytes",
                page.len()
            );
        }
    }

    #[test]
    fn every_metric_that_is_looked_at_is_there() {
        let both = [
            "substrate_block_height{status=\"best\",chain=\"ID\"} 1234",
            "substrate_block_height{status=\"finalized\",chain=\"ID\"} 1232",
            "substrate_block_height{status=\"sync_target\",chain=\"ID\"} 5678",
            "substrate_sub_libp2p_is_major_syncing{chain=\"ID\"} 1",
            "substrate_sub_libp2p_peers_count{chain=\"ID\"} 8",
            "substrate_sync_peers{chain=\"ID\"} 8",
            "substrate_sub_libp2p_network_bytes_total{direction=\"in\",chain=\"ID\"} 99",
            "substrate_sub_libp2p_network_bytes_total{direction=\"out\",chain=\"ID\"} 9",
            "substrate_import_queue_processed_total{result=\"success\",chain=\"ID\"} 1000",
            "substrate_sync_queued_blocks{chain=\"ID\"} 128",
            "substrate_process_start_time_seconds{chain=\"ID\"} 1795387498",
            "substrate_build_info{name=\"me\",version=\"1.25.1-0\",chain=\"ID\"} 1",
            "substrate_node_roles{chain=\"ID\"} 4",
        ];
        let relay = [
            "polkadot_parachain_collations_generated_total{chain=\"ID\"} 7",
            "polkadot_parachain_collation_advertisements_made_total{chain=\"ID\"} 28",
            "polkadot_parachain_collations_sent_requested_total{chain=\"ID\"} 7",
            "polkadot_parachain_collations_sent_total{chain=\"ID\"} 7",
        ];
        let parachain = ["substrate_proposer_block_constructed_count{chain=\"ID\"} 7"];
        for (chain, own) in [(Chain::Parachain, &parachain[..]), (Chain::Relaychain, &relay[..])] {
            let page = page(chain, "substrate");
            for wanted in both.iter().chain(own).map(|l| l.replace("ID", chain.id())) {
                assert!(page.lines().any(|l| l == wanted), "{chain:?}: no {wanted}");
            }
        }
    }

    #[test]
    fn no_family_stands_twice_and_all_are_sorted() {
        for chain in Chain::BOTH {
            let page = page(chain, "substrate");
            let names: Vec<_> = page.lines().filter(|l| l.starts_with("# TYPE")).collect();
            assert!(names.is_sorted(), "{chain:?}");
            assert!(names.windows(2).all(|w| w[0] != w[1]), "{chain:?}");
        }
    }

    #[test]
    fn another_prefix_replaces_the_usual_one_everywhere() {
        let page = page(Chain::Parachain, "moonbeam");
        assert!(page.contains("\nmoonbeam_block_height{") && !page.contains("substrate_"));
    }
}
