//! Sources that a snapshot is read from.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;

pub trait SnapshotSource: Sync {
    /// Name for people, without secrets.
    fn name(&self) -> String;
    /// Opens the source at byte `at`. Reading blocks.
    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>>;
}

impl SnapshotSource for PathBuf {
    fn name(&self) -> String {
        self.display().to_string()
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(self)?;
        if at > 0 {
            file.seek(SeekFrom::Start(at))?;
        }
        Ok(Box::new(file))
    }
}
