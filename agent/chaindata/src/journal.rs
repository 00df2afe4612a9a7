//! What a restore has done, in the data directory: for the restore that goes on, and for the agent, which starts nothing
//! in the middle of a switch.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::switch::Unit;
use crate::files;
use crate::layout::RESTORE_DIR;

const FILE: &str = "journal.json";
const SCHEMA: u32 = 1;
/// The largest journal that is read, bytes.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// The present data is as it was.
    Unpacking,
    /// All is proven; the present data is being exchanged.
    Switching,
    /// The restored data is in place; the old waits to be removed.
    Switched,
}

/// Where unpacking goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) index: u32,
    pub(super) offset: u64,
    pub(super) raw: u64,
    /// Hexadecimal.
    pub(super) chain: String,
    /// Where the next entry begins in the tar stream.
    pub(super) entry: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    pub(super) schema: u32,
    pub(super) stage: Stage,
    /// What is restored, for people.
    pub(super) source: String,
    /// Hexadecimal SHA-256 of its head; empty for a plain archive.
    pub(super) head: String,
    pub(super) point: Option<Point>,
    pub(super) units: Vec<Unit>,
    /// The old data stays beside the new.
    pub(super) keep_old: bool,
}

impl Journal {
    pub(super) fn new(source: &str, head: String, keep_old: bool) -> Self {
        Self {
            schema: SCHEMA,
            stage: Stage::Unpacking,
            source: source.to_owned(),
            head,
            point: None,
            units: Vec::new(),
            keep_old,
        }
    }

    /// The journal of a data directory; `None` when no restore is under way.
    pub(super) fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        let (side, path) = (data.join(RESTORE_DIR), path(data));
        // Whoever the data belongs to could lead root elsewhere.
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
        let old = old(data);
        let unreadable = || {
            format!(
                "{}: is no journal of a restore; without {} the data is as it was, so remove {}, else move what is in the \
                 first back to its place before",
                path.display(),
                old.display(),
                side.display()
            )
        };
        if !about.is_file() || about.len() > LARGEST {
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

    /// Lasting, whole or not at all.
    pub(super) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let (path, text) = (path(data), serde_json::to_vec(self)?);
        files::replace_file(&path, &text).with_context(|| format!("cannot write {}", path.display()))
    }
}

pub(super) fn tree(data: &Path) -> PathBuf {
    data.join(RESTORE_DIR).join("tree")
}

pub(super) fn old(data: &Path) -> PathBuf {
    data.join(RESTORE_DIR).join("old")
}

fn path(data: &Path) -> PathBuf {
    data.join(RESTORE_DIR).join(FILE)
}

/// Whether the data is between two states, so that no node may run on it. This blocks on the disk.
///
/// A journal that cannot be understood counts. Where the data may not be looked at, there is none to go by.
pub fn is_switching(data: &Path) -> bool {
    if matches!(fs::symlink_metadata(path(data)), Err(error) if error.kind() == io::ErrorKind::PermissionDenied) {
        return false;
    }
    match Journal::read(data) {
        Ok(journal) => journal.is_some_and(|journal| journal.stage == Stage::Switching),
        Err(_) => true,
    }
}

/// In words, when a restore was interrupted and nobody goes on with it; `None` also where that cannot be told.
pub fn interrupted(data: &Path) -> Option<String> {
    let journal = Journal::read(data).ok()??;
    claim(data).ok()?;
    let source = &journal.source;
    Some(match journal.stage {
        Stage::Unpacking => format!(
            "a restore of {source} was interrupted; the data is as it was: run it again, or give it up with t0rn-agent \
             snapshot abandon"
        ),
        Stage::Switching => {
            format!("a restore of {source} was interrupted while it exchanged the data: run it again, and it finishes")
        }
        Stage::Switched => {
            format!("a restore of {source} was interrupted when all was done but removing the old data: run it again")
        }
    })
}

/// Whether another snapshot or restore is at work on it.
pub(super) fn is_claimed(data: &Path) -> bool {
    let tried = File::open(data).map(|dir| dir.try_lock());
    matches!(tried, Ok(Err(TryLockError::WouldBlock)))
}

/// Holds a data directory for one snapshot or restore at a time, until dropped, however the process ends.
pub fn claim(data: &Path) -> anyhow::Result<File> {
    let dir = File::open(data).with_context(|| format!("cannot open {}", data.display()))?;
    match dir.try_lock() {
        Ok(()) => Ok(dir),
        Err(TryLockError::WouldBlock) => bail!("another snapshot or restore is at work on {}", data.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", data.display())),
    }
}
