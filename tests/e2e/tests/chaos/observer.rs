//! What is seen of the collator from outside, all the time: how many of its processes there are on the data.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

const LOOK: Duration = Duration::from_millis(20);
/// Name of the collator's process.
const PROCESS: &str = "sim-collator";

#[derive(Debug)]
pub(crate) struct Observer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    data: PathBuf,
    is_over: AtomicBool,
    /// A person or an operator wants it down, and it was seen down.
    stays_down: AtomicBool,
    looks: AtomicU64,
    violation: Mutex<Option<String>>,
}

impl Observer {
    pub(crate) fn start(data: &Path) -> Self {
        let shared = Arc::new(Shared {
            data: data.to_owned(),
            is_over: AtomicBool::new(false),
            stays_down: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            violation: Mutex::new(None),
        });
        let watched = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !watched.is_over.load(Ordering::Relaxed) {
                watched.look();
                thread::sleep(LOOK);
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// From now on, or no longer, a process is a violation.
    pub(crate) fn set_stays_down(&self, stays_down: bool) {
        self.shared.stays_down.store(stays_down, Ordering::Relaxed);
    }

    pub(crate) fn wants_down(&self) -> bool {
        self.shared.stays_down.load(Ordering::Relaxed)
    }

    /// Host pids of the collator's processes.
    pub(crate) fn processes(&self) -> Vec<i32> {
        self.shared.processes()
    }

    pub(crate) fn result(&self) -> Result<()> {
        match &*self.shared.violation.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(violation) => bail!("{violation}"),
            None => Ok(()),
        }
    }

    /// Ends the observation; returns how often it looked.
    pub(crate) fn end(mut self) -> Result<u64> {
        self.stop();
        self.result()?;
        Ok(self.shared.looks.load(Ordering::Relaxed))
    }

    fn stop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(_)) = ended {
            self.shared.violates(anyhow!("the observer panicked").to_string());
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let must_be_down = self.stays_down.load(Ordering::Relaxed);
        let mut processes = self.processes();
        if processes.len() > 1 {
            // A walk through /proc takes time: the first may have ended before the last began. Who is there still, after
            // the last was seen, was there beside it.
            processes.retain(|pid| self.is_collator(*pid));
        }
        if processes.len() > 1 {
            self.violates(format!("two collators on one data directory: {processes:?}"));
        } else if must_be_down && !processes.is_empty() && self.stays_down.load(Ordering::Relaxed) {
            self.violates(format!("started against a person's wish: {processes:?}"));
        }
    }

    fn violates(&self, what: String) {
        self.violation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(what);
    }

    /// Processes of that name with the data directory among their mounts. One that ends meanwhile is none.
    fn processes(&self) -> Vec<i32> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let pids = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| self.is_collator(*pid)).collect()
    }

    fn is_collator(&self, pid: i32) -> bool {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // A zombie has no mounts, a thread is not listed.
        if !read("comm").trim_end().eq(PROCESS) {
            return false;
        }
        let data = self.data.to_string_lossy();
        let root = |line: &str| {
            line.split(' ')
                .nth(3)
                .is_some_and(|root| data.ends_with(root) && root != "/")
        };
        read("mountinfo").lines().any(root)
    }
}
