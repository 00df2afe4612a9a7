//! Journal of a restore, in the data directory: for the restore that resumes it, and for the agent, which starts no node
//! while the data is being swapped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::layout::RESTORE_DIR;
use crate::lock::lock_data_dir;

const FILE: &str = "journal.json";
const SCHEMA: u32 = 1;
/// The largest journal that is read, bytes.
const MAX_SIZE: u64 = 1 << 20;

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

    /// Reads the journal of a data directory; `None` when no restore is under way.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        let (side, path) = (data.join(RESTORE_DIR), path(data));
        // The owner of the data could redirect root by a link.
        if let Ok(about) = fs::symlink_metadata(&side)
            && !about.is_dir()
        {
            bail!("{}: is no directory; remove it", side.display());
        }
        let about = match fs::symlink_metadata(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            about => about.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let old = previous_dir(data);
        let unreadable = || {
            format!(
                "{}: is no journal of a restore; without {} the data is as it was, so remove {}, else move what is in the \
                 first back to its place before",
                path.display(),
                old.display(),
                side.display()
            )
        };
        if !about.is_file() || about.len() > MAX_SIZE {
            bail!(unreadable());
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let journal: Self = serde_json::from_slice(&text).with_context(unreadable)?;
        if journal.schema != SCHEMA {
            bail!(
                "{}: was written by another version of the agent; use that one",
                path.display()
            );
        }
        Ok(Some(journal))
    }

    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let (path, text) = (path(data), serde_json::to_vec(self)?);
        files::replace_file(&path, &text).with_context(|| format!("cannot write {}", path.display()))
    }
}

pub(crate) fn unpacked_dir(data: &Path) -> PathBuf {
    data.join(RESTORE_DIR).join("tree")
}

/// Directory of the data that was swapped out.
pub(crate) fn previous_dir(data: &Path) -> PathBuf {
    data.join(RESTORE_DIR).join("old")
}

fn path(data: &Path) -> PathBuf {
    data.join(RESTORE_DIR).join(FILE)
}

/// Whether a restore is swapping the data, or was interrupted while it did, so that no node may run on it. Blocks on the
/// disk.
///
/// An unreadable journal counts as swapping; a data directory without permission to read it does not.
pub fn is_restore_swapping(data: &Path) -> bool {
    if matches!(fs::symlink_metadata(path(data)), Err(error) if error.kind() == io::ErrorKind::PermissionDenied) {
        return false;
    }
    match Journal::read(data) {
        Ok(journal) => journal.is_some_and(|journal| journal.stage == RestoreStage::Swapping),
        Err(_) => true,
    }
}

/// Describes a restore that was interrupted and is not being resumed, with the remedy; `None` also where the journal cannot
/// be read.
pub fn describe_interrupted_restore(data: &Path) -> Option<String> {
    let journal = Journal::read(data).ok()??;
    drop(lock_data_dir(data).ok()?);
    let source = &journal.source;
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
