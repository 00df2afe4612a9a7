//! Under `[identity]`: what runs without the fence is left alone until this host holds the identity, and comes back by force alone.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{LATER, SOON, run, until};

use crate::world::World;

/// A file system with keys, of which a lease alone says which host has it.
struct KeyShare(PathBuf);

impl KeyShare {
    fn mount(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path)?;
        let mounted = run(30, Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&path))?;
        ensure!(mounted.status.success(), "{mounted:?}");
        let share = Self(path);
        fs::create_dir(share.0.join("keystore"))?;
        chown(share.0.join("keystore"), Some(1000), Some(1000))?;
        Ok(share)
    }
}

impl Drop for KeyShare {
    fn drop(&mut self) {
        let _ = run(30, Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

/// Another host, whose agent renews its lease.
struct OtherHost {
    ends: Arc<AtomicBool>,
    renewals: Option<JoinHandle<Result<()>>>,
}

impl OtherHost {
    fn holds(share: &Path) -> Result<Self> {
        write_lease(share, 0)?;
        let ends = Arc::new(AtomicBool::new(false));
        let (share, end) = (share.to_owned(), ends.clone());
        let renewals = thread::spawn(move || {
            for renewal in 1.. {
                if end.load(Ordering::Relaxed) {
                    fs::remove_file(share.join("lease.json"))?;
                    break;
                }
                write_lease(&share, renewal)?;
                thread::park_timeout(Duration::from_secs(1));
            }
            Ok(())
        });
        Ok(Self {
            ends,
            renewals: Some(renewals),
        })
    }

    /// Its collator is stopped, and the lease is removed.
    fn gives_back(&mut self) -> Result<()> {
        self.ends.store(true, Ordering::Relaxed);
        let renewals = self.renewals.take().context("given back before")?;
        renewals.thread().unpark();
        renewals
            .join()
            .map_err(|_| anyhow::anyhow!("the other host has panicked"))?
    }
}

impl Drop for OtherHost {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn write_lease(share: &Path, renewal: u32) -> Result<()> {
    let lease = format!(
        r#"{{"boot_id":"another","holder":"other-host","pid":1,"at":"2026-11-30T12:{:02}:{:02}Z"}}"#,
        renewal / 60 % 60,
        renewal % 60
    );
    let new = share.join("new");
    fs::write(&new, lease)?;
    Ok(fs::rename(new, share.join("lease.json"))?)
}

fn fenced<'a>(engine: &'a Engine, name: &str, without: &str) -> Result<(World<'a>, KeyShare)> {
    let mut world = World::new(engine, name, &["--restart", "always"])?;
    let share = KeyShare::mount(world.agent.data().with_file_name("identity"))?;
    let shown = |path: &Path| path.display().to_string();
    world.agent.set("identity.required", true)?;
    world.agent.set("identity.mount", shown(&share.0))?;
    world.agent.set("identity.without_volume", without)?;
    let mut keystore = toml::Table::new();
    keystore.insert("source".into(), shown(&share.0.join("keystore")).into());
    keystore.insert("target".into(), "/node/keystore".into());
    world.agent.set("mounts", vec![toml::Value::Table(keystore)])?;
    Ok((world, share))
}

/// Takes over what another host's identity speaks against, until that host gives it back.
fn waits_for_the_identity(name: &str, without: &str) -> Result<()> {
    let engine = Engine::shared()?;
    let (mut world, share) = fenced(&engine, name, without)?;
    let mut other = OtherHost::holds(&share.0)?;
    world.agent.start()?;
    let missing = |status: &serde_json::Value| status["identity"] == "missing";
    world.agent.wait_for("the other's lease", SOON, missing)?;
    let before = world.inspect(&world.name)?;

    let mut child = world.spawn(&[])?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let line = lines.next().context("it ended")??;
    ensure!(
        line.contains("waits until this host holds the identity") && line.contains("other-host holds it"),
        "{line}"
    );
    let after = world.inspect(&world.name)?;
    for part in ["State", "HostConfig", "Name"] {
        ensure!(before[part] == after[part], "{part} was changed: {}", after[part]);
    }
    ensure!(world.running()? == [world.name.as_str()], "{:?}", world.running()?);

    other.gives_back()?;
    let code = until("the end of the command", LATER, || {
        child.try_wait()?.context("it still runs")
    })?;
    ensure!(code.success(), "{code}");
    world.ensure_taken_over()?;
    let ours = world.agent.inspect()?.context("no container")?;
    ensure!(
        ours["Args"].to_string().contains("--collator"),
        "without keys: {}",
        ours["Args"]
    );
    ensure!(world.agent.status()?["identity"] == "held");

    let refused = world.takeover(&["--undo", "--yes"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        refused.status.code() == Some(1) && said.contains("both sign") && said.contains("--force"),
        "{said}"
    );
    ensure!(world.running()? == [world.agent.container()], "{:?}", world.running()?);
    world.succeeds(&["--undo", "--force"])?;
    world.ensure_given_back("always")
}

#[test]
fn predecessor_runs_on_while_another_host_holds_the_identity() -> Result<()> {
    waits_for_the_identity("fence", "nothing")
}

#[test]
fn full_node_takes_no_predecessors_place_while_another_host_holds_the_identity() -> Result<()> {
    waits_for_the_identity("fence-full", "full_node")
}
