//! A host: data and identity volume of the collator's user, and what root has beside them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::fake_engine::FakeEngine;
use t0rn_agent_tests::wait::{self, SOON};

use crate::canary::{Canary, LINKED, SECRET};
use crate::commands::Privileged;

/// The collator's user and group, the attacker's.
pub(crate) const USER: u32 = 1000;
/// Mounted for one test, in its own namespaces.
const ROOT: &str = "/mnt";
static ELSEWHERE: OnceLock<PathBuf> = OnceLock::new();
const VOLUME: &str = "vol-0123456789abcdef0";
const OTHER_KEY: &str = "6175726102020202020202020202020202020202020202020202020202020202020202ab";
/// One command: longer is a hang, as on a pipe without a writer.
const COMMAND_SECONDS: u32 = 60;

/// What a command said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) said: String,
}

impl Finished {
    /// Whether it ended as where nothing is attacked.
    pub(crate) fn is_calm(&self, command: &Privileged) -> bool {
        self.code == command.code && self.said.contains(command.calm)
    }
}

/// The host; its data may be made anew.
pub(crate) struct Host {
    canary: Canary,
    outside: BTreeMap<&'static str, String>,
    /// For the commands that need one: an engine without containers.
    _engine: FakeEngine,
}

/// Files of the data and of the volume, by their place there.
fn files() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("data/chains/t0rn/db/full/CURRENT", "MANIFEST-000005\n".to_owned()),
        ("data/chains/t0rn/db/full/MANIFEST-000005", "tables".to_owned()),
        ("data/chains/t0rn/db/full/db_version", "4".to_owned()),
        ("data/chains/t0rn/db/full/000001.sst", "a".repeat(9000)),
        ("data/chains/t0rn/db/full/000999.log", "b".repeat(200_000)),
        (
            "data/polkadot/chains/rococo/db/full/CURRENT",
            "MANIFEST-000005\n".to_owned(),
        ),
        (
            "data/polkadot/chains/rococo/db/full/MANIFEST-000005",
            "tables".to_owned(),
        ),
        ("data/polkadot/chains/rococo/db/full/000001.sst", "c".repeat(9000)),
        ("data/chains/t0rn/keystore/61757261aa", "its own".to_owned()),
        ("data/chains/t0rn/network/secret_ed25519", "its own".to_owned()),
        (
            "volume/keystore/6175726101010101010101010101010101010101010101010101010101010101010101ab",
            "\"a key\"".to_owned(),
        ),
        ("volume/node-key", "11".repeat(32)),
        ("volume/lease.json", "{}".to_owned()),
    ])
}

/// Files of root's that bear the same names, and those that commands make there.
fn outside() -> BTreeMap<&'static str, String> {
    let mut outside = files();
    let more = [
        "data/bake.json",
        "data/bake.json.tmp",
        "data/.restore/journal.json",
        "data/.restore/tree/chains/t0rn/db/full/CURRENT",
        "data/.restore/old/file",
        "data/.snapshot/0/file",
        "data/.before-restore/file",
        "volume/lease.json.tmp",
        "volume/node-key.new",
        "parent/data/file",
        "parent/.data.t0rn-agent/file",
        "parent/x.tar.zst",
        "parent/x.tar.zst.part",
        "parent/x.tar.zst.manifest.json",
        "etc/passwd",
    ];
    outside.extend(more.map(|file| (file, String::new())));
    for content in outside.values_mut() {
        SECRET.clone_into(content);
    }
    outside
}

impl Host {
    /// Mounts a file system where reading is seen, and makes all of it.
    pub(crate) fn new() -> Result<Self> {
        mount(&["-t", "tmpfs", "-o", "strictatime,mode=755", "tmpfs", ROOT])?;
        for dir in ["volume", "identity", "in", "home", "run"] {
            fs::create_dir(at(dir))?;
        }
        mount(&[
            "--bind",
            &at("volume").display().to_string(),
            &at("identity").display().to_string(),
        ])?;
        // The agent's, whose lease it becomes.
        lchown(at("run"), Some(USER - 1), Some(USER - 1))?;
        make_devices()?;
        fs::write(at("agent.toml"), config("data"))?;
        fs::write(at("parent.toml"), config("parent/data"))?;
        let outside = outside();
        let canary = Canary::plant(&at("canary"), &outside)?;
        let engine = FakeEngine::start(&at("docker.sock"), None)?;
        let host = Self {
            canary,
            outside,
            _engine: engine,
        };
        reset()?;
        make_inputs()?;
        reset()?;
        Ok(host)
    }

    /// Fails unless nothing was done outside.
    pub(crate) fn assert_untouched(&self) -> Result<()> {
        self.canary.assert_untouched()
    }

    /// The same, with the content; afterwards the host is gone.
    pub(crate) fn end(self) -> Result<()> {
        self.canary.assert_content(&self.outside)
    }
}

/// Puts the host elsewhere than at [`ROOT`], for the rest of this process.
pub(crate) fn set_root(root: &Path) -> Result<()> {
    ELSEWHERE
        .set(root.to_owned())
        .ok()
        .context("the host has a place already")
}

/// Begins data, volume and the attacker's home anew. No attacker may be at work.
pub(crate) fn reset() -> Result<()> {
    for dir in ["data", "home", "parent", "state", "out"] {
        remove(&at(dir))?;
    }
    for entry in fs::read_dir(at("volume"))? {
        remove(&entry?.path())?;
    }
    fs::create_dir(at("out"))?;
    fs::create_dir(at("home"))?;
    fs::create_dir(at("parent"))?;
    for (file, content) in files() {
        let path = at(file);
        fs::create_dir_all(path.parent().context("no parent")?)?;
        fs::write(&path, content)?;
        if file.starts_with("volume") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
    }
    for dir in ["data", "volume", "home", "parent"] {
        give_away(&at(dir))?;
    }
    Ok(())
}

/// Puts a restore of root's into the data that was interrupted at `stage`.
pub(crate) fn plant_interrupted(stage: &str) -> Result<()> {
    let (from, to) = (at("in").join(stage), at("data/.restore"));
    let copied = Command::new("cp").arg("-a").args([&from, &to]).status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o700))?)
}

fn command(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("T0RN_AGENT_CONFIG", at("agent.toml"))
        .stdin(Stdio::null());
    Ok(command)
}

/// Breaks a restore off in the middle of its snapshot, and keeps what it left.
fn interrupt_restore() -> Result<()> {
    let snapshot = fs::read(at("in/good.tar.zst"))?;
    let mut command = command(&["snapshot", "restore", "-"])?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(&snapshot[..snapshot.len() - 100])?;
    let side = at("data/.restore");
    wait::until("a restore", SOON, || Ok(fs::metadata(side.join("journal.json"))?))?;
    child.kill()?;
    child.wait()?;
    Ok(fs::rename(side, at("in/unpacking"))?)
}

/// Runs a command as root. Fails when it hangs or breaks down, and when its output obeys the attacker.
pub(crate) fn run(args: &[&str]) -> Result<Finished> {
    let output = wait::run(COMMAND_SECONDS, &mut command(args)?)?;
    let code = output.status.code().with_context(|| format!("{output:?}"))?;
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(code < 4, "{args:?} ended with {code}: {said}");
    if !args.contains(&"-") {
        said = String::from_utf8_lossy(&output.stdout).into_owned() + &said;
    }
    ensure!(!said.contains(SECRET), "{args:?} shows what is outside: {said}");
    let obeyed = |c: char| c.is_control() && c != '\n';
    ensure!(!said.contains(obeyed), "{args:?} prints control characters: {said:?}");
    Ok(Finished { code, said })
}

/// Runs a command that has to succeed.
pub(crate) fn done(args: &[&str]) -> Result<String> {
    let Finished { code, said } = run(args)?;
    ensure!(code == 0, "{args:?} ended with {code}: {said}");
    Ok(said)
}

/// What the commands read: a snapshot, an archive, keys, and restores that were interrupted.
fn make_inputs() -> Result<()> {
    done(&["snapshot", "create", "--to", "/mnt/in/good.tar.zst"])?;
    fs::create_dir(at("in/keystore"))?;
    fs::write(at("in/keystore").join(OTHER_KEY), "\"another key\"")?;
    fs::write(at("in/node-key"), "11".repeat(32))?;
    let tar = [
        "-C",
        "/mnt/data",
        "-cf",
        "/mnt/in/plain.tar",
        "chains/t0rn/db",
        "polkadot",
    ];
    let made = Command::new("tar").args(tar).status()?;
    ensure!(made.success(), "tar: {made}");
    interrupt_restore()?;
    let journal = fs::read_to_string(at("in/unpacking/journal.json"))?;
    // Of the file, and no longer of the pipe.
    let journal = journal.replace("standard input", "/mnt/in/good.tar.zst");
    let units = r#""units":[{"place":"chains/t0rn/db","new":true}]"#;
    for stage in ["switching", "switched"] {
        let dir = at("in").join(stage);
        let (database, old) = (dir.join("tree/chains/t0rn/db/full"), dir.join("old"));
        fs::create_dir_all(&database)?;
        fs::create_dir_all(&old)?;
        fs::write(database.join("CURRENT"), "MANIFEST-000001\n")?;
        let now = journal.replace(r#""units":[]"#, units).replace("unpacking", stage);
        ensure!(now.contains(units), "{journal}");
        fs::write(dir.join("journal.json"), now)?;
    }
    Ok(())
}

/// A path of the host.
pub(crate) fn at(place: impl AsRef<Path>) -> PathBuf {
    ELSEWHERE.get().map_or(Path::new(ROOT), PathBuf::as_path).join(place)
}

/// Where the canary has the same name.
pub(crate) fn outside_at(place: &str) -> PathBuf {
    at("canary").join(place)
}

/// The canary's file that the attacker has other names of.
pub(crate) fn linked() -> PathBuf {
    outside_at(LINKED)
}

pub(crate) fn own(path: &Path) -> Result<()> {
    Ok(lchown(path, Some(USER), Some(USER))?)
}

/// Gives a tree to the attacker, without following links.
fn give_away(path: &Path) -> Result<()> {
    own(path)?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path())?;
        }
    }
    Ok(())
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(about) if about.is_dir() => Ok(fs::remove_dir_all(path)?),
        Ok(_) => Ok(fs::remove_file(path)?),
    }
}

/// Devices of this test's own, among them the volume's, which is never opened: something is mounted already.
fn make_devices() -> Result<()> {
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev"])?;
    for (name, minor) in [("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)] {
        let path = Path::new("/dev").join(name);
        mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            makedev(1, minor),
        )?;
    }
    mknodat(CWD, "/dev/volume", FileType::BlockDevice, Mode::RUSR, makedev(7, 250))?;
    fs::create_dir_all("/dev/disk/by-id")?;
    let link = format!(
        "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{}",
        VOLUME.replace('-', "")
    );
    Ok(symlink("/dev/volume", link)?)
}

fn mount(args: &[&str]) -> Result<()> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let output = Command::new("mount").args(&args).output()?;
    ensure!(
        output.status.success(),
        "mount {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn config(data: &str) -> String {
    format!(
        "[agent]\nstate_dir = '/mnt/state'\nsocket = '/mnt/run/agent.sock'\ndocker = '/mnt/docker.sock'\n\
         [collator]\nimage = 'example.org/collator:1'\nuser = '{USER}:{USER}'\n\
         [data]\npath = '/mnt/{data}'\n[[mounts]]\nsource = '/mnt/identity/keystore'\ntarget = '/node/keystore'\n\
         [identity]\nvolume = '{VOLUME}'\nmount = '/mnt/identity'\n[ec2]\nenabled = 'false'\n"
    )
}

/// Longest that all rounds of one command may take.
pub(crate) const ALL_ROUNDS: Duration = Duration::from_mins(2);
