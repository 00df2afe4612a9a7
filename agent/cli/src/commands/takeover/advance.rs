//! The steps of a takeover, each done and awaited.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep};

use agent_core::event::{Command, Holding};
use agent_core::machine::Phase;
use agent_core::units::rounded_duration;
use agent_docker::RestartPolicy;

use super::plan::{CollatorState, Step, next_step};
use super::record::{Direction, Record};
use super::say;
use super::session::{Found, Session};
use super::unit;

/// More than the steps of any takeover.
const STEPS: usize = 30;
const POLL: Duration = Duration::from_millis(250);
const AGENT_TIMEOUT: Duration = Duration::from_secs(30);
/// For the agent's container to be made, with a pull of its image.
const PREPARE_TIMEOUT: Duration = Duration::from_mins(10);
/// For a lease of another host to be old, and for its agent to notice: two minutes.
const IDENTITY_TIMEOUT: Duration = Duration::from_mins(3);
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// Takes all steps that are left.
pub(super) async fn take_over(session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
    for _ in 0..STEPS {
        let found = session.find().await?;
        let seen = session.observe(&found).await?;
        let step = next_step(&seen);
        if step == Step::Done {
            session.note(&found, None);
            return Ok(());
        }
        session.note(&found, Some(Direction::Takeover));
        if step == Step::StartAgent && seen.unit.is_none() {
            bail!("the agent was started before the configuration was written: restart it first");
        }
        advance(session, &found, step, out).await?;
    }
    bail!("something else keeps changing {}: see docker ps -a", session.name);
}

async fn advance(session: &Session, found: &Found, step: Step, out: &mut dyn Write) -> anyhow::Result<()> {
    let (docker, kept) = (&session.docker, session.kept_name());
    let collator = &session.config.collator.container;
    let Some(predecessor) = &found.predecessor else {
        return start_collator(session).await;
    };
    match step {
        Step::Record => Record::of(predecessor).write(&session.config.agent.state_dir, &session.name)?,
        Step::EnableUnit => {
            unit::enable().await?;
            say(out, "t0rn-agent.service is enabled: it starts with the host\n");
        }
        Step::StartAgent => {
            unit::restart().await?;
            await_agent(session).await?;
            say(out, "t0rn-agent.service is started\n");
        }
        Step::AwaitIdentity => await_identity(session, &predecessor.name, out).await?,
        Step::Rename => {
            docker.rename_predecessor(predecessor, &kept).await?;
            say(out, &format!("{} is renamed to {kept}\n", session.name));
        }
        Step::Prepare => {
            let made = [CollatorState::Down, CollatorState::Runs];
            await_collator(session, &made, PREPARE_TIMEOUT)
                .await
                .with_context(|| format!("the agent did not make {collator}, and {kept} runs on"))?;
            say(out, &format!("{collator} is made and waits until {kept} is stopped\n"));
        }
        Step::DisableRestarts => docker.set_predecessor_policy(predecessor, &RestartPolicy::no()).await?,
        Step::StopPredecessor => {
            // So that it tries again soon when this command is killed during the stop.
            session.send(Command::START).await;
            let began = Instant::now();
            docker.stop_predecessor(predecessor).await?;
            session.send(Command::START).await;
            let code = docker.existing(&kept).await?.and_then(|found| found.exit_code);
            let took = rounded_duration(began.elapsed().as_secs());
            say(out, &format!("{kept} is stopped after {took}{}\n", describe_exit(code)));
        }
        Step::StartCollator => start_collator(session).await?,
        Step::Done => {}
    }
    Ok(())
}

fn describe_exit(code: Option<i64>) -> String {
    match code {
        Some(137) => ", exit code 137: it did not end by itself and was killed".to_owned(),
        Some(code) => format!(", exit code {code}"),
        None => String::new(),
    }
}

async fn start_collator(session: &Session) -> anyhow::Result<()> {
    let started = await_collator(session, &[CollatorState::Runs], START_TIMEOUT).await;
    started.with_context(|| {
        let collator = &session.config.collator.container;
        format!("{collator} does not run (t0rn-agent status)")
    })
}

async fn await_agent(session: &Session) -> anyhow::Result<()> {
    let end = Instant::now() + AGENT_TIMEOUT;
    loop {
        match session.status().await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(error.into()),
            Err(_) => sleep(POLL).await,
        }
    }
}

/// Waits until this host holds the identity.
async fn await_identity(session: &Session, name: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let end = Instant::now() + IDENTITY_TIMEOUT;
    let mut is_said = false;
    loop {
        let status = session.status().await?;
        if status.identity == Some(Holding::Held) {
            return Ok(());
        }
        let reasons = status.reasons.join("; ");
        ensure!(
            Instant::now() < end,
            "this host does not hold the identity, so {name} was not stopped: {reasons}. Where another host has the same keys at \
             work, both sign until one is stopped"
        );
        // Once: the reasons count seconds.
        if !is_said {
            say(out, &format!("waits until this host holds the identity: {reasons}\n"));
            is_said = true;
        }
        sleep(POLL).await;
    }
}

/// Has the agent start its collator, and waits until its container is in one of those states.
///
/// Fails with the agent's reasons after `limit`, and when it holds a collator that nothing stands in the way of.
async fn await_collator(session: &Session, wanted: &[CollatorState], limit: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + limit;
    let mut is_asked = false;
    loop {
        let state = session.collator().await?;
        if wanted.contains(&state) {
            return Ok(());
        }
        // Once: each request lifts a hold.
        is_asked = is_asked || session.send(Command::START).await;
        let status = session.status().await.ok();
        let holds = status
            .as_ref()
            .is_some_and(|status| status.phase == Some(Phase::Holding));
        // A container that is missing is held back by the predecessor's name.
        if (is_asked && holds && state == CollatorState::Down) || Instant::now() >= end {
            let reasons = status.map(|status| status.reasons.join("; "));
            bail!(reasons.unwrap_or_else(|| "the agent does not answer".to_owned()));
        }
        sleep(POLL).await;
    }
}
