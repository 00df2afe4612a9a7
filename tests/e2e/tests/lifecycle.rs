//! From nothing to a running collator, and what outlives the agent.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::registry::Registry;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{SOON, until, until_value};

#[test]
fn a_collator_is_pulled_by_digest_with_a_password_and_synced() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    let digest = registry.push(&engine, &sim_image::sim(&engine)?, "collator:v1")?;
    let mut agent = Agent::new(&engine, "pull", &["--sim-target", "1000"])?;
    agent.set("collator.image", format!("{}/collator@{digest}", registry.host()))?;
    agent.set("collator.registry_auth", registry.auth_file())?;
    agent.set("collator.memory", "256MiB")?;
    agent.unset("collator.nofile")?;
    agent.start()?;

    let status = agent.wait_phase("synced", SOON)?;
    ensure!(
        status["health"] == "ok" && status["collator"]["digest"] == digest,
        "{status}"
    );
    ensure!(status["chains"]["parachain"]["id"] == "t0rn_testnet", "{status}");
    ensure!(
        status["chains"]["parachain"]["behind"]
            .as_u64()
            .is_some_and(|behind| behind <= 10),
        "{status}"
    );
    ensure!(status["chains"]["relaychain"]["peers"] == 8, "{status}");

    let inspect = agent.inspect()?.context("no container")?;
    let labels = &inspect["Config"]["Labels"];
    ensure!(
        labels["t0rn-agent.managed"] == "true" && labels["t0rn-agent.spec"].is_string(),
        "{labels}"
    );
    let host = &inspect["HostConfig"];
    ensure!(
        host["RestartPolicy"]["Name"] == "unless-stopped" && host["Memory"] == 256 << 20,
        "{host}"
    );
    ensure!(host["LogConfig"]["Config"]["max-file"] == "3", "{host}");
    ensure!(inspect["Config"]["StopTimeout"] == 10, "{}", inspect["Config"]);
    ensure!(fs::metadata(agent.data())?.uid() == 1000, "the data is the collator's");
    ensure!(agent.starts()? == 1);
    Ok(())
}

#[test]
fn a_wrong_password_is_said_and_the_right_one_is_taken_up() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    registry.push(&engine, &sim_image::sim(&engine)?, "private:v1")?;
    let mut agent = Agent::new(&engine, "password", &[])?;
    let auth = agent.data().with_file_name("auth.json");
    fs::copy(registry.auth_file(), &auth)?;
    let right = fs::read_to_string(&auth)?;
    fs::write(&auth, r#"{"username": "collator", "password": "forgotten"}"#)?;
    agent.set("collator.image", format!("{}/private:v1", registry.host()))?;
    agent.set("collator.registry_auth", auth.display().to_string())?;
    agent.start()?;
    let status = agent.wait_for("the refusal", SOON, |s| {
        s["reasons"].to_string().contains(&registry.host())
    })?;
    ensure!(
        !agent.log().contains("forgotten") && !status.to_string().contains("forgotten"),
        "a secret was told"
    );
    fs::write(&auth, right)?;
    agent.wait_watched()?;
    Ok(())
}

#[test]
fn a_dead_registry_is_no_fault_while_the_image_is_there() -> Result<()> {
    let engine = Engine::shared()?;
    let reference = format!("127.0.0.1:1/dead-{}:v1", std::process::id());
    engine.docker(["tag", &sim_image::sim(&engine)?, &reference])?;
    let mut agent = Agent::new(&engine, "dead", &[])?;
    agent.set("collator.image", reference.clone())?;
    agent.start()?;
    let watched = agent.wait_watched();
    engine.docker(["rmi", &reference])?;
    watched?;
    Ok(())
}

#[test]
fn an_image_that_may_not_be_pulled_is_said_to_be_missing() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "never", &[])?;
    agent.set("collator.image", "127.0.0.1:1/nowhere:v1")?;
    agent.set("collator.pull", "never")?;
    agent.start()?;
    let status = agent.wait_for("the reason", SOON, |s| {
        s["reasons"].to_string().contains("127.0.0.1:1/nowhere:v1")
    })?;
    ensure!(status["health"] != "ok", "{status}");
    Ok(())
}

#[test]
fn a_killed_agent_adopts_and_touches_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "adopt", &[])?;
    let run = agent.run_id()?;
    for _ in 0..3 {
        agent.kill()?;
        agent.start()?;
        agent.wait_watched()?;
    }
    agent.stays(&run, Duration::from_secs(5))?;
    ensure!(agent.starts()? == 1 && agent.status()?["collator"]["restarts"]["health"] == 0);
    Ok(())
}

#[test]
fn sigterm_and_ctrl_c_leave_the_collator_running_and_no_socket() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "signals", &[])?;
    let run = agent.run_id()?;
    for signal in [Signal::TERM, Signal::INT] {
        ensure!(agent.end(signal)? == 0, "{signal:?}");
        ensure!(!agent.socket().exists(), "{signal:?} left the socket");
        ensure!(agent.run_id()? == run, "{signal:?} touched the collator");
        agent.start()?;
        agent.wait_watched()?;
    }
    Ok(())
}

#[test]
fn a_second_agent_on_the_same_state_refuses_and_names_the_first() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "second", &[])?;
    let second = agent.cli(["run"])?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(
        second.status.code() == Some(1) && said.contains(&agent.pid()?.to_string()),
        "{second:?}"
    );
    agent.status().context("the first one goes on")?;
    Ok(())
}

#[test]
fn a_changed_configuration_recreates_the_container_and_keeps_the_data() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "spec", &["--sim-target", "100000", "--sim-speed", "300"])?;
    let before = until_value("some blocks", SOON, || agent.sim().best(), |best| *best > 500)?;
    agent.end(Signal::TERM)?;
    agent.set("collator.env.GENERATION", "2")?;
    agent.start()?;
    until("the new container", SOON, || {
        let inspect = agent.inspect()?.context("none")?;
        ensure!(
            inspect["Config"]["Env"].to_string().contains("GENERATION=2"),
            "still the old one"
        );
        ensure!(agent.sim().best()? >= before, "the data was lost");
        Ok(())
    })?;
    ensure!(agent.starts()? == 2 && agent.containers_on_data()? == [agent.container()]);
    Ok(())
}

#[test]
fn a_foreign_container_is_never_touched() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "foreign", &[])?;
    engine.docker(["run", "-d", "--name", agent.container(), &sim_image::sim(&engine)?])?;
    let run = agent.run_id()?;
    agent.start()?;
    let status = agent.wait_for("the refusal", SOON, |s| {
        s["reasons"].to_string().contains("not managed")
    })?;
    ensure!(status["health"] == "critical", "{status}");
    agent.stays(&run, Duration::from_secs(3))?;
    let renamed = format!("{}-theirs", agent.container());
    engine.docker(["rename", agent.container(), &renamed])?;
    let watched = agent.wait_watched();
    engine.docker(["rm", "-fv", &renamed])?;
    watched?;
    Ok(())
}

#[test]
fn stop_means_stopped_across_agents_until_start() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "stop", &[])?;
    agent.ok(["stop"])?;
    agent.wait_phase("stopped", SOON)?;
    ensure!(agent.wait_down(SOON)? == 0, "it was not stopped cleanly");
    agent.kill()?;
    agent.start()?;
    agent.wait_phase("stopped", SOON)?;
    ensure!(agent.run_id().is_err() && agent.starts()? == 1);
    agent.ok(["start"])?;
    agent.wait_watched()?;
    ensure!(agent.starts()? == 2);
    Ok(())
}

#[test]
fn an_operator_s_restart_is_a_clean_one() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "restart", &[])?;
    let run = agent.run_id()?;
    agent.ok(["restart", "--reason", "an exercise"])?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_watched()?;
    ensure!(
        status["collator"]["restarts"]["health"] == 0,
        "an operator's restart costs no budget: {status}"
    );
    let log = engine.try_docker(["logs", agent.container()])?;
    ensure!(
        String::from_utf8_lossy(&log.stderr).contains("Shutting down service"),
        "it was not stopped cleanly"
    );
    Ok(())
}
