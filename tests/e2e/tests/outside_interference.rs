//! What people and other programs do to the container is healed or reported; a person's wish is respected.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::registry::Registry;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{SOON, throughout, until_value};

#[test]
fn killed_by_its_pid_it_comes_back() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "pid", &[])?;
    let run = agent.run_id()?;
    kill_process(Pid::from_raw(run.pid).context("no pid")?, Signal::KILL)?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_watched()?;
    let collator = &status["collator"];
    ensure!(
        collator["restarts"]["crash"] == 1 && collator["last_exit"]["code"] == 137,
        "{status}"
    );
    ensure!(agent.starts()? == 2);
    Ok(())
}

#[test]
fn docker_kill_is_healed() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "kill", &[])?;
    for signal in ["KILL", "TERM"] {
        let run = agent.run_id()?;
        engine.docker(["kill", "-s", signal, agent.container()])?;
        agent
            .wait_other_run(&run, SOON)
            .with_context(|| format!("after SIG{signal}"))?;
        agent.wait_watched()?;
    }
    Ok(())
}

#[test]
fn a_removed_container_is_made_again_with_its_data() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "rm", &["--sim-target", "100000", "--sim-speed", "300"])?;
    until_value("some blocks", SOON, || agent.sim().best(), |best| *best > 1_000)?;
    let run = agent.run_id()?;
    engine.docker(["rm", "-f", agent.container()])?;
    let new = agent.wait_other_run(&run, SOON)?;
    ensure!(new.id != run.id);
    agent.wait_watched()?;
    ensure!(agent.sim().best()? > 500, "the data was lost");
    ensure!(agent.starts()? == 2);
    Ok(())
}

#[test]
fn a_deleted_image_is_pulled_again() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    registry.push(&engine, &sim_image::sim(&engine)?, "deleted:v1")?;
    let reference = format!("{}/deleted:v1", registry.host());
    let mut agent = Agent::new(&engine, "rmi", &[])?;
    agent.set("collator.image", reference.clone())?;
    agent.set("collator.registry_auth", registry.auth_file())?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    engine.docker(["rmi", "-f", &reference])?;
    agent.stays(&run, Duration::from_secs(3))?;
    engine.docker(["rm", "-f", agent.container()])?;
    agent.wait_other_run(&run, SOON)?;
    agent.wait_watched()?;
    Ok(())
}

#[test]
fn a_removed_network_is_said_and_its_return_heals() -> Result<()> {
    let engine = Engine::shared()?;
    let network = format!("t0rn-net-{}", std::process::id());
    engine.docker(["network", "create", &network])?;
    let mut agent = Agent::new(&engine, "network", &[])?;
    agent.set("collator.network", network.clone())?;
    agent.start()?;
    agent.wait_watched()?;
    engine.docker(["network", "disconnect", "-f", &network, agent.container()])?;
    engine.docker(["network", "rm", &network])?;
    agent.wait_for("the report", SOON, |status| {
        status["health"] != "ok" && status["reasons"].to_string().contains(&network)
    })?;
    engine.docker(["network", "create", &network])?;
    let healed = agent.wait_watched();
    engine.docker(["rm", "-fv", agent.container()])?;
    agent.ok(["stop"])?;
    engine.docker(["network", "rm", &network])?;
    healed?;
    Ok(())
}

#[test]
fn docker_stop_is_a_person_s_wish() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "wish", &[])?;
    engine.docker(["stop", agent.container()])?;
    let status = agent.wait_phase("stopped", SOON)?;
    ensure!(status["health"] == "critical", "{status}");
    // Also the next agent respects it.
    agent.kill()?;
    agent.start()?;
    agent.wait_phase("stopped", SOON)?;
    throughout("a person's wish", Duration::from_secs(5), || {
        ensure!(agent.run_id().is_err() && agent.starts()? == 1, "it was started");
        Ok(())
    })?;

    agent.ok(["start"])?;
    agent.wait_watched()?;
    engine.docker(["stop", agent.container()])?;
    agent.wait_phase("stopped", SOON)?;
    engine.docker(["start", agent.container()])?;
    agent.wait_watched()?;
    ensure!(agent.starts()? == 3);
    Ok(())
}

#[test]
fn a_paused_container_is_frozen_and_cured() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "paused", &[])?;
    let run = agent.run_id()?;
    engine.docker(["pause", agent.container()])?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_cured("frozen", SOON)?;
    ensure!(status["collator"]["restarts"]["health"] == 1, "{status}");
    Ok(())
}
