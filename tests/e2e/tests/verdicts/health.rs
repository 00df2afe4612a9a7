//! Health restarts: what earns one, what postpones it, when there are no more of them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Command, Cure, Set};
use t0rn_agent_tests::wait;

use super::{LATER, LONG, SOON, SYNCING, notices, reasons, recorded_actions, replays, stall, took_actions};

#[test]
fn a_silence_shorter_than_its_window_is_no_freeze() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "blink", &SYNCING)?;
    agent.set("health.frozen_after", "1m")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    engine.docker(["pause", agent.container()])?;
    wait::until("the silence to be seen", SOON, || {
        // Nobody knows how it is: code 3.
        let output = agent.cli(["status", "--json"])?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        let (chains, next) = (&status["chains"], &status["next"]);
        let silent = chains["parachain"]["scrape"] == "timeout" && chains["relaychain"]["scrape"] == "timeout";
        let soon = next["why"] == "frozen" && next["in_seconds"].as_u64() < Some(50);
        ensure!(silent && soon, "{status}");
        ensure!(
            output.status.code() == Some(3) && status["health"] == "unknown",
            "{status}"
        );
        Ok(())
    })?;
    engine.docker(["unpause", agent.container()])?;
    agent.wait_for("good health", SOON, |s| s["health"] == "ok" && s["phase"] == "syncing")?;
    agent.stays(&run, Duration::from_secs(5))?;
    took_actions(&agent, &["start missing"])?;
    replays(&agent)
}

#[test]
fn traffic_postpones_a_stall_but_not_for_ever() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "traffic", &SYNCING)?;
    agent.set("health.stall_after", "12s")?;
    agent.set("health.activity_extension", 2)?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Stall {
        chain: Chain::Parachain,
        cure: Cure::Restart,
        bytes_per_second: 200_000.0,
    })?;
    agent.wait_other_run(&run, LATER)?;
    let status = agent.wait_cured("stalled", SOON)?;
    let incident = status["last_incident"]["id"].as_str().context("no incident")?;
    let incident = agent.ok(["incidents", "show", incident])?;
    let stuck = incident
        .split_once("stuck for ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
    ensure!(
        stuck.is_some_and(|seconds| seconds > 20),
        "it was not postponed: {incident}"
    );
    took_actions(&agent, &["start missing", "restart stalled"])?;
    replays(&agent)
}

#[test]
fn useless_restart_is_tried_twice_once_after_resume_then_budget_is_spent() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "budget", &SYNCING)?;
    agent.sim().control(&stall(Cure::Never))?;
    let status = agent.wait_for("the end of trying", LATER, |s| reasons(s).contains("does not help"))?;
    ensure!(
        status["health"] == "critical" && status["phase"] == "stalled",
        "{status}"
    );
    ensure!(status["collator"]["restarts"]["health"] == 2, "{status}");
    ensure!(status["collator"]["restarts"]["budget_left"] == 1, "{status}");
    ensure!(status["last_incident"]["helped"] == false, "{status}");
    ensure!(agent.cli(["status"])?.status.code() == Some(2));
    let run = agent.run_id()?;
    agent.stays(&run, LONG)?;
    let twice = ["start missing", "restart stalled", "restart stalled"];
    took_actions(&agent, &twice)?;
    let recorded_actions = recorded_actions(&agent)?;
    // The window of 4 s, doubled once.
    ensure!(
        recorded_actions[2].at - recorded_actions[1].at >= 8.0,
        "{recorded_actions:?}"
    );

    agent.ok(["resume"])?;
    let run = agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_for("the end of the budget", LATER, |s| reasons(s).contains("budget"))?;
    ensure!(status["health"] == "critical", "{status}");
    ensure!(status["collator"]["restarts"]["budget_left"] == 0, "{status}");
    agent.stays(&run, LONG)?;
    let thrice = ["start missing", "restart stalled", "restart stalled", "restart stalled"];
    took_actions(&agent, &thrice)?;

    // What was spent stays spent, whoever asks.
    agent.kill()?;
    agent.start()?;
    let status = agent.wait_for("the budget", SOON, |s| reasons(s).contains("budget"))?;
    ensure!(status["collator"]["restarts"]["budget_left"] == 0, "{status}");
    agent.stays(&run, LONG)?;
    took_actions(&agent, &thrice)?;
    replays(&agent)
}

#[test]
fn halt_of_the_whole_chain_is_reported_once_despite_rare_blocks() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "once", &["--sim-target", "500"])?;
    agent.wait_phase("synced", SOON)?;
    let run = agent.run_id()?;
    let chain = Chain::Parachain;
    agent.sim().control(&Command::Halt { chain })?;
    let status = agent.wait_phase("quiet", SOON)?;
    ensure!(
        status["health"] == "degraded" && status["chains"]["parachain"]["verdict"] == "quiet",
        "{status}"
    );
    ensure!(agent.cli(["status"])?.status.code() == Some(1));
    for _ in 0..3 {
        let target = agent.sim().best()? + 1;
        agent.sim().control(&Command::Set(Set {
            chain: Some(chain),
            target: Some(target),
            ..Set::default()
        }))?;
        agent.wait_for("the block", SOON, |s| s["chains"]["parachain"]["best"] == target)?;
        agent.wait_phase("quiet", SOON)?;
    }
    agent.stays(&run, LONG)?;
    ensure!(
        notices(&agent, "quiet") == 1,
        "it was told {} times",
        notices(&agent, "quiet")
    );
    took_actions(&agent, &["start missing"])?;
    replays(&agent)
}

#[test]
fn while_the_agent_was_suspended_no_window_ran() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "suspended", &SYNCING)?;
    agent.set("health.stall_after", "20s")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&stall(Cure::Restart))?;
    let process = Pid::from_raw(i32::try_from(agent.pid()?)?).context("no pid")?;
    agent.stays(&run, Duration::from_secs(8))?;
    kill_process(process, Signal::STOP)?;
    // Longer than any two looks may lie apart and still be called watching.
    agent.stays(&run, Duration::from_secs(80))?;
    kill_process(process, Signal::CONT)?;
    agent.stays(&run, Duration::from_secs(12))?;
    agent.wait_other_run(&run, LATER)?;
    agent.wait_cured("stalled", SOON)?;
    took_actions(&agent, &["start missing", "restart stalled"])?;
    replays(&agent)
}

#[test]
fn exporters_that_come_up_after_their_one_restart_were_helped() -> Result<()> {
    let engine = Engine::shared()?;
    let refuse = |chain| format!(r#"{{"do":"exporter","chain":"{chain}","answer":"refuse","once":true}}"#);
    let (parachain, relaychain) = (refuse("parachain"), refuse("relaychain"));
    let flags = ["--sim-fault", parachain.as_str(), "--sim-fault", relaychain.as_str()];
    let mut agent = Agent::new(&engine, "late", &flags)?;
    agent.start()?;
    let status = agent.wait_cured("no_exporter", LATER)?;
    ensure!(status["collator"]["restarts"]["health"] == 1, "{status}");
    agent.wait_for("good health", SOON, |s| s["health"] == "ok")?;
    agent.stays(&agent.run_id()?, LONG)?;
    took_actions(&agent, &["start missing", "restart no_exporter"])?;
    replays(&agent)
}

#[test]
fn a_disk_that_fills_up_is_said_and_nothing_is_done_about_it() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "low", &[])?;
    agent.set("host.disk_warn_percent", 99)?;
    agent.start()?;
    let status = agent.wait_for("the warning", SOON, |s| {
        reasons(s).contains("disk") && s["phase"] == "synced"
    })?;
    ensure!(status["health"] == "degraded", "{status}");
    agent.stays(&agent.run_id()?, Duration::from_secs(3))?;
    ensure!(notices(&agent, "disk_low") == 1);
    took_actions(&agent, &["start missing"])?;
    replays(&agent)
}
