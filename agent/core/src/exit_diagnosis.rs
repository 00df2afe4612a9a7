//! What the last log lines before an exit mean: one table, each row with its source and its remedy.

use crate::cause::Cause;
use crate::event::Exit;

/// One line to recognise.
struct Signature {
    /// All of these stand in one line, in this order.
    parts: &'static [&'static str],
    /// What the container is held for.
    cause: Cause,
}

/// Only lines after which a restart cannot help. Lines that are part of every shutdown
/// (`Essential task … failed. Shutting down service.`) prove nothing and are not here.
const SIGNATURES: &[Signature] = &[
    // RocksDB's status, after `DB corrupted: ` (kvdb-rocksdb) or `Backend error: ` (sc-client-db), and
    // ParityDB's own wording (parity-db error.rs). Another start may "repair" data away.
    Signature {
        parts: &["Corruption:"],
        cause: Cause::DatabaseCorrupted,
    },
    Signature {
        parts: &["DB corrupted"],
        cause: Cause::DatabaseCorrupted,
    },
    // sc-client-db upgrade.rs: the image was rolled back over a migrated database.
    Signature {
        parts: &["Database version comes from future version of the client"],
        cause: Cause::DatabaseNewer,
    },
    // sc-client-db upgrade.rs: the directory is not (any more) this node's.
    Signature {
        parts: &["Database version cannot be read from existing db_version file"],
        cause: Cause::DatabaseForeign,
    },
    // A second process on the same directory (ParityDB, then RocksDB).
    Signature {
        parts: &["Database file is in use."],
        cause: Cause::DataInUse,
    },
    Signature {
        parts: &["LOCK: Resource temporarily unavailable"],
        cause: Cause::DataInUse,
    },
    // sc-storage-monitor, and the kernel's own messages.
    Signature {
        parts: &["Available space", "dropped below threshold", "terminating"],
        cause: Cause::DiskFull,
    },
    Signature {
        parts: &["No space left on device"],
        cause: Cause::DiskFull,
    },
    // sc-network: another genesis than the bootnodes'.
    Signature {
        parts: &["is on a different chain"],
        cause: Cause::WrongChain,
    },
    // sc-cli (the typo is the node's): a collator without a node key.
    Signature {
        parts: &["Starting an authorithy without network key"],
        cause: Cause::NoNetworkKey,
    },
    Signature {
        parts: &["Starting an authority without network key"],
        cause: Cause::NoNetworkKey,
    },
];

/// How many of the last lines are examined: what is further back was survived. A panic's backtrace may follow.
const LAST_LINES: usize = 200;

/// Whether this exit shows a fault that no restart cures.
///
/// A clean exit is none, whatever the log says, and so is one by the signal of a requested stop (`asked`).
pub fn diagnose(exit: &Exit, asked: bool) -> Option<Cause> {
    if exit.oom || exit.code == Some(0) || (asked && matches!(exit.code, None | Some(137 | 143))) {
        return None;
    }
    if let Some(126 | 127) = exit.code {
        return Some(Cause::MissingExecutable);
    }
    let lines = &exit.log[exit.log.len().saturating_sub(LAST_LINES)..];
    let mut panicked = false;
    for line in lines.iter().rev() {
        match SIGNATURES.iter().find(|s| s.matches(line)) {
            // A node lives with one bootnode of another chain: what it died of came later.
            Some(row) if panicked && row.cause == Cause::WrongChain => {}
            Some(row) => return Some(row.cause),
            None => panicked |= line.contains("panicked at"),
        }
    }
    let usage = |l: &String| l.starts_with("error:") || l.contains("Usage:") || l.contains("try '--help'");
    (exit.code == Some(2) && (lines.is_empty() || lines.iter().any(usage))).then_some(Cause::BadArguments)
}

/// What the last lines of a run show about its database, however it ended: for callers that know the database to be
/// at fault.
///
/// A node lives with one bootnode of another chain, so that is none.
pub fn damage(log: &[String]) -> Option<Cause> {
    let lines = &log[log.len().saturating_sub(LAST_LINES)..];
    let found = lines
        .iter()
        .filter_map(|line| SIGNATURES.iter().find(|s| s.matches(line)));
    found.map(|row| row.cause).find(|cause| *cause != Cause::WrongChain)
}

/// Whether a line, however old, reports a damaged database: for callers that know it to be of this run.
pub fn tells_of_damage(line: &str) -> bool {
    let mut rows = SIGNATURES.iter().filter(|row| row.cause == Cause::DatabaseCorrupted);
    rows.any(|row| row.matches(line))
}

impl Signature {
    fn matches(&self, line: &str) -> bool {
        self.parts
            .iter()
            .try_fold(line, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..]))
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i64, log: &[&str]) -> Exit {
        Exit {
            code: Some(code),
            oom: false,
            log: log.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn every_known_line_is_recognised_with_its_cause() {
        let rows = [
            (
                "2026-11-22 DB corrupted: Corruption: block checksum mismatch",
                Cause::DatabaseCorrupted,
            ),
            (
                "Error: Service(Client(Backend(\"Backend error: Corruption: x\")))",
                Cause::DatabaseCorrupted,
            ),
            ("Error: Input(\"Corruption: Bad metadata\")", Cause::DatabaseCorrupted),
            (
                "DB corrupted: bad checksum, attempting repair",
                Cause::DatabaseCorrupted,
            ),
            ("Error: Input(\"Genesis is on a different chain\")", Cause::WrongChain),
            (
                "Database version comes from future version of the client",
                Cause::DatabaseNewer,
            ),
            (
                "Database version cannot be read from existing db_version file",
                Cause::DatabaseForeign,
            ),
            ("Error: Database file is in use.", Cause::DataInUse),
            (
                "IO error: While lock file: /d/LOCK: Resource temporarily unavailable",
                Cause::DataInUse,
            ),
            (
                "Available space 1000MB for path dropped below threshold: 1024MB , terminating...",
                Cause::DiskFull,
            ),
            ("IO error: No space left on device", Cause::DiskFull),
            (
                "Bootnode with peer id `12D3` is on a different chain",
                Cause::WrongChain,
            ),
            ("Starting an authorithy without network key", Cause::NoNetworkKey),
        ];
        for (line, cause) in rows {
            assert_eq!(
                diagnose(&exit(1, &["earlier", line, "later"]), false),
                Some(cause),
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_of_every_shutdown_proves_nothing() {
        let line = "Essential task `txpool-background` failed. Shutting down service.";
        assert_eq!(diagnose(&exit(1, &[line]), false), None);
        assert_eq!(diagnose(&exit(0, &[line]), true), None);
        assert_eq!(diagnose(&exit(1, &["Thread 'main' panicked at 'x'"]), false), None);
    }

    #[test]
    fn a_kill_for_memory_is_never_taken_for_damage() {
        let mut killed = exit(137, &["Backend error: Corruption: x"]);
        killed.oom = true;
        assert_eq!(diagnose(&killed, false), None);
    }

    #[test]
    fn exit_code_two_is_bad_arguments_only_with_the_words_of_the_command_line() {
        assert_eq!(
            diagnose(&exit(2, &["error: unexpected argument '--x' found"]), false),
            Some(Cause::BadArguments)
        );
        assert_eq!(diagnose(&exit(2, &["Thread 'main' panicked"]), false), None);
    }

    #[test]
    fn a_clean_end_is_no_fault_whatever_the_log_says() {
        assert_eq!(diagnose(&exit(0, &["Backend error: Corruption: x"]), false), None);
    }

    #[test]
    fn damage_is_told_also_after_a_clean_end_and_a_bootnode_is_none() {
        let log = |line: &str| vec!["Idle".to_owned(), line.to_owned(), "Idle".to_owned()];
        assert_eq!(
            damage(&log("Backend error: Corruption: x")),
            Some(Cause::DatabaseCorrupted)
        );
        assert_eq!(
            damage(&log("Bootnode with peer id `12D3` is on a different chain")),
            None
        );
        assert_eq!(damage(&log("Essential task `x` failed. Shutting down service.")), None);
    }

    #[test]
    fn a_panic_is_not_put_down_to_a_bootnode_of_another_chain() {
        let bootnode = "Bootnode with peer id `12D3` is on a different chain";
        let panic = "Thread 'tokio-runtime-worker' panicked at 'index out of bounds'";
        assert_eq!(diagnose(&exit(1, &[bootnode, panic]), false), None);
        assert_eq!(diagnose(&exit(1, &[panic, bootnode]), false), Some(Cause::WrongChain));
        let damaged = "Backend error: Corruption: x";
        assert_eq!(
            diagnose(&exit(1, &[damaged, panic]), false),
            Some(Cause::DatabaseCorrupted)
        );
    }

    #[test]
    fn what_lies_far_back_in_the_log_was_survived() {
        let mut log = vec!["Backend error: Corruption: old"];
        log.resize(LAST_LINES + 1, "Idle");
        assert_eq!(diagnose(&exit(1, &log), false), None);
    }
}
