//! Every bound of the agent holds against a counterpart that has none.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::fakes::UnresponsiveDocker;
use t0rn_agent_tests::registry::HangingRegistry;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Answer, Command};
use t0rn_agent_tests::wait::SOON;

/// What a client command may take.
const PROMISE: Duration = Duration::from_secs(10);
/// Far below what is thrown at it, above what it needs.
const MOST_MEMORY: u64 = 32 << 20;

#[test]
fn a_page_of_100_mb_costs_no_more_memory_than_the_cap() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "page", &[])?;
    // Shorter than what it has to stand.
    agent.set("health.frozen_after", "3s")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    for newlines in [true, false] {
        for chain in Chain::BOTH {
            let answer = Answer::Huge {
                bytes: 100 << 20,
                newlines,
            };
            agent.sim().control(&Command::Exporter { chain, answer })?;
        }
        // What a page of any size begins with may be all that is needed.
        agent.stays(&run, Duration::from_secs(8))?;
        agent.sim().control(&Command::Recover)?;
        agent.wait_for("good health", SOON, |s| s["health"] == "ok")?;
    }
    let peak = agent.peak_memory()?;
    ensure!(peak < MOST_MEMORY, "{peak} bytes");
    Ok(())
}

#[test]
fn a_log_line_of_10_mb_is_cut() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "line", &[])?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Log {
        lines: vec!["before".to_owned()],
        bytes: 10 << 20,
    })?;
    agent.sim().control(&Command::Crash {
        code: 1,
        log: vec!["the last word".to_owned()],
    })?;
    agent.wait_other_run(&run, SOON)?;
    agent.wait_watched()?;
    ensure!(agent.ok(["logs", "-n", "100"])?.contains("the last word"));
    let peak = agent.peak_memory()?;
    ensure!(peak < MOST_MEMORY, "{peak} bytes");
    Ok(())
}

#[test]
fn a_registry_that_hangs_keeps_nobody_waiting() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = HangingRegistry::start()?;
    let mut agent = Agent::new(&engine, "hanging", &[])?;
    agent.set("collator.image", format!("{}/collator:v1", registry.host()))?;
    agent.start()?;
    agent.wait_for("the pull", SOON, |s| s["phase"] == "pulling" || s["phase"] == "backoff")?;
    let asked = Instant::now();
    agent.status()?;
    ensure!(asked.elapsed() < PROMISE);
    ensure!(agent.end(Signal::TERM)? == 0);
    Ok(())
}

#[test]
fn a_docker_socket_that_never_answers_keeps_nobody_waiting() -> Result<()> {
    let engine = Engine::shared()?;
    let docker = UnresponsiveDocker::start()?;
    let mut agent = Agent::new(&engine, "deaf-docker", &[])?;
    agent.set("agent.docker", docker.socket().display().to_string())?;
    agent.start()?;
    let status = agent.wait_phase("docker_unreachable", Duration::from_secs(90))?;
    ensure!(status["health"] != "ok", "{status}");
    let asked = Instant::now();
    agent.status()?;
    ensure!(asked.elapsed() < PROMISE);
    for command in ["restart", "logs"] {
        let asked = Instant::now();
        agent.cli([command])?;
        ensure!(asked.elapsed() < PROMISE, "{command} took {:?}", asked.elapsed());
    }
    ensure!(agent.end(Signal::TERM)? == 0);
    Ok(())
}
