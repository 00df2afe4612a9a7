//! A file that appears under its name only when it is complete.
//!
//! Its directory is opened once, and may belong to a user who renames in it meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use agent_files::Dir;

/// Written between two syncs, bytes.
const SYNC_EVERY: u64 = 128 << 20;
/// Mode of a new file, before the umask.
const MODE: u32 = 0o666;

/// File that is written as `NAME.part`, synced in the background, and renamed when it is complete.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    unsynced: u64,
    /// Requests a sync of what was written.
    sync: SyncSender<()>,
    syncs: JoinHandle<io::Result<()>>,
    dir: Dir,
    partial: OsString,
    name: OsString,
}

impl AtomicFile {
    pub fn create(path: &Path) -> io::Result<Self> {
        let dir = Dir::open(match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        })?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let partial = with_end(&name, ".part");
        // Whatever bears the name, it is not what is written to.
        dir.remove_file(&partial)?;
        let file = dir.create(&partial, MODE)?;
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
            dir,
            partial,
            name,
        })
    }

    /// Its directory, and its name there until it is complete.
    pub fn partial(&self) -> io::Result<(Dir, OsString)> {
        Ok((self.dir.try_clone()?, self.partial.clone()))
    }

    /// Removes the file beside it whose name ends so; nothing there is fine.
    pub fn remove_beside(&self, end: &str) -> io::Result<()> {
        self.dir.remove_file(with_end(&self.name, end))
    }

    /// Gives the file its name, durably. Then writes those beside it, whose names end so; there must be none.
    pub fn finish(self, beside: &[(&str, &[u8])]) -> io::Result<()> {
        drop(self.sync);
        let synced = self.syncs.join();
        synced.unwrap_or_else(|_| Err(io::Error::other("what syncs broke down")))?;
        self.file.sync_all()?;
        self.dir.replace(&self.partial, &self.name)?;
        for (end, content) in beside {
            self.dir.create(with_end(&self.name, end), MODE)?.write_all(content)?;
        }
        self.dir.sync()
    }
}

fn with_end(name: &OsStr, end: &str) -> OsString {
    let mut whole = name.to_owned();
    whole.push(end);
    whole
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
