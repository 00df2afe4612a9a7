//! The judgement in the field: every kind of case that operators report, in several sizes and times.

use std::collections::BTreeSet;

use t0rn_agent_tests::field::{kinds, seeds, table};

/// Kinds that the agent gets wrong today. A kind that it gets right may not stand here.
const KNOWN_WRONG: &[&str] = &[
    "state_download_target_block",
    "state_download_target_best",
    "state_import_busy",
    "state_import_little_work",
    "state_download_logged",
    "relay_state_download",
    "warp_proofs",
    "warp_waits_for_target",
    "warp_waits_for_peers",
    "state_sync_hung",
    "idle_evicted_20_120",
    "idle_evicted_30_30",
    "idle_evicted_60_10",
    "idle_evicted_25_45",
    "idle_evicted_10_60",
    "idle_evicted_any_rhythm",
    "lone_collator_block_an_hour",
    "lone_collator_no_block",
    "finality_stuck_relay",
    "finality_stuck_parachain",
    "finality_stuck_solo",
    "finality_stuck_and_recovers",
    "best_frozen_imports_go_on",
    "silent_busy_130s",
    "silent_busy_5min",
    "silent_busy_10min",
    "silent_busy_writes_only",
    "slow_start_25min",
    "slow_start_50min",
    "slow_start_75min",
    "slow_start_waits_for_disk",
    "lag_swings_500ms_blocks",
    "first_sync_target_runs_away",
    "relay_by_rpc",
    "host_network_flaps",
    "docker_flaps",
    "clock_flaps",
    "memory_pressure_flaps",
    "disk_low_flaps",
    "exit_database_corrupted_in_other_words",
    "exit_column_families",
    "exit_oom_flag_of_a_child",
    "exit_no_network_key",
    "exit_bootnode_survived",
    "stall_at_target_reference_moves",
    "finality_stuck_reference_moves",
    "finality_stuck_reference_stands",
];

#[test]
fn field_cases_are_judged_right() {
    let table = table::judge(seeds(20), "", false);
    let known: BTreeSet<_> = KNOWN_WRONG.iter().copied().collect();
    let mut complaints = Vec::new();
    for row in &table.rows {
        match (known.contains(row.kind), row.wrong.is_empty()) {
            (true, true) => complaints.push(format!("{}: right, and still in KNOWN_WRONG", row.kind)),
            (false, false) => {
                complaints.extend(
                    row.wrong
                        .iter()
                        .map(|(seed, text)| format!("{} seed {seed}: {text}", row.kind)),
                );
            }
            _ => {}
        }
    }
    let all: BTreeSet<_> = kinds().collect();
    complaints.extend(known.difference(&all).map(|kind| format!("{kind}: no such kind")));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
