//! The steps back: the predecessor as it was, under its own name and restart policy.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep};

use agent_config::show_duration;
use agent_core::event::Command;
use agent_core::machine::AGENT_STOP_MARGIN;

use super::plan::{AgentState, CollatorState, UndoStep, next_undo_step};
use super::record::{Direction, Record};
use super::say;
use super::session::{Found, Session};
use super::unit;

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
        session.note(&found, Some(Direction::Undo));
        starts += usize::from(step == UndoStep::StartPredecessor);
        ensure!(
            starts <= STARTS,
            "{0} does not run: docker logs {0}",
            found.predecessor.as_ref().map_or(&session.name, |found| &found.name)
        );
        match step {
            UndoStep::StopAgent if seen.unit.is_some() => {
                unit::stop().await?;
                say(out, "t0rn-agent.service is stopped\n");
            }
            UndoStep::Done => {
                if seen.agent == AgentState::Stopped {
                    say(
                        out,
                        "the agent keeps its own collator stopped: end the agent, or let it run\n",
                    );
                }
                let status = found.predecessor.map(|found| found.status);
                let ends = status.filter(|status| status != "running");
                let said = ends.map_or_else(
                    || format!("{0} runs as before\n", session.name),
                    |status| {
                        format!(
                            "{0} is back, and Docker calls it {status}: docker logs {0}\n",
                            session.name
                        )
                    },
                );
                say(out, &said);
                return Ok(());
            }
            step => back(session, &found, step, out).await?,
        }
    }
    bail!("something else keeps changing {}: see docker ps -a", session.name);
}

async fn back(session: &Session, found: &Found, step: UndoStep, out: &mut dyn Write) -> anyhow::Result<()> {
    let (docker, name) = (&session.docker, &session.name);
    let collator = &session.config.collator.container;
    let predecessor = found.predecessor.as_ref().context("the container is gone")?;
    match step {
        UndoStep::StopAgent => stop_by_agent(session, out).await?,
        UndoStep::StopCollator => {
            docker.stop().await?;
            say(out, &format!("{collator} is stopped\n"));
        }
        UndoStep::StartPredecessor => {
            docker.start_predecessor(predecessor).await?;
            say(out, &format!("{} is started\n", predecessor.name));
        }
        UndoStep::RestoreRestarts => {
            let policy = found.restart_policy();
            docker.set_predecessor_policy(predecessor, &policy).await?;
            let origin = if found.record.is_some() {
                ""
            } else {
                ", which is not recorded"
            };
            say(out, &format!("its restart policy is {policy}{origin}\n"));
        }
        UndoStep::RemoveCollator => {
            docker.discard().await?;
            say(out, &format!("{collator} is removed; its data stays\n"));
        }
        UndoStep::RenameBack => {
            docker.rename_predecessor(predecessor, name).await?;
            say(out, &format!("{} is renamed to {name}\n", predecessor.name));
        }
        UndoStep::DisableUnit => {
            unit::disable().await?;
            say(out, "t0rn-agent.service is disabled\n");
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
    session.send(Command::STOP).await;
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
    let collator = &session.config.collator.container;
    say(out, &format!("{collator} is stopped by the agent\n"));
    Ok(())
}
