//! Exits: what Docker's own policy does, what is left to the agent, and what people do.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::{Command, FailStarts};

use super::{LATER, SOON, done, patient, reasons, replays, took_actions};

fn crash(log: &str) -> Command {
    Command::Crash {
        code: 101,
        log: vec![log.to_owned()],
    }
}

#[test]
fn what_docker_s_policy_starts_again_the_agent_leaves_to_it() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = patient(&engine, "policy")?;
    let run = agent.run_id()?;
    // A line of every shutdown: it proves nothing.
    agent.sim().control(&crash(
        "Essential task `txpool-background` failed. Shutting down service.",
    ))?;
    let next = agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_watched()?;
    ensure!(
        next.id == run.id && status["collator"]["restarts"]["crash"] == 1,
        "{status}"
    );
    agent.stays(&next, Duration::from_secs(8))?;
    took_actions(&agent, &["start missing"])?;
    replays(&agent)
}

#[test]
fn what_docker_s_policy_does_not_start_again_the_agent_starts() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "no-policy", &[])?;
    let run = agent.run_id()?;
    engine.docker(["update", "--restart=no", agent.container()])?;
    agent.sim().control(&crash("Thread 'x' panicked at 'y'"))?;
    let status = agent.wait_for("the end to be told", SOON, |s| s["phase"] == "backoff")?;
    ensure!(
        status["health"] == "degraded" && reasons(&status).contains("101"),
        "{status}"
    );
    let next = agent.wait_other_run(&run, SOON)?;
    agent.wait_watched()?;
    // What was changed from outside is made as configured by the next start.
    ensure!(next.id != run.id && agent.starts()? == 2);
    took_actions(&agent, &["start missing", "start exited"])?;
    replays(&agent)
}

#[test]
fn docker_restart_by_a_person_is_taken_as_it_is() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = patient(&engine, "person")?;
    let run = agent.run_id()?;
    engine.docker(["restart", agent.container()])?;
    let next = agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_watched()?;
    ensure!(status["health"] == "ok" && next.id == run.id, "{status}");
    agent.stays(&next, Duration::from_secs(8))?;
    ensure!(agent.starts()? == 2 && agent.status()?["collator"]["restarts"]["health"] == 0);
    took_actions(&agent, &["start missing"])?;
    replays(&agent)
}

#[test]
fn a_signal_that_does_not_end_it_changes_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "signal", &[])?;
    let run = agent.run_id()?;
    engine.docker(["kill", "-s", "WINCH", agent.container()])?;
    agent.stays(&run, Duration::from_secs(5))?;
    // What ends it later is its own doing; some engines leave the start to the agent after any `docker kill`.
    agent.sim().control(&crash("Thread 'x' panicked at 'y'"))?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_watched()?;
    ensure!(
        status["collator"]["restarts"]["crash"] == 1 && status["health"] == "ok",
        "{status}"
    );
    ensure!(agent.starts()? == 2, "it was started more than once");
    let done = done(&agent)?;
    ensure!(done[1..].iter().all(|action| action == "start exited"), "{done:?}");
    replays(&agent)
}

#[test]
fn out_of_memory_is_restarted_and_its_limit_told_whatever_the_log_says() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "limit", &[])?;
    agent.set("health.frozen_after", "1m")?;
    agent.set("collator.memory", "64MiB")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    // What a node cut off in the middle of its work may have to say is no damage.
    agent.sim().control(&Command::Log {
        lines: vec!["Backend error: Corruption: bad entry".to_owned()],
        bytes: 0,
    })?;
    agent.sim().control(&Command::Eat {
        bytes_per_second: 400_000_000,
    })?;
    let next = agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_for("the run to be watched", SOON, |s| s["phase"] == "synced")?;
    let exit = &status["collator"]["last_exit"];
    ensure!(exit["oom"] == true && exit["code"] == 137, "{status}");
    ensure!(
        status["health"] == "degraded" && reasons(&status).contains("64 MiB"),
        "{status}"
    );
    agent.stays(&next, Duration::from_secs(5))?;
    took_actions(&agent, &["start missing"])?;
    replays(&agent)
}

#[test]
fn crash_loop_is_taken_over_from_docker_and_forgotten_after_a_long_run() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "over", &[])?;
    agent.set("health.frozen_after", "1m")?;
    agent.set("restart.backoff_reset", "15s")?;
    agent.start()?;
    agent.wait_watched()?;
    let log = vec!["Thread 'x' panicked at 'y'".to_owned()];
    agent.sim().control(&Command::FailStarts(FailStarts {
        count: None,
        code: 101,
        log,
    }))?;
    agent.sim().control(&crash("Thread 'x' panicked at 'y'"))?;
    let status = agent.wait_for("the verdict", LATER, |s| {
        s["phase"] == "backoff" && s["health"] == "critical"
    })?;
    ensure!(reasons(&status).contains("again and again"), "{status}");
    // From here on nobody but the agent starts it, every 5 s.
    fs::remove_file(agent.data().join("chains/t0rn_testnet/db/full/000103.log"))?;
    let status = agent.wait_for("a run", LATER, |s| s["phase"] == "synced")?;
    ensure!(status["health"] == "critical", "it may yet crash again: {status}");
    let run = agent.run_id()?;
    let status = agent.wait_for("good health", LATER, |s| s["health"] == "ok")?;
    ensure!(agent.run_id()? == run, "it was restarted once more: {status}");
    ensure!(status["collator"]["restarts"]["health"] == 0, "{status}");
    let done = done(&agent)?;
    let last = ["backoff crash_loop", "start crash_loop"];
    ensure!(done.ends_with(&last.map(str::to_owned)), "{done:?}");
    replays(&agent)
}
