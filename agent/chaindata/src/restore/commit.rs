//! The second half of a restore: swaps the data, or gives the restore up.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use agent_files::{Dir, printable};
use anyhow::{Context as _, ensure};

use super::disk::sync_file_system;
use super::prepare::PreparedRestore;
use super::swap::{Places, swap, swap_units};
use crate::journal::RestoreStage;
use crate::layout::PREVIOUS_DATA_DIR;
use crate::restore_dir::{PREVIOUS, RestoreDir, UNPACKED};
use crate::snapshot::remove_leftovers;
use crate::survey::Survey;

/// Swaps the prepared data in, for good. Returns where the previous data is, if it was to be kept. No node may run on the
/// data meanwhile. `step` is called before each irreversible step; its error ends the restore there.
///
/// After an error, or killed, the data is the previous one or between the two: the next restore finishes it.
pub fn commit_restore(
    prepared: PreparedRestore,
    mut step: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Option<PathBuf>> {
    let PreparedRestore {
        data,
        restore,
        mut journal,
        ..
    } = prepared;
    // From now on the journal keeps the agent from starting: under its name, or not at all.
    restore.ensure_in_place(&data)?;
    if journal.stage == RestoreStage::Unpacking {
        let unpacked = restore.unpacked()?;
        journal.units = swap_units(&data, &unpacked, &Survey::read(&unpacked)?.chains)?;
        sync_file_system(&unpacked)?;
        journal.stage = RestoreStage::Swapping;
        step()?;
        restore.write(&journal)?;
        data.sync()?;
    }
    if journal.stage == RestoreStage::Swapping {
        let (unpacked, private) = (open_or_make(&restore, UNPACKED)?, restore.dir());
        let previous = open_or_make(&restore, PREVIOUS)?;
        let places = Places {
            data: &data,
            unpacked: &unpacked,
            previous: &previous,
            private,
        };
        swap(&places, &journal.units, &mut step)?;
        sync_file_system(&data)?;
        journal.stage = RestoreStage::Swapped;
        step()?;
        restore.write(&journal)?;
    }
    step()?;
    let kept = data.path().join(PREVIOUS_DATA_DIR);
    if journal.keep_old && restore.dir().has(PREVIOUS)? {
        let moved = restore
            .dir()
            .rename(OsStr::new(PREVIOUS), &data, OsStr::new(PREVIOUS_DATA_DIR));
        moved.with_context(|| format!("cannot move the old data to {}", kept.display()))?;
        data.sync()?;
    }
    step()?;
    restore.remove(&data)?;
    Ok(journal.keep_old.then_some(kept))
}

/// A directory of the restore. One that is missing is empty: nothing is left to be moved from there.
fn open_or_make(restore: &RestoreDir, name: &str) -> anyhow::Result<Dir> {
    if restore.dir().has(name)? {
        restore.inner(name)
    } else {
        restore.make_inner(name)
    }
}

/// Gives up a restore that has not begun to swap, and removes what a killed snapshot left. Returns whether there was a
/// restore.
pub fn abandon_restore(data: &Path) -> anyhow::Result<bool> {
    let data = Dir::open(data).with_context(|| format!("cannot open {}", data.display()))?;
    remove_leftovers(&data)?;
    let Some(restore) = RestoreDir::find(&data)? else {
        return Ok(false);
    };
    let journal = restore.journal()?;
    if let Some(journal) = &journal {
        ensure!(
            journal.stage != RestoreStage::Swapping,
            "the restore of {} is past the point of giving up: run it again, and it finishes",
            printable(&journal.source)
        );
    }
    restore.remove(&data).map(|()| journal.is_some())
}
