//! Whole ends: exit code, flag of the kernel, and the lines before.

use super::*;

fn with_oom(exit: Exit) -> Exit {
    Exit { oom: true, ..exit }
}

/// `log`, followed by so many lines of a healthy node.
fn then_healthy<'a>(log: &[&'a str], lines: usize) -> Vec<&'a str> {
    let healthy = [IDLE, SYNCING].into_iter().cycle().take(lines);
    log.iter().copied().chain(healthy).collect()
}

#[test]
fn survived_line_before_another_death_holds_nothing() {
    let sibling =
        "2026-11-22 [Parachain] Block import error: State Database error: Too many sibling blocks at #7 inserted";
    let reserved = "Reserved peer id `12D3` is on a different chain (our genesis: 0x1 theirs: 0x2)";
    let listen = "Can't listen on /ip4/0.0.0.0/tcp/30333 because: Os { code: 98, message: \"Address already in use\" }";
    let other = "Error: Service(Other(\"no runtime api\"))";
    let logs: [&[&str]; 8] = [
        &[BOOTNODE],
        &[reserved],
        &[BOOTNODE, IDLE, IDLE],
        &[BOOTNODE, PANIC],
        &[PANIC, BOOTNODE],
        &[sibling, ESSENTIAL, "Error: Service(Other(\"Essential task failed.\"))"],
        &[listen, PANIC],
        &[BOOTNODE, other],
    ];
    for log in logs {
        for code in [1, 2, 101, 130, 134, 135, 137, 139, 143, 255] {
            assert_eq!(diagnose(&exit(code, log)), None, "{code}: {log:?}");
            assert_eq!(diagnose(&with_oom(exit(code, log))), None, "{code}: {log:?}");
        }
    }
}

#[test]
fn signal_is_no_end_by_an_error_that_the_log_names() {
    let key = "Error: NetworkKeyNotFound(\"/data/network/secret_ed25519\")";
    for line in [
        CORRUPTION,
        key,
        "Error: Input(\"Error parsing spec file: x\")",
        "IO error: No space left on device",
    ] {
        for code in [129, 130, 131, 132, 135, 136, 137, 139, 143] {
            assert_eq!(diagnose(&exit(code, &[line])), None, "{code}: {line}");
        }
    }
}

#[test]
fn abort_is_put_down_to_damage_and_not_to_a_returned_error() {
    let panic = "Thread 'IO Worker #1' panicked at 'DB flush failed.: \"Corruption: block checksum mismatch\"'";
    for code in [1, 101, 134] {
        assert_eq!(diagnose(&exit(code, &[panic])), Some(Cause::DatabaseCorrupted));
    }
    let returned = "Error: Service(Client(UnknownBlock(\"State already discarded for 0x1\")))";
    assert_eq!(diagnose(&exit(1, &[returned])), Some(Cause::DatabaseCorrupted));
    assert_eq!(diagnose(&exit(101, &[returned])), None);
    assert_eq!(diagnose(&exit(134, &[returned])), None);
}

#[test]
fn damage_behind_lines_of_a_healthy_node_was_survived() {
    for (code, survived) in [(1, 4), (101, 4), (134, 2)] {
        for last in [IDLE, PANIC, ESSENTIAL] {
            let mut log = then_healthy(&[CORRUPTION_LOGGED], survived);
            log.push(last);
            assert_eq!(diagnose(&exit(code, &log)), None, "{code}: {last}");
        }
        let log = then_healthy(&[CORRUPTION_LOGGED], survived - 1);
        assert_eq!(diagnose(&exit(code, &log)), Some(Cause::DatabaseCorrupted), "{code}");
    }
}

#[test]
fn damage_before_a_backtrace_is_found_and_far_behind_it_is_not() {
    let mut log = vec![CORRUPTION, ESSENTIAL, PANIC];
    log.resize(200, "  12: tokio::runtime::task::harness::poll_future");
    assert_eq!(diagnose(&exit(1, &log)), Some(Cause::DatabaseCorrupted));
    log.push("later");
    assert_eq!(diagnose(&exit(1, &log)), None);
}

#[test]
fn newest_line_decides() {
    let space = "IO error: No space left on device";
    let key = "   0: Starting an authorithy without network key in /data/network/secret_ed25519.";
    let rpc = "[Parachain] No valid RPC url found. Stopping RPC worker.";
    assert_eq!(diagnose(&exit(1, &[CORRUPTION, space])), Some(Cause::DiskFull));
    assert_eq!(diagnose(&exit(1, &[space, CORRUPTION])), Some(Cause::DatabaseCorrupted));
    assert_eq!(diagnose(&exit(1, &[rpc, ESSENTIAL, key])), Some(Cause::NoNetworkKey));
    assert_eq!(
        diagnose(&exit(1, &[CORRUPTION, BOOTNODE, ESSENTIAL])),
        Some(Cause::DatabaseCorrupted)
    );
    assert_eq!(
        diagnose(&exit(1, &[rpc, ESSENTIAL, IDLE])),
        Some(Cause::RelayRpcUnreachable)
    );
}

#[test]
fn docker_s_flag_alone_is_no_kill_for_memory() {
    for code in [1, 101, 134] {
        let found = diagnose(&with_oom(exit(code, &[CORRUPTION])));
        assert_eq!(found, Some(Cause::DatabaseCorrupted), "{code}");
    }
    assert_eq!(diagnose(&with_oom(exit(0, &[CORRUPTION]))), None);
    assert_eq!(diagnose(&with_oom(exit(137, &[CORRUPTION]))), None);
    assert_eq!(diagnose(&with_oom(exit(139, &[CORRUPTION]))), None);
    let is_memory = |code| with_oom(exit(code, &[])).is_out_of_memory();
    assert_eq!(
        [0, 1, 101, 137, 139, 143].map(is_memory),
        [false, false, false, true, false, false]
    );
    assert!(!exit(137, &[]).is_out_of_memory());
}

#[test]
fn line_below_the_level_of_an_error_is_no_cause() {
    for level in ["WARN", "INFO", "DEBUG", "TRACE"] {
        let line = format!("2026-11-22 10:00:03.123  {level} tokio-runtime-worker db: Corruption: bad block, skipped");
        assert_eq!(diagnose(&exit(1, &[&line])), None, "{line}");
    }
    let error = "2026-11-22 10:00:03.123 ERROR tokio-runtime-worker db: Corruption: bad block";
    assert_eq!(diagnose(&exit(1, &[error])), Some(Cause::DatabaseCorrupted));
    let thread = "2019-02-04 03:43:58 main WARN kvdb  DB corrupted: x, attempting repair";
    assert_eq!(diagnose(&exit(1, &[thread])), None);
}

#[test]
fn error_below_its_heading_is_read_as_one_line() {
    let log = [
        "Error: ",
        "   0: Permission denied (os error 13)",
        "",
        "Backtrace omitted.",
    ];
    assert_eq!(diagnose(&exit(1, &log)), Some(Cause::DataUnwritable));
    let backtrace = ["   0: sp_panic_handler::set::{{closure}}", "   1: rust_panic_with_hook"];
    assert_eq!(diagnose(&exit(1, &backtrace)), None);
}

#[test]
fn error_that_a_running_node_logs_is_none_that_it_returned() {
    let ending = "Error: Service(Other(\"Essential task failed.\"))";
    for line in [
        "2026-11-22 10:00:03 ERROR offchain-worker: request to https://api.example.com failed: Error: HTTP 403 Permission denied",
        "2026-11-22 10:00:03 ❌ Error while dialing /dns/telemetry/tcp/443: Error: Custom { kind: Other, error: Permission denied }",
        "2026-11-22 10:00:03 ERROR sync: [Relaychain] 💔 Error importing block 0xab: Error: State already discarded for 0xab",
        "2026-11-22T10:00:03.123456789Z 2026-11-22 10:00:03 rpc: Error: Address already in use",
        "2026-11-22 10:00:03 wasm: error: invalid value 7",
    ] {
        for code in [1, 2] {
            assert_eq!(diagnose(&exit(code, &[line, IDLE, ending])), None, "{line}");
        }
    }
    for prefix in [
        "2026-11-22T10:00:03.123456789Z ",
        "Nov 22 10:00:03 host docker[812]: ",
        "\u{1b}[31m",
    ] {
        let returned = format!("{prefix}Error: Permission denied (os error 13)");
        assert_eq!(
            diagnose(&exit(1, &[&returned])),
            Some(Cause::DataUnwritable),
            "{prefix:?}"
        );
        let below = format!("{prefix}   0: \u{1b}[91mPermission denied (os error 13)\u{1b}[0m");
        assert_eq!(
            diagnose(&exit(1, &["Error: ", &below])),
            Some(Cause::DataUnwritable),
            "{prefix:?}"
        );
    }
}

#[test]
fn words_of_damage_in_other_places_hold_nothing() {
    let lines = [
        "Thread 'x' panicked at 'Critical database eror: IO error: /data/db/007060.sst: Too many open files'",
        "UnknownBlock: State already discarded for 0x5151",
        "IO error: No such file or directory: While mkdir if missing: /data/chains/db: No such file or directory",
        "Thread 'x' panicked at 'Externalities not allowed to fail within runtime: \"Trie lookup error: Invalid state root\"'",
        "Error: Service(Other(\"Essential task failed.\"))",
        "2026-11-22 10:00:03 Database: RocksDb at /data/chains/t0rn/db/full",
        "Error: Service(Network(Io(Custom { kind: Other, error: \"no route\" })))",
        "Error in RPC subscription error=ParseError",
    ];
    for line in lines {
        assert_eq!(diagnose(&exit(1, &[line])), None, "{line}");
    }
}

#[test]
fn exit_code_two_is_bad_arguments_only_with_the_words_of_the_command_line() {
    let usage = [
        "error: unexpected argument '--x' found",
        "",
        "Usage: node [OPTIONS]",
        "",
        "For more information, try '--help'.",
    ];
    assert_eq!(diagnose(&exit(2, &usage)), Some(Cause::BadArguments));
    assert_eq!(diagnose(&exit(2, &[])), Some(Cause::BadArguments));
    assert_eq!(diagnose(&exit(2, &["Thread 'main' panicked"])), None);
    assert_eq!(diagnose(&exit(1, &usage)), None);
    assert_eq!(diagnose(&exit(127, &[CORRUPTION])), Some(Cause::MissingExecutable));
}

#[test]
fn end_that_was_asked_for_is_judged_unless_by_its_signal() {
    let table = Signatures::default();
    for code in [None, Some(137), Some(143)] {
        let end = Exit {
            code,
            ..exit(1, &[CORRUPTION])
        };
        assert_eq!(table.diagnose(&end, true), None, "{code:?}");
    }
    let found = table.diagnose(&exit(1, &[CORRUPTION]), true);
    assert_eq!(found.map(|diagnosis| diagnosis.cause), Some(Cause::DatabaseCorrupted));
    let unknown = Exit {
        code: None,
        ..exit(1, &[CORRUPTION])
    };
    assert_eq!(diagnose(&unknown), Some(Cause::DatabaseCorrupted));
}

#[test]
fn damage_is_told_also_after_a_clean_end_and_a_bootnode_is_none() {
    let log = |line: &str| vec!["Idle".to_owned(), line.to_owned(), "Idle".to_owned()];
    assert_eq!(damage(&log(CORRUPTION)), Some(Cause::DatabaseCorrupted));
    assert_eq!(damage(&log("IO error: No space left on device")), Some(Cause::DiskFull));
    for line in [BOOTNODE, ESSENTIAL, "Error: NetworkKeyNotFound(\"x\")", "error: x"] {
        assert_eq!(damage(&log(line)), None, "{line}");
    }
    assert!(tells_of_damage(CORRUPTION) && !tells_of_damage(BOOTNODE));
}

#[test]
fn lines_that_name_another_chain_are_told_apart() {
    let table = Signatures::default();
    assert!(table.names_other_chain(BOOTNODE));
    assert!(
        ![IDLE, CORRUPTION, ESSENTIAL]
            .iter()
            .any(|line| table.names_other_chain(line))
    );
}
