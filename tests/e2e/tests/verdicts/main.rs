//! The table of faults on a real engine, row by row: what the agent does, and what it does not do.
//!
//! Rows that the other tests are about stand there (`faults`, `left_alone`, `outside_hands`). Every test here that one
//! agent lives through ends with [`replays`]: its recording has to lead to the same decisions.

mod exits;
mod health;
mod holds;
mod operator;
mod record;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Command, Cure};
use t0rn_agent_tests::wait::{self, LATER, LONG, SOON};

/// Something the agent did to the container.
#[derive(Debug, Clone, PartialEq)]
struct RecordedAction {
    /// Seconds on the agent's clock.
    at: f64,
    /// Action and cause: `restart frozen`.
    what: String,
}

/// An agent for ends of the collator: a busy machine takes all the time that it may need, for Docker's own policy and for a
/// collator that hardly gets to run.
fn patient<'a>(engine: &'a Engine, name: &str) -> Result<Agent<'a>> {
    let mut agent = Agent::new(engine, name, &[])?;
    agent.set("restart.start_timeout", "30s")?;
    agent.set("health.frozen_after", "1m")?;
    agent.start()?;
    agent.wait_watched()?;
    Ok(agent)
}

/// What the agent did to the container so far, from its flight recorder.
fn recorded_actions(agent: &Agent) -> Result<Vec<RecordedAction>> {
    let mut files: Vec<_> = fs::read_dir(flight(agent))?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut recorded_actions = Vec::new();
    for file in files {
        let text = fs::read_to_string(file.path()).context("a short test does not fill a file")?;
        let lines = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<Value>, _>>()?;
        recorded_actions.extend(lines.iter().filter(|line| line["event"] == "action").filter_map(action));
    }
    Ok(recorded_actions)
}

/// What a line of a recording or of a replay says was done to the container, if it says so.
fn action(line: &Value) -> Option<RecordedAction> {
    let action = line["action"].as_str()?;
    let does = ["start", "restart", "stop", "hold", "backoff"].contains(&action);
    does.then(|| RecordedAction {
        at: line["t"].as_f64().unwrap_or_default(),
        what: format!("{action} {}", line["cause"].as_str().unwrap_or_default()),
    })
}

/// What the agent did to the container so far, without the times.
fn done(agent: &Agent) -> Result<Vec<String>> {
    Ok(recorded_actions(agent)?.into_iter().map(|action| action.what).collect())
}

/// Checks what the agent did to the container: all of it, in order.
fn took_actions(agent: &Agent, what: &[&str]) -> Result<()> {
    let done = done(agent)?;
    ensure!(done == what, "it did {done:?} instead of {what:?}");
    Ok(())
}

/// Checks that the agent's recording, replayed, leads to what it did.
fn replays(agent: &Agent) -> Result<()> {
    let done = done(agent)?;
    let (flight, config) = (flight(agent), agent.config_file());
    let (flight, config) = (flight.display().to_string(), config.display().to_string());
    let replayed = agent.ok(["replay", &flight, "--config", &config, "--json"])?;
    let lines = replayed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    let again: Vec<_> = lines.iter().filter_map(action).map(|action| action.what).collect();
    ensure!(again == done, "the replay does {again:?}, the agent did {done:?}");
    Ok(())
}

/// How often the agent told somebody of this cause.
fn notices(agent: &Agent, cause: &str) -> usize {
    let cause = format!("cause=\"{cause}\"");
    agent
        .log()
        .lines()
        .filter(|line| line.contains(" WARN ") && line.contains(&cause))
        .count()
}

fn flight(agent: &Agent) -> PathBuf {
    agent.config_file().with_file_name("state").join("flight")
}

fn reasons(status: &Value) -> String {
    status["reasons"].to_string()
}

fn stall(cure: Cure) -> Command {
    Command::Stall {
        chain: Chain::Parachain,
        cure,
        bytes_per_second: 3072.0,
    }
}

/// Checks for a while that nobody starts the collator: neither the agent nor Docker.
fn stays_down(agent: &Agent, time: Duration) -> Result<()> {
    let starts = agent.starts()?;
    wait::throughout("the collator was to stay down", time, || {
        ensure!(
            agent.run_id().is_err() && agent.starts()? == starts,
            "somebody started it"
        );
        Ok(())
    })
}
