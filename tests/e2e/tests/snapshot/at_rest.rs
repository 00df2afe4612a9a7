//! Data at rest for a restore or a snapshot that needs no agent: one that comes up meanwhile.

use std::fs::{self, File};

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{SOON, until};

#[test]
fn agent_that_comes_up_while_data_is_at_rest_starts_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "at-rest", &[])?;
    fs::create_dir_all(agent.state_dir())?;
    let rest = File::create(agent.state_dir().join("start.lock"))?;
    rest.lock()?;
    agent.start()?;
    until("it says why nothing starts", SOON * 2, || {
        let status = agent.status()?;
        ensure!(
            status["reasons"].to_string().contains("has the data at rest"),
            "{status}"
        );
        Ok(())
    })?;
    ensure!(engine.inspect(agent.container())?.is_none(), "a container was made");
    drop(rest);
    agent.wait_watched()?;
    Ok(())
}
