//! Disk operations of a restore.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{statvfs, syncfs};

use crate::files;
use crate::journal::{previous_dir, unpacked_dir};
use crate::layout::RESTORE_DIR;

/// Left free for everything else, bytes.
pub(super) const RESERVE: u64 = 64 << 20;

/// Free space for users other than root, bytes.
pub(super) fn free_space(path: &Path) -> io::Result<u64> {
    let about = statvfs(path)?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

pub(super) fn sync_file_system(path: &Path) -> anyhow::Result<()> {
    let done = File::open(path).and_then(|dir| Ok(syncfs(dir)?));
    done.with_context(|| format!("cannot write {} to the disk", path.display()))
}

pub(super) fn remove_dir(path: &Path) -> anyhow::Result<()> {
    files::remove_dir(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Removes everything that a restore keeps in the data directory: the journal last, as it describes the rest.
pub(super) fn remove_restore_dir(data: &Path) -> anyhow::Result<()> {
    remove_dir(&unpacked_dir(data))?;
    remove_dir(&previous_dir(data))?;
    remove_dir(&data.join(RESTORE_DIR))
}
