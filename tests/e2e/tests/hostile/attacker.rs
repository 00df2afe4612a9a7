//! The attacker: this program again, with the collator's user id, exchanging entries for what it has prepared at home.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, makedev, mkfifoat, mknodat, renameat_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::host::{USER, at, linked, outside_at, own, set_root};

/// Set for the attacker's process: the places that it attacks.
const PLACES: &str = "T0RN_HOSTILE_PLACES";
/// Set with it: where the host is.
const ROOT: &str = "T0RN_HOSTILE_ROOT";
/// Names in a directory that is put in the place of another.
const NAMES: [&str; 12] = [
    "journal.json",
    "tree",
    "old",
    "made",
    "0",
    "t0rn",
    "db",
    "full",
    "keystore",
    "CURRENT",
    "000001.sst",
    "data",
];

/// What takes the place of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plant {
    /// To the canary's entry of the same name.
    Link,
    /// To a name there that does not exist.
    Dangling,
    /// Another name of a file of root's.
    HardLink,
    Pipe,
    Device,
    /// A directory with links to the canary's.
    Tree,
    /// A file of the attacker's.
    File,
}

/// All of them, as `prepare` makes them at home. The attacker cannot make devices and names of root's files; it may have them.
pub(crate) const PLANTS: [Plant; 7] = [
    Plant::Link,
    Plant::Dangling,
    Plant::HardLink,
    Plant::Pipe,
    Plant::Device,
    Plant::Tree,
    Plant::File,
];

impl Plant {
    /// Makes it at `path`, for `place` of the host.
    pub(crate) fn make(self, path: &Path, place: &str) -> Result<()> {
        match self {
            Self::Link => symlink(outside_at(place), path)?,
            Self::Dangling => symlink(outside_at("nothing").join("here"), path)?,
            Self::HardLink => fs::hard_link(linked(), path)?,
            Self::Pipe => mkfifoat(CWD, path, Mode::from_raw_mode(0o600))?,
            Self::Device => mknodat(
                CWD,
                path,
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o600),
                makedev(1, 5),
            )?,
            Self::Tree => {
                fs::create_dir(path)?;
                for name in NAMES {
                    symlink(outside_at(place).join(name), path.join(name))?;
                }
            }
            Self::File => fs::write(path, "{}")?,
        }
        if self != Self::HardLink && rustix::process::geteuid().is_root() {
            own(path)?;
        }
        Ok(())
    }
}

fn decoy(number: usize, plant: Plant) -> PathBuf {
    Path::new("home").join(format!("{number}-{plant:?}"))
}

/// A process that attacks some places; it ends with this.
pub(crate) struct Attacker {
    child: Child,
    places: Vec<&'static str>,
}

impl Attacker {
    /// Begins, and stands still until [`Self::go_on`].
    pub(crate) fn begin(places: &[&'static str]) -> Result<Self> {
        // Inherited: by its path the attacker might not come there.
        std::env::set_current_dir(at(""))?;
        let mut command = Command::new("/proc/self/exe");
        command.args(["--exact", "attacker::attacker_process_exchanges_until_killed"]);
        command.env(PLACES, places.join(":")).env(ROOT, at(""));
        command.uid(USER).gid(USER).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        let attacker = Self {
            child,
            places: places.to_vec(),
        };
        attacker.pause()?;
        Ok(attacker)
    }

    /// What it needs and may not make itself, in a new home.
    pub(crate) fn prepare_home(&self) -> Result<()> {
        for (number, place) in self.places.iter().enumerate() {
            for plant in PLANTS {
                plant.make(&at(decoy(number, plant)), place)?;
            }
        }
        Ok(())
    }

    pub(crate) fn pause(&self) -> Result<()> {
        kill_process(self.pid()?, Signal::STOP)?;
        // The call that it is in comes to its end first.
        let stopped = waitpid(Some(self.pid()?), WaitOptions::UNTRACED)?;
        ensure!(
            stopped.is_some_and(|(_, status)| status.stopped()),
            "the attacker has ended"
        );
        Ok(())
    }

    pub(crate) fn go_on(&self) -> Result<()> {
        Ok(kill_process(self.pid()?, Signal::CONT)?)
    }

    fn pid(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.child.id())?).context("no process")
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test of its own: the attacker's process, where [`Attacker::begin`] starts it.
#[test]
fn attacker_process_exchanges_until_killed() {
    let (Ok(places), Some(root)) = (std::env::var(PLACES), std::env::var_os(ROOT)) else {
        return;
    };
    assert!(set_root(Path::new(&root)).is_ok());
    let places: Vec<_> = places.split(':').enumerate().collect();
    for round in 0_usize.. {
        for (number, place) in &places {
            for plant in PLANTS {
                let path = decoy(*number, plant);
                if !attack(&path, Path::new(place), round) {
                    // Root removed it.
                    let _ = plant.make(&path, place);
                }
            }
        }
    }
}

/// Puts `decoy` in the place of an entry, and the entry back. Each step may fail: the other side is at work.
fn attack(decoy: &Path, place: &Path, round: usize) -> bool {
    let exchange = |from: &Path, to: &Path, flags| renameat_with(CWD, from, CWD, to, flags);
    let (flags, back) = match exchange(decoy, place, RenameFlags::EXCHANGE) {
        Ok(()) => (RenameFlags::EXCHANGE, (place, decoy)),
        Err(_) if exchange(decoy, place, RenameFlags::NOREPLACE).is_ok() => (RenameFlags::NOREPLACE, (place, decoy)),
        Err(_) => return false,
    };
    // Long enough for a system call or two of the other side, or for many.
    for _ in 0..1 << (round % 6) {
        thread::yield_now();
    }
    if exchange(back.0, back.1, flags).is_err() {
        // Removed meanwhile: then the entry comes back alone.
        let _ = exchange(decoy, place, RenameFlags::NOREPLACE);
    }
    true
}
