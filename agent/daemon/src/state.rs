//! The persistent state: `state.json`, replaced atomically, and the lock against a second agent. Everything here blocks on
//! the disk.
#![expect(clippy::disallowed_methods, reason = "jobs for the state disk")]

mod lock;

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

use agent_core::event::Time;
use agent_core::schema::schema_of;
use agent_files::{Mount, make_dir, replace_file, sync_dir, write_file};
use agent_runtime::{boottime, wall};

pub(crate) use self::lock::is_over;
pub use self::lock::{LockError, StateLock, lock};

/// Schema version of the file. A newer one is not migrated.
pub const SCHEMA: u32 = 1;

const FILE: &str = "state.json";
/// File that reserves space for a save on a full disk.
const RESERVE: &str = "state.reserve";
/// Size of the reserve, bytes: several times that of a state.
const RESERVED: usize = 64 << 10;
/// A state is padded to a multiple of this, bytes: on a full disk the next one, which may have grown, takes its place.
const PADDED: usize = 16 << 10;
/// Size of the largest file read, bytes; the agent's own is a few KiB.
const SIZE_MAX: u64 = 16 << 20;
/// Most unusable files kept for inspection.
const DAMAGED_MAX: usize = 5;
/// What the name of such a file begins with; a number follows.
const ASIDE: &str = "state.json.damaged-";
/// Errors of a disk, or of what is on it, that no setting mends.
const DAMAGED: [Errno; 3] = [Errno::IO, Errno::UCLEAN, Errno::BADMSG];

/// The state that [`save`] wrote last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedState<T> {
    pub value: T,
    /// Wall clock at the save, Unix milliseconds.
    pub saved_unix_ms: i64,
    /// The agent's own clock at the save, which continues from here.
    pub clock: Time,
    /// The boot of the save, and the time since then; `None` by an earlier version.
    pub boot: Option<BootTime>,
}

/// What [`load`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load<T> {
    /// No agent saved anything here.
    Nothing,
    /// One that cannot be used: why, and where it is kept.
    SetAside(String),
    State(LoadedState<T>),
}

/// A moment in the life of a booted host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    pub id: String,
    pub since_ms: u64,
}

impl BootTime {
    /// Now; `None` where the kernel does not name its boot.
    pub fn now() -> Option<Self> {
        Some(Self {
            id: boottime::id().ok()?,
            since_ms: u64::try_from(boottime::now().as_millis()).ok()?,
        })
    }
}

/// What a person does about an error of a file in `dir`, which is in `agent.state_dir`. Blocks on the disk.
pub fn remedy(error: &io::Error, dir: &Path) -> &'static str {
    remedy_among(error, dir, &Mount::all().unwrap_or_default())
}

/// The same with a table of mounts that was read.
pub fn remedy_among(error: &io::Error, dir: &Path, mounts: &[Mount]) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on the disk of agent.state_dir",
        io::ErrorKind::ReadOnlyFilesystem if is_disk_read_only(dir, mounts) => {
            "the disk of agent.state_dir is mounted read-only, as the kernel does after an error: look at dmesg"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "agent.state_dir is read-only for the agent alone, not its disk: name it in ReadWritePaths= of a drop-in for the \
             service, or mount it writable"
        }
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => {
            "mount agent.state_dir as a whole, not a file in it, which cannot be replaced"
        }
        _ if error
            .raw_os_error()
            .is_some_and(|code| DAMAGED.contains(&Errno::from_raw_os_error(code))) =>
        {
            "the disk of agent.state_dir has an error: look at dmesg"
        }
        _ => "agent.state_dir must be a folder the agent can write to",
    }
}

/// Whether the file system of a directory, which need not be there yet, takes no writes from anybody. A mount that is
/// read-only for some, as a unit's `ProtectSystem=` makes it, is no such one. Blocks on the disk.
pub fn is_disk_read_only(dir: &Path, mounts: &[Mount]) -> bool {
    let existing = dir.ancestors().find_map(|place| fs::canonicalize(place).ok());
    existing.is_some_and(|place| Mount::around(mounts, &place).is_some_and(|mount| mount.read_only))
}

#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}: {error}; {remedy}", path.display())]
pub struct StateError {
    action: &'static str,
    path: PathBuf,
    /// Shown in the message, and so no source.
    error: io::Error,
    remedy: &'static str,
}

impl StateError {
    /// Blocks on the disk.
    fn new(action: &'static str, path: PathBuf, error: io::Error) -> Self {
        let remedy = remedy(&error, path.parent().unwrap_or(&path));
        Self {
            action,
            path,
            error,
            remedy,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StateDocument<T> {
    schema: u32,
    saved_unix_ms: i64,
    clock: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<BootTime>,
    state: T,
}

/// Loads the state from `dir`. A damaged file, or one of a newer agent, is renamed to `state.json.damaged-<n>` and
/// logged: the agent starts from its observations. An earlier agent that ended before it saved anything changes nothing
/// about that.
///
/// Fails when the file exists and cannot be read. One that cannot be renamed is overwritten by the next save.
pub fn load<T: DeserializeOwned>(dir: &Path) -> Result<Load<T>, StateError> {
    let path = dir.join(FILE);
    let why = match read(&path).map(|text| text.and_then(|text| parse(&text))) {
        Ok(Ok(loaded)) => return Ok(Load::State(loaded)),
        Ok(Err(reason)) => match set_aside(dir, &path) {
            Ok(aside) => format!("{reason}; kept as {}", aside.display()),
            Err(error) => format!("{reason}; {} cannot be renamed: {error}", path.display()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match kept_aside(dir).ok().and_then(|kept| kept.last().copied()) {
                Some(number) => format!("nothing was saved since; kept as {}", aside(dir, number).display()),
                None => return Ok(Load::Nothing),
            }
        }
        Err(error) => return Err(StateError::new("read", path, error)),
    };
    warn!(
        why,
        "state cannot be used: whether the collator was stopped or paused is forgotten, budgets and counts begin anew"
    );
    Ok(Load::SetAside(why))
}

/// The text of a regular file, or why it is none. Unlike files in directories of others (`agent_files`), it may have a second
/// name, and may be reached by a link: a backup, or a place of the operator's.
fn read(path: &Path) -> io::Result<Result<Vec<u8>, String>> {
    // A reader of a pipe would wait for a writer.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Err(error) if fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) => {
            return Ok(Err(format!("it is a symbolic link that leads to no file: {error}")));
        }
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Ok(Err("it is no regular file".to_owned()));
    }
    let mut text = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut text)?;
    Ok(if text.len() as u64 > SIZE_MAX {
        Err(format!("it is larger than {SIZE_MAX} bytes"))
    } else {
        Ok(text)
    })
}

/// Saves `value` and the agent's clock in `dir` (made when absent), atomically even in a power cut. Blocks on the disk.
pub fn save<T: Serialize>(dir: &Path, clock: Time, value: &T) -> Result<(), StateError> {
    let saved_unix_ms = wall::unix_ms();
    let path = dir.join(FILE);
    text(saved_unix_ms, clock, value)
        .and_then(|text| {
            if !dir.is_dir() {
                make_dir(dir)?;
            }
            replace_with_reserve(dir, &path, &text)
        })
        .map_err(|error| StateError::new("write", path, error))
}

pub(crate) fn text<T: Serialize>(saved_unix_ms: i64, clock: Time, state: &T) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(&StateDocument {
        schema: SCHEMA,
        saved_unix_ms,
        clock,
        boot: BootTime::now(),
        state,
    })?;
    text.resize((text.len() + PADDED / 4).next_multiple_of(PADDED), b' ');
    Ok(text)
}

/// Replaces the file, on a full disk with the reserved space.
fn replace_with_reserve(dir: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let reserve = dir.join(RESERVE);
    match replace_file(path, text) {
        Err(error) if lock::is_full(&error) => exchange(&reserve, path, text).map_err(|_| error),
        Ok(()) => {
            if fs::metadata(&reserve).map_or(0, |about| about.len()) < RESERVED as u64 {
                // Best effort: without it, a save on a full disk fails, which is reported.
                let _ = write_file(&reserve, &vec![b' '; RESERVED]);
            }
            Ok(())
        }
        failed => failed,
    }
}

/// Overwrites the reserve, which needs no space, and makes it the file, atomically.
fn exchange(reserve: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(reserve)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    let mut padded = text.to_vec();
    padded.resize(length.max(text.len()), b' ');
    file.write_all(&padded)?;
    file.sync_all()?;
    match rustix::fs::renameat_with(CWD, reserve, CWD, path, RenameFlags::EXCHANGE) {
        // Nothing to exchange it with: the state was set aside.
        Err(Errno::NOENT) => fs::rename(reserve, path)?,
        exchanged => exchanged?,
    }
    sync_dir(path.parent().unwrap_or(path))
}

pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<LoadedState<T>, String> {
    let schema = schema_of(text).map_err(|e| e.to_string())?;
    if schema != SCHEMA {
        return Err(format!(
            "its schema is {schema}, this agent knows {SCHEMA}: the version that wrote it reads it when it is renamed back"
        ));
    }
    let document: StateDocument<T> = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    Ok(LoadedState {
        value: document.state,
        saved_unix_ms: document.saved_unix_ms,
        clock: document.clock,
        boot: document.boot,
    })
}

/// Renames the file to the next free number and removes the oldest of too many.
fn set_aside(dir: &Path, path: &Path) -> io::Result<PathBuf> {
    let numbers = kept_aside(dir)?;
    let new = aside(dir, numbers.last().map_or(1, |n| n.saturating_add(1)));
    fs::rename(path, &new)?;
    for number in &numbers[..(numbers.len() + 1).saturating_sub(DAMAGED_MAX)] {
        let old = aside(dir, *number);
        let removed = if old.is_dir() {
            fs::remove_dir_all(&old)
        } else {
            fs::remove_file(&old)
        };
        if let Err(error) = removed {
            warn!(path = %old.display(), %error, "failed to remove an old state");
        }
    }
    Ok(new)
}

/// Numbers of the files that were set aside, sorted.
fn kept_aside(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        numbers.extend(
            name.to_str()
                .and_then(|name| name.strip_prefix(ASIDE)?.parse::<u64>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn aside(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{ASIDE}{number}"))
}

#[cfg(test)]
mod tests;
