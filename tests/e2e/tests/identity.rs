//! Two hosts and one identity: never two collators, and one as soon as there may be.
//!
//! A stand-in for EC2: see [`t0rn_agent_tests::volume`].

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::ebs::{Breakpoint, EbsVolume, Instance, VOLUME};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::Command;
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::{self, LATER, SOON};

/// What a host gets to stop whose lease was not given back.
const NOTICE: Duration = Duration::from_mins(2);

/// An agent on an instance of its own. Nothing runs yet.
fn agent<'a>(engine: &'a Engine, instance: &Instance, without: &str) -> Result<Agent<'a>> {
    let mut agent = Agent::new(engine, &instance.id, &SYNCING)?;
    agent.set("ec2.enabled", "true")?;
    agent.set("ec2.imds", instance.url.clone())?;
    agent.set("identity.required", true)?;
    agent.set("identity.volume", VOLUME)?;
    agent.set("identity.mount", instance.mount.display().to_string())?;
    agent.set("identity.without_volume", without)?;
    let mut keystore = toml::Table::new();
    keystore.insert(
        "source".into(),
        instance.mount.join("keystore").display().to_string().into(),
    );
    keystore.insert("target".into(), "/node/keystore".into());
    agent.set("mounts", vec![toml::Value::Table(keystore)])?;
    agent.set_env("AWS_ENDPOINT_URL_EC2", instance.url.clone());
    agent.set_disks(&instance.links);
    Ok(agent)
}

/// Never ran two of these containers at a time, by Docker's own events.
fn never_two(engine: &Engine, agents: &[&Agent]) -> Result<()> {
    let until = UNIX_EPOCH.elapsed()?.as_secs() + 1;
    let until = format!("--until={until}");
    let mut args = vec![
        "events",
        "--since=24h",
        &until,
        "--filter=type=container",
        "--format={{json .}}",
    ];
    let filters: Vec<_> = agents
        .iter()
        .map(|agent| format!("--filter=container={}", agent.container()))
        .collect();
    args.extend(filters.iter().map(String::as_str));
    let mut running = BTreeSet::new();
    for line in engine.docker(args)?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let name = event["Actor"]["Attributes"]["name"]
            .as_str()
            .context("no name")?
            .to_owned();
        match event["Action"].as_str() {
            Some("start") => drop(running.insert(name)),
            Some("die") => drop(running.remove(&name)),
            _ => {}
        }
        ensure!(running.len() < 2, "two collators at a time: {running:?}");
    }
    Ok(())
}

fn runs(agent: &Agent) -> bool {
    agent.run_id().is_ok()
}

fn wait_runs(agent: &Agent) -> Result<()> {
    wait::until("a collator", LATER, || agent.run_id().map(drop))
}

fn says(status: &Value, words: &str) -> bool {
    let reasons = status["reasons"].as_array().into_iter().flatten();
    reasons.filter_map(Value::as_str).any(|reason| reason.contains(words))
}

macro_rules! volume {
    ($dir:expr) => {
        match EbsVolume::new($dir) {
            Ok(volume) => volume,
            Err(error) => skip!(format!("no loop device with a file system here: {error:#}")),
        }
    };
}

#[test]
fn second_host_takes_over_once_the_first_has_released_the_volume() -> Result<()> {
    let engine = Engine::shared()?;
    let dir = tempfile::tempdir()?;
    let volume = volume!(dir.path());
    let (one, two) = (volume.instance("i-00000001")?, volume.instance("i-00000002")?);
    let (mut first, mut second) = (agent(&engine, &one, "nothing")?, agent(&engine, &two, "nothing")?);
    first.set("ec2.lifecycle_hook", "stop")?;
    second.set("ec2.lifecycle_hook", "stop")?;
    first.start()?;
    second.start()?;
    wait::until("one of them", LATER, || {
        ensure!(runs(&first) || runs(&second), "none");
        Ok(())
    })?;
    let (winner, loser, place) = if runs(&first) {
        (&first, &second, &one)
    } else {
        (&second, &first, &two)
    };
    let status = loser.wait_for("the loser's reason", SOON, |s| {
        says(s, &format!("is attached to {}", place.id))
    })?;
    ensure!(status["phase"] == "holding" && !runs(loser), "{status}");
    let policy = winner.inspect()?.context("no container")?["HostConfig"]["RestartPolicy"]["Name"].take();
    ensure!(policy == "no", "Docker would start it by itself: {policy}");
    let shown = winner.ok(["identity", "status"])?;
    ensure!(shown.contains(&format!("lease: {}", place.id)), "{shown}");

    volume.terminate(place)?;
    wait_runs(loser)?;
    ensure!(
        !runs(winner) && volume.holder().as_ref() != Some(&place.id),
        "the winner kept it"
    );
    never_two(&engine, &[&first, &second])
}

#[test]
fn host_that_lost_the_volume_has_time_to_stop_before_another_starts() -> Result<()> {
    let engine = Engine::shared()?;
    let dir = tempfile::tempdir()?;
    let volume = volume!(dir.path());
    let (one, two) = (volume.instance("i-00000001")?, volume.instance("i-00000002")?);
    let (mut first, mut second) = (agent(&engine, &one, "nothing")?, agent(&engine, &two, "nothing")?);
    first.set("collator.stop_timeout", "8s")?;
    first.start()?;
    wait_runs(&first)?;
    first.sim().control(&Command::Sigterm { obey: false })?;
    second.start()?;
    second.wait_for("the other's name", SOON, |s| says(s, &one.id))?;
    volume.take_away();
    second.wait_for("the other's time", SOON, |s| says(s, "did not give"))?;
    // Two minutes for the other, and what a start takes.
    wait::until("a collator", LATER + NOTICE, || second.run_id().map(drop))?;
    never_two(&engine, &[&first, &second])
}

#[test]
fn vanished_or_read_only_volume_stops_the_collator_with_a_reason() -> Result<()> {
    let engine = Engine::shared()?;
    let dir = tempfile::tempdir()?;
    let volume = volume!(dir.path());
    let place = volume.instance("i-00000001")?;
    let mut agent = agent(&engine, &place, "nothing")?;
    agent.start()?;
    wait_runs(&agent)?;
    let run = agent.run_id()?;

    volume.set_out_of_order(true);
    agent
        .stays(&run, Duration::from_secs(25))
        .context("an API that does not answer stopped it")?;
    // What the host itself sees is enough, and the API is still out of order.
    volume.make_read_only(&place)?;
    let code = agent.wait_down(SOON)?;
    ensure!(code == 0, "it exited with {code}");
    let status = agent.wait_for("the reason", SOON, |s| says(s, "read-only"))?;
    ensure!(
        status["phase"] == "holding" && status["health"] == "critical",
        "{status}"
    );

    volume.set_out_of_order(false);
    wait::until("the volume to be remounted", SOON, || volume.make_writable(&place))?;
    agent.wait_other_run(&run, LATER)?;
    let run = agent.run_id()?;

    // Also for an agent that was away when it happened.
    volume.set_out_of_order(true);
    agent.kill()?;
    volume.unmount(&place)?;
    agent.start()?;
    agent.wait_down(SOON)?;
    volume.set_out_of_order(false);
    agent.wait_other_run(&run, LATER)?;
    let run = agent.run_id()?;
    volume.take_away();
    agent.wait_down(SOON)?;
    // Free again, it comes back by itself.
    agent.wait_other_run(&run, LATER)?;
    ensure!(volume.calls(&place.id, "AttachVolume") >= 2, "never attached anew");
    ensure!(fs::exists(place.mount.join("keystore"))?, "the keys are gone");
    Ok(())
}

#[test]
fn an_agent_killed_at_any_step_leaves_one_collator_or_none_and_goes_on() -> Result<()> {
    let engine = Engine::shared()?;
    let dir = tempfile::tempdir()?;
    let volume = volume!(dir.path());
    let (one, two) = (volume.instance("i-00000001")?, volume.instance("i-00000002")?);
    let (mut first, mut second) = (agent(&engine, &one, "nothing")?, agent(&engine, &two, "nothing")?);
    first.set("ec2.lifecycle_hook", "stop")?;
    for gate in [
        Breakpoint::Before("DescribeVolumes"),
        Breakpoint::After("DescribeVolumes"),
        Breakpoint::Before("AttachVolume"),
        Breakpoint::After("AttachVolume"),
    ] {
        volume.set_breakpoint(gate);
        first.start()?;
        volume.wait_at_breakpoint().with_context(|| format!("{gate:?}"))?;
        first.kill()?;
        volume.release();
        ensure!(!runs(&first), "it runs after {gate:?}");
    }
    first.start()?;
    wait::until("the mount", LATER, || {
        ensure!(fs::exists(one.mount.join("keystore"))?, "not mounted");
        Ok(())
    })?;
    first.kill()?;
    second.start()?;
    second.wait_for("the other's name", SOON, |s| says(s, &one.id))?;
    first.start()?;
    wait_runs(&first)?;
    let run = first.run_id()?;
    first.kill()?;
    first.start()?;
    first
        .stays(&run, Duration::from_secs(5))
        .context("a restart of the agent disturbed it")?;
    ensure!(!runs(&second), "two collators");

    for gate in [Breakpoint::Before("DetachVolume"), Breakpoint::After("DetachVolume")] {
        volume.set_breakpoint(gate);
        volume.terminate(&one)?;
        volume.wait_at_breakpoint().with_context(|| format!("{gate:?}"))?;
        ensure!(!runs(&first), "given away under a running collator");
        first.kill()?;
        volume.release();
        if gate == Breakpoint::Before("DetachVolume") {
            first.start()?;
        }
    }
    wait_runs(&second)?;
    never_two(&engine, &[&first, &second])
}

#[test]
fn a_full_node_without_authority_runs_until_the_keys_are_here() -> Result<()> {
    let engine = Engine::shared()?;
    let dir = tempfile::tempdir()?;
    let volume = volume!(dir.path());
    let (one, two) = (volume.instance("i-00000001")?, volume.instance("i-00000002")?);
    let mut holder = agent(&engine, &one, "nothing")?;
    holder.start()?;
    wait_runs(&holder)?;
    let mut other = agent(&engine, &two, "full_node")?;
    other.start()?;
    wait_runs(&other)?;
    let keyed = |agent: &Agent| -> Result<bool> {
        let found = agent.inspect()?.context("no container")?;
        let collates = found["Args"]
            .as_array()
            .context("no arguments")?
            .contains(&"--collator".into());
        let mounts = found["Mounts"].to_string();
        ensure!(mounts.contains("keystore") == collates, "{mounts}");
        Ok(collates)
    };
    ensure!(!keyed(&other)?, "two authorities");
    let status = other.wait_for("the reason", SOON, |s| says(s, "full node"))?;
    ensure!(status["health"] == "degraded", "{status}");
    holder.kill()?;
    engine.docker(["rm", "-f", holder.container()])?;
    volume.take_away();
    // The former host has two minutes to find that its volume is gone.
    wait::until("the keys to be used", Duration::from_mins(4), || {
        ensure!(keyed(&other)?, "not yet");
        Ok(())
    })
}
