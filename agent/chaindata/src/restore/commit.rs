//! The second half of a restore: swaps the data, or gives the restore up.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::disk::{remove_restore_dir, sync_file_system};
use super::prepare::PreparedRestore;
use super::swap::{swap, swap_units};
use crate::files;
use crate::journal::{Journal, RestoreStage, previous_dir, unpacked_dir};
use crate::layout::PREVIOUS_DATA_DIR;
use crate::snapshot::remove_leftovers;
use crate::survey::Survey;

/// Swaps the prepared data in, for good. Returns where the previous data is, if it was to be kept. No node may run on the
/// data meanwhile. `step` is called before each irreversible step; its error ends the restore there.
///
/// After an error, or killed, the data is the previous one or between the two: the next restore finishes it.
pub fn commit_restore(
    data: &Path,
    prepared: PreparedRestore,
    mut step: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Option<PathBuf>> {
    let mut journal = prepared.journal;
    let (unpacked, previous) = (unpacked_dir(data), previous_dir(data));
    if journal.stage == RestoreStage::Unpacking {
        journal.units = swap_units(data, &unpacked, &Survey::read(&unpacked)?.chains);
        sync_file_system(&unpacked)?;
        journal.stage = RestoreStage::Swapping;
        step()?;
        journal.write(data)?;
    }
    if journal.stage == RestoreStage::Swapping {
        fs::create_dir_all(&previous).with_context(|| format!("cannot make {}", previous.display()))?;
        swap(data, &unpacked, &previous, &journal.units, &mut step)?;
        sync_file_system(data)?;
        journal.stage = RestoreStage::Swapped;
        step()?;
        journal.write(data)?;
    }
    step()?;
    let kept = data.join(PREVIOUS_DATA_DIR);
    if journal.keep_old && previous.exists() {
        fs::rename(&previous, &kept).with_context(|| format!("cannot move the old data to {}", kept.display()))?;
        files::sync_dir(data)?;
    }
    step()?;
    remove_restore_dir(data)?;
    Ok(journal.keep_old.then_some(kept))
}

/// Gives up a restore that has not begun to swap, and removes what a killed snapshot left. Returns whether there was a
/// restore.
pub fn abandon_restore(data: &Path) -> anyhow::Result<bool> {
    remove_leftovers(data)?;
    match Journal::read(data)? {
        None => Ok(false),
        Some(journal) => {
            ensure!(
                journal.stage != RestoreStage::Swapping,
                "the restore of {} is past the point of giving up: run it again, and it finishes",
                journal.source
            );
            remove_restore_dir(data).map(|()| true)
        }
    }
}
