//! Snapshots in files and pipes.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::Source;
use crate::files;

impl Source for PathBuf {
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

/// Standard input: read once, and only forward.
#[derive(Debug, Default)]
pub struct Stdin {
    at: Arc<AtomicU64>,
}

impl Source for Stdin {
    fn name(&self) -> String {
        "standard input".to_owned()
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let mut counted = Counted {
            input,
            at: Arc::clone(&self.at),
        };
        let ahead = at.checked_sub(self.at.load(Ordering::Relaxed));
        let ahead = ahead.ok_or_else(|| io::Error::other("standard input cannot be read again"))?;
        io::copy(&mut (&mut counted).take(ahead), &mut io::sink())?;
        Ok(Box::new(counted))
    }
}

struct Counted {
    input: File,
    at: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.at.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Standard output, past whoever holds its lock.
pub fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Written before the disk is asked to keep it, bytes.
const SYNC_EVERY: u64 = 128 << 20;

/// A file that has its name when it is whole.
#[derive(Debug)]
pub struct Whole {
    file: File,
    unsynced: u64,
    /// Asks for what was written to be kept, while more is written.
    sync: SyncSender<()>,
    syncs: JoinHandle<io::Result<()>>,
    half: PathBuf,
    path: PathBuf,
}

impl Whole {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut half = path.as_os_str().to_owned();
        half.push(".part");
        let half = PathBuf::from(half);
        let file = File::create(&half)?;
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
            half,
            path: path.to_owned(),
        })
    }

    /// Its name until then.
    pub fn half(&self) -> &Path {
        &self.half
    }

    /// Gives it its name, lastingly.
    pub fn finish(self) -> io::Result<()> {
        drop(self.sync);
        let synced = self.syncs.join();
        synced.unwrap_or_else(|_| Err(io::Error::other("what syncs broke down")))?;
        self.file.sync_all()?;
        fs::rename(&self.half, &self.path)?;
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => files::sync_dir(parent),
            _ => files::sync_dir(Path::new(".")),
        }
    }
}

impl Write for Whole {
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
