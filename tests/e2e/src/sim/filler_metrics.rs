//! The part of an exporter page that nobody here reads: it gives the page the size and the shape of the node's own.

use std::fmt::Write as _;

use super::Chain;

/// One metric family as it stands on the page, comments included.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) text: String,
}

/// Upper bounds of a histogram's buckets.
#[derive(Debug, Clone, Copy)]
enum Buckets {
    /// The Prometheus client's default, seconds.
    Default,
    /// `count` bounds from `start` in steps of `step`.
    Linear(f64, f64, u32),
    /// `count` bounds from `start`, each `factor` times the one before.
    Exponential(f64, f64, u32),
}

const POLL: Buckets = Buckets::Exponential(0.001, 4.0, 9);
const TOF: Buckets = Buckets::Exponential(0.0001, 4.0, 11);

/// Histograms without labels of their own, on both pages.
const HISTOGRAMS: &[(Buckets, &str)] = &[
    (
        Buckets::Default,
        "substrate_block_verification_and_import_time substrate_justification_import_time",
    ),
    (
        Buckets::Linear(0.01, 3.0, 20),
        "rpc_transaction_dropped_time rpc_transaction_error_time rpc_transaction_in_block_time \
         rpc_transaction_invalid_time",
    ),
    (Buckets::Linear(0.01, 40.0, 20), "rpc_transaction_finalized_time"),
    (
        Buckets::Exponential(0.01, 2.0, 16),
        "rpc_transaction_validation_time substrate_sub_txpool_timing_event_future \
         substrate_sub_txpool_timing_event_ready",
    ),
    (
        Buckets::Linear(0.0, 0.25, 13),
        "substrate_sub_txpool_maintain_duration_seconds \
         substrate_sub_txpool_view_revalidation_duration_seconds",
    ),
    (
        Buckets::Linear(0.01, 0.25, 16),
        "substrate_sub_txpool_timing_event_broadcast",
    ),
    (
        Buckets::Linear(0.0, 3.0, 25),
        "substrate_sub_txpool_timing_event_dropped substrate_sub_txpool_timing_event_in_block \
         substrate_sub_txpool_timing_event_in_block_forks substrate_sub_txpool_timing_event_invalid \
         substrate_sub_txpool_timing_event_retracted substrate_sub_txpool_timing_event_usurped",
    ),
    (
        Buckets::Linear(0.0, 40.0, 24),
        "substrate_sub_txpool_timing_event_finality_timeout \
         substrate_sub_txpool_timing_event_finalized",
    ),
];

const PARACHAIN_HISTOGRAMS: &[(Buckets, &str)] = &[
    (
        Buckets::Default,
        "parachain_block_backed_duration substrate_block_verification_time \
         substrate_proposer_block_proposal_time substrate_proposer_create_inherents_time",
    ),
    (Buckets::Linear(0.0, 1.0, 25), "parachain_unincluded_segment_size"),
];

const RELAYCHAIN_HISTOGRAMS: &[(Buckets, &str)] = &[
    (
        Buckets::Default,
        "polkadot_parachain_availability_recovery_time_total \
         polkadot_parachain_availability_reencode_chunks polkadot_parachain_chain_api_ancestors \
         polkadot_parachain_chain_api_block_headers polkadot_parachain_chain_api_block_number \
         polkadot_parachain_chain_api_block_weight polkadot_parachain_chain_api_finalized_block_hash \
         polkadot_parachain_chain_api_finalized_block_number \
         polkadot_parachain_collation_generation_new_activations \
         polkadot_parachain_collation_generation_submit_collation \
         polkadot_parachain_network_bridge_rx_delayed_time \
         polkadot_parachain_runtime_api_make_runtime_api_request",
    ),
    (
        Buckets::Linear(1.0, 1.0, 11),
        "polkadot_parachain_collation_backing_latency \
         polkadot_parachain_collation_backing_latency_time \
         polkadot_parachain_collation_inclusion_latency",
    ),
    (
        Buckets::Linear(0.25, 0.5, 14),
        "polkadot_parachain_collation_fetch_latency \
         polkadot_parachain_collator_protocol_collator_process_msg",
    ),
];

/// Without labels of their own, on both pages.
const GAUGES: &str = "substrate_authority_discovery_amount_external_addresses_last_published \
    substrate_authority_discovery_authority_address_requests_pending \
    substrate_authority_discovery_known_authorities_count substrate_database_cache_bytes \
    substrate_number_leaves substrate_ready_transactions_number substrate_rpc_threads_alive \
    substrate_state_cache_bytes substrate_sub_libp2p_kademlia_records_count \
    substrate_sub_libp2p_listeners_local_addresses substrate_sub_libp2p_pending_connections \
    substrate_sub_txpool_active_views substrate_sub_txpool_unwatched_txs \
    substrate_sub_txpool_watched_txs substrate_sync_fork_targets substrate_tokio_threads_alive";
const COUNTERS: &str = "substrate_authority_discovery_times_published_total \
    substrate_rpc_sessions_opened substrate_rpc_sessions_closed \
    substrate_sub_libp2p_distinct_peers_connections_opened_total \
    substrate_sub_libp2p_distinct_peers_connections_closed_total \
    substrate_sub_libp2p_incoming_connections_total \
    substrate_sub_libp2p_kademlia_random_queries_total substrate_sub_libp2p_listeners_errors_total \
    substrate_sub_txpool_finalized_txs_total substrate_sub_txpool_submitted_txs_total \
    substrate_sub_txpool_validations_finished substrate_sub_txpool_validations_scheduled \
    substrate_sync_import_queue_blocks_submitted substrate_sync_propagated_transactions \
    substrate_tokio_threads_total";

/// Tasks (`group/name`) of the node's service.
const TASKS: &str = "default/import-queue default/informant default/notification-pinning-worker \
    default/prometheus-endpoint default/telemetry-periodic-send default/syncing \
    networking/block-request-handler networking/libp2p-node networking/peer-store \
    networking/light-client-request-handler networking/state-request-handler \
    networking/system-rpc-handler networking/chain-sync-network-service-provider \
    networking/network-transactions-handler networking/network-worker \
    transaction-pool/on-transaction-imported transaction-pool/txpool-background \
    transaction-pool/txpool-notifications transaction-pool/transaction-pool-task-0 \
    transaction-pool/transaction-pool-task-1 block-import/basic-block-import-worker \
    authority-discovery-worker/persist-addr-cache";
const PARACHAIN_TASKS: &str = "authority-discovery/para-authority-discovery-worker \
    collator-discovery/collator-discovery default/aura default/cumulus-dht-bootnode-advertisement \
    default/cumulus-dht-bootnode-discovery default/cumulus-pov-recovery \
    default/parachain-informant default/storage-monitor default/cumulus-consensus \
    default/cumulus-consensus-finality-stream offchain-work/offchain-workers-runner \
    offchain-worker/offchain-on-block";
/// Groups that a collator does not need run `dummy-subsystem`.
const RELAYCHAIN_TASKS: &str = "authority-discovery/authority-discovery-worker \
    availability-recovery/availability-recovery-subsystem availability-recovery/erasure-task \
    babe/babe-worker chain-api/chain-api-subsystem \
    collation-generation/collation-generation-subsystem \
    collator-protocol/collator-protocol-subsystem default/grandpa-voter default/overseer \
    default/telemetry_hwbench network-bridge-rx/network-bridge-in-network-worker \
    network-bridge-rx/network-bridge-rx-subsystem network-bridge-tx/network-bridge-tx-subsystem \
    networking/warp-sync-request-handler overseer/metrics-metronome \
    runtime-api/runtime-api-subsystem telemetry/telemetry approval-distribution approval-voting \
    approval-voting-parallel availability-distribution availability-store bitfield-distribution \
    bitfield-signing candidate-backing candidate-validation chain-selection dispute-coordinator \
    dispute-distribution gossip-support prospective-parachains provisioner pvf-checker \
    statement-distribution";

const SUBSYSTEMS: &str = "availability-recovery-subsystem chain-api-subsystem \
    collation-generation-subsystem collator-protocol-subsystem dummy-subsystem \
    network-bridge-rx-subsystem network-bridge-tx-subsystem runtime-api-subsystem";

const CHANNELS: &str = "import-notification-sink mpsc-peerset-protocol mpsc_beefy_best_block_notification_stream \
    mpsc_buffered_link mpsc_chain_sync mpsc_grandpa_neighbor_packet_worker mpsc_import_notification_stream \
    mpsc_import_queue_worker_blocks mpsc_network_service_provider mpsc_network_worker mpsc_ocw_to_api \
    mpsc_ocw_to_worker mpsc_revalidation_queue mpsc_telemetry_register mpsc_txpool_aggregated_stream \
    mpsc_txpool_watcher notification-pinning-worker-channel outbound-requests transactions-handler-sync \
    tx-pool-dropped-watcher-cmd-stream txpool-event-metrics-collector txpool-multi-view-listener-task-controller";

/// Every family of a chain's page that does not change.
pub(super) fn families(chain: Chain) -> Vec<Family> {
    let (histograms, tasks) = match chain {
        Chain::Parachain => (PARACHAIN_HISTOGRAMS, PARACHAIN_TASKS),
        Chain::Relaychain => (RELAYCHAIN_HISTOGRAMS, RELAYCHAIN_TASKS),
    };
    let tasks = TASKS.split_whitespace().chain(tasks.split_whitespace()).map(|task| {
        let (group, name) = task.split_once('/').unwrap_or((task, "dummy-subsystem"));
        format!("kind=\"async\",task_group=\"{group}\",task_name=\"{name}\",")
    });
    let tasks: Vec<String> = tasks.collect();
    let channels = labels("entity", CHANNELS);
    let caches = labels("cache_type", "state value");
    let none = [String::new()];

    let mut all = Vec::new();
    for (buckets, names) in HISTOGRAMS.iter().chain(histograms) {
        all.extend(names.split_whitespace().map(|n| histogram(n, &none, *buckets, chain)));
    }
    for (names, kind, labels) in [
        (GAUGES, "gauge", &none[..]),
        (COUNTERS, "counter", &none[..]),
        ("substrate_tasks_polling_started_total", "counter", &tasks[..]),
        ("substrate_tasks_spawned_total", "counter", &tasks[..]),
        ("substrate_tasks_ended_total", "counter", &tasks[..]),
        ("substrate_unbounded_channel_size", "gauge", &channels[..]),
        ("trie_cache_shared_heap_size", "gauge", &caches[..]),
    ] {
        all.extend(names.split_whitespace().map(|n| plain(n, kind, labels, chain)));
    }
    all.push(histogram("substrate_tasks_polling_duration", &tasks, POLL, chain));
    all.push(histogram("trie_cache_local_cache_lengths", &caches, POLL, chain));
    all.push(histogram("trie_cache_shared_update_duration", &caches, POLL, chain));
    if chain == Chain::Relaychain {
        let subsystems = labels("subsystem_name", SUBSYSTEMS);
        for name in ["bounded_tof", "unbounded_tof"] {
            let name = format!("polkadot_parachain_subsystem_{name}");
            all.push(histogram(&name, &subsystems, TOF, chain));
        }
        for name in ["subsystem_bounded_sent", "overseer_signals_sent"] {
            all.push(plain(
                &format!("polkadot_parachain_{name}"),
                "gauge",
                &subsystems,
                chain,
            ));
        }
    }
    all
}

fn labels(key: &str, values: &str) -> Vec<String> {
    values
        .split_whitespace()
        .map(|value| format!("{key}=\"{value}\","))
        .collect()
}

fn header(name: &str, kind: &str) -> String {
    format!(
        "# HELP {name} The node's {}\n# TYPE {name} {kind}\n",
        name.replace('_', " ")
    )
}

/// Gauges and counters, one sample for each set of labels.
fn plain(name: &str, kind: &str, labels: &[String], chain: Chain) -> Family {
    let mut text = header(name, kind);
    for labels in labels {
        let _ = writeln!(text, "{name}{{{labels}chain=\"{}\"}} 1", chain.id());
    }
    Family {
        name: name.to_owned(),
        text,
    }
}

fn histogram(name: &str, labels: &[String], buckets: Buckets, chain: Chain) -> Family {
    let chain = chain.id();
    let bounds: Vec<f64> = match buckets {
        Buckets::Default => vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
        Buckets::Linear(start, step, count) => (0..count).map(|n| start + step * f64::from(n)).collect(),
        Buckets::Exponential(start, factor, count) => {
            (0..count).map(|n| start * factor.powi(n.cast_signed())).collect()
        }
    };
    let mut text = header(name, "histogram");
    for labels in labels {
        for bound in &bounds {
            // Six decimals and no trailing zeros, as the Prometheus client prints its bounds.
            let bound = (bound * 1e6).round() / 1e6;
            let _ = writeln!(text, "{name}_bucket{{{labels}chain=\"{chain}\",le=\"{bound}\"}} 40");
        }
        let _ = writeln!(text, "{name}_bucket{{{labels}chain=\"{chain}\",le=\"+Inf\"}} 40");
        let _ = writeln!(text, "{name}_sum{{{labels}chain=\"{chain}\"}} 0.30979437700000068");
        let _ = writeln!(text, "{name}_count{{{labels}chain=\"{chain}\"}} 40");
    }
    Family {
        name: name.to_owned(),
        text,
    }
}
