//! Updates while the file system of the agent's state is full.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{LATER, SOON};

use crate::{allowed, configured, one_collator, update, variant};

/// An agent whose state lies on a small file system. It does not run yet.
fn on_a_small_disk<'a>(engine: &'a Engine, name: &str) -> Result<(Agent<'a>, Tmpfs)> {
    let mut agent = Agent::new(engine, name, &SYNCING)?;
    let small = Tmpfs::new("512k")?;
    agent.set("update.repositories", allowed())?;
    agent.set("agent.state_dir", small.0.path().join("state").display().to_string())?;
    Ok((agent, small))
}

#[test]
fn with_a_full_disk_under_the_state_nothing_is_changed() -> Result<()> {
    let engine = Engine::shared()?;
    let (mut agent, small) = on_a_small_disk(&engine, "full")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    let new = variant(&engine, "full", &[])?;
    fs::remove_file(small.0.path().join("state/state.reserve"))?;
    small.fill()?;
    let (code, text) = update(&agent, &new)?;
    ensure!(code == Some(1) && text.contains("agent.state_dir"), "{code:?}: {text}");
    ensure!(agent.run_id()? == run, "it was touched");
    fs::remove_file(small.0.path().join("filler"))?;
    // The recorder tries again after a minute.
    agent.wait_for("state and records to be saved", LATER, |status| {
        status["health"] == "ok"
    })?;
    one_collator(&agent, &configured(&agent)?)?;
    agent.kill()
}

#[test]
fn what_is_kept_free_for_the_state_lets_an_update_end_once_and_for_all() -> Result<()> {
    let engine = Engine::shared()?;
    let (mut agent, small) = on_a_small_disk(&engine, "reserve")?;
    agent.set("update.probation", "15s")?;
    agent.start()?;
    agent.wait_watched()?;
    let fault = r#"{"do": "crash", "after_seconds": 2}"#;
    let new = variant(&engine, "reserve", &["--sim-fault", fault])?;
    small.fill()?;
    let (code, text) = update(&agent, &new)?;
    ensure!(code == Some(1) && text.contains("rolled back"), "{code:?}: {text}");
    let run = agent.run_id()?;
    agent.kill()?;
    agent.start()?;
    agent.wait_for("its end", SOON, |s| s["update"]["result"] == "rolled_back")?;
    agent
        .stays(&run, Duration::from_secs(5))
        .context("it was taken back twice")?;
    one_collator(&agent, &configured(&agent)?)?;
    Ok(())
}

/// A small file system of its own.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn new(size: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .status()?;
        ensure!(mounted.success(), "failed to mount a tmpfs");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self(dir))
    }

    /// To the last byte.
    fn fill(&self) -> Result<()> {
        let filled = fs::write(self.0.path().join("filler"), vec![0; 1 << 20]);
        ensure!(filled.is_err(), "there is room left");
        Ok(())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let path: &Path = self.0.path();
        let _ = Command::new("umount").arg("--lazy").arg(path).status();
    }
}
