#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use proptest::prelude::*;

use super::*;
use agent_core::event::Sample;

/// Any text as an exporter writes it into a label.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[test]
fn genesis_comes_from_protocol_names_and_two_are_none() {
    let line = |hash: &str| format!("substrate_sub_libp2p_x{{protocol=\"/{hash}/block-announces/1\",chain=\"c\"}} 0\n");
    let genesis = |lines: String| {
        let text = format!("substrate_block_height{{status=\"best\",chain=\"c\"}} 1\n{lines}");
        read_in_chunks(text.as_bytes(), 7).unwrap().genesis
    };
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    assert_eq!(genesis(line(&one) + &line("sup") + &line(&one)), Some(one.clone()));
    assert_eq!(genesis(line(&format!("{one}/fork"))), Some(one.clone()));
    assert_eq!(genesis(line(&one) + &line(&two)), None);
    assert_eq!(genesis(line("sup")), None);
}

fn read_in_chunks(text: &[u8], size: usize) -> Result<ExporterPage, ExporterError> {
    read_as(Chain::Parachain, "substrate", text, size)
}

fn read_as(chain: Chain, prefix: &str, text: &[u8], size: usize) -> Result<ExporterPage, ExporterError> {
    let mut reader = PageReader::new(chain, prefix);
    for chunk in text.chunks(size) {
        reader.feed(chunk);
    }
    reader.finish()
}

proptest! {
    #[test]
    fn page_is_read_with_any_names_and_in_any_chunks(
        best in 0..1u64 << 53,
        target in 0..1u64 << 53,
        bytes_in in 0..1u64 << 53,
        chain in "[a-z0-9_]{1,20}",
        name in "\\PC{0,40}",
        size in 1..300usize,
        timestamp in proptest::option::of(0..2_000_000_000_000u64),
    ) {
        let (quoted, time) = (escaped(&name), timestamp.map_or(String::new(), |t| format!(" {t}")));
        let text = format!(
            "# HELP substrate_block_height Height\n\
             # TYPE substrate_block_height gauge\n\
             substrate_build_info{{name=\"{quoted}\",version=\"1.2\",chain=\"{chain}\"}} 1{time}\n\
             substrate_block_height{{status=\"best\",node=\"{quoted}\",chain=\"{chain}\"}} {best}{time}\r\n\
             substrate_block_height{{chain=\"{chain}\",status=\"sync_target\"}} {target}\n\
             substrate_block_height_other{{status=\"best\"}} 1\n\
             substrate_sub_libp2p_network_bytes_total{{direction=\"in\"}} {bytes_in}\n\
             substrate_sync_peers 4\n"
        );
        let page = read_in_chunks(text.as_bytes(), size).unwrap();
        let sample = Sample {
            best: Some(best),
            target: Some(target),
            bytes_in: Some(bytes_in),
            peers: Some(4),
            ..Sample::default()
        };
        prop_assert_eq!(page.sample, sample);
        prop_assert_eq!(page.chain_id, Some(chain));
        prop_assert_eq!(page.node_version.as_deref(), Some("1.2"));
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_grow(
        parts in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "substrate_block_height\\{status=\"best\"[,={}\"]{0,3}\\} [0-9naif.e+-]{1,8}\n".prop_map(String::into_bytes),
                Just(b"substrate_sync_peers 1\n".repeat(100)),
            ],
            0..30,
        ),
        size in 1..500usize,
    ) {
        let mut reader = PageReader::new(Chain::Relaychain, "substrate");
        for chunk in parts.concat().chunks(size) {
            reader.feed(chunk);
            prop_assert!(reader.found.lines.len() <= (NODE.len() + 1) * usize::from(MOST));
        }
        let _ = reader.finish();
    }
}

fn best(value: &str) -> Option<u64> {
    let text = format!("substrate_block_height{{status=\"best\"}} {value}\n");
    read_in_chunks(text.as_bytes(), 7).unwrap().sample.best
}

#[test]
fn invalid_height_is_unknown() {
    for value in ["NaN", "+Inf", "-Inf", "-1", "1e300", "9007199254740994"] {
        assert_eq!(best(value), None, "{value}");
    }
    assert_eq!((best("0"), best("1.5e3"), best("7.9")), (Some(0), Some(1500), Some(7)));
}

#[test]
fn absent_metrics_are_unknown() {
    let page = read_in_chunks(b"substrate_block_height{status=\"finalized\"} 3\n", 9).unwrap();
    let sample = Sample {
        finalized: Some(3),
        ..Sample::default()
    };
    assert_eq!(
        page,
        ExporterPage {
            sample,
            bytes: page.bytes,
            ..ExporterPage::default()
        }
    );
}

#[test]
fn connected_peers_come_before_sync_peers() {
    let text =
        "substrate_block_height{status=\"best\"} 1\nsubstrate_sync_peers 9\nsubstrate_sub_libp2p_peers_count 5\n";
    assert_eq!(read_in_chunks(text.as_bytes(), 4096).unwrap().sample.peers, Some(5));
}

#[test]
fn only_imports_that_succeeded_count() {
    let text = "substrate_block_height{status=\"best\"} 1\n\
                substrate_import_queue_processed_total{result=\"bad_block\"} 70\n\
                substrate_import_queue_processed_total{result=\"success\"} 7\n";
    assert_eq!(
        read_in_chunks(text.as_bytes(), 4096).unwrap().sample.imported_total,
        Some(7)
    );
}

#[test]
fn old_relay_prefix_reads_with_collation_counters() {
    let text = b"polkadot_block_height{status=\"best\",chain=\"rococo\"} 12\n\
                 polkadot_parachain_collations_sent_total{chain=\"rococo\"} 3\n";
    let page = read_as(Chain::Relaychain, "polkadot", text, 50).unwrap();
    assert_eq!((page.sample.best, page.collation.sent), (Some(12), Some(3)));
}

#[test]
fn line_longer_than_the_cap_is_skipped() {
    let long = format!("substrate_sync_peers{{x=\"{}\"}} 1\n", "a".repeat(LONGEST));
    let text = format!("{long}{long}substrate_block_height{{status=\"best\"}} 7\n{long}");
    for size in [1, 100, LONGEST, usize::MAX] {
        let page = read_in_chunks(text.as_bytes(), size).unwrap();
        assert_eq!((page.sample.best, page.sample.peers), (Some(7), None));
    }
}

#[test]
fn metric_that_is_repeated_endlessly_displaces_no_other() {
    let repeated = "substrate_block_height{status=\"best\"} 7\n".repeat(10_000);
    let text = format!("{repeated}substrate_block_height{{status=\"best\"}} 8\nsubstrate_sync_peers 4\n");
    let sample = read_in_chunks(text.as_bytes(), 999).unwrap().sample;
    assert_eq!((sample.best, sample.peers), (Some(7), Some(4)));
}

#[test]
fn prefix_of_the_whole_metric_name_reads_the_page() {
    let text = b"moonbeam_substrate_block_height{status=\"best\",chain=\"moonbeam\"} 12\n\
                 moonbeam_substrate_build_info{version=\"0.40.1\"} 1\n\
                 moonbeam_substrate_sub_libp2p_peers_count{chain=\"moonbeam\"} 9\n";
    let page = read_as(Chain::Parachain, "moonbeam_substrate", text, 50).unwrap();
    assert_eq!((page.sample.best, page.sample.peers), (Some(12), Some(9)));
    let error = read_as(Chain::Parachain, "moonbeam", text, 50).unwrap_err();
    assert!(error.detail.ends_with("set prefix = \"moonbeam_substrate\""), "{error}");
}

/// Of a collator with `--relay-chain-rpc-urls`: its relay side has a network and no chain.
const WITHOUT_CHAIN: &str = "polkadot_parachain_collations_sent_total{chain=\"rococo\"} 3\n\
                             substrate_process_start_time_seconds{chain=\"rococo\"} 1795388136\n\
                             substrate_sub_libp2p_is_major_syncing{chain=\"rococo\"} 1\n\
                             substrate_sub_libp2p_peers_count{chain=\"rococo\"} 0\n";

#[test]
fn relay_side_without_a_chain_reads_without_heights_or_peers() {
    let page = read_as(Chain::Relaychain, "substrate", WITHOUT_CHAIN.as_bytes(), 50).unwrap();
    let sample = Sample {
        process_start: Some(1_795_388_136),
        ..Sample::default()
    };
    assert_eq!((page.sample, page.collation.sent, page.by_rpc), (sample, Some(3), true));
}

#[test]
fn page_without_height_is_an_error_elsewhere() {
    let other = "other_block_height{status=\"best\"} 1\n";
    for (chain, prefix, text) in [
        (Chain::Parachain, "substrate", WITHOUT_CHAIN.to_owned()),
        (Chain::Relaychain, "substrate", WITHOUT_CHAIN.to_owned() + other),
        (
            Chain::Relaychain,
            "substrate",
            "substrate_sync_peers 1\nsubstrate_block_height 1 2 3\n".to_owned(),
        ),
        (
            Chain::Relaychain,
            "polkadot",
            "substrate_sub_libp2p_peers_count 1\n".to_owned(),
        ),
        (Chain::Relaychain, "substrate", "go_goroutines 1\n".to_owned()),
    ] {
        let error = read_as(chain, prefix, text.as_bytes(), 50).unwrap_err();
        assert_eq!(error.kind, ScrapeError::MetricMissing, "{text}");
    }
}

#[test]
fn page_that_is_not_read_to_its_end_needs_its_whole_heights() {
    let heights = "# TYPE substrate_block_height gauge\n\
                   substrate_block_height{status=\"best\"} 7\n\
                   substrate_block_height{status=\"finalized\"} 5\n";
    let early = |text: &str| {
        let mut reader = PageReader::new(Chain::Relaychain, "substrate");
        reader.feed(text.as_bytes());
        Some(reader.finish_early()?.sample)
    };
    assert_eq!(early(heights), None);
    assert_eq!(
        early(&format!("{heights}substrate_block_height{{status=\"sync_target\"}} 1")),
        None
    );
    let sample = early(&format!(
        "{heights}# HELP substrate_sync_peers x\nsubstrate_sync_peers 12"
    ))
    .unwrap();
    assert_eq!((sample.best, sample.finalized, sample.peers), (Some(7), Some(5), None));
    assert_eq!(early(WITHOUT_CHAIN), None);
}
