//! Crash consistency, tested as ALICE does (Pillai et al., OSDI 2014): the system calls of one real run of an operation are
//! recorded by strace, and every state that a power cut may leave of them is built in a directory and read back by the
//! program's own readers.
//!
//! # Model
//!
//! A file system that POSIX with `fsync` allows, weaker than ext4 and XFS in their defaults:
//!
//! - Content, size, name, mode and owner are operations of their own. Any subset of those that were not synced may be on the
//!   disk, whatever their order was, also of names within one directory.
//! - A write may be lost, be there in its size only (zeros), or be torn at a border of 512 or 4096 bytes: the part before the
//!   border, with the file ending there or in zeros, or only the part behind it. What lies within one sector of 512 bytes
//!   is whole or absent.
//! - A rename is atomic, also between directories and as an exchange. It is durable when the directory of the new name was
//!   synced; the creation and the removal of a name when their directory was.
//! - `fsync` of a file makes its content, size, mode and owner durable, `fdatasync` content and size; neither its name.
//!   `fsync` of a directory makes its names, mode and owner durable, but not its own name in the directory above.
//!   `syncfs` makes everything durable.
//!
//! Where the combinations at one moment are more than a limit, all single losses and tears, pairs of losses, and a
//! sample by a fixed seed are tried. Not modelled, and refused in a recording: links, symbolic links, copies within the
//! kernel. Not seen: writes to mapped memory.

mod disk;
mod recording;
mod states;
mod strace;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

pub use self::states::Tried;

/// Names the directory to a test that is run once more, to be recorded.
const DIR: &str = "T0RN_CRASH_STATES_DIR";
/// Paths that are looked for around each step: seen in the recording, and nowhere else.
const BEGUN: &str = "/crash-states/begun";
const ACKNOWLEDGED: &str = "/crash-states/acknowledged";
/// Kinds of failures that are described.
const SHOWN: usize = 5;
/// Free space that a directory in memory needs, KiB: a restore leaves 64 MiB free.
const FREE_KIB: u64 = 512 << 10;

/// How many steps of the operation had begun and returned when the power was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Progress {
    pub begun: usize,
    pub acknowledged: usize,
}

/// Marks the steps of an operation in its recording.
#[derive(Debug)]
pub struct Steps(());

impl Steps {
    /// One step: what it does is durable when it returns.
    pub fn step<T>(&self, action: impl FnOnce() -> T) -> T {
        let _ = fs::metadata(BEGUN);
        let done = action();
        let _ = fs::metadata(ACKNOWLEDGED);
        done
    }
}

/// An operation whose crash states are tried.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Path of the test without its crate, as `--exact` takes it.
    test: String,
    limit: usize,
    size: Option<String>,
}

/// The [`Operation`] of the test function of that name.
#[macro_export]
macro_rules! operation {
    ($test:ident) => {
        $crate::Operation::of(concat!(module_path!(), "::", stringify!($test)))
    };
}

impl Operation {
    /// Use [`operation!`].
    pub fn of(test: &str) -> Self {
        let test = test.split_once("::").map_or(test, |(_, test)| test).to_owned();
        Self {
            test,
            limit: 512,
            size: None,
        }
    }

    /// Tries so many states at one moment at most.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Runs on a file system of its own, of that size (`256k`), which begins empty. [`prepare`](Self::check) is skipped.
    #[must_use]
    pub fn on_disk_of(mut self, size: &str) -> Self {
        self.size = Some(size.to_owned());
        self
    }

    /// Whether this is the run that is recorded.
    pub fn is_recorded_run(&self) -> bool {
        std::env::var_os(DIR).is_some()
    }

    /// Whether operations can be recorded here.
    pub fn is_possible(&self) -> bool {
        strace::unavailable(self.size.is_some()).is_none()
    }

    /// Records `run` in a directory that `prepare` filled, and has `verify` read every state that a power cut may leave. `verify`
    /// may change the state. Prints how many were tried; where nothing can be recorded, why not.
    ///
    /// # Errors
    /// A state that `verify` refuses, or panics at; a run that cannot be recorded.
    pub fn check(
        &self,
        prepare: impl FnOnce(&Path) -> Result<()>,
        run: impl FnOnce(&Path, &Steps) -> Result<()>,
        verify: impl Fn(&Path, Progress) -> Result<()>,
    ) -> Result<()> {
        if let Some(dir) = std::env::var_os(DIR) {
            return run(Path::new(&dir), &Steps(()));
        }
        if let Some(reason) = strace::unavailable(self.size.is_some()) {
            skipped(&self.test, &reason);
            return Ok(());
        }
        let place = place()?;
        let root = place.path().join("root");
        fs::create_dir(&root)?;
        if self.size.is_none() {
            prepare(&root)?;
        }
        let before = disk::Disk::read(&root)?;
        let calls = strace::record(&self.test, &root, self.size.as_deref())?;
        let worked_in = self.size.as_ref().map_or(root.clone(), |_| strace::mounted_root(&root));
        let recording = recording::Recording::read(&calls, &worked_in, before)?;
        ensure!(recording.has_steps(), "no step was recorded: {} calls", calls.len());
        let (mut tried, mut failures) = (Tried::default(), BTreeMap::new());
        states::each(&recording, self.limit, &mut tried, |disk, progress, describe| {
            let dir = place.path().join("state");
            disk.write(&dir)?;
            let verified = catch_unwind(AssertUnwindSafe(|| verify(&dir, progress)));
            let failure = match verified {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{error:#}")),
                Err(_) => Some("it panicked".to_owned()),
            };
            if let Some(failure) = failure {
                let (count, _) = failures
                    .entry(failure)
                    .or_insert_with(|| (0_usize, format!("{progress:?}, {}", describe())));
                *count += 1;
            }
            fs::remove_dir_all(&dir).context("a state cannot be removed")
        })?;
        report(&self.test, &tried);
        if failures.is_empty() {
            return Ok(());
        }
        let wrong: usize = failures.values().map(|(count, _)| count).sum();
        let shown = failures.iter().take(SHOWN);
        let shown = shown.map(|(failure, (count, first))| format!("{count} times {failure}\n    first {first}"));
        bail!(
            "{wrong} of {} states are wrong:\n  {}",
            tried.distinct,
            shown.collect::<Vec<_>>().join("\n  ")
        )
    }
}

/// A directory in memory, where a sync costs nothing.
fn place() -> Result<tempfile::TempDir> {
    let shared = Path::new("/dev/shm");
    let free = std::process::Command::new("df")
        .args(["--output=avail"])
        .arg(shared)
        .output();
    let free = free.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let free: u64 = free
        .ok()
        .and_then(|text| text.lines().last()?.trim().parse().ok())
        .unwrap_or(0);
    let parent: PathBuf = if free > FREE_KIB {
        shared.into()
    } else {
        std::env::temp_dir()
    };
    let place = tempfile::Builder::new()
        .prefix("crash-states")
        .tempdir_in(fs::canonicalize(parent)?);
    place.context("no directory")
}

#[expect(clippy::print_stdout, reason = "the line is the result of the test")]
fn report(test: &str, tried: &Tried) {
    println!(
        "{test}: {} operations, {} moments, {} states tried, {} of them distinct",
        tried.operations, tried.moments, tried.states, tried.distinct
    );
}

#[expect(clippy::print_stdout, reason = "the line is the result of the test")]
fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED: {test}: {reason}");
    println!("{line}");
    let Some(file) = std::env::var_os("T0RN_SKIP_FILE") else {
        return;
    };
    let file = fs::OpenOptions::new().create(true).append(true).open(file);
    let _ = file.and_then(|mut file| std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()));
}
