//! The lease: a file on the volume that names its holder and the time.
#![expect(clippy::disallowed_methods, reason = "jobs for the identity disk")]

use std::io::{self, Write};
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use agent_files::{Dir, read_file, remove_file, replace_file};
use agent_runtime::{boottime, wall};

/// File name of the lease on the volume.
const FILE: &str = "lease.json";
/// Mode of a new lease: it holds no secret.
const MODE: u32 = 0o644;
/// Size of the largest lease that is read, bytes.
const LARGEST: u64 = 4096;
/// Size of a lease that is written, bytes: one sector, which a write in place changes as a whole.
const WRITTEN: usize = 512;
/// Interval of renewals where only the lease keeps other hosts away.
pub const RENEW: Duration = Duration::from_secs(20);
/// Age at which the holder no longer relies on a lease that it could not renew, where only the lease keeps others away.
pub const UNSURE: Duration = Duration::from_secs(30);
/// A lease that did not change for this long before the eyes of another host has expired. It covers an agent that hangs:
/// its watchdog ends it after a minute, the next one needs half a minute to find that the collator has to stop.
pub const STALE: Duration = Duration::from_secs(90);

/// What keeps other hosts from the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Its single attachment; an old lease proves nothing.
    Exclusive,
    /// Only the lease.
    Shared,
}

/// Who holds the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub boot_id: String,
    /// The instance, or the host's name off EC2.
    pub holder: String,
    pub pid: u32,
    pub at: Timestamp,
}

impl Lease {
    /// A lease of this boot, this process and now.
    pub fn of(holder: &str) -> io::Result<Self> {
        Ok(Self {
            boot_id: boottime::id()?,
            holder: holder.to_owned(),
            pid: std::process::id(),
            at: wall::now(),
        })
    }

    /// Whether it was taken by the same instance in the same boot.
    pub fn is_same_holder(&self, other: &Self) -> bool {
        self.boot_id == other.boot_id && self.holder == other.holder
    }

    /// Writes it atomically where there is room and permission, or else over the present file.
    pub fn write(&self, mount: &Path) -> io::Result<()> {
        let (mut text, file) = (serde_json::to_vec(self)?, path(mount));
        text.resize(text.len().max(WRITTEN), b' ');
        match replace_file(&file, &text) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::StorageFull
                ) =>
            {
                let mut out = Dir::open(mount)?.file_to_write(FILE)?;
                out.write_all(&text)?;
                // Truncated last: freed blocks could be taken by another process on a full disk.
                out.set_len(text.len() as u64)?;
                out.sync_all()
            }
            done => done,
        }
    }
}

/// Path of the lease.
pub fn path(mount: &Path) -> PathBuf {
    mount.join(FILE)
}

/// What lies in the place of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseFile {
    Lease(Lease),
    /// It cannot be read, or is none: its content, or why. Another host may be writing it.
    Unreadable(String),
}

/// What lies in the place of the lease in `mount`; `None` is nothing.
pub fn read(mount: &Path) -> Option<LeaseFile> {
    let text = match read_file(&path(mount), LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(LeaseFile::Unreadable(error.to_string())),
    };
    // As `hand_over` makes it.
    (!text.is_empty()).then(|| parse(&text))
}

pub(crate) fn parse(text: &[u8]) -> LeaseFile {
    let lease = serde_json::from_slice(text).map(LeaseFile::Lease);
    lease.unwrap_or_else(|_| LeaseFile::Unreadable(String::from_utf8_lossy(text).into_owned()))
}

/// Removes the lease durably: one that came back would keep other hosts waiting.
pub fn remove(mount: &Path) -> io::Result<()> {
    remove_file(&path(mount))
}

/// Makes an empty lease where there is none, and lets a user write to it.
pub fn hand_over(mount: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let dir = Dir::open(mount)?;
    let file = match dir.file(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => dir.create(FILE, MODE)?,
        file => file?,
    };
    fchown(file, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::fs;

    use super::*;

    #[test]
    fn written_lease_is_read_back_and_garbage_is_not_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        let lease = Lease::of("i-1").unwrap();
        lease.write(dir.path()).unwrap();
        assert_eq!(read(dir.path()), Some(LeaseFile::Lease(lease)));
        fs::write(path(dir.path()), "{").unwrap();
        assert_eq!(read(dir.path()), Some(LeaseFile::Unreadable("{".to_owned())));
        remove(dir.path()).unwrap();
        remove(dir.path()).unwrap();
    }

    #[test]
    fn holder_is_instance_and_boot() {
        let mine = Lease::of("i-1").unwrap();
        assert!(mine.is_same_holder(&Lease::of("i-1").unwrap()));
        assert!(!mine.is_same_holder(&Lease::of("i-2").unwrap()));
        let other_boot = Lease {
            boot_id: "x".into(),
            ..mine.clone()
        };
        assert!(!mine.is_same_holder(&other_boot));
    }
}
