//! What version 0.1.0 wrote is read by this one, for ever: `tests/e2e/fixtures/0.1.0` was written by that program, on a host
//! with the default paths, and is never written again.
//!
//! No engine is needed: an agent without one still shows what it knows, and [`FakeEngine`] plays the rest.

mod bake;
mod chaindata;
mod downgrade;
mod golden;
mod records;
mod saved;
mod state;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::fake_engine::FakeEngine;
use t0rn_agent_tests::wait::{SOON, exit, run, until};
use tempfile::TempDir;

/// The data directory of the host on which the fixtures were written.
const DATA: &str = "/var/lib/t0rn-collator";

/// A host whose agent has a state directory, a socket and, where a test makes one, an engine of its own.
struct Host {
    dir: TempDir,
    config: toml::Table,
    child: Option<Child>,
}

impl Host {
    /// Configured as the host of the fixtures was; nothing listens where its engine and its exporters would.
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut host = Self {
            config: fs::read_to_string(fixture("agent.toml"))?.parse()?,
            dir,
            child: None,
        };
        for (table, key, name) in [
            ("agent", "state_dir", "state"),
            ("agent", "socket", "agent.sock"),
            ("agent", "docker", "docker.sock"),
            ("data", "path", "data"),
        ] {
            let path = host.path(name).display().to_string();
            host.set(table, key, path)?;
        }
        host.set("metrics", "listen", "")?;
        // Longer than any test: nothing is done for what is silent here.
        for window in ["startup_grace", "frozen_after", "isolated_after", "stall_after"] {
            host.set("health", window, "1h")?;
        }
        for (chain, port) in [("parachain", 1), ("relaychain", 2)] {
            let mut exporter = toml::Table::new();
            exporter.insert("metrics".to_owned(), format!("http://127.0.0.1:{port}/metrics").into());
            host.set("chains", chain, exporter)?;
        }
        for name in ["state", "data"] {
            fs::create_dir(host.path(name))?;
        }
        Ok(host)
    }

    /// The same with the state that 0.1.0 left there a second ago.
    fn with_state(name: &str) -> Result<Self> {
        let host = Self::new()?;
        let text = fs::read_to_string(fixture(&format!("state/{name}.json")))?;
        let (before, rest) = text.split_once("\"saved_unix_ms\":").context("no time")?;
        let (_, after) = rest.split_once(',').context("nothing behind the time")?;
        let saved = now_ms()? - 1_000;
        fs::write(
            host.path("state/state.json"),
            format!("{before}\"saved_unix_ms\":{saved},{after}"),
        )?;
        Ok(host)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets a key of the configuration.
    fn set(&mut self, table: &str, key: &str, value: impl Into<toml::Value>) -> Result<()> {
        let entry = self.config.entry(table).or_insert_with(|| toml::Table::new().into());
        let table = entry.as_table_mut().context("no table")?;
        table.insert(key.to_owned(), value.into());
        Ok(fs::write(self.path("agent.toml"), self.config.to_string())?)
    }

    /// Nothing is mounted where the keys are to be.
    fn without_keys(&mut self) -> Result<()> {
        self.set("identity", "required", true)?;
        self.set("identity", "without_volume", "full_node")?;
        self.set("identity", "mount", self.path("identity").display().to_string())
    }

    /// An instance whose metadata service does not answer: nobody says that a notice is over.
    fn without_imds(&mut self) -> Result<()> {
        self.set("ec2", "enabled", true)?;
        self.set("ec2", "imds", "http://127.0.0.1:3")
    }

    /// An engine with a container that 0.1.0 made.
    fn engine(&self, container: Option<Value>) -> Result<FakeEngine> {
        FakeEngine::start(&self.path("docker.sock"), container)
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(self.path("agent.toml")).args(args);
        Ok(command)
    }

    /// A command that has to end with that code. Returns what it says on both outputs.
    fn said(&self, code: i32, args: &[&str]) -> Result<String> {
        said_by(code, &mut self.command(args)?)
    }

    /// Starts the daemon. It does not see this machine's own `/var/lib`, where the fixtures' paths lead.
    fn start(&mut self) -> Result<()> {
        let log = fs::File::create(self.path("log"))?;
        let hidden = r#"mount -t tmpfs tmpfs /var/lib && exec "$0" "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", hidden]).arg(binary()?);
        command.arg("--config").arg(self.path("agent.toml")).arg("run");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until the status is as wanted.
    fn wait_for(&self, what: &str, mut good: impl FnMut(&Value) -> bool) -> Result<Value> {
        until(what, SOON, || {
            let output = run(30, &mut self.command(&["status", "--json"])?)?;
            let status: Value = serde_json::from_slice(&output.stdout).context("no status")?;
            ensure!(good(&status), "{status}\n{}", self.log());
            Ok(status)
        })
    }

    /// Starts the daemon without an engine, and waits until it has noticed that. Returns what it knows then.
    fn known(&mut self) -> Result<Value> {
        self.start()?;
        self.wait_unreachable()
    }

    fn wait_unreachable(&self) -> Result<Value> {
        self.wait_for("an agent without an engine", |status| {
            status["phase"] == "docker_unreachable"
        })
    }

    /// Ends the daemon as the service manager does.
    fn end(&mut self) -> Result<()> {
        let mut child = self.child.take().context("no agent runs")?;
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        ensure!(exit(&mut child, SOON)?.success(), "{}", self.log());
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A file or folder that 0.1.0 wrote.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/0.1.0").join(name)
}

fn container(name: &str) -> Result<Value> {
    let text = fs::read(fixture(&format!("container/{name}.json")))?;
    Ok(serde_json::from_slice(&text)?)
}

fn said_by(code: i32, command: &mut Command) -> Result<String> {
    let output = run(60, command)?;
    let said = text(&output);
    ensure!(
        output.status.code() == Some(code),
        "{command:?}: {} {said}",
        output.status
    );
    Ok(said)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A text without its line breaks: the status has its reasons in paragraphs.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether one of the status' reasons has these words.
fn says(status: &Value, words: &str) -> bool {
    let mut reasons = status["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    reasons.any(|reason| reason.contains(words))
}

fn now_ms() -> Result<u128> {
    Ok(std::time::UNIX_EPOCH.elapsed()?.as_millis())
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
