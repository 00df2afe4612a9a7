//! Disk operations of a restore.

use std::io;

use agent_files::Dir;
use anyhow::Context as _;
use rustix::fs::{fstatvfs, syncfs};

/// Left free for everything else, bytes.
pub(super) const RESERVE: u64 = 64 << 20;

/// Free space for users other than root, bytes.
pub(super) fn free_space(dir: &Dir) -> io::Result<u64> {
    let about = fstatvfs(dir.handle())?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

pub(super) fn sync_file_system(dir: &Dir) -> anyhow::Result<()> {
    syncfs(dir.handle()).with_context(|| format!("cannot write {} to the disk", dir.path().display()))
}
