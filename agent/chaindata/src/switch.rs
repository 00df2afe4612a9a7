//! The restored data in place of the present: by renames that are written down before they are done, so that whoever was
//! killed half way is finished by the next.
//!
//! Only what a snapshot may hold is moved. Key stores and node keys stay where they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::certificate::remove_certificate;
use crate::files;
use crate::layout::DATABASE_DIRS;
use crate::survey::ChainDir;

/// One directory that is exchanged, relative to the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unit {
    pub(super) place: PathBuf,
    /// The restored data has it.
    pub(super) new: bool,
}

/// What is exchanged: all databases of the chains that were restored. Other chains stay as they are.
pub(super) fn units(data: &Path, tree: &Path, restored: &[ChainDir]) -> Vec<Unit> {
    let places = restored
        .iter()
        .map(|chain| &chain.path)
        .flat_map(|path| DATABASE_DIRS.map(|name| path.join(name)));
    places
        .map(|place| Unit {
            new: tree.join(&place).is_dir(),
            place,
        })
        .filter(|unit| unit.new || data.join(&unit.place).exists())
        .collect()
}

/// Carries out the exchange, or what is left of it. `step` is told before each rename.
pub(super) fn exchange(
    data: &Path,
    tree: &Path,
    old: &Path,
    units: &[Unit],
    mut step: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // It vouches for what was there before.
    remove_certificate(data).context("cannot remove the certificate of the present data")?;
    for unit in units {
        let (here, new, gone) = (data.join(&unit.place), tree.join(&unit.place), old.join(&unit.place));
        let waiting = !unit.new || is_there(&new)?;
        if waiting && is_there(&here)? {
            ensure!(
                !is_there(&gone)?,
                "{} came back while it was exchanged: a node ran on it. Stop it, remove that directory, and restore again",
                here.display()
            );
            step()?;
            rename(&here, &gone)?;
        }
        if unit.new && waiting {
            step()?;
            rename(&new, &here)?;
        }
    }
    Ok(())
}

/// Lstat, for errors that are not "no such file".
fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lasting, also after a power cut. What lies above `to` is made, as it is above `from`.
fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    let done = (|| {
        let parent = to.parent().unwrap_or(to);
        make_as(from.parent().unwrap_or(from), parent)?;
        fs::rename(from, to)?;
        files::sync_dir(parent)?;
        files::sync_dir(from.parent().unwrap_or(from))
    })();
    done.with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

/// Makes `to` and what is missing above it, with the owner and mode that `like` and what is above that have.
fn make_as(like: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    if is_there(to)? {
        return Ok(());
    }
    if let (Some(like), Some(above)) = (like.parent(), to.parent()) {
        make_as(like, above)?;
    }
    fs::create_dir(to)?;
    let about = fs::metadata(like)?;
    chown(to, Some(about.uid()), Some(about.gid()))?;
    fs::set_permissions(to, about.permissions())?;
    files::sync_dir(to.parent().unwrap_or(to))
}
