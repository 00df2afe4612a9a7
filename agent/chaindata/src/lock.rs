//! Locks on a data directory, as files in the state directory: the owner of the data could hold a lock on that
//! directory itself, and so block everything.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use agent_files::{Dir, make_dir};
use anyhow::{Context as _, bail};

/// Held by a snapshot, a restore or a bake for as long as it works.
const WORK: &str = "data.lock";
/// Held, exclusively, while no node may run on the data; and shared by every start of a container.
const STARTS: &str = "start.lock";
/// A lock says nothing but that it is held. The directory around it keeps strangers out.
const MODE: u32 = 0o644;

/// A held lock; released when dropped, however the process ends.
#[derive(Debug)]
#[must_use]
pub struct DataDirLock {
    _file: File,
}

/// Locks the data of an agent for one snapshot, restore or bake. The collator may run meanwhile.
///
/// Fails when another one is at work on it, or when the lock cannot be opened.
pub fn lock_data_dir(state_dir: &Path, data: &Path) -> anyhow::Result<DataDirLock> {
    match take(state_dir, WORK, File::try_lock)? {
        Some(lock) => Ok(lock),
        None => bail!(
            "another snapshot or restore, or a bake, is at work on {}",
            data.display()
        ),
    }
}

/// Keeps every agent with this state directory from starting a container, until it is dropped. `None` while a start is
/// under way.
pub fn forbid_starts(state_dir: &Path) -> anyhow::Result<Option<DataDirLock>> {
    take(state_dir, STARTS, File::try_lock)
}

/// The lock on starts, opened. It can be taken without another touch of its disk, which may be stalled.
#[derive(Debug, Clone)]
pub struct StartLock(Arc<File>);

impl StartLock {
    /// Opens the lock. Blocks on the disk.
    pub fn open(state_dir: &Path) -> anyhow::Result<Self> {
        let file = open(state_dir, STARTS).with_context(|| cannot_lock(state_dir, STARTS))?;
        Ok(Self(Arc::new(file)))
    }

    /// Whether containers may be started: what to hold while one is. `None` while a snapshot, a restore or a bake needs the
    /// data at rest. One at a time.
    pub fn permit(&self) -> io::Result<Option<StartPermit>> {
        match self.0.try_lock_shared() {
            Ok(()) => Ok(Some(StartPermit(Arc::clone(&self.0)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The right to start a container; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct StartPermit(Arc<File>);

impl Drop for StartPermit {
    fn drop(&mut self) {
        // Fails for no file that was locked.
        let _ = self.0.unlock();
    }
}

pub(crate) fn is_data_dir_locked(state_dir: &Path) -> bool {
    matches!(take(state_dir, WORK, File::try_lock), Ok(None))
}

/// Takes a lock; `None` when it is held otherwise.
fn take(
    state_dir: &Path,
    name: &str,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> anyhow::Result<Option<DataDirLock>> {
    let failed = || cannot_lock(state_dir, name);
    let file = open(state_dir, name).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => " (run this as root)",
            _ => "",
        };
        anyhow::Error::new(error).context(failed() + remedy)
    })?;
    match lock(&file) {
        Ok(()) => Ok(Some(DataDirLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

fn cannot_lock(state_dir: &Path, name: &str) -> String {
    format!("cannot lock {}", state_dir.join(name).display())
}

/// Opens a lock file, and makes it when absent. One that is there is opened without a write to its disk.
fn open(state_dir: &Path, name: &str) -> io::Result<File> {
    let dir = match Dir::open(state_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(state_dir)?;
            Dir::open(state_dir)?
        }
        opened => opened?,
    };
    let made = match dir.file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => dir.create(name, MODE),
        opened => return opened,
    };
    match made {
        // Another process made it in between.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => dir.file(name),
        made => {
            let file = made?;
            // The agent, which is another user than root, opens it as well.
            file.set_permissions(std::fs::Permissions::from_mode(MODE))?;
            Ok(file)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn start_waits_for_work_at_rest_and_work_for_a_start() {
        let state = tempfile::tempdir().unwrap();
        let permit_start = |dir: &Path| StartLock::open(dir).unwrap().permit();
        let (one, other) = (permit_start(state.path()).unwrap(), permit_start(state.path()).unwrap());
        assert!(one.is_some() && other.is_some(), "starts do not exclude each other");
        assert!(forbid_starts(state.path()).unwrap().is_none());
        drop((one, other));
        let rest = forbid_starts(state.path()).unwrap();
        assert!(rest.is_some());
        assert!(permit_start(state.path()).unwrap().is_none());
        drop(rest);
        assert!(permit_start(state.path()).unwrap().is_some());
    }

    #[test]
    fn lock_on_data_directory_itself_blocks_nothing() {
        let (state, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let held = File::open(data.path()).unwrap();
        held.lock().unwrap();
        let lock = lock_data_dir(state.path(), data.path()).unwrap();
        assert!(is_data_dir_locked(state.path()));
        assert!(lock_data_dir(state.path(), data.path()).is_err());
        drop(lock);
        assert!(!is_data_dir_locked(state.path()));
    }
}
