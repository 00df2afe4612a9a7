//! Removal of a directory with everything in it, by handles.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::refusal::{BUSY, Refusal, TOO_DEEP};

/// Directories within each other at most: each is an open file and a frame of the stack.
const MAX_DEPTH: usize = 200;
/// Attempts at a directory that is filled meanwhile.
const ATTEMPTS: usize = 100;

impl Dir {
    /// Removes an entry with everything in it; nothing there is fine. Links are removed themselves, and other file systems
    /// left alone.
    pub fn remove_all(&self, place: impl AsRef<Path>) -> io::Result<()> {
        match self.parent(place.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            found => {
                let (parent, name) = found?;
                parent.remove_entry(name, MAX_DEPTH)
            }
        }
    }

    fn remove_entry(&self, name: &OsStr, depth: usize) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            match unlinkat(self.handle(), name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
            let dir = match self.dir(name) {
                // It became something else, or is gone.
                Err(error) if crate::is_link(&error) || error.kind() == io::ErrorKind::NotFound => continue,
                dir => dir?,
            };
            let Some(left) = depth.checked_sub(1) else {
                return Err(Refusal::of(&self.path().join(name), TOO_DEEP));
            };
            for inner in dir.names()? {
                dir.remove_entry(&inner, left)?;
            }
            match unlinkat(self.handle(), name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTEMPTY | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::of(&self.path().join(name), BUSY))
    }
}
