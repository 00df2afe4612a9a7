//! The steps back: the predecessor as it was, under its own name and restart policy.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep};

use agent_config::show_duration;
use agent_core::event::Command;
use agent_core::machine::AGENT_STOP_MARGIN;

use super::plan::{AgentState, CollatorState, UndoStep, next_undo_step};
use super::record::Record;
use super::session::{Found, Session};
use super::unit;
use crate::output::print;

/// More than the steps of any way back.
const STEPS: usize = 30;
/// A predecessor that ends so often at once does not run.
const STARTS: usize = 3;
const POLL: Duration = Duration::from_millis(250);

/// Takes all steps that are left.
pub(super) async fn undo(session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut starts = 0;
    for _ in 0..STEPS {
        let found = session.find().await?;
        let seen = session.observe(&found).await?;
        let step = next_undo_step(&seen);
        starts += usize::from(step == UndoStep::StartPredecessor);
        ensure!(
            starts <= STARTS,
            "{} does not run: look at its log (docker logs), then repeat this command or take it over again",
            session.name
        );
        match step {
            UndoStep::StopAgent if seen.unit.is_some() => {
                unit::stop().await?;
                print(out, "t0rn-agent.service is stopped\n")?;
            }
            UndoStep::Done => {
                if seen.agent == AgentState::Stopped {
                    print(out, "the agent keeps its collator stopped: end it, or leave it\n")?;
                }
                return print(out, &format!("{} runs as before\n", session.name));
            }
            step => back(session, &found, step, out).await?,
        }
    }
    bail!(
        "something else keeps changing {}: see docker ps -a, then repeat this command",
        session.name
    );
}

async fn back(session: &Session, found: &Found, step: UndoStep, out: &mut dyn Write) -> anyhow::Result<()> {
    let (docker, name) = (&session.docker, &session.name);
    let collator = &session.config.collator.container;
    let predecessor = found.predecessor.as_ref().context("the container is gone")?;
    match step {
        UndoStep::StopAgent => stop_by_agent(session, out).await?,
        UndoStep::StopCollator => {
            docker.stop().await?;
            print(out, &format!("{collator} is stopped\n"))?;
        }
        UndoStep::StartPredecessor => {
            docker.start_predecessor(predecessor).await?;
            print(out, &format!("{} is started\n", predecessor.name))?;
        }
        UndoStep::RestoreRestarts => {
            let policy = found.restart_policy();
            docker.set_predecessor_policy(predecessor, &policy).await?;
            let origin = if found.record.is_some() {
                ""
            } else {
                ", which is not recorded"
            };
            print(out, &format!("its restart policy is {}{origin}\n", policy.name))?;
        }
        UndoStep::RemoveCollator => {
            docker.discard().await?;
            print(out, &format!("{collator} is removed; its data stays\n"))?;
        }
        UndoStep::RenameBack => {
            docker.rename_predecessor(predecessor, name).await?;
            print(out, &format!("{} is renamed to {name}\n", predecessor.name))?;
        }
        UndoStep::DisableUnit => {
            unit::disable().await?;
            print(out, "t0rn-agent.service is disabled\n")?;
        }
        UndoStep::Forget => Record::remove(&session.config.agent.state_dir, name)?,
        UndoStep::Done => {}
    }
    Ok(())
}

/// Has an agent that systemd does not run keep its collator stopped, and waits for its end.
async fn stop_by_agent(session: &Session, out: &mut dyn Write) -> anyhow::Result<()> {
    let limit = session.config.collator.stop_timeout + AGENT_STOP_MARGIN;
    let end = Instant::now() + limit;
    session.send(Command::Stop).await;
    loop {
        let stopped = session.observe(&session.find().await?).await?;
        if stopped.agent == AgentState::Stopped && stopped.collator != CollatorState::Runs {
            break;
        }
        ensure!(
            Instant::now() < end,
            "the agent has not stopped its collator after {}: t0rn-agent status",
            show_duration(limit)
        );
        sleep(POLL).await;
    }
    print(
        out,
        &format!("{} is stopped by the agent\n", session.config.collator.container),
    )
}
