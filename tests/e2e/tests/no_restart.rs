//! Trouble that no restart cures: said, and the collator left alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Answer, Command, Cure};
use t0rn_agent_tests::wait::{LONG, SOON};

#[test]
fn a_chain_that_halts_everywhere_is_quiet() -> Result<()> {
    let engine = Engine::shared()?;
    let fast = [
        "--sim-target",
        "500",
        "--sim-block-time",
        "500",
        "--sim-relay-block-time",
        "500",
    ];
    let agent = Agent::running(&engine, "halted", &fast)?;
    agent.wait_phase("synced", SOON)?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Halt {
        chain: Chain::Parachain,
    })?;
    let status = agent.wait_phase("quiet", SOON)?;
    ensure!(status["health"] == "degraded", "{status}");
    agent.stays(&run, LONG)?;
    agent.sim().control(&Command::Recover)?;
    agent.wait_for("good health", SOON, |s| s["health"] == "ok" && s["phase"] == "synced")?;
    Ok(())
}

#[test]
fn one_silent_exporter_is_no_reason() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "one", &SYNCING)?;
    let run = agent.run_id()?;
    for (chain, answer) in [(Chain::Parachain, Answer::Hang), (Chain::Relaychain, Answer::Refuse)] {
        agent.sim().control(&Command::Exporter { chain, answer })?;
        agent.wait_for("the trouble to be told", SOON, |s| s["health"] == "degraded")?;
        agent.stays(&run, LONG)?;
        agent.sim().control(&Command::Recover)?;
        agent.wait_for("good health", SOON, |s| s["health"] == "ok")?;
    }
    Ok(())
}

#[test]
fn bad_pages_are_answers_of_a_living_process() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "pages", &SYNCING)?;
    // Shorter than what it has to stand.
    agent.set("health.frozen_after", "3s")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    for answer in [
        Answer::Garbage,
        Answer::Truncated,
        Answer::Empty,
        Answer::Status { code: 500 },
        Answer::Huge {
            bytes: 100 << 20,
            newlines: false,
        },
    ] {
        for chain in Chain::BOTH {
            agent.sim().control(&Command::Exporter { chain, answer })?;
        }
        agent.wait_for("the trouble to be told", SOON, |s| s["health"] != "ok")?;
        agent.stays(&run, Duration::from_secs(8))?;
        agent.sim().control(&Command::Recover)?;
        agent.wait_for("good health", SOON, |s| s["health"] == "ok")?;
    }
    Ok(())
}

#[test]
fn without_peers_and_without_the_host_s_network_a_restart_would_not_help() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "offline", &SYNCING)?;
    let run = agent.run_id()?;
    agent.resolver().set_answers(false);
    agent.wait_for("the network to be missed", Duration::from_mins(3), |s| {
        s["reasons"].to_string().contains("resolver")
    })?;
    agent.sim().control(&Command::Isolate { cure: Cure::Restart })?;
    agent.wait_for("the peers to be missed", SOON, |s| {
        s["chains"]["parachain"]["peers"] == 0
    })?;
    agent.stays(&run, LONG)?;
    let status = agent.status()?;
    ensure!(
        status["health"] == "degraded" && status["reasons"].to_string().contains("resolver"),
        "{status}"
    );
    agent.resolver().set_answers(true);
    agent.wait_other_run(&run, Duration::from_mins(3))?;
    agent.wait_cured("isolated", SOON)?;
    Ok(())
}

#[test]
fn a_parachain_that_waits_for_the_relay_chain_is_left_to_wait() -> Result<()> {
    let engine = Engine::shared()?;
    let flags = [
        "--sim-relay-first",
        "--sim-relay-target",
        "10000000",
        "--sim-relay-speed",
        "50",
    ];
    let mut agent = Agent::new(&engine, "waiting", &flags)?;
    agent.start()?;
    let status = agent.wait_phase("waiting_for_relay", SOON)?;
    ensure!(status["chains"]["relaychain"]["verdict"] == "syncing", "{status}");
    agent.stays(&agent.run_id()?, LONG)
}

#[test]
fn paused_by_an_operator_nothing_is_done_until_resume() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "pause", &SYNCING)?;
    agent.ok(["pause", "--for", "1h", "--reason", "an exercise"])?;
    let run = agent.run_id()?;
    let stall = Command::Stall {
        chain: Chain::Parachain,
        cure: Cure::Restart,
        bytes_per_second: 3072.0,
    };
    agent.sim().control(&stall)?;
    agent.stays(&run, LONG)?;
    // The pause outlives the agent.
    agent.kill()?;
    agent.start()?;
    let status = agent.wait_phase("paused", SOON)?;
    ensure!(status["maintenance"]["reason"] == "an exercise", "{status}");
    ensure!(
        status["chains"]["parachain"]["best"].is_u64(),
        "it is still watched: {status}"
    );
    agent.stays(&run, LONG)?;
    agent.ok(["resume"])?;
    agent.wait_other_run(&run, Duration::from_secs(90))?;
    agent.wait_cured("stalled", SOON)?;
    Ok(())
}

#[test]
fn while_the_agent_was_stopped_no_window_ran() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "gap", &SYNCING)?;
    agent.set("health.stall_after", "30s")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    let stall = Command::Stall {
        chain: Chain::Parachain,
        cure: Cure::Restart,
        bytes_per_second: 3072.0,
    };
    agent.sim().control(&stall)?;
    agent.stays(&run, Duration::from_secs(20))?;
    agent.kill()?;
    agent.start()?;
    // 40 s of standing still, but never 30 s of it under one agent's eyes.
    agent.stays(&run, Duration::from_secs(20))
}
