//! The real node, where it is: its own faults, and what the agent makes of them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, ContainerRun, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::real_node::{RealNode, folder};
use t0rn_agent_tests::{skip, wait};

/// A start takes seconds on an idle machine, and minutes on one that has other things to do.
const START: Duration = Duration::from_mins(6);

/// References are read every 20 to 40 s.
const REFERENCE_WINDOW: Duration = Duration::from_mins(1);

/// An agent whose collator syncs from `node`. The relay chain has no peers there and is not looked at.
fn agent<'a>(engine: &'a Engine, node: &RealNode, name: &str, accept: bool) -> Result<Agent<'a>> {
    let mut agent = Agent::with_image(engine, name, node.image(), RealNode::collator_command())?;
    agent.set("collator.network", node.network())?;
    agent.set("collator.stop_timeout", "60s")?;
    if accept {
        agent.set("collator.env.ACCEPT_UNSEALED", "1")?;
    }
    agent.unset("chains.relaychain")?;
    for (key, value) in [
        ("scrape_interval", "1s"),
        ("scrape_timeout", "1s"),
        ("startup_grace", "10m"),
        ("stall_after", "15s"),
        ("isolated_after", "15s"),
        ("frozen_after", "15s"),
    ] {
        agent.set(&format!("health.{key}"), value)?;
    }
    Ok(agent)
}

/// Gives `agent` references, and windows in which each is read at least once.
fn judge_by(agent: &mut Agent, references: &[String]) -> Result<()> {
    agent.set("chains.parachain.reference", references.to_vec())?;
    let window = format!("{}s", REFERENCE_WINDOW.as_secs());
    agent.set("health.stall_after", window.as_str())?;
    agent.set("health.isolated_after", window.as_str())
}

/// Starts `agent` and waits until its collator is in sync; returns that run.
fn start_to_head(agent: &mut Agent) -> Result<ContainerRun> {
    agent.start()?;
    agent.wait_for("the first block", START, |s| best(s) > 0)?;
    agent.wait_phase("synced", START)?;
    agent.run_id()
}

fn best(status: &Value) -> u64 {
    status["chains"]["parachain"]["best"].as_u64().unwrap_or(0)
}

#[test]
fn cut_off_for_a_minute_it_stalls_for_good_and_is_cured_by_a_restart() -> Result<()> {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(reason) => skip!(reason),
    };
    let engine = Engine::shared()?;
    // Faster than it can make them, as on a machine that is busy, the producer panics.
    let node = RealNode::start(&engine, &folder, 30)?;
    wait::until_value(
        "a chain to sync",
        2 * START,
        || node.producer_best(),
        |best| *best > 4_000,
    )?;
    let mut agent = agent(&engine, &node, "cut", true)?;
    // The cut itself is not to be the reason: only what follows it.
    agent.set("health.stall_after", "75s")?;
    agent.start()?;
    let behind = |s: &Value| s["chains"]["parachain"]["behind"].as_u64().unwrap_or(0);
    agent.wait_for("a sync to cut", START, |s| best(s) > 0 && behind(s) > 1_000)?;
    let run = agent.run_id()?;
    node.set_connected(false)?;
    agent
        .stays(&run, Duration::from_mins(1))
        .context("restarted before the stall")?;
    node.set_connected(true)?;
    agent
        .wait_other_run(&run, Duration::from_mins(6))
        .context("the stall")?;
    let status = agent.wait_for("a cure", START, |s| s["last_incident"]["helped"] == true)?;
    let height = best(&status);
    agent.wait_for("the sync to end", START, |s| {
        best(s) > height && s["phase"] == "synced" && s["health"] == "ok"
    })?;
    Ok(())
}

#[test]
fn cut_off_at_the_head_it_is_restarted_when_its_reference_moves_on() -> Result<()> {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(reason) => skip!(reason),
    };
    let engine = Engine::shared()?;
    let node = RealNode::start(&engine, &folder, 1000)?;
    let mut agent = agent(&engine, &node, "head", true)?;
    judge_by(&mut agent, &[node.producer_rpc()?])?;
    // It keeps its peer, so that this is not what it is restarted for.
    agent.set("health.isolated_after", "10m")?;
    let run = start_to_head(&mut agent)?;
    node.set_connected(false)?;
    // It says itself that it is at its target, with its peer: only the reference is ahead.
    let alone = agent.wait_for("a node that stands", wait::LATER, |s| s["phase"] == "syncing")?;
    let parachain = &alone["chains"]["parachain"];
    ensure!(
        parachain["target"] == parachain["best"] && parachain["peers"] == 1,
        "{alone}"
    );
    let run = agent.wait_other_run(&run, START).context("the reference moves on")?;
    agent.wait_for("its reason", wait::SOON, |s| s["last_incident"]["cause"] == "stalled")?;
    node.set_connected(true)?;
    let cured = agent.wait_for("a cure", START, |s| s["last_incident"]["helped"] == true)?;
    ensure!(best(&cured) > best(&alone), "{cured}");
    agent.wait_phase("synced", START)?;
    ensure!(agent.run_id()? == run, "one restart was enough");

    node.end_producer_rpc()?;
    agent
        .stays(&run, 3 * REFERENCE_WINDOW)
        .context("a reference that does not answer")?;
    let status = agent.wait_for("the chain to go on", START, |s| best(s) > best(&cured))?;
    ensure!(status["phase"] == "synced" && status["health"] == "ok", "{status}");
    Ok(())
}

#[test]
fn chain_that_stands_like_its_reference_is_quiet_and_never_restarted() -> Result<()> {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(reason) => skip!(reason),
    };
    let engine = Engine::shared()?;
    let node = RealNode::start(&engine, &folder, 1000)?.open()?;
    let mut agent = agent(&engine, &node, "halt", true)?;
    agent.set("collator.command", RealNode::guest_command())?;
    // The one that pauses does not answer, which says nothing; the other one stands.
    judge_by(&mut agent, &[node.producer_rpc()?, node.open_rpc()?])?;
    let run = start_to_head(&mut agent)?;
    node.set_paused(true)?;
    agent.wait_phase("quiet", START)?;
    agent
        .stays(&run, 4 * REFERENCE_WINDOW)
        .context("a halt of the whole chain")?;
    let halted = agent.status()?;
    ensure!(
        halted["phase"] == "quiet" && halted["collator"]["restarts"]["health"] == 0,
        "{halted}"
    );
    node.set_paused(false)?;
    agent.wait_for("the chain to go on", START, |s| {
        best(s) > best(&halted) && s["phase"] == "synced" && s["health"] == "ok"
    })?;
    ensure!(agent.run_id()? == run, "the halt is over, and the node was not touched");
    Ok(())
}

#[test]
fn a_chain_wide_halt_a_freeze_and_a_kill() -> Result<()> {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(reason) => skip!(reason),
    };
    let engine = Engine::shared()?;
    let node = RealNode::start(&engine, &folder, 500)?;
    let mut agent = agent(&engine, &node, "faults", true)?;
    agent.start()?;
    agent.wait_for("some blocks", START, |s| best(s) > 20 && s["phase"] == "synced")?;
    let run = agent.run_id()?;

    node.set_paused(true)?;
    agent
        .stays(&run, Duration::from_secs(40))
        .context("a halt of the whole chain")?;
    node.set_paused(false)?;

    engine.docker(["pause", agent.container()])?;
    let run = agent.wait_other_run(&run, START).context("the frozen collator")?;
    let height = best(&agent.wait_for("progress", START, |s| best(s) > 0 && s["health"] == "ok")?);

    engine.docker(["kill", "-s", "KILL", agent.container()])?;
    agent.wait_other_run(&run, START).context("the killed collator")?;
    agent.wait_for("the sync to go on", START, |s| best(s) > height && s["health"] == "ok")?;
    Ok(())
}

#[test]
fn a_node_that_rejects_every_block_is_given_up_after_two_restarts() -> Result<()> {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(reason) => skip!(reason),
    };
    let engine = Engine::shared()?;
    let node = RealNode::start(&engine, &folder, 100)?;
    let mut agent = agent(&engine, &node, "rejects", false)?;
    agent.start()?;
    let status = agent.wait_for("the end of trying", Duration::from_mins(10), |s| {
        s["health"] == "critical" && s["reasons"].to_string().contains("restarting does not help")
    })?;
    ensure!(status["collator"]["restarts"]["health"] == 2, "{status}");
    agent.stays(&agent.run_id()?, Duration::from_mins(1))
}

#[test]
fn real_data_is_baked_and_copied_without_keys_and_resumes_at_its_height() -> Result<()> {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(reason) => skip!(reason),
    };
    let engine = Engine::shared()?;
    let node = RealNode::start(&engine, &folder, 500)?.open()?;
    wait::until_value("a chain to bake", START, || node.producer_best(), |best| *best > 100)?;
    let mut agent = agent(&engine, &node, "realbake", true)?;
    agent.set("collator.command", RealNode::guest_command())?;
    let output = wait::run(
        600,
        Command::new(binary()?)
            .args(["bake", "--credible", "20s", "--deadline", "6m", "--config"])
            .arg(agent.config_file()),
    )?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "bake: {told}");
    let verified = wait::run(60, Command::new(binary()?).args(["bake", "verify"]).arg(agent.data()))?;
    ensure!(
        verified.status.success(),
        "verify: {}",
        String::from_utf8_lossy(&verified.stdout)
    );
    for secret in ["keystore", "secret_ed25519"] {
        let found = Command::new("find")
            .arg(agent.data())
            .args(["-name", secret])
            .output()?;
        ensure!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    }
    let certificate: Value = serde_json::from_slice(&std::fs::read(agent.data().join("bake.json"))?)?;
    let baked = certificate["chains"]["parachain"]["best"]
        .as_u64()
        .context("a baked height")?;
    ensure!(baked > 100, "{baked} is not where the chain was");

    agent.start()?;
    let first = agent.wait_for("a height", START, |s| s["chains"]["parachain"]["best"].is_u64())?;
    ensure!(best(&first) >= baked, "it began anew: {first}");
    ensure!(first["bake"]["block"] == baked, "{first}");
    agent.wait_for("the chain to go on", START, |s| best(s) > baked)?;

    let dir = tempfile::tempdir()?;
    let file = dir.path().join("chain.tar.zst");
    let file = file.to_str().context("a path")?;
    agent.ok(["snapshot", "create", "--to", file])?;
    agent.ok(["stop"])?;
    let manifest: Value = serde_json::from_slice(&std::fs::read(format!("{file}.manifest.json"))?)?;
    let chains = manifest["chains"].as_object().context("chains")?;
    let copied = chains
        .iter()
        .find(|(path, _)| path.starts_with("chains/"))
        .context("a parachain")?
        .1;
    let copied = copied["best"].as_u64().context("a height")?;
    ensure!(copied > baked, "{manifest}");
    let mut other = self::agent(&engine, &node, "realrestored", true)?;
    other.set("collator.command", RealNode::guest_command())?;
    other.ok(["snapshot", "restore", file])?;
    other.start()?;
    let first = other.wait_for("a height", START, |s| s["chains"]["parachain"]["best"].is_u64())?;
    ensure!(best(&first) >= copied, "it began anew: {first}");
    other.wait_for("the restored chain to go on", START, |s| best(s) > copied)?;
    Ok(())
}
