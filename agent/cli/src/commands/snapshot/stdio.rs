//! Snapshots on standard input and output.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agent_chaindata::snapshot::SnapshotSource;

/// Standard input: read once, and only forward.
#[derive(Debug, Default)]
pub(super) struct Stdin {
    at: Arc<AtomicU64>,
}

impl SnapshotSource for Stdin {
    fn name(&self) -> String {
        "standard input".to_owned()
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let mut counting = CountingReader {
            input,
            at: Arc::clone(&self.at),
        };
        let ahead = at.checked_sub(self.at.load(Ordering::Relaxed));
        let ahead = ahead.ok_or_else(|| io::Error::other("standard input cannot be read again"))?;
        io::copy(&mut (&mut counting).take(ahead), &mut io::sink())?;
        Ok(Box::new(counting))
    }
}

struct CountingReader {
    input: File,
    at: Arc<AtomicU64>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.at.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Standard output without its buffer and lock, which the caller of a command holds.
pub(super) fn unlocked_stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}
