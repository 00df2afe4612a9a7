//! The informant: the line about synchronisation that a Polkadot-SDK node logs every five seconds for each chain.
//!
//! Its texts are those of `sc-informant` (display.rs) and `sc-network-sync` (warp.rs, state.rs) since 2021.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::event::Chain;
use crate::units::rounded_size;

/// One line of the informant. `None` means that the line does not carry the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Informant {
    /// From the line's prefix; `None` without a prefix.
    pub chain: Option<Chain>,
    pub phase: SyncPhase,
    /// Share of the state that is downloaded, an estimate of the node: 0 to 100.
    pub percent: Option<f32>,
    /// Bytes that this phase has downloaded so far, to 0.01 MiB. Unlike `percent`, a warp sync has them in every phase,
    /// and they rise while a single large part of the state is downloaded, in which the share stands.
    pub downloaded_bytes: Option<u64>,
    /// Blocks imported per second.
    pub blocks_per_second: Option<f64>,
    /// Height of the target.
    pub target: Option<u64>,
    /// Connected peers.
    pub peers: Option<u64>,
    /// Best block: height, and hash as printed (`0x1234…abcd`).
    pub best: Option<(u64, String)>,
    /// Finalized block: height, and hash as printed.
    pub finalized: Option<(u64, String)>,
    /// Bytes received per second.
    pub bytes_in_per_second: Option<f64>,
}

/// What a node is doing to come in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum SyncPhase {
    /// Downloads and imports blocks.
    FullSync,
    /// Has downloaded blocks, and imports them.
    Preparing,
    Idle,
    /// Warp sync: downloads or verifies finality proofs. Some versions do not name the phase of a warp sync: they count
    /// as this one.
    WarpProofs,
    /// Warp sync has too few peers to begin.
    WaitingForPeers,
    /// A parachain's warp sync waits for the relay chain to name the target block.
    WaitingForTarget,
    /// Warp sync: downloads the target block.
    TargetBlock,
    StateDownload,
    StateImport,
    /// Downloads the blocks before a warp sync's target; the chain's head is in sync or syncs beside it.
    History,
    /// Opens, migrates or reindexes the database.
    Database,
}

impl SyncPhase {
    /// Whether a restart loses what this phase has done so far.
    pub fn persists_nothing(self) -> bool {
        match self {
            Self::WarpProofs
            | Self::WaitingForPeers
            | Self::WaitingForTarget
            | Self::TargetBlock
            | Self::StateDownload
            | Self::StateImport => true,
            Self::FullSync | Self::Preparing | Self::Idle | Self::History | Self::Database => false,
        }
    }

    /// Whether this phase works on what is there already, so that no height shows its progress.
    pub fn moves_no_height(self) -> bool {
        matches!(self, Self::History | Self::Database)
    }

    /// The phase in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::FullSync => "block download",
            Self::Preparing => "block import",
            Self::Idle => "idle",
            Self::WarpProofs => "warp proof download",
            Self::WaitingForPeers => "waiting for peers",
            Self::WaitingForTarget => "waiting for the target block",
            Self::TargetBlock => "target block download",
            Self::StateDownload => "state download",
            Self::StateImport => "state import",
            Self::History => "block history download",
            Self::Database => "database work",
        }
    }
}

/// What the node's own log says about its synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SyncProgress {
    pub phase: SyncPhase,
    /// Share of the state that is downloaded.
    pub percent: Option<f32>,
    /// Size of what the phase has downloaded so far.
    #[serde(skip)]
    pub downloaded_bytes: Option<u64>,
    pub bytes_in_per_second: Option<f64>,
}

impl fmt::Display for SyncProgress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.phase.text())?;
        if let Some(percent) = self.percent {
            write!(f, " {percent:.0} %")?;
        }
        let rate = self.bytes_in_per_second.filter(|rate| *rate >= 1.0);
        let rate = rate.and_then(|rate| Duration::try_from_secs_f64(rate).ok());
        match rate {
            Some(bytes) => write!(f, ", {}/s", rounded_size(bytes.as_secs())),
            None => Ok(()),
        }
    }
}

/// What the informant's message begins with, after the prefix and an emoji.
const STATUS: &[&str] = &[
    "Idle",
    "Syncing",
    "Preparing",
    "Warping",
    "Waiting for",
    "State sync",
    "Downloading state",
    "Importing state",
    "Block history",
];

/// Texts of the status; the first that matches counts.
const PHASES: &[(&str, SyncPhase)] = &[
    ("Block history", SyncPhase::History),
    ("Downloading block history", SyncPhase::History),
    ("Downloading finality proofs", SyncPhase::WarpProofs),
    ("Importing finality proofs", SyncPhase::WarpProofs),
    ("Waiting for pending target block", SyncPhase::WaitingForTarget),
    ("Waiting for target block", SyncPhase::WaitingForTarget),
    ("Waiting for", SyncPhase::WaitingForPeers),
    ("Downloading target block", SyncPhase::TargetBlock),
    ("Downloading state", SyncPhase::StateDownload),
    ("Importing state", SyncPhase::StateImport),
    ("State sync", SyncPhase::StateDownload),
    ("Warping", SyncPhase::WarpProofs),
    ("Syncing", SyncPhase::FullSync),
    ("Preparing", SyncPhase::Preparing),
    ("Idle", SyncPhase::Idle),
];

/// Lines about the database: sc-cli (runner.rs) before it opens one; parity-db (paritytech/substrate#13179), also while
/// a node runs; polkadot-service (`parachains_db/upgrade.rs`). All parts stand in one line, in this order.
const DATABASE: &[&[&str]] = &[
    &["Database: RocksDb at "],
    &["Database: ParityDb at "],
    &["Missing table ", ", starting reindex"],
    &["Started reindex for "],
    &["Migrating parachains db from version "],
];

impl Informant {
    /// Parses one log line, with or without timestamp, level, target, prefix, emoji and ANSI colours; `None` for any
    /// other line.
    pub fn parse(line: &str) -> Option<Self> {
        let line = uncoloured(line);
        status(&line).or_else(|| database(&line))
    }

    pub(crate) fn progress(&self) -> SyncProgress {
        SyncProgress {
            phase: self.phase,
            percent: self.percent,
            downloaded_bytes: self.downloaded_bytes,
            bytes_in_per_second: self.bytes_in_per_second,
        }
    }
}

/// The informant lines among `lines`, each with its chain: that of its prefix, or the only one of `chains`, or the parachain.
pub fn by_chain<'a>(lines: &'a [String], chains: &[Chain]) -> impl Iterator<Item = (Chain, Informant)> + use<'a> {
    let unnamed = match chains {
        [chain] => *chain,
        _ => Chain::Parachain,
    };
    let informants = lines.iter().filter_map(|line| Informant::parse(line));
    informants.map(move |informant| (informant.chain.unwrap_or(unnamed), informant))
}

fn status(line: &str) -> Option<Informant> {
    let (before, after) = line.split_once(" peers)")?;
    if !after.contains("best: #") && !after.contains('⬇') {
        return None;
    }
    let (head, peers) = before.rsplit_once('(')?;
    let start = STATUS
        .iter()
        .flat_map(|status| head.match_indices(status))
        .map(|(at, _)| at)
        .filter(|at| {
            head[..*at]
                .chars()
                .next_back()
                .is_none_or(|c| !c.is_alphanumeric() && c != '[')
        })
        .min()?;
    let (preamble, status) = head.split_at(start);
    let (_, phase) = PHASES.iter().find(|(text, _)| status.contains(text))?;
    Some(Informant {
        chain: chain(preamble),
        phase: *phase,
        percent: number_before(status, "%").filter(|percent| (0.0..=100.0).contains(percent)),
        downloaded_bytes: number_before(status, " Mib")
            .or_else(|| number_before(status, ") Mib"))
            .map(mebibytes),
        blocks_per_second: number_before(status, "bps"),
        target: number_after(status, "target=#"),
        peers: Some(peers.trim().parse().ok()?),
        best: block(after, "best: #"),
        finalized: block(after, "finalized #"),
        bytes_in_per_second: after.split_once('⬇').and_then(|(_, rate)| bytes(rate)),
    })
}

fn database(line: &str) -> Option<Informant> {
    let matches = |parts: &&&[&str]| {
        let mut parts = parts.iter();
        let rest = parts.try_fold(line, |rest, part| rest.split_once(*part).map(|(_, rest)| rest));
        rest.is_some()
    };
    let parts = DATABASE.iter().find(matches)?;
    Some(Informant {
        chain: chain(line.split_once(parts[0])?.0),
        phase: SyncPhase::Database,
        percent: None,
        downloaded_bytes: None,
        blocks_per_second: None,
        target: None,
        peers: None,
        best: None,
        finalized: None,
        bytes_in_per_second: None,
    })
}

/// The chain of a prefix such as `[Parachain]`. The relay chain's is always `[Relaychain]`; a parachain has any name
/// (`[🌗]`, `[Orchestrator]`).
fn chain(preamble: &str) -> Option<Chain> {
    let (before, prefix) = preamble.rsplit_once('[')?;
    let (name, _) = prefix.split_once(']')?;
    // `program[pid]:` of syslog is no prefix.
    if before.chars().next_back().is_some_and(|c| !c.is_whitespace()) {
        return None;
    }
    Some(if name.contains("Relaychain") {
        Chain::Relaychain
    } else {
        Chain::Parachain
    })
}

/// The line without ANSI escape sequences.
fn uncoloured(line: &str) -> Cow<'_, str> {
    let Some((first, rest)) = line.split_once('\x1b') else {
        return Cow::Borrowed(line);
    };
    let mut text = first.to_owned();
    for piece in rest.split('\x1b') {
        let piece = piece.strip_prefix('[').map_or(piece, |sequence| {
            let end = sequence.find(|c: char| ('@'..='~').contains(&c));
            end.map_or("", |end| &sequence[end + 1..])
        });
        text.push_str(piece);
    }
    Cow::Owned(text)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// The number that `text` begins with, and the rest.
fn leading_number<T: FromStr>(text: &str) -> Option<(T, &str)> {
    let (number, rest) = text.split_at(text.find(|c| !is_digit(c)).unwrap_or(text.len()));
    Some((number.parse().ok()?, rest))
}

fn number_after<T: FromStr>(text: &str, mark: &str) -> Option<T> {
    let (_, text) = text.split_once(mark)?;
    leading_number(text).map(|(number, _)| number)
}

fn number_before<T: FromStr>(text: &str, mark: &str) -> Option<T> {
    let text = text.split_once(mark)?.0.trim_end();
    text[text.trim_end_matches(is_digit).len()..].parse().ok()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "written with digits only: not negative, and `as` saturates"
)]
fn mebibytes(size: f64) -> u64 {
    (size * f64::from(1 << 20)) as u64
}

/// Height and hash after `mark`: `123 (0x1234…abcd)`.
fn block(text: &str, mark: &str) -> Option<(u64, String)> {
    let (height, rest) = leading_number(text.split_once(mark)?.1)?;
    let (hash, _) = rest.strip_prefix(" (")?.split_once(')')?;
    Some((height, hash.to_owned()))
}

/// A rate in bytes per second: `0`, `9 B/s`, `3.4kiB/s`, `1.2MiB/s`.
fn bytes(text: &str) -> Option<f64> {
    let (number, unit) = leading_number::<f64>(text.trim_start())?;
    let unit = unit.trim_start();
    let scale = [("kiB/s", 10), ("MiB/s", 20), ("GiB/s", 30)]
        .iter()
        .find(|(name, _)| unit.starts_with(name))
        .map_or(1.0, |(_, bits)| f64::from(1_u32 << bits));
    Some(number * scale)
}

#[cfg(test)]
mod tests;
