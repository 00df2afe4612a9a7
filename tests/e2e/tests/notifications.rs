//! Messages to a webhook: what is told, once, and that nothing here ever waits for the other end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Command, Cure, Set, Silence};
use t0rn_agent_tests::wait::{self, LATER, LONG, SOON};
use t0rn_agent_tests::webhook::{Answer, NAME, SECRET, WebhookReceiver};

/// A watched collator whose agent tells `hook`.
fn running<'a>(engine: &'a Engine, name: &str, sim: &[&str], hook: &WebhookReceiver) -> Result<Agent<'a>> {
    let mut agent = Agent::new(engine, name, sim)?;
    agent.set("notify.webhook", hook.url())?;
    agent.start()?;
    agent.wait_watched()?;
    Ok(agent)
}

fn stall() -> Command {
    Command::Stall {
        chain: Chain::Parachain,
        cure: Cure::Restart,
        bytes_per_second: 3072.0,
    }
}

#[test]
fn a_stall_is_one_message_when_it_begins_and_one_when_it_is_over() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let agent = running(&engine, "told", &SYNCING, &hook)?;
    let run = agent.run_id()?;
    agent.sim().control(&stall())?;
    agent.wait_other_run(&run, LATER)?;
    let status = agent.wait_cured("stalled", SOON)?;
    hook.wait_about("stalled", &["action", "judged true"], SOON)?;
    agent.stays(&agent.run_id()?, LONG)?;
    let messages = hook.messages();
    ensure!(messages.len() == 2, "{messages:?}");
    for message in &messages {
        ensure!(
            message["incident"] == status["last_incident"]["id"],
            "{message} {status}"
        );
        ensure!(
            message["container"] == agent.container() && message["schema"] == 1,
            "{message}"
        );
    }
    let begins = &messages[0];
    ensure!(
        begins["action"] == "restart" && begins["severity"] == "critical",
        "{begins}"
    );
    ensure!(
        begins["text"]
            .as_str()
            .is_some_and(|t| t.contains("has stood at block")),
        "{begins}"
    );
    Ok(())
}

#[test]
fn what_people_do_is_told_when_it_begins_and_when_it_is_over() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let agent = running(&engine, "people", &[], &hook)?;
    agent.ok(["pause", "--for", "1h", "--reason", "moving the volume"])?;
    hook.wait_about("paused", &["problem"], SOON)?;
    let told = hook.wait_first(SOON)?;
    ensure!(
        told["text"].as_str().is_some_and(|t| t.contains("moving the volume")),
        "{told}"
    );
    agent.ok(["resume"])?;
    hook.wait_about("paused", &["problem", "over"], SOON)?;
    engine.docker(["stop", agent.container()])?;
    hook.wait_about("stopped_by_person", &["problem"], SOON)?;
    agent.ok(["start"])?;
    hook.wait_about("stopped_by_person", &["problem", "over"], SOON)
}

#[test]
fn a_collator_that_builds_no_blocks_any_more_is_told_and_not_restarted() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let mut agent = Agent::new(&engine, "idle", &["--sim-target", "500"])?;
    agent.set("notify.webhook", hook.url())?;
    agent.set("notify.no_collation_after", "6s")?;
    agent.start()?;
    agent.wait_for("a block built here", SOON, |s| {
        s["collation"]["built"].as_u64() > Some(0)
    })?;
    let run = agent.run_id()?;
    let collates = |collates| {
        let collates = Some(collates);
        agent.sim().control(&Command::Set(Set {
            collates,
            ..Set::default()
        }))
    };
    collates(false)?;
    hook.wait_about("no_collation", &["problem"], SOON)?;
    agent.wait_for("that it is told", SOON, |s| {
        s["health"] == "degraded" && s["phase"] == "synced"
    })?;
    collates(true)?;
    hook.wait_about("no_collation", &["problem", "over"], SOON)?;
    ensure!(agent.run_id()? == run, "it was restarted");
    Ok(())
}

#[test]
fn no_webhook_however_bad_delays_a_restart_or_the_end() -> Result<()> {
    let engine = Engine::shared()?;
    for (name, answer) in [
        ("hangs", Answer::Hang),
        ("circles", Answer::Redirect),
        ("refuses", Answer::Refuse(500)),
    ] {
        let hook = WebhookReceiver::start(answer)?;
        let mut agent = running(&engine, name, &SYNCING, &hook)?;
        let run = agent.run_id()?;
        agent.sim().control(&Command::Freeze { mode: Silence::Hang })?;
        // The message goes out before the restart, so all of this happens while nobody has taken it.
        agent.wait_other_run(&run, SOON).context(name)?;
        ensure!(!hook.messages().is_empty(), "{name}: nothing was told");
        agent.wait_cured("frozen", SOON).context(name)?;
        ensure!(agent.end(Signal::TERM)? == 0, "{name}");
        let log = agent.log();
        if answer == Answer::Hang {
            let (stopped, gave_up) = (log.find("Signalled"), log.find("the webhook did not take"));
            let first = stopped.is_some_and(|stopped| gave_up.is_none_or(|gave_up| stopped < gave_up));
            ensure!(first, "the restart waited for the webhook: {log}");
        }
        let told = log.contains("is lost") || log.contains("could not be delivered in time");
        ensure!(told, "{name}: {log}");
    }
    Ok(())
}

#[test]
fn the_secret_in_the_url_is_shown_nowhere() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Refuse(404))?;
    let mut agent = Agent::new(&engine, "secret", &SYNCING)?;
    agent.set("notify.webhook", hook.url())?;
    agent.set_env("T0RN_AGENT_LOG", "trace");
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Freeze { mode: Silence::Hang })?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_cured("frozen", SOON)?;
    hook.wait_first(SOON)?;
    let id = status["last_incident"]["id"].as_str().context("no incident")?;
    let test = agent.cli(["notify", "test"])?;
    ensure!(test.status.code() == Some(1), "{test:?}");
    let said = String::from_utf8_lossy(&test.stderr).into_owned();
    ensure!(said.contains("404") && said.contains("notify.webhook"), "{said}");
    agent.end(Signal::TERM)?;
    let log = agent.log();
    ensure!(log.contains("a message to the webhook is lost"), "{log}");
    let mut shown = vec![said, status.to_string(), log, agent.ok(["incidents", "show", id])?];
    texts(&agent.state_dir(), &mut shown)?;
    let leak = shown.iter().find(|text| text.contains(SECRET));
    ensure!(leak.is_none(), "{}", leak.map_or("", |t| t));
    agent.discard_log()
}

/// Every file's text under a folder; what is packed, unpacked.
fn texts(folder: &Path, into: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            texts(&path, into)?;
        } else {
            ensure!(path.extension().is_none_or(|e| e != "gz"), "{}: packed", path.display());
            into.push(String::from_utf8_lossy(&fs::read(path)?).into_owned());
        }
    }
    Ok(())
}

#[test]
fn https_by_name_works_with_the_authorities_that_the_host_has() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start_tls(Answer::Take)?;
    let mut agent = Agent::new(&engine, "https", &[])?;
    agent.set("notify.webhook", format!("https://{NAME}:{}/{SECRET}", hook.port()))?;
    agent.start()?;
    agent.wait_watched()?;
    agent.ok([
        "pause",
        "--for",
        "1h",
        "--reason",
        "nobody vouches for that certificate",
    ])?;
    wait::until("the refusal", SOON, || {
        ensure!(agent.log().contains("certificate"), "not yet");
        Ok(())
    })?;
    ensure!(hook.messages().is_empty(), "{:?}", hook.messages());
    agent.end(Signal::TERM)?;

    let authorities = agent.config_file().with_file_name("authorities.pem");
    fs::write(&authorities, include_str!("../../localhost.pem"))?;
    agent.set_env("SSL_CERT_FILE", authorities.display().to_string());
    agent.start()?;
    agent.wait_for("the agent", Duration::from_secs(40), |s| s["phase"] == "paused")?;
    agent.ok(["resume"])?;
    hook.wait_about("paused", &["over"], SOON)
}
