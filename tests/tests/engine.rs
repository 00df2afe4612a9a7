//! An engine that a test may take down, and what becomes of a collator meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::container::SimContainer;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::until;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_collator_outlives_a_killed_engine_that_restores_live() -> Result<()> {
    let engine = Engine::private(true)?;
    let sim = SimContainer::run(&engine, &["--restart", "unless-stopped"], &[])?;
    until("the collator", SOON, || sim.sim().best())?;
    let pid = sim.state()?["Pid"].take();
    engine.kill()?;
    ensure!(engine.docker(["ps"]).is_err());
    engine.start()?;
    ensure!(sim.state()?["Pid"] == pid);
    Ok(())
}

#[test]
fn a_stopped_engine_stops_the_collator_and_starts_it_again() -> Result<()> {
    let engine = Engine::private(false)?;
    let sim = SimContainer::run(&engine, &["--restart", "unless-stopped"], &[])?;
    until("the collator", SOON, || sim.sim().best())?;
    engine.stop()?;
    ensure!(sim.sim().best().is_err());
    engine.start()?;
    until("the collator", SOON, || sim.sim().best())?;
    ensure!(sim.read("sim/starts")? == "2");
    Ok(())
}
