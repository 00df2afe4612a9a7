//! A file that appears under its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use agent_files::sync_dir;

/// Written between two syncs, bytes.
const SYNC_EVERY: u64 = 128 << 20;

/// File that is written as `NAME.part`, synced in the background, and renamed when it is complete.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    unsynced: u64,
    /// Requests a sync of what was written.
    sync: SyncSender<()>,
    syncs: JoinHandle<io::Result<()>>,
    partial: PathBuf,
    path: PathBuf,
}

impl AtomicFile {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        // Whatever bears the name, it is not what is written to.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::create_new(&partial)?;
        let (sync, asked) = sync_channel(1);
        let written = file.try_clone()?;
        let syncs = thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || asked.iter().try_for_each(|()| written.sync_data()))?;
        Ok(Self {
            file,
            unsynced: 0,
            sync,
            syncs,
            partial,
            path: path.to_owned(),
        })
    }

    /// Path until it is complete.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Gives the file its name, durably.
    pub fn finish(self) -> io::Result<()> {
        drop(self.sync);
        let synced = self.syncs.join();
        synced.unwrap_or_else(|_| Err(io::Error::other("what syncs broke down")))?;
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.path)?;
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
            _ => sync_dir(Path::new(".")),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written as u64;
        if self.unsynced >= SYNC_EVERY && self.sync.try_send(()).is_ok() {
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
