//! Marker in the state directory: the collator is down for a snapshot or a restore, and comes back afterwards.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files;
use crate::journal::is_claimed;

const FILE: &str = "stopped-for-snapshot";

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// Sets the marker, before the collator is stopped.
pub fn set(state_dir: &Path) -> io::Result<()> {
    files::make_dir(state_dir)?;
    files::replace_file(&path(state_dir), b"")
}

/// Whether the marker is set: by a command that is at work, or by one that was killed.
pub fn is_set(state_dir: &Path) -> bool {
    path(state_dir).exists()
}

/// Whether the collator is down for a snapshot or a restore that is at work now. This blocks on the disk.
pub fn is_at_work(state_dir: &Path, data: &Path) -> bool {
    is_set(state_dir) && is_claimed(data)
}

/// Removes the marker: the collator was started again, or an operator has decided since.
pub fn clear(state_dir: &Path) {
    // One that stays makes a status say too much, and no more.
    let _ = fs::remove_file(path(state_dir));
}
