//! Ends of the container, and what its last lines say.

use agent_core::cause::Cause;
use agent_core::event::ScrapeError;

use super::scene::Scene;
use super::{Expect, HOUR, Kind, Label, MINUTE};

pub(super) const KINDS: &[Kind] = &[
    ("exit_database_corrupted", |s| {
        let line = s.rng.pick(CORRUPTED);
        held(s, 1, false, line, Cause::DatabaseCorrupted)
    }),
    ("exit_database_corrupted_in_other_words", |s| {
        let line = s.rng.pick(OTHER_WORDS);
        held(s, 1, false, line, Cause::DatabaseCorrupted)
    }),
    ("exit_column_families", |s| {
        held(s, 1, false, COLUMN_FAMILIES, Cause::DatabaseCorrupted)
    }),
    ("exit_oom_flag_of_a_child", |s| {
        let line = s.rng.pick(CORRUPTED);
        held(s, 1, true, line, Cause::DatabaseCorrupted)
    }),
    ("exit_no_network_key", |s| {
        let line = s.rng.pick([
            "Error: NetworkKeyNotFound(\"/data/chains/x/network/secret_ed25519\")",
            "Error: Starting an authorithy without network key in /data/chains/x/network/secret_ed25519.",
            "   0: Starting an authority without network key in /data/chains/x/network/secret_ed25519.",
        ]);
        held(s, 1, false, line, Cause::NoNetworkKey)
    }),
    ("exit_database_newer", |s| {
        let line = "Error: Service(Client(Backend(\"Database version comes from future version of the client\")))";
        held(s, 1, false, line, Cause::DatabaseNewer)
    }),
    ("exit_data_in_use", |s| {
        let line = s.rng.pick([
            "Error: Service(Client(Backend(\"IO error: While lock file: /data/db/full/LOCK: Resource temporarily unavailable\")))",
            "Error: Database file is in use. Another process could be using it",
        ]);
        held(s, 1, false, line, Cause::DataInUse)
    }),
    ("exit_bad_arguments", |s| {
        held(
            s,
            2,
            false,
            "error: unexpected argument '--colator' found",
            Cause::BadArguments,
        )
    }),
    ("exit_pruning_mode", |s| {
        let line = s.rng.pick([
            "Error: Service(Client(StateDatabase(\"Incompatible pruning modes [stored: \\\"archive\\\"; requested: \\\"constrained\\\"]\")))",
            "   0: State Database error: Incompatible pruning modes [stored: \"archive\"; requested: \"constrained\"]",
        ]);
        held(s, 1, false, line, Cause::PruningMode)
    }),
    ("exit_bootnode_survived", |s| {
        let code = s.rng.pick([139, 134, 137, 1]);
        let end = if code == 1 {
            "Error: Service(Other(\"Essential task failed.\"))"
        } else {
            IDLE
        };
        crashes(s, code, false, &[BOOTNODE, IDLE, end])
    }),
    ("exit_old_damage_survived", |s| {
        let mut log = vec!["Backend error: Corruption: old"];
        log.resize(250, IDLE);
        crashes(s, 139, false, &log)
    }),
    ("exit_out_of_memory", |s| {
        let last = s.rng.pick([IDLE, "Backend error: Corruption: block checksum mismatch"]);
        crashes(s, 137, true, &[IDLE, last])
    }),
    ("exit_panic", |s| {
        crashes(
            s,
            1,
            false,
            &[
                IDLE,
                "Thread 'tokio-runtime-worker' panicked at 'index out of bounds', src/lib.rs:1",
            ],
        )
    }),
    ("exit_relay_rpc_away", |s| {
        crashes(
            s,
            1,
            false,
            &[
                "Error: Application(CouldNotConnect)",
                "Essential task `relay-chain-rpc-worker` failed. Shutting down service.",
            ],
        )
    }),
];

const IDLE: &str = "2026-11-22 10:00:08 [Relaychain] 💤 Idle (5 peers), best: #1 (0x0bd4…a2f1), finalized #0";
const BOOTNODE: &str = "2026-11-22 10:00:03 [Relaychain] 💔 The bootnode you want to connect to at `/dns/b/tcp/30333/p2p/12D3KooWXYZ` \
    provided a different peer ID; Bootnode with peer id `12D3KooWXYZ` is on a different chain (our genesis: 0x91b1…90c3 \
    theirs: 0xb0a8…dafe)";
const COLUMN_FAMILIES: &str = "Error: Service(Client(Backend(\"Invalid argument: Column families not opened: col11, col10, col9, \
    col8, col7, col6, col5, col4, col3, col2, col1, col0\")))";

const CORRUPTED: [&str; 4] = [
    "Error: Service(Client(Backend(\"DB corrupted: Corruption: block checksum mismatch\")))",
    "2026-11-22 DB corrupted: Corruption: bad entry in block, attempting repair",
    "Error: Input(\"Corruption: Bad metadata\")",
    "   0: Backend error: Corruption: file is too short (0 bytes) to be an sstable",
];

/// `RocksDB` without its manifest, the state database, the trie, `ParityDB`.
const OTHER_WORDS: [&str; 4] = [
    "Error: Service(Client(Backend(\"IO error: No such file or directory: While opening a file for sequentially reading: \
     /data/chains/x/db/full/MANIFEST-000004: No such file or directory\")))",
    "Error: Client(Msg(\"State database error: Trying to canonicalize invalid block\"))",
    "Thread 'main' panicked at 'Externalities not allowed to fail within runtime: \"Trie lookup error: Database missing \
     expected key: 0x0fbc…af11\"', ext.rs:192",
    "Error: Service(Client(Backend(\"Invalid argument: Column family not found: : col6\")))",
];

/// It dies at once with the same words, and Docker's policy starts it again and again.
fn held(s: &mut Scene, code: i64, oom: bool, line: &str, cause: Cause) -> Label {
    s.step_at_most(5);
    let first = s.rng.range(3, 40);
    s.silence(Some(ScrapeError::Refused));
    s.pass(first);
    let begins = s.now();
    for _ in 0..6 {
        s.exited(
            code,
            oom,
            &[
                "2026-11-22 10:00:00 💾 Database: RocksDb at /data/chains/x/db/full",
                line,
            ],
        );
        s.skip(15);
        s.started();
        s.pass(5);
    }
    s.exited(code, oom, &[line]);
    let label = Label::new(Expect::Hold(cause), begins, begins + MINUTE);
    if cause == Cause::DatabaseCorrupted {
        label.fragile(begins, s.now() + HOUR)
    } else {
        label
    }
}

/// It dies now and then of what a start cures.
fn crashes(s: &mut Scene, code: i64, oom: bool, log: &[&str]) -> Label {
    s.step_at_most(10);
    for _ in 0..s.rng.range(1, 4) {
        s.pass(s.rng.range(20, 60) * MINUTE);
        s.exited(code, oom, log);
        s.skip(3);
        s.started();
        s.silence(Some(ScrapeError::Refused));
        s.pass(s.rng.range(20, 60));
        s.silence(None);
    }
    s.pass(30 * MINUTE);
    Label::nothing(9)
}
