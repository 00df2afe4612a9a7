//! Holds: what no restart cures is not started again by anybody until a person says so.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::{Command, FailStarts};
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait;

use super::{LATER, SOON, patient, reasons, recorded_actions, replays, stays_down, took_actions};

const DAMAGE: &str = "Error: Service(Client(Backend(\"DB corrupted: Corruption: block checksum mismatch\")))";

/// Lets this run end so, and every further one.
fn damage(agent: &Agent, code: i32, line: &str) -> Result<()> {
    let log = vec![line.to_owned()];
    agent.sim().control(&Command::FailStarts(FailStarts {
        count: None,
        code,
        log: log.clone(),
    }))?;
    agent.sim().control(&Command::Crash { code, log })
}

/// The cure from outside.
fn mend(agent: &Agent) -> Result<()> {
    Ok(fs::remove_file(
        agent.data().join("chains/t0rn_testnet/db/full/000103.log"),
    )?)
}

/// Waits until it is down, and told to stay so because of `cause`.
fn held(agent: &Agent, cause: &str) -> Result<Value> {
    let status = agent.wait_for("the hold", SOON, |s| {
        let incident = &s["last_incident"];
        s["phase"] == "holding" && incident["cause"] == cause && s["collator"]["state"] == "exited"
    })?;
    ensure!(status["health"] == "critical", "{status}");
    agent.wait_down(SOON)?;
    Ok(status)
}

#[test]
fn a_damaged_database_is_held_whoever_is_killed_or_restarted_until_start() -> Result<()> {
    let engine = Engine::private(false)?;
    let mut agent = patient(&engine, "hold")?;
    damage(&agent, 1, DAMAGE)?;
    let status = held(&agent, "database_corrupted")?;
    ensure!(reasons(&status).contains("restore the chain data"), "{status}");
    ensure!(status["collator"]["last_exit"]["code"] == 1, "{status}");
    stays_down(&agent, Duration::from_secs(5))?;
    took_actions(&agent, &["start missing", "hold database_corrupted"])?;

    agent.kill()?;
    agent.start()?;
    held(&agent, "database_corrupted")?;
    stays_down(&agent, Duration::from_secs(5))?;

    engine.stop()?;
    agent.wait_phase("docker_unreachable", SOON)?;
    engine.start()?;
    held(&agent, "database_corrupted")?;
    stays_down(&agent, Duration::from_secs(5))?;
    took_actions(&agent, &["start missing", "hold database_corrupted"])?;

    mend(&agent)?;
    stays_down(&agent, Duration::from_secs(3))?;
    agent.ok(["start"])?;
    agent.wait_watched()?;
    let status = agent.wait_for("good health", SOON, |s| s["health"] == "ok")?;
    ensure!(status["collator"]["restarts"]["health"] == 0, "{status}");
    took_actions(&agent, &["start missing", "hold database_corrupted", "start operator"])?;

    // And `stop` means stopped, over the same.
    agent.ok(["stop"])?;
    agent.wait_phase("stopped", SOON)?;
    agent.wait_down(SOON)?;
    engine.stop()?;
    agent.wait_phase("docker_unreachable", SOON)?;
    engine.start()?;
    agent.wait_phase("stopped", SOON)?;
    stays_down(&agent, Duration::from_secs(5))?;
    agent.ok(["start"])?;
    agent.wait_watched()?;
    replays(&agent)
}

#[test]
fn damage_done_while_nobody_watched_is_held_as_soon_as_somebody_does() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = patient(&engine, "unwatched")?;
    let starts = agent.starts()?;
    agent.kill()?;
    damage(&agent, 1, DAMAGE)?;
    // Docker's own policy loops.
    wait::until("Docker to loop", SOON, || {
        ensure!(agent.starts()? > starts + 1, "not yet");
        Ok(())
    })?;
    agent.start()?;
    held(&agent, "database_corrupted")?;
    stays_down(&agent, Duration::from_secs(5))?;
    mend(&agent)?;
    agent.ok(["start"])?;
    agent.wait_watched()?;
    replays(&agent)
}

#[test]
fn every_other_end_that_no_restart_cures_is_held_with_its_remedy() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = patient(&engine, "ends")?;
    let rows = [
        (
            1,
            "Error: Service(Client(StateDatabase(\"Incompatible pruning modes [stored: ArchiveAll; requested: x]\")))",
            "pruning_mode",
            "--state-pruning",
        ),
        (
            1,
            "Error: Starting an authorithy without network key",
            "no_network_key",
            "--node-key-file",
        ),
        (2, "Usage: t0rn-collator [OPTIONS]", "bad_arguments", "collator.command"),
        (
            127,
            "sh: /usr/local/bin/node: not found",
            "missing_executable",
            "collator.image",
        ),
        (
            1,
            "Error: IO error: No space left on device: While appending to file",
            "disk_full",
            "space",
        ),
    ];
    let mut expected = vec!["start missing".to_owned()];
    for (code, line, cause, remedy) in rows {
        damage(&agent, code, line)?;
        let status = held(&agent, cause)?;
        ensure!(reasons(&status).contains(remedy), "{line}: {status}");
        stays_down(&agent, Duration::from_secs(2))?;
        mend(&agent)?;
        agent.ok(["start"])?;
        agent.wait_watched()?;
        expected.extend([format!("hold {cause}"), "start operator".to_owned()]);
    }
    took_actions(&agent, &expected.iter().map(String::as_str).collect::<Vec<_>>())?;
    replays(&agent)
}

#[test]
fn a_missing_executable_is_tried_once_and_named() -> Result<()> {
    let engine = Engine::shared()?;
    let container = engine.docker(["create", &sim_image::sim(&engine)?])?;
    let tag = format!("t0rn-nothing-{}:v1", std::process::id());
    let commit = engine.docker([
        "commit",
        "--change",
        r#"ENTRYPOINT ["/usr/bin/nowhere"]"#,
        &container,
        &tag,
    ]);
    engine.docker(["rm", "-v", &container])?;
    commit?;
    let held = missing_executable(&engine, &tag);
    engine.docker(["rmi", "-f", &tag])?;
    held
}

fn missing_executable(engine: &Engine, image: &str) -> Result<()> {
    let mut agent = Agent::with_image(engine, "nowhere", image, vec!["--collator".to_owned()])?;
    agent.start()?;
    let status = agent.wait_phase("holding", LATER)?;
    ensure!(
        status["health"] == "critical" && reasons(&status).contains("collator.image"),
        "{status}"
    );
    wait::throughout("it was tried once", Duration::from_secs(8), || {
        ensure!(agent.run_id().is_err(), "it runs");
        ensure!(recorded_actions(&agent)?.len() == 1, "{:?}", recorded_actions(&agent)?);
        Ok(())
    })?;
    took_actions(&agent, &["start missing"])?;
    replays(&agent)
}
