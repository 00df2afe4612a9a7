//! A configuration that is changed under a running collator: what comes into force at once, what waits, and what is refused.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Command, Cure};
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{self, LATER, LONG, SOON};
use t0rn_agent_tests::webhook::{Answer, WebhookReceiver};

fn hang_up(agent: &Agent) -> Result<()> {
    let pid = i32::try_from(agent.pid()?)?;
    kill_process(Pid::from_raw(pid).context("no process")?, Signal::HUP)?;
    Ok(())
}

/// Waits until the agent has logged `text`.
fn wait_log(agent: &Agent, text: &str) -> Result<()> {
    wait::until(text, SOON, || {
        ensure!(agent.log().contains(text), "not in the log");
        Ok(())
    })
}

fn stall() -> Command {
    Command::Stall {
        chain: Chain::Parachain,
        cure: Cure::Restart,
        bytes_per_second: 3072.0,
    }
}

fn keys(changes: &Value) -> Vec<&str> {
    let changes = changes.as_array().into_iter().flatten();
    changes.filter_map(|change| change["key"].as_str()).collect()
}

#[test]
fn sighup_brings_windows_into_force_and_leaves_the_collator_alone() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "sighup", &SYNCING)?;
    agent.set("health.stall_after", "1h")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&stall())?;
    agent.stays(&run, LONG)?;

    let hook = WebhookReceiver::start(Answer::Take)?;
    agent.set("health.stall_after", "4s")?;
    agent.set("notify.webhook", hook.url())?;
    let uptime = agent.status()?["agent"]["uptime_seconds"].clone();
    hang_up(&agent)?;
    // By the new window the stall is due, and the new webhook is told.
    let other = agent.wait_other_run(&run, LATER)?;
    ensure!(other.id == run.id, "the container was replaced");
    agent.wait_cured("stalled", SOON)?;
    hook.wait_about("stalled", &["action", "judged true"], SOON)?;
    let status = agent.status()?;
    ensure!(status["configuration"].is_null(), "{status}");
    ensure!(
        status["agent"]["uptime_seconds"].as_u64() > uptime.as_u64(),
        "the agent began anew: {status}"
    );
    Ok(())
}

#[test]
fn wrong_configuration_is_refused_with_its_line_and_changes_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let mut agent = Agent::new(&engine, "refused", &SYNCING)?;
    agent.set("notify.webhook", hook.url())?;
    agent.start()?;
    agent.wait_watched()?;
    let (run, right) = (agent.run_id()?, fs::read_to_string(agent.config_file())?);
    fs::write(
        agent.config_file(),
        right.replace("scrape_interval = \"500ms\"", "scrape_interval = 5"),
    )?;

    let refused = agent.cli(["reload"])?;
    let error = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(2), "{}: {error}", refused.status);
    let says = "key `health.scrape_interval`: 5 is no duration";
    ensure!(error.contains("agent.toml:") && error.contains(says), "{error}");
    let status = agent.status()?;
    let told = status["configuration"]["error"].as_str().unwrap_or_default();
    ensure!(told.contains(says), "{status}");
    ensure!(
        status["reasons"].to_string().contains("the former one stays in force"),
        "{status}"
    );
    wait_log(&agent, "the configuration is refused")?;
    hook.wait_about("configuration_refused", &["problem"], SOON)?;
    agent.stays(&run, Duration::from_secs(3))?;

    // What is mended is in force, and nothing is left of the refusal.
    fs::write(agent.config_file(), right)?;
    hang_up(&agent)?;
    agent.wait_for("the mended configuration", SOON, |status| {
        status["configuration"].is_null() && !status["reasons"].to_string().contains("refused")
    })?;
    hook.wait_about("configuration_refused", &["problem", "over"], SOON)?;
    agent.stays(&run, Duration::from_secs(1))
}

#[test]
fn another_image_waits_for_a_confirmation() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "confirmed", &SYNCING)?;
    let run = agent.run_id()?;
    let image = sim_image::sim(&engine)?;
    let other = sim_image::variant(&engine, "t0rn-test-reload:other", &[])?;
    agent.set("collator.image", other.clone())?;
    agent.set("restart.budget", 2)?;

    let shown: Value = serde_json::from_str(&agent.ok(["config", "diff", "--json"])?)?;
    ensure!(shown["compared_with"] == "agent", "{shown}");
    ensure!(
        keys(&shown["changes"]) == ["collator.image", "restart.budget"],
        "{shown}"
    );
    ensure!(shown["changes"][0]["needs"] == "container", "{shown}");
    ensure!(shown["changes"][0]["old"] == image, "{shown}");

    let reload: Value = serde_json::from_str(&agent.ok(["reload", "--json"])?)?;
    ensure!(keys(&reload["applied"]) == ["restart.budget"], "{reload}");
    ensure!(keys(&reload["pending"]) == ["collator.image"], "{reload}");
    let status = agent.status()?;
    ensure!(status["collator"]["restarts"]["budget"] == 2, "{status}");
    ensure!(status["configuration"]["pending"][0] == "collator.image", "{status}");
    ensure!(status["configuration"]["replaces_container"] == true, "{status}");
    ensure!(
        agent.ok(["status"])?.contains("t0rn-agent reload --yes"),
        "the text says how"
    );
    agent.stays(&run, Duration::from_secs(3))?;

    agent.ok(["reload", "--yes"])?;
    let replaced = agent.wait_other_run(&run, LATER)?;
    ensure!(replaced.id != run.id, "it runs from the former image");
    let status = agent.wait_watched()?;
    ensure!(status["configuration"].is_null(), "{status}");
    ensure!(status["collator"]["image"] == other.as_str(), "{status}");
    ensure!(
        agent.pid()? > 0 && agent.starts()? == 2,
        "one container after the other"
    );
    Ok(())
}

#[test]
fn what_needs_a_restart_of_the_agent_leaves_the_collator_alone() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "anew", &SYNCING)?;
    let (run, pid) = (agent.run_id()?, agent.pid()?);
    agent.set("collator.pull", "never")?;
    agent.set("metrics.listen", "")?;
    let text = agent.ok(["reload", "--yes"])?;
    ensure!(
        text.contains("needs a restart of the agent; the collator runs on:"),
        "{text}"
    );
    ensure!(text.ends_with("in force\n"), "{text}");
    agent.wait_watched()?;
    agent.stays(&run, Duration::from_secs(3))?;
    ensure!(agent.pid()? == pid, "it is the same process");
    let diff = agent.ok(["config", "diff"])?;
    ensure!(diff.ends_with("nothing is changed\n"), "{diff}");

    // One with which the agent cannot begin is given up for the one before.
    let file = agent.data().with_file_name("no-directory");
    fs::write(&file, "")?;
    agent.set("agent.state_dir", file.display().to_string())?;
    let refused = agent.cli(["reload", "--yes"])?;
    let error = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(1), "{}: {error}", refused.status);
    ensure!(error.contains("the agent cannot begin with it"), "{error}");
    agent.wait_watched()?;
    agent.stays(&run, Duration::from_secs(3))
}

#[test]
fn sighup_while_the_agent_starts_does_not_end_it() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "early", &SYNCING)?;
    agent.start()?;
    // As early as it can be told from outside: its handler is there.
    wait::until("a handler", SOON, || {
        let status = fs::read_to_string(format!("/proc/{}/status", agent.pid()?))?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.context("no SigCgt")?.trim(), 16)?;
        ensure!(caught & 1 == 1, "SIGHUP is not caught");
        Ok(())
    })?;
    for _ in 0..20 {
        hang_up(&agent)?;
        std::thread::sleep(Duration::from_millis(20));
    }
    agent.wait_watched()?;
    ensure!(agent.end(Signal::TERM)? == 0, "it ended otherwise");
    Ok(())
}

#[test]
fn without_an_agent_two_files_are_compared() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::new(&engine, "files", &[])?;
    let text = fs::read_to_string(agent.config_file())?;
    let other = agent.data().with_file_name("other.toml");
    fs::write(&other, text.replace("stop_timeout = \"10s\"", "stop_timeout = \"11s\""))?;
    let diff = agent.ok(["config", "diff", &other.display().to_string()])?;
    ensure!(diff.contains("since no agent is running"), "{diff}");
    ensure!(diff.contains("replaces the collator's container:"), "{diff}");
    ensure!(
        diff.contains("collator.stop_timeout") && diff.contains("10s → 11s"),
        "{diff}"
    );
    let alone = agent.cli(["config", "diff"])?;
    ensure!(alone.status.code() == Some(3), "{alone:?}");
    Ok(())
}
