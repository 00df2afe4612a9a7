//! The attacker: this program again, with the collator's user id, renaming in a loop.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::support::{Host, USER};

const DATA: &str = "T0RN_ATTACKED_DATA";
const CANARY: &str = "T0RN_ATTACKED_CANARY";
const PLACES: &str = "T0RN_ATTACKED_PLACES";

/// A running attacker; it ends with the test.
pub(crate) struct Attacker(Child);

impl Attacker {
    /// Attacks the entries at `places`, of those in [`PLANTS`].
    pub(crate) fn begin(host: &Host, places: &[&str]) -> Self {
        let mut command = Command::new("/proc/self/exe");
        command.args(["--exact", "attacker::attacker_process_renames_until_killed"]);
        command.env(DATA, host.data()).env(CANARY, host.canary_path(""));
        command.env(PLACES, places.join(":"));
        command.uid(USER).gid(USER).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Stands still, so that the data can be made anew.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        // The call that it is in comes to its end first.
        let stopped = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What takes the place of an entry for a moment.
#[derive(Clone, Copy)]
enum Plant {
    Link(&'static str),
    Pipe,
    /// A directory with links in it.
    Tree(&'static str),
}

const PLANTS: [(&str, Plant); 18] = [
    (".restore", Plant::Link("etc")),
    (".restore", Plant::Tree("etc")),
    (".snapshot", Plant::Link("cron.d")),
    (".snapshot", Plant::Tree("cron.d")),
    ("bake.json", Plant::Link("etc/passwd")),
    ("bake.json.tmp", Plant::Link("etc/passwd")),
    ("bake.json", Plant::Pipe),
    ("chains", Plant::Link("")),
    ("chains/t0rn", Plant::Link("")),
    ("chains/t0rn", Plant::Tree("etc")),
    ("chains/t0rn/db", Plant::Link("etc")),
    ("chains/t0rn/db/full", Plant::Link("")),
    ("chains/t0rn/db/full/000001.sst", Plant::Link("000001.sst")),
    ("chains/t0rn/db/full/000999.log", Plant::Link("CURRENT")),
    ("chains/t0rn/db/full/000999.log", Plant::Pipe),
    ("chains/t0rn/db/full/CURRENT", Plant::Pipe),
    ("chains/t0rn/keystore", Plant::Link("etc")),
    ("chains/t0rn/network", Plant::Link("network")),
];

/// Not a test of its own: the attacker's process, where [`Attacker::begin`] starts it.
#[test]
fn attacker_process_renames_until_killed() {
    let (Some(data), Some(canary)) = (std::env::var_os(DATA), std::env::var_os(CANARY)) else {
        return;
    };
    let (data, canary) = (PathBuf::from(data), PathBuf::from(canary));
    let places = std::env::var(PLACES).unwrap();
    let chosen = |place: &str| places.split(':').any(|chosen| chosen == place);
    let plants: Vec<_> = PLANTS.into_iter().filter(|(place, _)| chosen(place)).collect();
    assert!(!plants.is_empty());
    for (place, plant) in plants.into_iter().cycle() {
        attack(&data, place, plant, &canary);
    }
}

/// Puts `plant` in the place of an entry, and the entry back. Each step may fail: the other side is at work.
fn attack(data: &Path, place: &str, plant: Plant, canary: &Path) {
    let (path, aside) = (data.join(place), data.join("aside"));
    let moved = fs::rename(&path, &aside).is_ok();
    let _ = match plant {
        Plant::Link(target) => symlink(canary.join(target), &path),
        Plant::Pipe => mkfifoat(CWD, &path, Mode::RWXU).map_err(Into::into),
        Plant::Tree(target) => plant_tree(&path, &canary.join(target)),
    };
    // Long enough for a system call or two of the other side.
    std::thread::yield_now();
    let _ = match plant {
        Plant::Tree(_) => fs::remove_dir_all(&path),
        Plant::Link(_) | Plant::Pipe => fs::remove_file(&path),
    };
    if moved {
        let _ = fs::rename(&aside, &path);
    }
}

fn plant_tree(path: &Path, target: &Path) -> std::io::Result<()> {
    fs::create_dir(path)?;
    for name in ["0", "tree", "old", "made", "db", "journal.json", "full", "keystore"] {
        symlink(target, path.join(name))?;
    }
    Ok(())
}
