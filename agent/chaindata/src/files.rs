//! Writing files and directories that must outlast a power cut.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Makes a folder and what lies above it; what the agent keeps is nobody else's to read.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(dir)
}

/// Makes names in `dir` outlast a power cut.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces a file at once: readers and power cuts find the old text or the new one.
pub fn replace_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut half = path.as_os_str().to_owned();
    half.push(".tmp");
    let half = PathBuf::from(half);
    let written = write_file(&half, text).and_then(|()| fs::rename(&half, path));
    if written.is_err() {
        // A full disk must not stay fuller than it was.
        let _ = fs::remove_file(&half);
        return written;
    }
    sync_dir(path.parent().unwrap_or(path))
}

/// Writes a file and waits until it is on disk.
pub fn write_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(path)?;
    file.write_all(text)?;
    file.sync_all()
}
