#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use proptest::prelude::*;

use super::*;
use crate::event::Chain::{Parachain, Relaychain};
use SyncPhase::{
    Database, FullSync, History, Idle, Preparing, StateDownload, StateImport, TargetBlock, WaitingForPeers,
    WaitingForTarget, WarpProofs,
};

type Row = (&'static str, Option<Chain>, SyncPhase, Option<u64>, Option<u64>);

/// Line, chain, phase, peers, best height. From public issues and READMEs; those without a timestamp are put
/// together as the sources do.
const LINES: &[Row] = &[
    (
        "2021-06-18 13:10:56 [Relaychain] ⚙️  Syncing, target=#7968665 (9 peers), best: #1267 (0xf926…4f7d), finalized #1024 (0x3f17…fd7f), ⬇ 317.5kiB/s ⬆ 39.3kiB/s    ",
        Some(Relaychain),
        FullSync,
        Some(9),
        Some(1267),
    ),
    (
        "2021-08-31 07:21:41 [Relaychain] ⚙️  Syncing  4.9 bps, target=#9017838 (50 peers), best: #4320286 (0xf174…a212), finalized #4320256 (0xbd08…45ad), ⬇ 207.2kiB/s ⬆ 213.6kiB/s    ",
        Some(Relaychain),
        FullSync,
        Some(50),
        Some(4_320_286),
    ),
    (
        "2023-04-30 19:12:20 [🌗] ⚙️  Syncing  1.8 bps, target=#3462825 (9 peers), best: #3459782 (0x81b8…21b6), finalized #3459723 (0x60fe…e805), ⬇ 28.0kiB/s ⬆ 2.3kiB/s",
        Some(Parachain),
        FullSync,
        Some(9),
        Some(3_459_782),
    ),
    (
        "2024-01-21 13:50:05 [Relaychain] ⚙️  Syncing 396.8 bps, target=#19138940 (10 peers), best: #6656 (0xb3e2…77ff), finalized #6144 (0xeced…4008), ⬇ 207.7kiB/s ⬆ 13.1kiB/s    ",
        Some(Relaychain),
        FullSync,
        Some(10),
        Some(6656),
    ),
    (
        "2021-05-10 18:06:35.764  INFO tokio-runtime-worker substrate: ⚙️  Syncing  0.0 bps, target=#268513 (37 peers), best: #268334 (0x7da7…2b1d), finalized #268334 (0x7da7…2b1d), ⬇ 1.9kiB/s ⬆ 170.5kiB/s",
        None,
        FullSync,
        Some(37),
        Some(268_334),
    ),
    (
        "May 10 18:06:35 iZt4n2abc7uh1mrayjco8hZ moonbeam[222868]: 2021-05-10 18:06:35.764  INFO tokio-runtime-worker substrate: ⚙️  Syncing  0.0 bps, target=#268513 (37 peers), best: #268334 (0x7da7…2b1d), finalized #268334 (0x7da7…2b1d), ⬇ 1.9kiB/s ⬆ 170.5kiB/s",
        None,
        FullSync,
        Some(37),
        Some(268_334),
    ),
    (
        "2019-06-26 09:06:53 Syncing, target=#654686 (21 peers), best: #652373 (0x0744…58a7), finalized #242821 (0x073c…e32f), ⬇ 8.2MiB/s ⬆ 56.3kiB/s",
        None,
        FullSync,
        Some(21),
        Some(652_373),
    ),
    (
        "2025-11-07 19:16:22 [Parachain] ⚙️ Preparing 0.0 bps, target=#10301805 (5 peers), best: #10301718 (0x2086…8cdc), finalized #3928870 (0x259c…4fe0), ⬇ 5.6kiB/s ⬆ 9 B/s ",
        Some(Parachain),
        Preparing,
        Some(5),
        Some(10_301_718),
    ),
    (
        "2021-09-14 16:06:05 [🌗] 💤 Idle (23 peers), best: #758417 (0x52fd…4b9e), finalized #758416 (0x5fae…6bc5), ⬇ 1.8kiB/s ⬆ 2.3kiB/s",
        Some(Parachain),
        Idle,
        Some(23),
        Some(758_417),
    ),
    (
        "2024-01-21 13:50:00 [🌀Parachain] 💤 Idle (0 peers), best: #0 (0xb3db…9d82), finalized #0 (0xb3db…9d82), ⬇ 0 ⬆ 0    ",
        Some(Parachain),
        Idle,
        Some(0),
        Some(0),
    ),
    (
        "Nov 24 01:26:27.340  INFO 💤 Idle (0 peers), best: #318450 (0x4fc6…b8d8), finalized #317952 (0x162d…eb7d), ⬇ 0.3kiB/s ⬆ 0.2kiB/s    ",
        None,
        Idle,
        Some(0),
        Some(318_450),
    ),
    (
        "2021-01-28 18:13:22.687   INFO tokio-runtime-worker substrate: [Parachain] 💤 Idle (0 peers), best: #0 (0x40be…c398), finalized #0 (0x40be…c398), ⬇ 2.1MiB/s ⬆ 2.1MiB/s",
        Some(Parachain),
        Idle,
        Some(0),
        Some(0),
    ),
    (
        "2020-01-10 17:11:50.996 main-tokio-9 INFO substrate  Idle (5 peers), best: #215272 (0xeade…a263), finalized #76059 (0x10b0…b9ff), ⬇ 1.0kiB/s ⬆ 1.0kiB/s",
        None,
        Idle,
        Some(5),
        Some(215_272),
    ),
    (
        "2018-09-28 12:53:39 Idle (4 peers), best: #12129 (0x31b9…aba2)",
        None,
        Idle,
        Some(4),
        Some(12_129),
    ),
    (
        "2021-11-07 11:37:18 ⏩ Warping, Downloading finality proofs, 7.96 Mib (34 peers), best: #0 (0x91b1…90c3), finalized #0 (0x91b1…90c3), ⬇ 1.5MiB/s ⬆ 2.4kiB/s",
        None,
        WarpProofs,
        Some(34),
        Some(0),
    ),
    (
        "2024-12-03 14:09:28 ⏩ Warping, Downloading finality proofs, 0.00 Mib (8 peers), best: #0 (0xe143…423e), finalized #0 (0xe143…423e), ⬇ 156.6kiB/s ⬆ 0.6kiB/s    ",
        None,
        WarpProofs,
        Some(8),
        Some(0),
    ),
    (
        "2025-05-27 16:39:43 2025-05-27 15:39:43 ⏩ Warping, Downloading finality proofs, 0.00 Mib (31 peers), best: #0 (0x2f05…6c03), finalized #0 (0x2f05…6c03), ⬇ 31.9kiB/s ⬆ 6.4kiB/s    ",
        None,
        WarpProofs,
        Some(31),
        Some(0),
    ),
    (
        "⏩ Warping 12.50 Mib (8 peers), ⬇ 156.6kiB/s ⬆ 0.6kiB/s",
        None,
        WarpProofs,
        Some(8),
        None,
    ),
    (
        "[Relaychain] ⏩ Warping, Waiting for peers, 0.00 Mib (0 peers), best: #0 (0xb0a8…dafe), finalized #0 (0xb0a8…dafe), ⬇ 0 ⬆ 0",
        Some(Relaychain),
        WaitingForPeers,
        Some(0),
        Some(0),
    ),
    (
        "⏩ Warping, Waiting for 3 peers to be connected, 0.00 Mib (1 peers), best: #0 (0x91b1…90c3), finalized #0 (0x91b1…90c3), ⬇ 0.1kiB/s ⬆ 0",
        None,
        WaitingForPeers,
        Some(1),
        Some(0),
    ),
    (
        "2023-09-26 09:22:42 [🌗] ⏩ Waiting for pending target block (12 peers), best: #0 (0x401a…474b), finalized #0 (0x401a…474b), ⬇ 4.1kiB/s ⬆ 0.6kiB/s",
        Some(Parachain),
        WaitingForTarget,
        Some(12),
        Some(0),
    ),
    (
        "2023-09-26 09:22:52 [🌗] ⏩ Waiting for pending target block (12 peers), best: #0 (0x401a…474b), finalized #0 (0x401a…474b), ⬇ 4.7kiB/s ⬆ 19 B/s",
        Some(Parachain),
        WaitingForTarget,
        Some(12),
        Some(0),
    ),
    (
        "[Parachain] ⏩ Warping, Waiting for target block to be received, 0.00 Mib (4 peers), best: #0 (0x401a…474b), finalized #0 (0x401a…474b), ⬇ 0 ⬆ 0",
        Some(Parachain),
        WaitingForTarget,
        Some(4),
        Some(0),
    ),
    (
        "[Parachain] ⏩ Warping, Downloading target block, 8.00 Mib (4 peers), best: #0 (0x401a…474b), finalized #0 (0x401a…474b), ⬇ 0 ⬆ 0",
        Some(Parachain),
        TargetBlock,
        Some(4),
        Some(0),
    ),
    (
        "2023-03-24 08:21:45 ⏩ Warping, Downloading state, 40.83 Mib (15 peers), best: #0 (0x2d00…c9b3), finalized #0 (0x2d00…c9b3), ⬇ 3.5MiB/s ⬆ 14.0kiB/s",
        None,
        StateDownload,
        Some(15),
        Some(0),
    ),
    (
        "2023-09-26 09:22:40 [Relaychain] ⏩ Warping, Downloading state, 1381.35 Mib (11 peers), best: #0 (0xb0a8…dafe), finalized #0 (0xb0a8…dafe), ⬇ 2.5MiB/s ⬆ 1.6kiB/s",
        Some(Relaychain),
        StateDownload,
        Some(11),
        Some(0),
    ),
    (
        "2023-08-24 08:46:00.723  INFO tokio-runtime-worker substrate: [Parachain] ⚙️  Downloading state, 0%, 0.00 Mib (22 peers), best: #3096689 (0x930f…8dda), finalized #3096689 (0x930f…8dda), ⬇ 0.4kiB/s ⬆ 0.3kiB/s",
        Some(Parachain),
        StateDownload,
        Some(22),
        Some(3_096_689),
    ),
    (
        "[Parachain] ⚙️  State sync, Downloading state, 32%, 11.37 Mib (22 peers), best: #0 (0x930f…8dda), finalized #0 (0x930f…8dda), ⬇ 1.0MiB/s ⬆ 0.3kiB/s",
        Some(Parachain),
        StateDownload,
        Some(22),
        Some(0),
    ),
    (
        "[Parachain] ⚙️  State sync, Importing state, 100%, 58.00 Mib (22 peers), best: #0 (0x930f…8dda), finalized #0 (0x930f…8dda), ⬇ 0 ⬆ 0",
        Some(Parachain),
        StateImport,
        Some(22),
        Some(0),
    ),
    (
        "2023-09-26 10:11:23 [🌗] ⏩ Warping, Importing state, 6860.34 Mib (18 peers), best: #0 (0x401a…474b), finalized #0 (0x401a…474b), ⬇ 5.8kiB/s ⬆ 0.4kiB/s",
        Some(Parachain),
        StateImport,
        Some(18),
        Some(0),
    ),
    (
        "2023-12-14 10:22:28 ⏩ Block history, #26112 (8 peers), best: #438968 (0x3fba…8e06), finalized #438966 (0x99bd…0628), ⬇ 3.4MiB/s ⬆ 182.8kiB/s",
        None,
        History,
        Some(8),
        Some(438_968),
    ),
    (
        "2023-09-26 09:22:50 [Relaychain] ⏩ Block history, #4544 (11 peers), best: #19845410 (0xdace…3b47), finalized #19845381 (0xb16b…dabf), ⬇ 624.8kiB/s ⬆ 2.8kiB/s",
        Some(Relaychain),
        History,
        Some(11),
        Some(19_845_410),
    ),
    (
        "2023-09-05 18:20:58 💾 Database: RocksDb at /data/chains/moonbeam/db/full    ",
        None,
        Database,
        None,
        None,
    ),
    (
        "2023-01-19 14:08:27.060  WARN main parity-db: Missing table 09-19, starting reindex    ",
        None,
        Database,
        None,
        None,
    ),
    (
        "2023-01-19 14:08:27.060  INFO main parity-db: Started reindex for 09-18    ",
        None,
        Database,
        None,
        None,
    ),
    (
        "[Relaychain] Migrating parachains db from version 3 to version 4 ...",
        Some(Relaychain),
        Database,
        None,
        None,
    ),
];

#[test]
fn lines_of_all_versions_give_chain_phase_peers_and_best() {
    for (line, chain, phase, peers, best) in LINES {
        let found = Informant::parse(line).unwrap_or_else(|| panic!("not read: {line}"));
        let height = found.best.map(|(height, _)| height);
        assert_eq!(
            (found.chain, found.phase, found.peers, height),
            (*chain, *phase, *peers, *best),
            "{line}"
        );
    }
}

#[test]
fn line_of_full_sync_gives_every_value() {
    let informant = Informant {
        chain: Some(Relaychain),
        phase: FullSync,
        percent: None,
        downloaded_bytes: None,
        blocks_per_second: Some(37.6),
        target: Some(28_540_832),
        peers: Some(200),
        best: Some((15_989_288, "0xa17c…22f5".into())),
        finalized: Some((15_989_248, "0x1e6b…3889".into())),
        bytes_in_per_second: Some(219.5 * 1024.0),
    };
    let line = "2025-11-07 19:16:22 [Relaychain] ⚙️ Syncing 37.6 bps, target=#28540832 (200 peers), best: #15989288 \
                (0xa17c…22f5), finalized #15989248 (0x1e6b…3889), ⬇ 219.5kiB/s ⬆ 1.1MiB/s";
    assert_eq!(Informant::parse(line), Some(informant.clone()));
    let coloured = "2025-11-07 19:16:22 [\x1b[1mRelaychain\x1b[0m] ⚙️  \x1b[1;37mSyncing 37.6 bps\x1b[0m, target=#28540832 \
                    (\x1b[1;37m200\x1b[0m peers), best: #\x1b[1;37m15989288\x1b[0m (0xa17c…22f5), finalized \
                    #\x1b[1;37m15989248\x1b[0m (0x1e6b…3889), \x1b[32m⬇ 219.5kiB/s\x1b[0m \x1b[31m⬆ 1.1MiB/s\x1b[0m";
    assert_eq!(Informant::parse(coloured), Some(informant));
}

#[test]
fn every_phase_of_a_download_gives_its_bytes() {
    // paritytech/substrate#13202, #10208, RaoFoundation/subtensor#1688; display.rs of 2021, and of today without a phase.
    for (status, bytes) in [
        ("⏩ Warping, Downloading state, 366.63 Mib", 384_439_418),
        ("⏩ Warping, Downloading finality proofs, 0.00 Mib", 0),
        ("⚙️  State sync, Downloading state, 14%, 17.08 Mib", 17_909_678),
        ("⚙️  Downloading state, 32%, (11.37) Mib", 11_922_309),
        ("⏩ Warping 3.20 Mib", 3_355_443),
    ] {
        let line = format!("{status} (40 peers), best: #0 (0x91b1…90c3), finalized #0 (0x91b1…90c3), ⬇ 3.8MiB/s ⬆ 0");
        assert_eq!(Informant::parse(&line).unwrap().downloaded_bytes, Some(bytes), "{line}");
    }
}

#[test]
fn state_sync_gives_its_percentage() {
    for (text, percent) in [("0%", 0.0), ("32%", 32.0), ("100%", 100.0)] {
        let line = format!("⚙️  State sync, Downloading state, {text}, 11.37 Mib (2 peers), best: #0 (0x930f…8dda)");
        assert_eq!(Informant::parse(&line).unwrap().percent, Some(percent), "{line}");
    }
}

#[test]
fn rates_are_read_in_all_units() {
    for (text, rate) in [
        ("0", 0.0),
        ("9 B/s", 9.0),
        ("1.5kiB/s", 1536.0),
        ("2.5MiB/s", 2_621_440.0),
    ] {
        let line = format!("💤 Idle (1 peers), best: #1 (0x1…2), finalized #1 (0x1…2), ⬇ {text} ⬆ 3.0MiB/s");
        assert_eq!(
            Informant::parse(&line).unwrap().bytes_in_per_second,
            Some(rate),
            "{line}"
        );
    }
}

#[test]
fn other_lines_are_none() {
    for line in [
        "",
        "2023-03-24 08:21:57 ✨ Imported #1913240 (0xa922…5e2e)",
        "2024-12-10 23:44:19 [🌗] 🏆 Imported #8695407 (0x27d4…5814 → 0x5365…2c44)",
        "2023-03-24 08:21:56 Warp sync is complete (57 MiB), restarting block sync.",
        "2025-05-27 16:43:43 Report 12D3KooWEhbi2zHiqzJMNPWBEUhbNSM7HsCCvXtPCwA8ZF6QN6vb: -536870912 to -1783245858.",
        "Syncing with (3 peers) of the set",
        "Idle (many peers), best: #1 (0x1…2)",
        "💤 Idleness (3 peers of 4)",
    ] {
        assert_eq!(Informant::parse(line), None, "{line}");
    }
}

#[test]
fn phases_that_persist_nothing_are_those_of_warp_and_state_sync() {
    let nothing = SyncPhase::VARIANTS.iter().filter(|phase| phase.persists_nothing());
    let expected = [
        WarpProofs,
        WaitingForPeers,
        WaitingForTarget,
        TargetBlock,
        StateDownload,
        StateImport,
    ];
    assert_eq!(nothing.copied().collect::<Vec<_>>(), expected);
}

proptest! {
    #[test]
    fn no_line_panics(line in any::<String>()) {
        Informant::parse(&line);
    }

    /// Real lines with a piece cut out and another put in.
    #[test]
    fn no_damaged_line_panics(at in 0..LINES.len(), from in 0_usize..200, length in 0_usize..40, new in "[\\PC\x1b]{0,6}") {
        let chars: Vec<char> = LINES[at].0.chars().collect();
        let from = from.min(chars.len());
        let end = (from + length).min(chars.len());
        let line: String = chars[..from].iter().copied().chain(new.chars()).chain(chars[end..].iter().copied()).collect();
        Informant::parse(&line);
    }
}
