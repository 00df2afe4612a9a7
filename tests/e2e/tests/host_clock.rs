//! A host whose clock is set by two hours under a running agent. All programs of the machine share that clock, so this runs
//! only where `T0RN_SET_HOST_CLOCK=1` says that it may be set.

use std::env;
use std::process::Command as Program;
use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::control::{Command, Silence};
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::{SOON, throughout};

const STEP: i64 = 2 * 3600;

/// A clock that was set by so many seconds; set right again when dropped.
struct Stepped(i64);

impl Stepped {
    fn by(seconds: i64) -> Result<Self> {
        step(seconds)?;
        Ok(Self(seconds))
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        let _ = step(-self.0);
    }
}

fn step(seconds: i64) -> Result<()> {
    let set = Program::new("date")
        .args(["--set", &format!("{seconds:+} seconds")])
        .output()?;
    ensure!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    Ok(())
}

/// An exit, a freeze and `docker stop`, each as it would be without the step.
fn holds(agent: &mut Agent) -> Result<()> {
    let restarts = |agent: &Agent, kind: &str| -> Result<u64> {
        Ok(agent.status()?["collator"]["restarts"][kind].as_u64().unwrap_or(0))
    };
    let (crashes, cures, starts) = (restarts(agent, "crash")?, restarts(agent, "health")?, agent.starts()?);

    let run = agent.run_id()?;
    agent.sim().control(&Command::crash(101))?;
    agent.wait_other_run(&run, SOON)?;
    agent.wait_watched()?;
    ensure!(restarts(agent, "crash")? == crashes + 1, "{}", agent.status()?);

    let run = agent.run_id()?;
    agent.sim().control(&Command::Freeze { mode: Silence::Hang })?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_cured("frozen", SOON)?;
    ensure!(status["collator"]["restarts"]["health"] == cures + 1, "{status}");

    agent.engine().docker(["stop", agent.container()])?;
    agent.wait_phase("stopped", SOON)?;
    // Nor does the next agent take it for old news.
    agent.kill()?;
    agent.start()?;
    agent.wait_phase("stopped", SOON)?;
    throughout("docker stop", Duration::from_secs(5), || {
        ensure!(agent.run_id().is_err(), "the collator was started");
        Ok(())
    })?;
    agent.ok(["start"])?;
    agent.wait_watched()?;
    ensure!(agent.starts()? == starts + 3, "{}", agent.status()?);
    Ok(())
}

fn set_by(seconds: i64, name: &str) -> Result<()> {
    if env::var("T0RN_SET_HOST_CLOCK").as_deref() != Ok("1") {
        skip!("the host's clock may not be set: T0RN_SET_HOST_CLOCK=1 allows it");
    }
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, name, &SYNCING)?;
    let clock = Stepped::by(seconds)?;
    holds(&mut agent)?;
    drop(clock);
    // Which is a step as well, the other way round.
    holds(&mut agent)
}

#[test]
fn after_two_hours_back_and_forward_again_all_is_as_without() -> Result<()> {
    set_by(-STEP, "back")
}

#[test]
fn after_two_hours_forward_and_back_again_all_is_as_without() -> Result<()> {
    set_by(STEP, "forward")
}
