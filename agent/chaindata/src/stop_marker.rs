//! Marker in the state directory: the collator is stopped for a snapshot or a restore, and is to be started afterwards.

use std::io;
use std::path::{Path, PathBuf};

use agent_files::{make_dir, remove_file, replace_file};

use crate::lock::is_data_dir_locked;

const FILE: &str = "stopped-for-snapshot";

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// Sets the marker, before the collator is stopped.
pub fn set_stop_marker(state_dir: &Path) -> io::Result<()> {
    make_dir(state_dir)?;
    replace_file(&path(state_dir), b"")
}

/// Whether the marker is set: by a command that is at work, or by one that was killed.
pub fn has_stop_marker(state_dir: &Path) -> bool {
    path(state_dir).exists()
}

/// Whether the collator is stopped for a snapshot or a restore that is at work now. Blocks on the disk.
pub fn is_stopped_for_snapshot(state_dir: &Path) -> bool {
    has_stop_marker(state_dir) && is_data_dir_locked(state_dir)
}

/// Removes the marker durably: the collator was started again, or an operator took over, whose stop a later snapshot has to
/// respect.
pub fn clear_stop_marker(state_dir: &Path) {
    // Also an unlink of nothing waits on a file system that does not take writes. A leftover is removed by the next command.
    if has_stop_marker(state_dir) {
        let _ = remove_file(&path(state_dir));
    }
}
