//! `check`: everything that makes a collator fail, checked before or while it runs.
//!
//! Each check says PASS, WARN, FAIL or SKIP, and the remedy. It changes nothing, and a check that does not end in time
//! fails.

mod container;
mod data;
mod host;
mod identity;
mod keystore;
mod ports;
mod report;
mod signature;
mod state;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use agent_config::Config;
use agent_core::status::Health;
use agent_daemon::api::AgentClient;
use agent_docker::Docker;

use self::report::{CheckReport, Finding, Grade};
use crate::globals::GlobalArgs;
use crate::output::print;

pub(crate) const EXAMPLES: &str = "\
Docker, image, container, ports, exporters, data directory, disk, keystore, the agent's state,
memory, clock and network: each says PASS, WARN, FAIL or SKIP (cannot be determined here), and what to do.
Changes nothing. Exit code 1 when something fails.

Examples:
  t0rn-agent check
  t0rn-agent check --config ./agent.toml
  t0rn-agent check --json | jq '.checks[] | select(.result != \"pass\")'";

/// Timeout of all checks together; they run side by side. A command answers within 10 s.
const TIMEOUT: Duration = Duration::from_secs(8);

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// For programs
    #[arg(long)]
    json: bool,
}

/// Prints the report. Returns 1 when a check failed.
pub(crate) async fn execute(args: &CheckArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let report = run_checks(&globals.load_agent_config()?).await;
    let text = if args.json {
        serde_json::to_string(&report)? + "\n"
    } else {
        report.render()
    };
    print(out, &text)?;
    Ok(report.exit_code())
}

/// The checks that fail for `config`, each with its name and the remedy.
pub(crate) async fn failed_checks(config: &Config) -> Vec<String> {
    let findings = run_checks(config).await.checks.into_iter();
    let failed = findings.filter(|finding| finding.result == Grade::Fail);
    failed
        .map(|finding| format!("{}: {}", finding.check, finding.text))
        .collect()
}

/// Runs all checks that `config` asks for. Ends within 8 s.
async fn run_checks(config: &Config) -> CheckReport {
    let end = Instant::now() + TIMEOUT;
    let (agent, docker, host, data, state) = tokio::join!(
        Box::pin(within(end, "agent", check_agent(config))),
        Box::pin(check_docker(end, config)),
        within(end, "host", host::check_host(config)),
        within(end, "data", data::check_data(config)),
        within(end, "state", state::check_state(config)),
    );
    let identity = identity::check_identity(config);
    let signature = signature::check_signature(config, agent_docker::cosign().as_deref());
    CheckReport::new([agent, docker, signature, data, identity, state, host].concat())
}

async fn check_agent(config: &Config) -> Vec<Finding> {
    vec![match AgentClient::new(&config.agent.socket).status(TIMEOUT).await {
        Ok(status) => {
            let text = format!("runs and says {}: {}", status.health.into_str(), status.summary);
            let fine = status.health == Health::Ok;
            Finding::new("agent", if fine { Grade::Pass } else { Grade::Warn }, text)
        }
        Err(error) => Finding::warn("agent", error.to_string()),
    }]
}

async fn check_docker(end: Instant, config: &Config) -> Vec<Finding> {
    let docker = match Docker::new(config) {
        Ok(docker) => docker,
        Err(error) => return vec![Finding::fail("docker", error.to_string())],
    };
    let api = match docker.version().await {
        Ok(api) => Finding::pass("docker", format!("answers, API {api}")),
        Err(error) => {
            let skip = |check| Finding::skip(check, "docker does not answer");
            let skipped = ["image", "container", "ports", "exporters"].map(skip);
            return [vec![Finding::fail("docker", error.to_string())], skipped.to_vec()].concat();
        }
    };
    let (image, container) = tokio::join!(
        within(end, "image", container::check_image(&docker, config)),
        within(end, "container", container::check_container(&docker, config)),
    );
    [vec![api], image, container].concat()
}

/// The findings of `checks`, or a failure when they do not end in time.
async fn within(end: Instant, check: &'static str, checks: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    let found = tokio::time::timeout_at(end, checks).await;
    found.unwrap_or_else(|_| {
        let text = "no answer in time: look for a disk, an engine or a network that hangs";
        vec![Finding::fail(check, text)]
    })
}
