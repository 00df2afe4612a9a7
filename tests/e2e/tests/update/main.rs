//! Updates of the image: kept when it works, taken back when it does not, and never two collators, whatever happens.

mod kills;
mod small_disk;

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::registry::Registry;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{self, LATER, SOON};
use t0rn_agent_tests::webhook::{Answer, WebhookReceiver};

const DB_VERSION: &str = "chains/t0rn_testnet/db/full/db_version";
/// Where the images of these tests are, beside the configured one.
const REPOSITORY: &str = "t0rn-sim-update";

/// A watched collator, and an agent that believes a new image after a short time.
fn running<'a>(engine: &'a Engine, name: &str, probation: &str) -> Result<Agent<'a>> {
    let mut agent = Agent::new(engine, name, &SYNCING)?;
    agent.set("update.probation", probation)?;
    agent.set("update.repositories", allowed())?;
    // Docker reports the end of a container late on a busy machine: no silence before it is to count as the fault.
    agent.set("health.frozen_after", "20s")?;
    agent.start()?;
    agent.wait_watched()?;
    fs::write(agent.data().join(DB_VERSION), "4")?;
    Ok(agent)
}

/// An image of its own for each test, so that tests do not remove each other's.
fn variant(engine: &Engine, name: &str, flags: &[&str]) -> Result<String> {
    sim_image::variant(engine, &format!("{REPOSITORY}:{name}"), flags)
}

fn allowed() -> Vec<String> {
    [REPOSITORY, "127.0.0.1:1/nothing"].map(str::to_owned).to_vec()
}

/// `update --wait`: its exit code and what it said.
fn update(agent: &Agent, image: &str) -> Result<(Option<i32>, String)> {
    let output = agent.cli(["update", "--image", image, "--wait"])?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
}

fn image_of(agent: &Agent) -> Result<String> {
    let inspect = agent.inspect()?.context("no container")?;
    let label = inspect["Config"]["Labels"]["t0rn-agent.image"].as_str();
    Ok(label.context("no label")?.to_owned())
}

fn configured(agent: &Agent) -> Result<String> {
    let config: toml::Table = fs::read_to_string(agent.config_file())?.parse()?;
    Ok(config["collator"]["image"].as_str().context("no image")?.to_owned())
}

/// One collator that makes progress from `image`, and never were there two.
fn one_collator(agent: &Agent, image: &str) -> Result<Value> {
    let status = agent.wait_watched()?;
    ensure!(image_of(agent)? == image, "{} runs: {status}", image_of(agent)?);
    ensure!(agent.containers_on_data()? == [agent.container()], "{status}");
    agent.starts()?;
    Ok(status)
}

#[test]
fn good_image_is_kept_over_restarts_until_the_configuration_changes() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = running(&engine, "good", "5s")?;
    let (old, new) = (configured(&agent)?, variant(&engine, "good", &[])?);
    let (code, text) = update(&agent, &new)?;
    ensure!(code == Some(0) && text.ends_with("done\n"), "{code:?}: {text}");
    ensure!(text.contains("probation"), "{text}");
    let status = one_collator(&agent, &new)?;
    ensure!(status["update"]["result"] == "done", "{status}");
    ensure!(status["collator"]["image"] == *new, "{status}");
    ensure!(status["update"]["configured"] == *old, "{status}");
    ensure!(status["collator"]["restarts"]["budget_left"] == 3, "{status}");
    let text = agent.cli(["status"])?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    ensure!(
        text.contains("write the image that runs into collator.image, which says"),
        "{text}"
    );

    let run = agent.run_id()?;
    agent.kill()?;
    agent.start()?;
    one_collator(&agent, &new)?;
    ensure!(agent.run_id()? == run, "the next agent touched it");
    // Written into the configuration, it is what was asked for.
    agent.kill()?;
    agent.set("collator.image", new.clone())?;
    agent.start()?;
    let status = one_collator(&agent, &new)?;
    ensure!(
        agent.run_id()? == run && status["update"]["configured"].is_null(),
        "{status}"
    );
    agent.kill()?;
    agent.set("collator.image", old.clone())?;
    agent.start()?;
    agent.wait_other_run(&run, SOON)?;
    one_collator(&agent, &old)?;
    Ok(())
}

#[test]
fn an_image_that_crashes_or_stalls_is_taken_back_and_told() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let mut agent = running(&engine, "bad", "15s")?;
    agent.kill()?;
    agent.set("notify.webhook", hook.url())?;
    agent.start()?;
    agent.wait_watched()?;
    let old = configured(&agent)?;
    for (name, fault, reason) in [
        (
            "crash",
            r#"{"do": "crash", "code": 7, "after_seconds": 2}"#,
            "it exited with code 7",
        ),
        (
            "stall",
            r#"{"do": "stall", "after_seconds": 1}"#,
            "the parachain has stood at block",
        ),
    ] {
        let new = variant(&engine, name, &["--sim-fault", fault])?;
        let (code, text) = update(&agent, &new)?;
        ensure!(
            code == Some(1) && text.contains(&format!("rolled back: {reason}")),
            "{code:?}: {text}"
        );
        let status = one_collator(&agent, &old)?;
        ensure!(status["update"]["result"] == "rolled_back", "{status}");
        ensure!(status["last_incident"]["cause"] == "update_failed", "{status}");
        ensure!(status["collator"]["restarts"]["budget_left"] == 3, "{status}");
    }
    hook.wait_about("update_failed", &["action", "over", "action", "over"], SOON)
}

#[test]
fn an_image_that_migrates_the_database_and_fails_is_held_with_the_cure() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = running(&engine, "migrates", "15s")?;
    let fault = r#"{"do": "crash", "after_seconds": 2}"#;
    let new = variant(&engine, "migrates", &["--sim-db-version", "5", "--sim-fault", fault])?;
    let (code, text) = update(&agent, &new)?;
    ensure!(
        code == Some(1) && text.contains("held: it exited with code 1"),
        "{code:?}: {text}"
    );
    agent.wait_down(SOON)?;
    let status = agent.wait_phase("holding", SOON)?;
    let reasons = status["reasons"].to_string();
    ensure!(reasons.contains("restore the chain data from a snapshot"), "{status}");
    ensure!(status["update"]["result"] == "held", "{status}");
    agent.kill()?;
    agent.start()?;
    agent.wait_phase("holding", SOON)?;
    agent.wait_down(SOON)?;
    // Forward is a way out.
    let mended = variant(&engine, "migrates-mended", &["--sim-db-version", "5"])?;
    let (code, text) = update(&agent, &mended)?;
    ensure!(code == Some(0), "{code:?}: {text}");
    one_collator(&agent, &mended)?;
    Ok(())
}

#[test]
fn without_the_registry_nothing_is_changed() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = running(&engine, "away", "5s")?;
    let run = agent.run_id()?;
    let (code, text) = update(&agent, "127.0.0.1:1/nothing:v2")?;
    ensure!(code == Some(1) && text.contains("failed: "), "{code:?}: {text}");
    let status = one_collator(&agent, &configured(&agent)?)?;
    ensure!(agent.run_id()? == run, "it was touched");
    ensure!(
        status["update"]["result"] == "failed" && status["health"] == "ok",
        "{status}"
    );
    let output = agent.cli(["update", "--image", "no image"])?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    Ok(())
}

#[test]
fn image_of_an_unnamed_repository_is_refused_before_it_is_pulled() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = running(&engine, "elsewhere", "5s")?;
    let run = agent.run_id()?;
    let foreign = "127.0.0.1:1/elsewhere/collator:v2";
    let (code, text) = update(&agent, foreign)?;
    ensure!(
        code == Some(1) && text.contains("update.repositories"),
        "{code:?}: {text}"
    );
    let status = one_collator(&agent, &configured(&agent)?)?;
    ensure!(
        status["update"]["result"].is_null() && agent.run_id()? == run,
        "{status}"
    );
    Ok(())
}

#[test]
fn old_images_go_but_never_the_one_a_rollback_needs_nor_anybody_elses() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    let mut ids = Vec::new();
    for number in 1..=4 {
        let name = format!("t0rn-sim-old:v{number}");
        sim_image::variant(&engine, &name, &["--sim-peers", &(4 + number).to_string()])?;
        ids.push(
            engine
                .docker(["image", "inspect", "--format={{.Id}}", &name])?
                .trim()
                .to_owned(),
        );
        registry.push(&engine, &name, &format!("old:v{number}"))?;
        if number != 2 {
            engine.docker(["rmi", &name])?;
        }
    }
    let reference = |number: usize| format!("{}/old:v{number}", registry.host());
    let mut agent = Agent::new(&engine, "old", &SYNCING)?;
    agent.set("update.probation", "2s")?;
    agent.set("collator.registry_auth", registry.auth_file())?;
    agent.set("collator.image", reference(1))?;
    agent.start()?;
    agent.wait_watched()?;
    let there = |number: usize| -> Result<bool> {
        Ok(engine
            .try_docker(["image", "inspect", &ids[number - 1]])?
            .status
            .success())
    };
    for number in 2..=4 {
        let (code, text) = update(&agent, &reference(number))?;
        ensure!(code == Some(0), "{code:?}: {text}");
        one_collator(&agent, &reference(number))?;
        ensure!(there(number)? && there(number - 1)?, "an image that is needed is gone");
    }
    wait::until("the first image to be removed", SOON, || {
        ensure!(!there(1)?, "it is still there");
        Ok(())
    })?;
    ensure!(
        there(2)? && there(3)? && there(4)?,
        "the second was here before the agent pulled it"
    );
    Ok(())
}

#[test]
fn moved_tag_is_followed_if_enabled_and_bad_image_is_tried_once() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    let push = |name: &str, flags: &[&str]| -> Result<String> {
        let image = sim_image::variant(&engine, &format!("t0rn-sim-auto-{name}:v1"), flags)?;
        registry.push(&engine, &image, "auto:stable")
    };
    let first = push("first", &[])?;
    let mut agent = Agent::new(&engine, "auto", &SYNCING)?;
    for (key, value) in [("update.probation", "4s"), ("update.check_every", "2s")] {
        agent.set(key, value)?;
    }
    agent.set("update.auto", true)?;
    agent.set("collator.registry_auth", registry.auth_file())?;
    agent.set("collator.image", format!("{}/auto:stable", registry.host()))?;
    agent.start()?;
    agent.wait_watched()?;
    let runs = |digest: &str| -> Result<()> {
        let status = agent.wait_for("that digest", SOON, |s| s["collator"]["digest"] == digest)?;
        ensure!(status["update"]["configured"].is_null(), "{status}");
        Ok(())
    };
    runs(&first)?;
    // It ends before its exporters answer: however late Docker says so, no time of the probation has passed.
    push("bad", &["--sim-fault", r#"{"do": "crash"}"#])?;
    agent.wait_for("a rollback", LATER, |s| s["update"]["result"] == "rolled_back")?;
    runs(&first)?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.stays(&run, Duration::from_secs(6))?;
    let good = push("good", &["--sim-peers", "9"])?;
    agent.wait_for("an update", LATER, |s| s["update"]["result"] == "done")?;
    runs(&good)?;
    agent.starts()?;
    Ok(())
}
