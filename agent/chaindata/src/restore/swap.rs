//! Swaps the present data for the restored by renames, which can be resumed when they were interrupted.
//!
//! Only databases are moved. Key stores and node keys stay where they are.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use agent_files::Dir;
use anyhow::{Context as _, ensure};

use crate::certificate::remove_certificate_in;
use crate::journal::SwapUnit;
use crate::layout::DATABASE_DIRS;
use crate::restore_dir::MADE;
use crate::survey::ChainDir;

/// The directories between which databases are moved.
pub(super) struct Places<'a> {
    pub(super) data: &'a Dir,
    pub(super) unpacked: &'a Dir,
    pub(super) previous: &'a Dir,
    /// The restore's own directory, which no other user can enter.
    pub(super) private: &'a Dir,
}

/// The directories to swap: all databases of the restored chains. Other chains stay as they are.
pub(super) fn swap_units(data: &Dir, unpacked: &Dir, restored: &[ChainDir]) -> anyhow::Result<Vec<SwapUnit>> {
    let mut units = Vec::new();
    for place in restored
        .iter()
        .flat_map(|chain| DATABASE_DIRS.map(|name| chain.path.join(name)))
    {
        let new = exists(unpacked, &place)?;
        if new || exists(data, &place)? {
            units.push(SwapUnit { place, new });
        }
    }
    Ok(units)
}

/// Swaps `units`, or those that are left. `step` is called before each rename.
pub(super) fn swap(
    places: &Places<'_>,
    units: &[SwapUnit],
    mut step: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Places {
        data,
        unpacked,
        previous,
        ..
    } = *places;
    // It describes the previous data.
    remove_certificate_in(data).context("cannot remove the certificate of the present data")?;
    for SwapUnit { place, new } in units {
        let waiting = !new || exists(unpacked, place)?;
        if waiting && exists(data, place)? {
            ensure!(
                !exists(previous, place)?,
                "{} came back while it was exchanged: a node ran on it. Stop it, remove that directory, and restore again",
                data.path().join(place).display()
            );
            step()?;
            rename_durably(places, data, previous, place)?;
        }
        if *new && waiting {
            step()?;
            rename_durably(places, unpacked, data, place)?;
        }
    }
    Ok(())
}

/// Whether there is an entry, and something that it could be in.
fn exists(dir: &Dir, place: &Path) -> anyhow::Result<bool> {
    let found = match dir.has(place) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        found => found,
    };
    found.with_context(|| format!("cannot look at {}", dir.path().join(place).display()))
}

/// Renames durably. Makes the parents in `to` like those in `from`.
fn rename_durably(places: &Places<'_>, from: &Dir, to: &Dir, place: &Path) -> anyhow::Result<()> {
    let done = (|| {
        if let Some(above) = place.parent() {
            make_dir_like(places, from, to, above)?;
        }
        let ((old, name), (new, _)) = (from.parent(place)?, to.parent(place)?);
        old.rename(name, &new, name)?;
        new.sync()?;
        old.sync()
    })();
    let (from, to) = (from.path().join(place), to.path().join(place));
    done.with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

/// Makes a directory in `to` and its missing parents, with owner and mode of those in `like`.
fn make_dir_like(places: &Places<'_>, like: &Dir, to: &Dir, place: &Path) -> io::Result<()> {
    if place.as_os_str().is_empty() || to.has(place)? {
        return Ok(());
    }
    if let Some(above) = place.parent() {
        make_dir_like(places, like, to, above)?;
    }
    let about = like.dir(place)?.metadata()?;
    // Where no other user could put another one in its place.
    places.private.remove_all(MADE)?;
    let made = places.private.make_dir(MADE, 0o700)?;
    made.set_owner(about.uid(), about.gid())?;
    made.set_mode(about.mode() & 0o777)?;
    // Once it has its place, it is taken as it is.
    made.sync()?;
    let (parent, name) = to.parent(place)?;
    places.private.rename(OsStr::new(MADE), &parent, name)?;
    parent.sync()
}
