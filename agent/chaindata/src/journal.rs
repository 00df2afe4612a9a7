//! Journal of a restore, in the restore's own directory: for the restore that resumes it, and for the agent, which starts no
//! node while the data is being swapped.

use std::io;
use std::path::{Component, Path, PathBuf};

use agent_files::{Dir, printable};
use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::layout::{DATABASE_DIRS, is_allowed};
use crate::lock::is_data_dir_locked;
use crate::restore_dir::RestoreDir;

pub(crate) const FILE: &str = "journal.json";
pub(crate) const SCHEMA: u32 = 1;
/// The largest journal that is read, bytes.
pub(crate) const MAX_SIZE: u64 = 1 << 20;

/// Progress of a restore as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RestoreStage {
    /// The present data is unchanged.
    Unpacking,
    /// The snapshot is verified, and the present data is being swapped.
    #[serde(rename = "switching")]
    Swapping,
    /// The restored data is in place; the previous data is to be removed.
    #[serde(rename = "switched")]
    Swapped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResumePoint {
    pub(crate) index: u32,
    pub(crate) offset: u64,
    pub(crate) raw: u64,
    /// Digest of the chunks before it, hexadecimal.
    pub(crate) chain: String,
    /// Where the next entry begins in the tar stream.
    pub(crate) entry: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// One directory that is swapped, relative to the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SwapUnit {
    pub(crate) place: PathBuf,
    /// Whether the restored data has it.
    pub(crate) new: bool,
}

/// State of a restore. Its field names are those of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) schema: u32,
    pub(crate) stage: RestoreStage,
    /// Name of the snapshot, for people.
    pub(crate) source: String,
    /// SHA-256 of the snapshot's info, or of a plain archive as a whole, hexadecimal.
    pub(crate) head: String,
    /// `None` until something can be resumed.
    pub(crate) point: Option<ResumePoint>,
    pub(crate) units: Vec<SwapUnit>,
    /// Whether the previous data stays beside the new.
    pub(crate) keep_old: bool,
}

impl Journal {
    pub(crate) fn new(source: &str, head: String, keep_old: bool) -> Self {
        Self {
            schema: SCHEMA,
            stage: RestoreStage::Unpacking,
            source: source.to_owned(),
            head,
            point: None,
            units: Vec::new(),
            keep_old,
        }
    }

    /// Reads the text of a file, which may still be invalid.
    pub(crate) fn parse(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    /// Fails for a journal that names a place that no restore swaps.
    pub(crate) fn ensure_valid(&self) -> anyhow::Result<()> {
        for SwapUnit { place, .. } in &self.units {
            let plain = place.components().all(|part| matches!(part, Component::Normal(_)));
            let parts: Vec<_> = place.iter().collect();
            let database = matches!(&parts[..], [.., chains, _, name]
                if *chains == "chains" && DATABASE_DIRS.iter().any(|dir| name == dir));
            ensure!(
                plain && database && is_allowed(place, true),
                "names {}, which no restore exchanges; the journal was not written by this agent: remove its directory, and \
                 look at what is in it before",
                printable(&place.display().to_string())
            );
        }
        Ok(())
    }
}

/// Reads the journal of a data directory; `None` when no restore is under way.
pub(crate) fn read_journal(data: &Dir) -> anyhow::Result<Option<Journal>> {
    RestoreDir::find(data)?.map_or(Ok(None), |restore| restore.journal())
}

/// Whether a restore is swapping the data, or was interrupted while it did, so that no node may run on it. Blocks on the
/// disk.
///
/// A directory of root's whose journal cannot be read counts as swapping. What others put in its place is no journal; and
/// what may not be read does not count.
pub fn is_restore_swapping(data: &Path) -> bool {
    let Ok(data) = Dir::open(data) else {
        return false;
    };
    let found = RestoreDir::find(&data).and_then(|restore| restore.map_or(Ok(None), |restore| restore.journal()));
    match found {
        Ok(journal) => journal.is_some_and(|journal| journal.stage == RestoreStage::Swapping),
        Err(error) => RestoreDir::may_be_own(&data) && !is_denied(&error),
    }
}

fn is_denied(error: &anyhow::Error) -> bool {
    let denied = |cause: &io::Error| cause.kind() == io::ErrorKind::PermissionDenied;
    error.chain().filter_map(|cause| cause.downcast_ref()).any(denied)
}

/// Describes a restore that was interrupted and is not being resumed, with the remedy; `None` also where the journal cannot
/// be read. `state_dir` is the agent's.
pub fn describe_interrupted_restore(data: &Path, state_dir: &Path) -> Option<String> {
    let journal = read_journal(&Dir::open(data).ok()?).ok()??;
    if is_data_dir_locked(state_dir) {
        return None;
    }
    let source = printable(&journal.source);
    Some(match journal.stage {
        RestoreStage::Unpacking => format!(
            "a restore of {source} was interrupted; the data is as it was: run it again, or give it up with t0rn-agent \
             snapshot abandon"
        ),
        RestoreStage::Swapping => {
            format!("a restore of {source} was interrupted while it exchanged the data: run it again, and it finishes")
        }
        RestoreStage::Swapped => {
            format!("a restore of {source} was interrupted when all was done but removing the old data: run it again")
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
