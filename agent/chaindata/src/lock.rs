//! Lock on a data directory: one snapshot or restore at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context as _, bail};

/// Held lock on a data directory; released when dropped, however the process ends.
#[derive(Debug)]
#[must_use]
pub struct DataDirLock {
    _dir: File,
}

/// Locks a data directory for one snapshot or restore.
///
/// Fails when another one is at work on it, or when it cannot be opened.
pub fn lock_data_dir(data: &Path) -> anyhow::Result<DataDirLock> {
    let dir = File::open(data).with_context(|| format!("cannot open {}", data.display()))?;
    match dir.try_lock() {
        Ok(()) => Ok(DataDirLock { _dir: dir }),
        Err(TryLockError::WouldBlock) => bail!("another snapshot or restore is at work on {}", data.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", data.display())),
    }
}

pub(crate) fn is_data_dir_locked(data: &Path) -> bool {
    let tried = File::open(data).map(|dir| dir.try_lock());
    matches!(tried, Ok(Err(TryLockError::WouldBlock)))
}
