//! What EC2 announces: the collator ends cleanly, stays down until that is called off, and the group is told.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::ec2::{Ec2Emulator, GROUP, INSTANCE};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::{Command, Set};
use t0rn_agent_tests::wait::{self, SOON, until};
use t0rn_agent_tests::webhook::{Answer, WebhookReceiver};

/// From seeing a notice to SIGTERM.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A watched collator on an instance.
fn running<'a>(engine: &'a Engine, name: &str, ec2: &Ec2Emulator, hook: &WebhookReceiver) -> Result<Agent<'a>> {
    let mut agent = Agent::new(engine, name, &SYNCING)?;
    agent.set("ec2.enabled", "auto")?;
    agent.set("ec2.imds", ec2.url())?;
    agent.set("ec2.lifecycle_hook", "stop-collator")?;
    agent.set("notify.webhook", hook.url())?;
    agent.set_env("AWS_ENDPOINT_URL_AUTO_SCALING", ec2.url());
    agent.start()?;
    agent.wait_watched()?;
    agent.wait_for("the instance", SOON, |s| s["ec2"]["instance_id"] == INSTANCE)?;
    Ok(agent)
}

/// When Docker sent the collator its last signal of that number.
fn signalled(agent: &Agent, signal: i32) -> Result<SystemTime> {
    let (container, signal) = (format!("container={}", agent.container()), signal.to_string());
    let until = UNIX_EPOCH.elapsed()?.as_secs() + 1;
    let events = agent.engine().docker([
        "events",
        "--since=24h",
        &format!("--until={until}"),
        "--filter",
        &container,
        "--filter=event=kill",
        "--format={{json .}}",
    ])?;
    let events = events
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    let is_it = |event: &&Value| event["Actor"]["Attributes"]["signal"] == *signal;
    let event = events.iter().rfind(is_it).context("no such signal")?;
    let nanos = event["timeNano"].as_u64().context("no time")?;
    Ok(UNIX_EPOCH + Duration::from_nanos(nanos))
}

/// Ended by SIGTERM soon after `document` was seen, with exit code 0.
fn ended_cleanly(agent: &Agent, ec2: &Ec2Emulator, document: &str) -> Result<()> {
    let code = agent.wait_down(SOON)?;
    ensure!(code == 0, "it exited with {code}");
    let took = signalled(agent, 15)?.duration_since(ec2.served(document)?)?;
    ensure!(took < AT_ONCE, "SIGTERM came {took:?} after the notice was seen");
    ensure!(signalled(agent, 9).is_err(), "it was killed");
    Ok(())
}

fn stays_down(agent: &Agent, time: Duration) -> Result<()> {
    wait::throughout("the collator was to stay down", time, || {
        ensure!(agent.run_id().is_err(), "somebody started it");
        Ok(())
    })
}

#[test]
fn spot_interruption_stops_collator_and_its_cancellation_starts_it() -> Result<()> {
    let engine = Engine::shared()?;
    let (ec2, hook) = (Ec2Emulator::start()?, WebhookReceiver::start(Answer::Take)?);
    let mut agent = running(&engine, "spot", &ec2, &hook)?;
    let run = agent.run_id()?;
    ec2.set(
        "events/recommendations/rebalance",
        r#"{"noticeTime": "2026-01-01T00:00:00Z"}"#,
    );
    ec2.interrupt(120)?;
    ended_cleanly(&agent, &ec2, "spot/instance-action")?;
    let status = agent.wait_phase("holding", SOON)?;
    ensure!(status["health"] == "critical", "{status}");
    let notice = status["ec2"]["notice"].as_str().unwrap_or_default();
    ensure!(notice.starts_with("spot interruption in 1m"), "{status}");
    let text = agent.cli(["status"])?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    ensure!(text.contains("notice: spot interruption"), "{text}");
    hook.wait_about("spot_interruption", &["problem"], SOON)?;

    let refused = agent.cli(["start"])?;
    ensure!(!refused.status.success(), "{refused:?}");
    agent.kill()?;
    agent.start()?;
    agent.wait_phase("holding", SOON)?;
    stays_down(&agent, Duration::from_secs(5))?;
    ensure!(ec2.calls().is_empty(), "nobody but the group is told of a termination");

    ec2.remove("spot/instance-action");
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_watched()?;
    ensure!(agent.starts()? == 2, "{status}");
    hook.wait_about("spot_interruption", &["problem", "over"], SOON)
}

#[test]
fn a_recommendation_is_told_and_stops_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let (ec2, hook) = (Ec2Emulator::start()?, WebhookReceiver::start(Answer::Take)?);
    ec2.set(
        "events/recommendations/rebalance",
        r#"{"noticeTime": "2026-01-01T00:00:00Z"}"#,
    );
    let agent = running(&engine, "rebalance", &ec2, &hook)?;
    let run = agent.run_id()?;
    let status = agent.wait_for("the recommendation", SOON, |s| s["ec2"]["notice"] == "rebalance")?;
    ensure!(status["health"] == "degraded", "{status}");
    hook.wait_about("rebalance", &["problem"], SOON)?;
    agent.stays(&run, Duration::from_secs(5))
}

#[test]
fn termination_waits_for_collator_then_completes_lifecycle_action() -> Result<()> {
    let engine = Engine::shared()?;
    let (ec2, hook) = (Ec2Emulator::start()?, WebhookReceiver::start(Answer::Take)?);
    let agent = running(&engine, "group", &ec2, &hook)?;
    agent.sim().control(&Command::Set(Set {
        stop_delay_ms: Some(3000),
        ..Set::default()
    }))?;
    ec2.set("autoscaling/target-lifecycle-state", "Terminated");
    let call = wait::until("the lifecycle action to be completed", SOON, || {
        let calls = ec2.calls();
        let done = calls.into_iter().find(|call| call.action == "CompleteLifecycleAction");
        done.context("not yet")
    })?;
    agent
        .wait_down(Duration::from_secs(1))
        .context("completed before the collator was down")?;
    for (field, value) in [
        ("AutoScalingGroupName", GROUP),
        ("InstanceId", INSTANCE),
        ("LifecycleHookName", "stop-collator"),
        ("LifecycleActionResult", "CONTINUE"),
    ] {
        ensure!(call.field(field) == Some(value), "{}", call.form);
    }
    let calls = ec2.calls();
    ensure!(calls.iter().all(|call| call.signed), "{calls:?}");
    ensure!(calls[0].action == "RecordLifecycleActionHeartbeat", "{calls:?}");
    ensure!(agent.wait_down(SOON)? == 0, "it was killed");
    let status = agent.wait_phase("holding", SOON)?;
    ensure!(status["ec2"]["notice"] == "termination", "{status}");
    stays_down(&agent, Duration::from_secs(5))?;
    ensure!(ec2.calls().len() == calls.len(), "told again and again");
    Ok(())
}

#[test]
fn a_collator_that_does_not_obey_is_killed_before_the_time_is_over() -> Result<()> {
    let engine = Engine::shared()?;
    let (ec2, hook) = (Ec2Emulator::start()?, WebhookReceiver::start(Answer::Take)?);
    let mut agent = running(&engine, "deaf", &ec2, &hook)?;
    agent.kill()?;
    agent.set("collator.stop_timeout", "5m")?;
    agent.start()?;
    agent.wait_watched()?;
    agent.sim().control(&Command::Sigterm { obey: false })?;
    let seconds = 20;
    let ends = SystemTime::now() + Duration::from_secs(seconds);
    ec2.interrupt(seconds)?;
    agent.wait_down(SOON)?;
    let killed = signalled(&agent, 9)?;
    ensure!(killed < ends, "killed {:?} too late", killed.duration_since(ends));
    Ok(())
}

#[test]
fn lifecycle_action_that_becomes_active_late_is_completed_all_the_same() -> Result<()> {
    let engine = Engine::shared()?;
    let (ec2, hook) = (Ec2Emulator::start()?, WebhookReceiver::start(Answer::Take)?);
    let agent = running(&engine, "early", &ec2, &hook)?;
    let early = Duration::from_secs(8);
    ec2.set_early(early);
    let began = SystemTime::now();
    ec2.set("autoscaling/target-lifecycle-state", "Terminated");
    let done = |call: &t0rn_agent_tests::ec2::Call| {
        let is_early = call.at.duration_since(began).is_ok_and(|after| after < early);
        call.action == "CompleteLifecycleAction" && !is_early
    };
    wait::until("the lifecycle action to be completed", SOON, || {
        ensure!(ec2.calls().iter().any(done), "not yet: {:?}", ec2.calls());
        Ok(())
    })?;
    ensure!(agent.wait_down(SOON)? == 0, "it was killed");
    Ok(())
}

#[test]
fn reboot_before_this_boot_stops_nothing_while_it_is_still_announced() -> Result<()> {
    let engine = Engine::shared()?;
    let (ec2, hook) = (Ec2Emulator::start()?, WebhookReceiver::start(Answer::Take)?);
    let now = Timestamp::now();
    let rfc = |time: Timestamp| time.strftime("%d %b %Y %H:%M:%S GMT").to_string();
    let uptime = fs::read_to_string("/proc/uptime")?;
    let uptime: f64 = uptime.split(' ').next().context("no uptime")?.parse()?;
    let booted = now - Duration::from_secs_f64(uptime);
    let (before, after) = (
        rfc(booted - Duration::from_secs(90)),
        rfc(now + Duration::from_hours(2)),
    );
    ec2.set(
        "events/maintenance/scheduled",
        &format!(r#"[{{"NotBefore": "{before}", "NotAfter": "{after}", "Code": "system-reboot", "State": "active"}}]"#),
    );
    let agent = running(&engine, "rebooted", &ec2, &hook)?;
    let run = agent.run_id()?;
    agent.stays(&run, Duration::from_secs(5))?;
    let status = agent.wait_watched()?;
    ensure!(status["ec2"]["notice"].is_null(), "{status}");
    Ok(())
}

#[test]
fn role_that_ec2_may_not_assume_is_critical_with_code_and_remedy() -> Result<()> {
    let engine = Engine::shared()?;
    let ec2 = Ec2Emulator::start()?;
    ec2.set(
        "iam/security-credentials/role",
        r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role role."}"#,
    );
    let mut agent = Agent::new(&engine, "trust", &SYNCING)?;
    agent.set("ec2.enabled", "true")?;
    agent.set("ec2.imds", ec2.url())?;
    agent.set("identity.required", true)?;
    agent.set("identity.volume", "vol-0123456789abcdef0")?;
    agent.set_env("AWS_ENDPOINT_URL_EC2", ec2.url());
    agent.start()?;
    let remedy = "the identity is not held: let ec2.amazonaws.com assume the role role by its trust policy";
    // Before EC2 was asked, it is not held for want of the device.
    until("the refusal in the status", SOON, || {
        let text = agent.cli(["status"])?;
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(
            text.starts_with("CRITICAL: holding")
                && text.contains(remedy)
                && text.contains("AssumeRoleUnauthorizedAccess"),
            "{text}"
        );
        Ok(())
    })?;
    Ok(())
}
