//! The agent under test: its configuration, its process, its commands, and its collator.

mod collator;
mod commands;
mod config;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::collator::{ContainerRun, starts_on};
use self::config::AgentConfig;
use crate::engine::Engine;
use crate::fakes::DnsServer;
use crate::http_client::SimClient;
use crate::ports::Port;
use crate::{sim_image, wait};

/// The daemon's systemd unit, for what it sets in the environment.
const UNIT: &str = include_str!("../../../dist/systemd/t0rn-agent.service");
/// Flags of a simulated collator that syncs for longer than any test.
pub const SYNCING: [&str; 6] = [
    "--sim-target",
    "10000000",
    "--sim-speed",
    "50",
    "--sim-block-time",
    "200",
];

/// An agent with a configuration, a state folder, a socket and a container name of its own. When dropped it is killed,
/// and its container and every file go.
#[derive(Debug)]
pub struct Agent<'a> {
    engine: &'a Engine,
    setup: AgentConfig,
    dir: TempDir,
    resolver: DnsServer,
    env: Vec<(&'static str, String)>,
    /// Bound over `/dev/disk/by-id` for the daemon; what that mounts is seen outside where the mount point is shared.
    disks: Option<PathBuf>,
    child: Option<Child>,
}

impl<'a> Agent<'a> {
    /// An agent for a simulated collator with further flags. Nothing runs yet.
    ///
    /// # Errors
    /// No image, no free port, or no room.
    pub fn new(engine: &'a Engine, name: &str, sim: &[&str]) -> Result<Self> {
        let image = sim_image::sim(engine)?;
        let mut command = vec!["--collator", "--base-path", "/node/data", "--prometheus-external"];
        // Blocks come several times within every window of the tests, as they do in real life.
        command.extend(["--sim-block-time", "500", "--sim-relay-block-time", "500"]);
        command.extend_from_slice(sim);
        Self::with_image(engine, name, &image, command.into_iter().map(str::to_owned).collect())
    }

    /// An agent for another image, whose exporters are on ports 7001 and 9616. Nothing runs yet.
    ///
    /// # Errors
    /// No free port, or no room.
    pub fn with_image(engine: &'a Engine, name: &str, image: &str, command: Vec<String>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("agent").tempdir()?;
        let setup = AgentConfig::new(engine, name, dir.path(), image, command)?;
        let agent = Self {
            engine,
            setup,
            dir,
            resolver: DnsServer::start()?,
            env: Vec::new(),
            disks: None,
            child: None,
        };
        agent.write_config()?;
        Ok(agent)
    }

    /// As [`Self::new`], started, and with a collator that is watched.
    ///
    /// # Errors
    /// As [`Self::new`], or it did not come up.
    pub fn running(engine: &'a Engine, name: &str, sim: &[&str]) -> Result<Self> {
        let mut agent = Self::new(engine, name, sim)?;
        agent.start()?;
        agent.wait_watched()?;
        Ok(agent)
    }

    /// Starts the daemon. It sees a name server of its own, so that what the host's does is no matter.
    ///
    /// # Errors
    /// It runs already, or the binary is missing.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the agent runs already");
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new("unshare");
        if self.disks.is_some() {
            // What is bound next is not to be seen outside.
            let bind = r#"for m in / /dev /run /tmp; do mount --make-private $m 2>/dev/null; done
                mkdir -p /dev/disk/by-id && mount --bind "$DISKS" /dev/disk/by-id &&
                mount --bind "$0" /etc/resolv.conf && exec env -u DISKS "$@""#;
            command.args(["--mount", "--propagation", "unchanged", "sh", "-c", bind]);
        } else {
            let bind = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;
            command.args(["--mount", "sh", "-c", bind]);
        }
        command
            .arg(self.resolver.resolv_conf())
            .arg(binary()?)
            .args(["run", "--config"])
            .arg(self.config_file())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("RUST_LOG", env::var_os("RUST_LOG").unwrap_or_else(|| "info".into()))
            .envs(
                UNIT.lines()
                    .filter_map(|line| line.strip_prefix("Environment=")?.split_once('=')),
            )
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(self.disks.iter().map(|disks| ("DISKS", disks)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(command.spawn().context("failed to run unshare")?);
        Ok(())
    }

    /// Kills the daemon so that it can do nothing more, and waits until it is gone.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the agent does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Kills the daemon, which may hang in the kernel, and does not wait for its end. The caller does, before it is dropped.
    ///
    /// # Errors
    /// It does not run.
    pub fn abandon(&mut self) -> Result<Child> {
        let mut child = self.child.take().context("the agent does not run")?;
        child.kill()?;
        Ok(child)
    }

    /// Sends the daemon a signal and waits until it ends. Returns its exit code.
    ///
    /// # Errors
    /// It does not run, does not end within 20 seconds, or died of the signal.
    pub fn end(&mut self, signal: Signal) -> Result<i32> {
        let mut child = self.child.take().context("the agent does not run")?;
        kill_process(Pid::from_child(&child), signal)?;
        let status = wait::exit(&mut child, Duration::from_secs(20));
        if status.is_err() {
            self.child = Some(child);
        }
        status?.code().context("the agent died of the signal")
    }

    /// Waits until the daemon ends by itself. Returns its exit code.
    ///
    /// # Errors
    /// It does not run, or not end within `timeout`.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<i32> {
        let mut child = self.child.take().context("the agent does not run")?;
        let status = wait::exit(&mut child, timeout);
        if status.is_err() {
            self.child = Some(child);
        }
        status?.code().context("the agent died of a signal")
    }

    /// The daemon's process id.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the agent does not run")?.id())
    }

    /// Highest resident memory of the daemon so far, bytes.
    ///
    /// # Errors
    /// It does not run.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .context("no VmHWM")?;
        let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib * 1024)
    }

    /// The collator's control port.
    pub fn sim(&self) -> SimClient {
        SimClient::new(self.setup.ports[2].number())
    }

    /// Host ports of the collator: both exporters, control.
    pub fn collator_ports(&self) -> [u16; 3] {
        let [parachain, relaychain, control, _] = self.setup.ports.each_ref().map(Port::number);
        [parachain, relaychain, control]
    }

    /// The port of the agent's own exporter.
    pub fn metrics_port(&self) -> u16 {
        self.setup.ports[3].number()
    }

    pub fn engine(&self) -> &Engine {
        self.engine
    }

    pub fn resolver(&self) -> &DnsServer {
        &self.resolver
    }

    pub fn container(&self) -> &str {
        &self.setup.container
    }

    /// The chain data on the host.
    pub fn data(&self) -> &Path {
        &self.setup.data
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("agent.toml")
    }

    /// What the daemon logged, all runs of it.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Empties the log, so that nobody has to read it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn discard_log(&self) -> Result<()> {
        Ok(fs::write(self.log_file(), "")?)
    }

    /// Sets a variable of the daemon's environment, for the next start.
    pub fn set_env(&mut self, name: &'static str, value: impl Into<String>) {
        self.env.push((name, value.into()));
    }

    /// Gives the daemon a `/dev/disk/by-id` of its own, for the next start.
    pub fn set_disks(&mut self, disks: &Path) {
        self.disks = Some(disks.to_owned());
    }

    /// The folder of the agent's state.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Changes a key of the configuration, for the next start.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&mut self, key: &str, value: impl Into<toml::Value>) -> Result<()> {
        self.setup.put(key, value);
        self.write_config()
    }

    /// Takes a key or a table out of the configuration, for the next start.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn unset(&mut self, key: &str) -> Result<()> {
        self.setup.remove(key);
        self.write_config()
    }

    fn write_config(&self) -> Result<()> {
        fs::write(self.config_file(), self.setup.config.to_string()).context("failed to write agent.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }
}

impl Drop for Agent<'_> {
    #[expect(clippy::print_stderr, reason = "the reader of a failed test needs it")]
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Shown with the output of a test that fails, and only then.
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        if !lines.is_empty() {
            eprintln!("--- end of the log of the agent of {}", self.setup.container);
        }
        for line in &lines[lines.len().saturating_sub(80)..] {
            eprintln!("{line}");
        }
        let _ = self.engine.try_docker(["rm", "-fv", &self.setup.container]);
    }
}

/// The agent's binary: `T0RN_AGENT_BIN`, else the newest one in the target folder.
///
/// # Errors
/// There is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("T0RN_AGENT_BIN") {
        return Ok(path.into());
    }
    let target = sim_image::target_dir()?;
    let built = ["release", "debug"].map(|profile| target.join(profile).join("t0rn-agent"));
    let newest = built
        .into_iter()
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max();
    Ok(newest
        .context("no t0rn-agent in the target folder: run cargo build first")?
        .1)
}
