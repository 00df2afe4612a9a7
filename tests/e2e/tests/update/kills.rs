//! The agent killed at every step of an update.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{LATER, SOON};

use crate::{configured, one_collator, running, variant};

/// From the first to the last.
const STEPS: [&str; 6] = [
    "pulling",
    "stopping",
    "starting",
    "probation",
    "rolling_back",
    "restoring",
];

#[test]
fn a_kill_at_any_step_of_a_good_update_ends_with_the_new_image() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = running(&engine, "killed", "3s")?;
    for (number, step) in STEPS[..4].iter().enumerate() {
        let new = variant(&engine, &format!("killed-{number}"), &["--sim-stop-delay", "1000"])?;
        killed_at(&mut agent, step, &new, "done")?;
        one_collator(&agent, &new)?;
    }
    Ok(())
}

#[test]
fn a_kill_at_any_step_of_a_rollback_ends_with_the_old_image() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = running(&engine, "killed-back", "15s")?;
    let old = configured(&agent)?;
    let fault = r#"{"do": "crash", "after_seconds": 2}"#;
    let new = variant(&engine, "killed-back", &["--sim-fault", fault])?;
    for step in ["starting", "rolling_back", "restoring"] {
        killed_at(&mut agent, step, &new, "rolled_back")?;
        one_collator(&agent, &old)?;
    }
    Ok(())
}

/// Kills the agent as soon as its state says that an update has come to `step`, and lets the next one end it.
fn killed_at(agent: &mut Agent, step: &str, image: &str, result: &str) -> Result<()> {
    let file = agent.state_dir().join("state.json");
    agent.ok(["update", "--image", image])?;
    let wanted = STEPS.iter().position(|s| *s == step).context("no such step")?;
    let end = std::time::Instant::now() + SOON;
    loop {
        let now = fs::read(&file).ok().and_then(|text| step_in(&text));
        if now.is_some_and(|now| now >= wanted) {
            break;
        }
        ensure!(std::time::Instant::now() < end, "never came to {step}");
        std::thread::sleep(Duration::from_millis(2));
    }
    agent.kill()?;
    agent.start()?;
    let status = agent.wait_for("the end of the update", LATER, |s| {
        s["update"]["image"] == image && s["update"]["result"].is_string()
    })?;
    ensure!(status["update"]["result"] == result, "killed at {step}: {status}");
    Ok(())
}

fn step_in(text: &[u8]) -> Option<usize> {
    let state: Value = serde_json::from_slice(text).ok()?;
    let step = state["state"]["update"]["running"]["step"].as_str()?;
    STEPS.iter().position(|s| *s == step)
}
