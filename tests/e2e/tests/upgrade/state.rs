//! `state.json`: budgets, wishes, holds and updates go on, and what runs is adopted.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use t0rn_agent_tests::fake_engine::exited;
use t0rn_agent_tests::wait::{SOON, until};

use crate::{DATA, Host, container, says};

const IMAGE: &str = "localhost:5000/t3rn/t0rn-collator";

fn is_stop(change: &str) -> bool {
    change.starts_with("POST /containers/") && change.contains("/stop?")
}

#[test]
fn operator_s_stop_of_0_1_0_keeps_the_collator_stopped() -> Result<()> {
    let mut host = Host::with_state("stopped")?;
    let engine = host.engine(Some(exited(container("updated")?)))?;
    host.start()?;
    let status = host.wait_for("the stop to be known", |s| {
        s["phase"] == "stopped" && !s["collator"]["id"].is_null()
    })?;
    ensure!(says(&status, "stopped by an operator"), "{status}");
    ensure!(engine.changes().is_empty(), "{:?}", engine.changes());
    Ok(())
}

#[test]
fn pause_counts_and_updates_of_0_1_0_go_on() -> Result<()> {
    let status = Host::with_state("stopped")?.known()?;
    let maintenance = &status["maintenance"];
    ensure!(maintenance["reason"] == "moving the volume", "{status}");
    let until: Timestamp = maintenance["until"].as_str().context("no end")?.parse()?;
    let left = until.duration_since(Timestamp::now());
    ensure!(
        (SignedDuration::from_mins(110)..=SignedDuration::from_hours(2)).contains(&left),
        "{left:?} of two hours are left: {status}"
    );
    let collator = &status["collator"];
    ensure!(
        collator["restarts"]["health"] == 1 && collator["restarts"]["crash"] == 2,
        "{status}"
    );
    ensure!(collator["restarts"]["budget_left"] == 2, "{status}");
    ensure!(
        collator["last_exit"]["code"] == 0 && collator["last_exit"]["oom"] == false,
        "{status}"
    );
    ensure!(
        collator["image"] == format!("{IMAGE}:v1.1.0"),
        "the update is forgotten: {status}"
    );
    let update = &status["update"];
    ensure!(
        update["image"] == format!("{IMAGE}:v1.2.0") && update["from"] == format!("{IMAGE}:v1.1.0"),
        "{status}"
    );
    ensure!(
        update["result"] == "rolled_back" && update["reason"] == "it exited with code 7",
        "{status}"
    );
    ensure!(update["configured"] == format!("{IMAGE}:v1.0.0"), "{status}");
    ensure!(status["chains"]["parachain"]["best"].as_u64() > Some(300), "{status}");
    Ok(())
}

#[test]
fn restart_budget_spent_by_0_1_0_is_not_spent_again() -> Result<()> {
    let mut host = Host::with_state("spent")?;
    host.set("restart", "budget", 2)?;
    let status = host.known()?;
    let restarts = &status["collator"]["restarts"];
    ensure!(restarts["health"] == 2 && restarts["budget_left"] == 0, "{status}");
    Ok(())
}

#[test]
fn hold_of_0_1_0_is_kept_and_nothing_is_started() -> Result<()> {
    let mut host = Host::with_state("held")?;
    let engine = host.engine(Some(exited(container("running")?)))?;
    host.start()?;
    let status = host.wait_for("the hold to be known", |s| {
        s["phase"] == "holding" && !s["collator"]["id"].is_null()
    })?;
    ensure!(says(&status, "the database is damaged"), "{status}");
    // It was killed in the stop for it, which is done again.
    ensure!(
        engine.changes().iter().all(|change| is_stop(change)),
        "{:?}",
        engine.changes()
    );
    Ok(())
}

#[test]
fn person_s_docker_stop_seen_by_0_1_0_is_respected() -> Result<()> {
    let mut host = Host::with_state("person")?;
    let engine = host.engine(Some(exited(container("running")?)))?;
    host.start()?;
    let status = host.wait_for("the stop to be known", |s| {
        s["phase"] == "stopped" && !s["collator"]["id"].is_null()
    })?;
    ensure!(says(&status, "docker stop"), "{status}");
    ensure!(engine.changes().is_empty(), "{:?}", engine.changes());
    Ok(())
}

#[test]
fn stop_that_0_1_0_was_killed_in_is_carried_out() -> Result<()> {
    let mut host = Host::with_state("stopping")?;
    let engine = host.engine(Some(container("running")?))?;
    host.start()?;
    host.wait_for("the stop", |s| {
        s["phase"] == "stopped" && s["collator"]["state"] == "exited"
    })?;
    let changes = engine.changes();
    ensure!(
        !changes.is_empty() && changes.iter().all(|change| is_stop(change)),
        "{changes:?}"
    );
    Ok(())
}

#[test]
fn crash_loop_of_0_1_0_is_remembered() -> Result<()> {
    let status = Host::with_state("crashing")?.known()?;
    ensure!(status["collator"]["restarts"]["crash"] == 5, "{status}");
    ensure!(status["collator"]["last_exit"]["code"] == 101, "{status}");
    ensure!(says(&status, "it exits again and again"), "{status}");
    Ok(())
}

#[test]
fn notice_of_ec2_that_0_1_0_saw_is_remembered() -> Result<()> {
    let mut host = Host::with_state("notice")?;
    host.without_imds()?;
    let status = host.known()?;
    ensure!(says(&status, "EC2 takes this spot instance back"), "{status}");
    Ok(())
}

#[test]
fn update_that_0_1_0_had_on_probation_goes_on() -> Result<()> {
    let status = Host::with_state("updating")?.known()?;
    let update = &status["update"];
    ensure!(update["step"] == "probation" && update["result"].is_null(), "{status}");
    ensure!(
        update["image"] == format!("{IMAGE}:v1.1.0") && update["from"] == format!("{IMAGE}:v1.0.0"),
        "{status}"
    );
    Ok(())
}

#[test]
fn restart_that_0_1_0_owes_an_operator_is_done() -> Result<()> {
    let mut host = Host::with_state("owed")?;
    host.set("data", "path", DATA)?;
    let engine = host.engine(Some(container("owed")?))?;
    host.start()?;
    until("the restart", SOON, || {
        let changes = engine.changes();
        ensure!(
            changes.len() == 2 && is_stop(&changes[0]) && changes[1].ends_with("/start"),
            "{changes:?}"
        );
        Ok(())
    })?;
    let flight = fs::read_to_string(host.path("state/flight/flight-00000001.jsonl"))?;
    ensure!(flight.contains(r#""action":"restart","cause":"operator""#), "{flight}");
    Ok(())
}

#[test]
fn missing_collation_that_0_1_0_noticed_is_remembered() -> Result<()> {
    let status = Host::with_state("idle")?.known()?;
    ensure!(says(&status, "no block was built here"), "{status}");
    Ok(())
}

/// The container of a fixture, seen by this version with that state, is what was asked for, and nothing is done to it.
fn adopts(host: &mut Host, name: &str) -> Result<Value> {
    // Part of what the specification's hash is made of.
    host.set("data", "path", DATA)?;
    let engine = host.engine(Some(container(name)?))?;
    host.start()?;
    let seen = until("the container to be seen", SOON, || {
        let flight = fs::read_to_string(host.path("state/flight/flight-00000001.jsonl"))?;
        let mut lines = flight
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["event"] == "container").context("not yet")
    })?;
    ensure!(seen["state"] == "running" && seen["spec_matches"] == true, "{seen}");
    let status = host.wait_for("the container to be known", |s| s["collator"]["state"] == "running")?;
    ensure!(
        status["phase"] != "restarting" && status["phase"] != "holding",
        "{status}"
    );
    ensure!(engine.changes().is_empty(), "{:?}", engine.changes());
    Ok(status)
}

#[test]
fn container_made_by_0_1_0_is_adopted_untouched() -> Result<()> {
    adopts(&mut Host::with_state("running")?, "running")?;
    Ok(())
}

#[test]
fn container_of_an_image_that_0_1_0_updated_to_is_adopted_untouched() -> Result<()> {
    let status = adopts(&mut Host::with_state("updated")?, "updated")?;
    ensure!(status["collator"]["image"] == format!("{IMAGE}:v1.1.0"), "{status}");
    Ok(())
}

#[test]
fn full_node_without_keys_of_0_1_0_is_adopted_untouched() -> Result<()> {
    let mut host = Host::with_state("keyless")?;
    host.without_keys()?;
    adopts(&mut host, "keyless")?;
    // Only who remembers that it has no keys says so.
    let status = host.wait_for("the identity to be missed", |s| says(s, "the identity is not held"))?;
    ensure!(says(&status, "it runs as a full node meanwhile"), "{status}");
    Ok(())
}
