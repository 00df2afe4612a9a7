//! Durable writes: files and directories that survive a power cut.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::dir::Dir;
use crate::refusal::{NAME, Refusal};

/// Mode of the files that are written here.
const MODE: u32 = 0o640;

/// Makes a directory and its missing parents durably, not readable for others.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    let above = match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let attempt = || DirBuilder::new().mode(0o750).create(dir);
    let made = attempt().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound if above != dir => make_dir(above).and_then(|()| attempt()),
        _ => Err(error),
    });
    match made {
        Ok(()) => sync_dir(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        failed => failed,
    }
}

pub fn sync_dir(dir: &Path) -> io::Result<()> {
    Dir::open(dir)?.sync()
}

/// Replaces a file atomically and durably: readers and power cuts find the old text or the new one.
pub fn replace_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let (dir, name) = parent(path)?;
    dir.replace_file(name, text)
}

/// Overwrites a file, or creates it, and syncs it. A power cut may leave part of the text.
pub fn write_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let (dir, name) = parent(path)?;
    let mut file = match dir.file_to_write(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => dir.create(name, MODE)?,
        file => file?,
    };
    file.set_len(0)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Removes a file durably; nothing there is fine.
pub fn remove_file(path: &Path) -> io::Result<()> {
    let (dir, name) = parent(path)?;
    dir.remove_file(name)?;
    dir.sync()
}

/// Reads a file of at most `limit` bytes. Fails for anything but a regular file, and for a larger one.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (dir, name) = parent(path)?;
    dir.read_file(name, limit)
}

impl Dir {
    /// Replaces a file atomically and durably.
    pub fn replace_file(&self, name: &OsStr, text: &[u8]) -> io::Result<()> {
        let mut partial = name.to_owned();
        partial.push(".tmp");
        // Whatever bears the name, it is not what is written to.
        self.remove_file(&partial)?;
        let write = |mut file: File| {
            file.write_all(text)?;
            file.sync_all()
        };
        let written = self.create(&partial, MODE).and_then(write);
        let written = written.and_then(|()| self.replace(&partial, name));
        if written.is_err() {
            // A full disk must not stay fuller than it was.
            let _ = self.remove_file(&partial);
            return written;
        }
        self.sync()
    }

    /// Reads a file of at most `limit` bytes. Fails for anything but a regular file, and for a larger one.
    pub fn read_file(&self, place: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.file(place)?.take(limit + 1).read_to_end(&mut text)?;
        if text.len() as u64 > limit {
            return Err(io::Error::other(format!("larger than {limit} bytes")));
        }
        Ok(text)
    }
}

/// The directory of a file, and the file's name there.
fn parent(path: &Path) -> io::Result<(Dir, &OsStr)> {
    let name = path.file_name().ok_or_else(|| Refusal::of(path, NAME))?;
    let dir = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    Ok((Dir::open(dir)?, name))
}
