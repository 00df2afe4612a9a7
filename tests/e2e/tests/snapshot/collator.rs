//! Snapshots of a collator that runs in an engine: it is stopped, copied and started, and another goes on from the copy.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{SOON, run, until};

use crate::{put, said};

/// A command with the agent's configuration.
fn client(agent: &Agent<'_>, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    run(120, command.arg("--config").arg(agent.config_file()).args(args))
}

const QUICK: [&str; 6] = [
    "--sim-target",
    "3000",
    "--sim-speed",
    "1000",
    "--sim-relay-target",
    "3000",
];

#[test]
fn signal_during_create_restarts_collator_and_kill_leaves_a_remedy() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "interrupted", &["--sim-stop-delay", "4000"])?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("chain.tar.zst");
    for signal in [Signal::TERM, Signal::HUP, Signal::KILL] {
        let run = agent.run_id()?;
        let mut command = Command::new(binary()?);
        command
            .arg("--config")
            .arg(agent.config_file())
            .args(["snapshot", "create", "--to"]);
        let mut create = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        agent.wait_phase("stopped", SOON)?;
        let started = client(&agent, &["start"])?;
        ensure!(
            said(&started).contains("a snapshot or a restore is at work"),
            "{}",
            said(&started)
        );
        kill_process(Pid::from_child(&create), signal)?;
        ensure!(!create.wait()?.success(), "it went on");
        if signal == Signal::KILL {
            agent.wait_down(SOON)?;
            let status = said(&client(&agent, &["status"])?);
            ensure!(status.contains("did not end well: t0rn-agent start"), "{status}");
            client(&agent, &["start"])?;
        }
        agent.wait_other_run(&run, SOON)?;
        agent.wait_watched()?;
        ensure!(
            signal == Signal::KILL || fs::read_dir(dir.path())?.next().is_none(),
            "half a file stayed"
        );
    }
    Ok(())
}

#[test]
fn copy_of_stopped_collator_lets_another_resume_at_its_height() -> Result<()> {
    let engine = Engine::shared()?;
    let from = Agent::running(&engine, "copied", &QUICK)?;
    let high = until("the chain is high", SOON * 3, || {
        let best = from.status()?["chains"]["parachain"]["best"].as_u64();
        best.filter(|best| *best > 1_500).context("not yet")
    })?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("chain.tar.zst");
    let name = file.to_str().context("a path")?;
    let before = from.run_id()?;
    let created = client(&from, &["snapshot", "create", "--to", name])?;
    ensure!(created.status.success(), "{}", said(&created));
    from.wait_other_run(&before, SOON * 2)?;
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(format!("{name}.manifest.json"))?)?;
    ensure!(manifest["consistency"] == "clean", "{manifest}");
    let chain = &manifest["chains"]["chains/t0rn_testnet"];
    ensure!(
        chain["genesis"].as_str().is_some_and(|genesis| genesis.len() == 64),
        "{manifest}"
    );
    ensure!(chain["best"].as_u64() >= Some(high), "{manifest}");

    let mut to = Agent::running(&engine, "restored", &["--sim-target", "3000", "--sim-speed", "1"])?;
    let restored = client(&to, &["snapshot", "restore", name])?;
    ensure!(restored.status.success(), "{}", said(&restored));
    until("it goes on from the height", SOON * 2, || {
        let best = to.status()?["chains"]["parachain"]["best"].as_u64();
        best.filter(|best| *best >= high).context("not yet")
    })?;

    // What a restore leaves that was killed between the old data and the new.
    to.kill()?;
    let journal = serde_json::json!({
        "schema": 1, "stage": "switching", "source": name, "head": "", "point": null, "units": [], "keep_old": false,
    });
    put(to.data(), ".restore/journal.json", journal.to_string().as_bytes())?;
    fs::set_permissions(to.data().join(".restore"), fs::Permissions::from_mode(0o700))?;
    to.start()?;
    until("it holds", SOON * 2, || {
        let status = to.status()?;
        let why = status["reasons"].to_string();
        ensure!(
            status["phase"] == "holding" && why.contains("restore was interrupted"),
            "{status}"
        );
        Ok(())
    })?;
    let restored = client(&to, &["snapshot", "restore", name])?;
    ensure!(restored.status.success(), "{}", said(&restored));
    client(&to, &["start"])?;
    to.wait_watched()?;
    Ok(())
}
