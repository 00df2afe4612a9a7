//! The lock that keeps a second agent from one state directory, also where the first hangs in the kernel.
//!
//! A process that was killed while a disk stalls it cannot end, and the kernel keeps its locks: with one lock file, the next
//! agent would have to wait for the disk. So there are several, made in advance because a stalled disk takes no new file. An
//! agent locks the first that it gets, then examines all others: each has to be free or held by a process of which no
//! thread can run another instruction. Two agents are impossible: each has its lock before it examines the others', so the
//! later one finds the earlier. The holder of a lock is what the kernel says (`/proc/locks`), no note that may be old; where
//! it does not say, the holder counts as alive. The directory itself is the last of them: a full or read-only disk takes no
//! new file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use agent_files::{Mount, make_dir};
use tracing::{debug, warn};

use super::{StateError, is_disk_read_only};

/// The lock files: one more than the most agents that may hang at a time.
const LOCKS: [&str; 4] = ["agent.lock", "agent.lock.2", "agent.lock.3", "agent.lock.4"];
/// Flag of a thread that is ending (`PF_EXITING`).
const EXITING: u64 = 0x4;
/// Bit of SIGKILL in a set of pending signals.
const KILLED: u64 = 1 << 8;

/// Lock of the state folder, released when dropped or when the process ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent holds the folder.
    #[error("another t0rn-agent{} uses {}; stop it first, or give this one its own agent.state_dir",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), dir.display())]
    Held { dir: PathBuf, pid: Option<u32> },
    /// As many killed agents as there are lock files hang on a disk.
    #[error("{} killed agents hang on a disk and keep {} locked; mend the disk, or boot the host anew", LOCKS.len() + 1, .0.display())]
    Exhausted(PathBuf),
    #[error(transparent)]
    State(#[from] StateError),
}

/// Locks the state folder (made when absent) for this process.
pub fn lock(dir: &Path) -> Result<StateLock, LockError> {
    lock_files(dir, open)
}

fn lock_files(dir: &Path, open: impl Fn(&Path) -> io::Result<File>) -> Result<StateLock, LockError> {
    let failed = |error| StateError::new("lock", dir.join(LOCKS[0]), error);
    if !dir.is_dir() {
        make_dir(dir).map_err(failed)?;
    }
    let open = |index: usize| match LOCKS.get(index) {
        Some(name) => open(&dir.join(name)),
        None => File::open(dir),
    };
    let mut mine = None;
    for index in 0..=LOCKS.len() {
        let file = match open(index) {
            Ok(file) => file,
            // Without the others, an agent that hangs keeps the next one out.
            Err(error) if (1..LOCKS.len()).contains(&index) || takes_no_file(dir, &error) => {
                debug!(%error, index, "no lock file");
                continue;
            }
            Err(error) => return Err(failed(error).into()),
        };
        if take(dir, &file)? {
            mine = Some((index, file));
            break;
        }
    }
    let (mine, file) = mine.ok_or_else(|| LockError::Exhausted(dir.to_owned()))?;
    for other in (0..=LOCKS.len()).filter(|index| *index != mine) {
        // Another agent that locks at this moment finds this one, and the other way round.
        if let Ok(other) = open(other)
            && take(dir, &other)?
        {
            other.unlock().map_err(failed)?;
        }
    }
    Ok(StateLock { _file: file })
}

/// Opens a lock file, and makes it when absent. The file stays after unlocking: removing it would let two agents lock two
/// files of one name. One that is there is opened without a write to its disk, which may be stalled or read-only.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o640);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => options.create(true).truncate(false).open(path),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path),
        opened => opened,
    }
}

/// Whether no file can be made: no room, or a disk that became read-only. Where the agent alone may not write, its unit or
/// its container is wrong, and it does not start.
fn takes_no_file(dir: &Path, error: &io::Error) -> bool {
    is_full(error)
        || error.kind() == io::ErrorKind::ReadOnlyFilesystem
            && is_disk_read_only(dir, &Mount::all().unwrap_or_default())
}

/// Whether there is no room for a file.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Locks a file; false where a process that hangs for good holds it.
fn take(dir: &Path, file: &File) -> Result<bool, LockError> {
    let failed = |error| StateError::new("lock", dir.join(LOCKS[0]), error);
    match file.try_lock() {
        Ok(()) => return Ok(true),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error).into()),
    }
    let pid = holder(file).ok().flatten();
    match pid.filter(|pid| is_over(*pid)) {
        Some(pid) => {
            warn!(
                pid,
                "an agent that was killed hangs on a disk; this one takes its place"
            );
            Ok(false)
        }
        None => Err(LockError::Held {
            dir: dir.to_owned(),
            pid,
        }),
    }
}

/// The process that holds the file's lock, as the kernel says; `None` where it does not.
fn holder(file: &File) -> io::Result<Option<u32>> {
    let about = file.metadata()?;
    let device = (rustix::fs::major(about.dev()), rustix::fs::minor(about.dev()));
    let locks = fs::read_to_string("/proc/locks")?;
    Ok(find_holder(&locks, device, about.ino()))
}

fn find_holder(locks: &str, (major, minor): (u32, u32), inode: u64) -> Option<u32> {
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, pid, at, ..] if at == place => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

/// Whether no thread of the process can run another instruction of its program.
pub(crate) fn is_over(pid: u32) -> bool {
    let threads = || {
        let mut all = Vec::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            all.push(fs::read_to_string(thread?.path().join("stat"))?);
        }
        io::Result::Ok(all)
    };
    threads().is_ok_and(|all| !all.is_empty() && all.iter().all(|stat| is_thread_over(stat) == Some(true)))
}

/// Whether a thread has ended, is ending in the kernel, or has SIGKILL pending, before which it returns to no program.
/// `None` when its `stat` is not understood.
fn is_thread_over(stat: &str) -> Option<bool> {
    // The name, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // Counted from the state, which is the third field of proc_pid_stat(5): flags are the 9th, pending signals the 31st.
    let (flags, pending) = (number(6)?, number(28)?);
    Some(matches!(*fields.first()?, "Z" | "X") || flags & EXITING != 0 || pending & KILLED != 0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn holder_of_a_lock_is_what_the_kernel_says() {
        let dir = tempfile::tempdir().unwrap();
        let file = open(&dir.path().join("file")).unwrap();
        assert_eq!(holder(&file).unwrap(), None);
        file.lock().unwrap();
        assert_eq!(holder(&file).unwrap(), Some(std::process::id()));
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:01:42 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 8 fe:01:42 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 0 fe:01:42 0 EOF\n3: FLOCK  ADVISORY  WRITE 9 fe:01:43 0 EOF\n";
        assert_eq!(
            find_holder(locks, (0xfe, 1), 42),
            None,
            "another kind, a waiter, another namespace"
        );
        assert_eq!(find_holder(locks, (0xfe, 1), 43), Some(9));
    }

    #[test]
    fn process_is_over_only_when_each_thread_cannot_go_on() {
        let stat = |state: &str, flags: u64, pending: u64| {
            let between = ["0"; 21].join(" ");
            format!("7 (a) b) {state} 1 1 1 0 -1 {flags} {between} {pending} 0 0\n")
        };
        assert_eq!(
            is_thread_over(&stat("D", 0x40_0000, 0)),
            Some(false),
            "stalled, and not killed"
        );
        assert_eq!(is_thread_over(&stat("D", 0x40_0000, 1 << 8)), Some(true));
        assert_eq!(
            is_thread_over(&stat("D", 0x40_0000, 1 << 14)),
            Some(false),
            "SIGTERM can be handled"
        );
        assert_eq!(is_thread_over(&stat("D", 0x40_0404, 0)), Some(true), "ending");
        assert_eq!(is_thread_over(&stat("Z", 0, 0)), Some(true));
        assert_eq!(is_thread_over("7 (a"), None);
        assert!(!is_over(std::process::id()));
        assert!(!is_over(0), "no such process");
    }

    #[test]
    fn full_disk_without_lock_files_takes_one_agent_and_no_second() {
        let dir = tempfile::tempdir().unwrap();
        let full = |path: &Path| {
            if path.exists() {
                open(path)
            } else {
                Err(io::ErrorKind::StorageFull.into())
            }
        };
        let first = lock_files(dir.path(), full).unwrap();
        for second in [lock_files(dir.path(), full), lock(dir.path())] {
            assert!(
                matches!(second, Err(LockError::Held { pid: Some(_), .. })),
                "{second:?}"
            );
        }
        drop(first);
        let with_room = lock(dir.path()).unwrap();
        assert!(matches!(lock_files(dir.path(), full), Err(LockError::Held { .. })));
        drop(with_room);
        // Read-only for the agent alone, as its unit may make it.
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            let denied = |_: &Path| Err(kind.into());
            assert!(
                matches!(lock_files(dir.path(), denied), Err(LockError::State(_))),
                "{kind}"
            );
        }
    }

    #[test]
    fn live_agent_on_any_lock_file_keeps_others_out() {
        let dir = tempfile::tempdir().unwrap();
        drop(lock(dir.path()).unwrap());
        for name in LOCKS {
            let held = File::open(dir.path().join(name)).unwrap();
            held.lock().unwrap();
            assert!(
                matches!(lock(dir.path()), Err(LockError::Held { pid: Some(_), .. })),
                "{name}"
            );
        }
        lock(dir.path()).unwrap();
    }
}
