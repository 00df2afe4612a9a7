//! `run` and `prepare`: the agent itself, and what it needs root for.

use agent_daemon::supervisor;
use agent_docker::Docker;

use crate::globals::GlobalArgs;

pub(crate) const RUN_EXAMPLES: &str = "\
Ctrl-C or SIGTERM ends the agent and leaves the collator running. SIGHUP is `reload`.

Examples:
  t0rn-agent run
  t0rn-agent run --config ./agent.toml --socket ./agent.sock
  T0RN_AGENT_LOG=debug t0rn-agent run";

pub(crate) const PREPARE_EXAMPLES: &str = "\
Needs root. The service does it before each start, because the agent itself may not.

Example:
  t0rn-agent prepare";

pub(crate) async fn run_agent(globals: &GlobalArgs) -> anyhow::Result<()> {
    // First of all: a reload that comes early must not end the agent.
    let hangups = supervisor::hangups()?;
    let config = globals.load_agent_config()?;
    Box::pin(supervisor::run(config, globals.config_source(), hangups)).await
}

pub(crate) async fn prepare_paths(globals: &GlobalArgs) -> anyhow::Result<()> {
    Docker::new(&globals.load_config()?)?.prepare_paths().await?;
    Ok(())
}
