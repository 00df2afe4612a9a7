//! Operators win.

use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::{Command, Silence};

use super::{SOON, SYNCING, reasons, replays, stays_down, took_actions};

#[test]
fn a_pause_suspends_the_deeds_not_the_watching_and_ends_by_itself() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "expiry", &SYNCING)?;
    let run = agent.run_id()?;
    agent.ok(["pause", "--for", "25s", "--reason", "a new volume"])?;
    let status = agent.status()?;
    ensure!(
        status["phase"] == "paused" && status["health"] == "degraded",
        "{status}"
    );
    ensure!(reasons(&status).contains("a new volume"), "{status}");
    agent.sim().control(&Command::Freeze { mode: Silence::Hang })?;
    let status = agent.wait_for("the fault to be seen", SOON, |s| s["health"] == "critical")?;
    ensure!(status["phase"] == "paused", "{status}");
    agent.stays(&run, Duration::from_secs(5))?;
    engine.docker(["kill", agent.container()])?;
    agent.wait_down(SOON)?;
    agent.wait_for("the end to be seen", SOON, |s| {
        s["phase"] == "paused" && s["collator"]["last_exit"]["code"] == 137
    })?;
    stays_down(&agent, Duration::from_secs(3))?;
    took_actions(&agent, &["start missing"])?;

    agent.wait_other_run(&run, SOON)?;
    agent.wait_watched()?;
    agent.wait_for("good health", SOON, |s| {
        s["health"] == "ok" && s["maintenance"].is_null()
    })?;
    took_actions(&agent, &["start missing", "start killed"])?;
    replays(&agent)
}

#[test]
fn what_an_operator_asks_for_is_done_while_paused_too() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "asked", &[])?;
    let run = agent.run_id()?;
    agent.ok(["pause", "--for", "1h", "--reason", "by hand"])?;
    agent.ok(["restart", "--reason", "a new key"])?;
    let run = agent.wait_other_run(&run, SOON)?;
    agent.ok(["stop"])?;
    agent.wait_phase("stopped", SOON)?;
    agent.wait_down(SOON)?;
    agent.ok(["start"])?;
    agent.wait_other_run(&run, SOON)?;
    agent.wait_phase("paused", SOON)?;
    agent.ok(["resume"])?;
    agent.wait_for("good health", SOON, |s| s["health"] == "ok")?;
    took_actions(
        &agent,
        &["start missing", "restart operator", "stop operator", "start operator"],
    )?;
    replays(&agent)
}
