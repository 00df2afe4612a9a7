//! Docker away and back: said, adopted, and nothing healthy is restarted.

use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{SOON, throughout};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_minute_without_docker_restarts_nothing() -> Result<()> {
    let engine = Engine::private(true)?;
    let agent = Agent::running(&engine, "minute", &[])?;
    let run = agent.run_id()?;
    engine.kill()?;
    let status = agent.wait_phase("docker_unreachable", SOON)?;
    ensure!(status["health"] != "ok", "{status}");
    throughout("the agent is to know that Docker is away", MINUTE, || {
        let phase = agent.status()?["phase"].take();
        ensure!(phase == "docker_unreachable", "{phase}");
        Ok(())
    })?;
    engine.start()?;
    agent.wait_watched()?;
    agent.stays(&run, Duration::from_secs(15))?;
    ensure!(agent.starts()? == 1 && agent.status()?["collator"]["restarts"]["health"] == 0);
    Ok(())
}

#[test]
fn what_a_killed_engine_stops_when_it_is_back_is_started_again() -> Result<()> {
    let engine = Engine::private(false)?;
    let agent = Agent::running(&engine, "orphaned", &[])?;
    let run = agent.run_id()?;
    engine.kill()?;
    agent.wait_phase("docker_unreachable", SOON)?;
    engine.start()?;
    agent.wait_other_run(&run, SOON)?;
    agent.wait_watched()?;
    ensure!(agent.status()?["collator"]["restarts"]["health"] == 0);
    Ok(())
}

#[test]
fn a_restarted_engine_s_collator_is_adopted() -> Result<()> {
    let engine = Engine::private(false)?;
    let agent = Agent::running(&engine, "restarted", &[])?;
    engine.stop()?;
    agent.wait_phase("docker_unreachable", SOON)?;
    engine.start()?;
    agent.wait_watched()?;
    agent.stays(&agent.run_id()?, Duration::from_secs(10))?;
    ensure!(agent.starts()? == 2, "Docker's own policy started it, and nobody else");
    ensure!(agent.status()?["collator"]["restarts"]["health"] == 0);
    Ok(())
}
