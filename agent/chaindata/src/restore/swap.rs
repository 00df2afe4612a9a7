//! Swaps the present data for the restored by renames, which can be resumed when they were interrupted.
//!
//! Only databases are moved. Key stores and node keys stay where they are.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::certificate::remove_certificate;
use crate::files;
use crate::journal::SwapUnit;
use crate::layout::DATABASE_DIRS;
use crate::survey::ChainDir;

/// The directories to swap: all databases of the restored chains. Other chains stay as they are.
pub(super) fn swap_units(data: &Path, unpacked: &Path, restored: &[ChainDir]) -> Vec<SwapUnit> {
    let places = restored
        .iter()
        .map(|chain| &chain.path)
        .flat_map(|path| DATABASE_DIRS.map(|name| path.join(name)));
    places
        .map(|place| SwapUnit {
            new: unpacked.join(&place).is_dir(),
            place,
        })
        .filter(|unit| unit.new || data.join(&unit.place).exists())
        .collect()
}

/// Swaps `units`, or those that are left. `step` is called before each rename.
pub(super) fn swap(
    data: &Path,
    unpacked: &Path,
    previous: &Path,
    units: &[SwapUnit],
    mut step: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // It describes the previous data.
    remove_certificate(data).context("cannot remove the certificate of the present data")?;
    for unit in units {
        let (present, new, old) = (
            data.join(&unit.place),
            unpacked.join(&unit.place),
            previous.join(&unit.place),
        );
        let waiting = !unit.new || exists(&new)?;
        if waiting && exists(&present)? {
            ensure!(
                !exists(&old)?,
                "{} came back while it was exchanged: a node ran on it. Stop it, remove that directory, and restore again",
                present.display()
            );
            step()?;
            rename_durably(&present, &old)?;
        }
        if unit.new && waiting {
            step()?;
            rename_durably(&new, &present)?;
        }
    }
    Ok(())
}

/// Whether a path exists, without following a link.
fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames durably. Makes the parents of `to` like those of `from`.
fn rename_durably(from: &Path, to: &Path) -> anyhow::Result<()> {
    let done = (|| {
        let parent = to.parent().unwrap_or(to);
        make_dir_like(from.parent().unwrap_or(from), parent)?;
        fs::rename(from, to)?;
        files::sync_dir(parent)?;
        files::sync_dir(from.parent().unwrap_or(from))
    })();
    done.with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

/// Makes `to` and its missing parents, with owner and mode of `like` and its parents.
fn make_dir_like(like: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    if exists(to)? {
        return Ok(());
    }
    if let (Some(like), Some(above)) = (like.parent(), to.parent()) {
        make_dir_like(like, above)?;
    }
    fs::create_dir(to)?;
    let about = fs::metadata(like)?;
    chown(to, Some(about.uid()), Some(about.gid()))?;
    fs::set_permissions(to, about.permissions())?;
    files::sync_dir(to.parent().unwrap_or(to))
}
