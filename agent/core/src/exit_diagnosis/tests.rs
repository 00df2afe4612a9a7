#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

mod document;
mod ends;
mod own_rows;
mod table;

use super::*;

const CORRUPTION: &str = "Error: Service(Client(Backend(\"Corruption: block checksum mismatch\")))";
const CORRUPTION_LOGGED: &str = "2026-11-22 10:00:03 DB corrupted: Corruption: block checksum mismatch";
const BOOTNODE: &str = "2026-11-22 10:00:03 [Relaychain] Bootnode with peer id `12D3KooWXYZ` is on a different chain (our \
                        genesis: 0x91b1…90c3 theirs: 0xb0a8…dafe)";
const IDLE: &str = "2026-11-22 10:00:08 [Relaychain] 💤 Idle (5 peers), best: #1 (0x1a…2b), finalized #1 (0x1a…2b)";
const SYNCING: &str =
    "2026-11-22 10:00:08 ⚙️  Syncing  0.0 bps, target=#9 (11 peers), best: #2 (0x72…c6), finalized #1";
const ESSENTIAL: &str = "2026-11-22 10:00:08 Essential task `txpool-background` failed. Shutting down service.";
const PANIC: &str = "Thread 'tokio-runtime-worker' panicked at 'index out of bounds', src/lib.rs:1";

fn exit(code: i64, log: &[&str]) -> Exit {
    Exit {
        code: Some(code),
        oom: false,
        log: log.iter().map(ToString::to_string).collect(),
    }
}

fn diagnose(exit: &Exit) -> Option<Cause> {
    let found = Signatures::default().diagnose(exit, false);
    found.map(|diagnosis| diagnosis.cause)
}
