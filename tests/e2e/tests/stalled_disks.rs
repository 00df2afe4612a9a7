//! Disks that stall, fail and fill up (a file system on a loop device): supervision goes on, and the next agent starts.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control;
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::{self, LATER, SOON};

/// `health.frozen_after` of these agents.
const WINDOW: Duration = Duration::from_secs(8);
/// How much later than its window a fault may be answered while a disk stalls: 5 s, and more on a machine that is busy.
const LATE: Duration = SOON;
/// How soon status answers: 2 s, and more on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(8);

/// A file system of its own on a loop device. Thawed, unmounted and detached when dropped.
struct LoopDisk {
    dir: tempfile::TempDir,
    device: String,
}

impl LoopDisk {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let image = dir.path().join("disk.img");
        File::create(&image)?.set_len(32 << 20)?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-e", "remount-ro"])
            .arg(&image))?;
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(&image))?;
        let disk = Self {
            dir,
            device: device.trim().to_owned(),
        };
        fs::create_dir(disk.mount())?;
        run(Command::new("mount").arg(&disk.device).arg(disk.mount()))?;
        run(Command::new("fsfreeze").arg("--freeze").arg(disk.mount()))?;
        run(Command::new("fsfreeze").arg("--unfreeze").arg(disk.mount()))?;
        Ok(disk)
    }

    fn mount(&self) -> PathBuf {
        self.dir.path().join("mount")
    }

    /// A directory on it, of the collator's user.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.mount().join(name);
        fs::create_dir(&path)?;
        chown(&path, Some(1000), Some(1000))?;
        Ok(path)
    }

    /// The file system finds an error, and is mounted read-only by the kernel.
    fn fail(&self) -> Result<()> {
        let name = self.device.trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test")?;
        let probe = File::create(self.mount().join("probe"));
        ensure!(probe.is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem));
        Ok(())
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.mount().join("filling"))?;
        // Fails when the disk is full, which is the purpose.
        let _ = io::copy(&mut io::repeat(b'x'), &mut file);
        Ok(())
    }

    fn freeze(&self) -> Result<Frozen> {
        Frozen::new(&self.mount())
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.mount()).status();
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

/// A frozen file system, until it is dropped or this process ends in any way: the shell that froze it thaws it when its
/// standard input is closed.
struct Frozen(Child);

impl Frozen {
    fn new(mount: &Path) -> Result<Self> {
        let script = r#"fsfreeze --freeze "$0" && echo frozen && cat >/dev/null; fsfreeze --unfreeze "$0""#;
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .arg(mount)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = [0; 7];
        let output = shell.stdout.as_mut().context("no output")?;
        let read = io::Read::read_exact(output, &mut said);
        let frozen = Self(shell);
        read.context("fsfreeze failed")?;
        Ok(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

macro_rules! disk {
    () => {
        match LoopDisk::new() {
            Ok(disk) => disk,
            Err(error) => skip!(format!("no file system that can be frozen here: {error:#}")),
        }
    };
}

fn has(status: &Value, words: &str) -> bool {
    let reasons = status["reasons"].as_array().into_iter().flatten();
    reasons.filter_map(Value::as_str).any(|reason| reason.contains(words))
}

/// The status, which is there soon whatever stalls.
fn prompt_status(agent: &Agent) -> Result<Value> {
    let began = Instant::now();
    let status = agent.status()?;
    ensure!(began.elapsed() < ANSWER, "status took {:?}", began.elapsed());
    Ok(status)
}

/// An agent with a running collator, one of whose disks is frozen: everything goes on, for the next agent as well.
///
/// `problem` is what the status says; a file system that is frozen still answers to reads.
fn goes_on_while_stalled(agent: &mut Agent, disk: &LoopDisk, problem: Option<&str>) -> Result<()> {
    agent.start()?;
    agent.wait_watched()?;
    let frozen = disk.freeze()?;
    let run = agent.run_id()?;
    agent.sim().control(&control::Command::Freeze {
        mode: control::Silence::Hang,
    })?;
    agent.wait_other_run(&run, WINDOW + LATE)?;
    wait::until("the problem", SOON, || {
        let status = prompt_status(agent)?;
        ensure!(problem.is_none_or(|problem| has(&status, problem)), "{status}");
        Ok(())
    })?;

    let mut follower = Command::new(t0rn_agent_tests::agent::binary()?);
    follower
        .args(["logs", "--follow", "--config"])
        .arg(agent.config_file())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let follower = follower.spawn()?;
    let first = agent.abandon()?;
    // Ends in any case: the connection of an agent that is gone, too, breaks off.
    let ended = follower.wait_with_output()?;
    ensure!(!ended.status.success(), "{ended:?}");
    if problem.is_some() {
        let text = String::from_utf8_lossy(&ended.stderr);
        ensure!(
            text.contains("was killed and its process hangs in the kernel"),
            "{text}"
        );
        let status = agent.cli(["status"])?;
        let text = String::from_utf8_lossy(&status.stdout).replace('\n', " ");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(
            words.contains("was killed and its process hangs in the kernel"),
            "{text}"
        );
    }
    agent.start()?;
    wait::until("the next agent", SOON, || {
        let status = prompt_status(agent)?;
        ensure!(status["phase"] == "syncing", "{status}");
        Ok(())
    })?;
    // What an earlier life left is not yet what this one watches.
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&control::Command::Freeze {
        mode: control::Silence::Hang,
    })?;
    agent.wait_other_run(&run, WINDOW + LATE)?;
    // A command is answered while the disk stalls.
    let said = agent.ok(["start"])?;
    ensure!(problem.is_none() || said.contains("could not be saved"), "{said}");
    // Two are kept apart also now.
    let refused = Command::new(t0rn_agent_tests::agent::binary()?)
        .args(["run", "--config"])
        .arg(agent.config_file())
        .output()?;
    let text = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && text.contains("another"), "{text}");

    drop(frozen);
    reap(first)?;
    agent.wait_for("the end of the problem", LATER, |status| {
        problem.is_none_or(|problem| !has(status, problem)) && status["phase"] == "syncing"
    })?;
    Ok(())
}

/// Waits for a process that hung until the disk answered.
fn reap(mut child: Child) -> Result<()> {
    wait::exit(&mut child, SOON).map(drop)
}

#[test]
fn stalled_state_disk_stops_no_supervision_and_no_next_agent() -> Result<()> {
    let engine = Engine::shared()?;
    let disk = disk!();
    let mut agent = Agent::new(&engine, "stallstate", &SYNCING)?;
    agent.set("agent.state_dir", disk.mount().join("state").display().to_string())?;
    goes_on_while_stalled(&mut agent, &disk, Some("the disk of agent.state_dir does not answer"))
}

#[test]
fn stalled_data_disk_stops_no_supervision_and_no_next_agent() -> Result<()> {
    let engine = Engine::shared()?;
    let disk = disk!();
    // A collator that writes to the frozen disk cannot be killed by anybody: this one has its files elsewhere.
    let (data, own) = (disk.folder("data")?, tempfile::tempdir()?);
    chown(own.path(), Some(1000), Some(1000))?;
    let mut agent = Agent::new(&engine, "stalldata", &SYNCING)?;
    let mut command = vec!["--collator", "--base-path", "/node/own", "--prometheus-external"];
    command.extend(["--sim-block-time", "500", "--sim-relay-block-time", "500"]);
    command.extend_from_slice(&SYNCING);
    agent.set("collator.command", command)?;
    agent.set("data.path", data.display().to_string())?;
    let mut elsewhere = toml::Table::new();
    elsewhere.insert("source".into(), own.path().display().to_string().into());
    elsewhere.insert("target".into(), "/node/own".into());
    agent.set("mounts", vec![toml::Value::Table(elsewhere)])?;
    goes_on_while_stalled(&mut agent, &disk, None)
}

#[test]
fn stalled_identity_disk_is_named_and_no_next_agent_is_kept_out() -> Result<()> {
    let engine = Engine::shared()?;
    let disk = disk!();
    let keystore = disk.folder("keystore")?;
    let mut agent = Agent::new(&engine, "stallkeys", &SYNCING)?;
    agent.set("identity.required", true)?;
    agent.set("identity.mount", disk.mount().display().to_string())?;
    let mut keys = toml::Table::new();
    keys.insert("source".into(), keystore.display().to_string().into());
    keys.insert("target".into(), "/node/keystore".into());
    agent.set("mounts", vec![toml::Value::Table(keys)])?;
    agent.start()?;
    agent.wait_watched()?;
    let frozen = disk.freeze()?;
    let run = agent.run_id()?;
    agent.sim().control(&control::Command::Freeze {
        mode: control::Silence::Hang,
    })?;
    agent.wait_other_run(&run, WINDOW + LATE)?;
    let problem = "the disk of identity.mount does not answer";
    wait::until("the problem", LATER, || {
        let status = prompt_status(&agent)?;
        ensure!(has(&status, problem), "{status}");
        Ok(())
    })?;
    // Only the lease keeps other hosts away, and it cannot be renewed: the collator has to stop in time.
    agent.wait_down(LATER)?;
    let first = agent.abandon()?;
    agent.start()?;
    wait::until("the next agent", SOON, || prompt_status(&agent).map(drop))?;
    drop(frozen);
    reap(first)?;
    agent.wait_for("the collator", LATER, |status| {
        status["phase"] == "syncing" && !has(status, problem)
    })?;
    Ok(())
}

/// The collator is restarted when its exporters hang.
fn restarts_what_is_frozen(agent: &Agent) -> Result<()> {
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&control::Command::Freeze {
        mode: control::Silence::Hang,
    })?;
    agent.wait_other_run(&run, WINDOW + LATE).map(drop)
}

#[test]
fn state_disk_that_became_read_only_is_named_and_no_next_agent_is_kept_out() -> Result<()> {
    let engine = Engine::shared()?;
    let disk = disk!();
    let mut agent = Agent::new(&engine, "readonlystate", &SYNCING)?;
    agent.set("agent.state_dir", disk.mount().join("state").display().to_string())?;
    agent.start()?;
    agent.wait_watched()?;
    disk.fail()?;
    let problem = "mounted read-only, as the kernel does after an error: look at dmesg";
    for next in [false, true] {
        if next {
            agent.kill()?;
            agent.start()?;
        }
        restarts_what_is_frozen(&agent)?;
        agent.wait_for("the problem", LATER, |status| has(status, problem))?;
    }
    let checked = agent.cli(["check"])?;
    let text = String::from_utf8_lossy(&checked.stdout);
    ensure!(checked.status.code() == Some(1) && text.contains(problem), "{text}");
    let second = Command::new(t0rn_agent_tests::agent::binary()?)
        .args(["run", "--config"])
        .arg(agent.config_file())
        .output()?;
    let text = String::from_utf8_lossy(&second.stderr);
    ensure!(
        !second.status.success() && text.contains("another t0rn-agent"),
        "{text}"
    );
    Ok(())
}

#[test]
fn records_that_a_full_state_disk_does_not_take_are_a_problem() -> Result<()> {
    let engine = Engine::shared()?;
    let disk = disk!();
    let mut agent = Agent::new(&engine, "fullstate", &SYNCING)?;
    agent.set("agent.state_dir", disk.mount().join("state").display().to_string())?;
    agent.start()?;
    agent.wait_watched()?;
    disk.fill()?;
    restarts_what_is_frozen(&agent)?;
    let status = agent.wait_for("the problem", LATER, |status| {
        has(status, "lines of the flight recorder or an incident could not be saved")
    })?;
    ensure!(has(&status, "free space on the disk of agent.state_dir"), "{status}");
    Ok(())
}

#[test]
fn stop_that_a_damaged_state_forgot_is_said_until_an_operator_decides() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "damagedstate", &SYNCING)?;
    agent.ok(["stop"])?;
    agent.wait_phase("stopped", SOON)?;
    agent.kill()?;
    fs::write(agent.state_dir().join("state.json"), "{\"schema\":1,")?;
    agent.start()?;
    let problem = "a stop, a pause or an update that an operator asked for may be forgotten";
    let status = agent.wait_for("the problem", SOON, |status| has(status, problem))?;
    ensure!(has(&status, "state.json.damaged-1"), "{status}");
    agent.kill()?;
    agent.start()?;
    agent.wait_for("the problem in the next life", SOON, |status| has(status, problem))?;
    agent.ok(["stop"])?;
    agent.wait_for("the stop", SOON, |status| {
        status["phase"] == "stopped" && !has(status, problem)
    })?;
    Ok(())
}
