//! Stops the collator for a snapshot or a restore, and starts it again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep};

use agent_chaindata::compatibility::NodeReport;
use agent_chaindata::lock::{DataDirLock, forbid_starts, lock_data_dir};
use agent_chaindata::stop_marker::{clear_stop_marker, has_stop_marker, set_stop_marker};
use agent_config::{Config, show_duration};
use agent_core::event::{Command, Container};
use agent_core::exit_diagnosis;
use agent_core::machine::{AGENT_STOP_MARGIN, Phase};
use agent_core::status::Status;
use agent_daemon::api::{AgentClient, ClientError};
use agent_daemon::exporter::ExporterClient;
use agent_docker::Docker;

/// Between two inspections of a collator that stops.
const POLL: Duration = Duration::from_millis(500);
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an agent that has answered may be gone: one that is upgraded meanwhile resumes what it was asked to do.
const MAX_GONE: Duration = Duration::from_mins(1);
const STARTING: &str = "an agent is starting the collator: try again when it runs, or when it is stopped";

/// What the nodes report about themselves, by chain id; nodes that do not answer are left out.
pub(crate) async fn query_nodes(config: &Config) -> BTreeMap<String, NodeReport> {
    let mut nodes = BTreeMap::new();
    for (chain, exporter) in &config.chains {
        let Ok(exporter) = ExporterClient::new(*chain, exporter, config.health.scrape_timeout) else {
            continue;
        };
        if let Ok(page) = exporter.scrape().await
            && let Some(id) = page.chain_id
        {
            let info = NodeReport {
                genesis: page.genesis,
                best: page.sample.best,
                finalized: page.sample.finalized,
                node: page.node_version,
            };
            nodes.insert(id, info);
        }
    }
    nodes
}

/// Data at rest, for as long as it is kept: no agent starts a node on it.
#[derive(Debug)]
#[must_use]
pub(crate) struct DataAtRest {
    /// Whether the node ended cleanly, so that its database is complete; `None` when that is unknown.
    pub(crate) clean: Option<bool>,
    _starts: DataDirLock,
}

/// Makes sure that no node runs on the data, and that none is started. A running agent stops the collator, and keeps it
/// stopped until [`resume`]; one that comes up meanwhile starts nothing.
///
/// Fails when the collator runs without an agent, when another container uses the data, and when the collator does not stop
/// in time.
pub(crate) async fn quiesce(config: &Config, client: &AgentClient) -> anyhow::Result<DataAtRest> {
    let docker = Docker::new(config).context("failed to set up the docker client")?;
    let agent = match client.status(STATUS_TIMEOUT).await {
        Ok(status) => Some(status),
        Err(ClientError::Missing(_) | ClientError::Dead(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if agent.is_none() && !config.agent.docker.exists() {
        // No engine, so no container.
        let starts = forbid_starts(&config.agent.state_dir)?.context(STARTING)?;
        return Ok(DataAtRest {
            clean: None,
            _starts: starts,
        });
    }
    let others = docker.others_on_data().await?;
    ensure!(
        others.is_empty(),
        "{} has the data directory {}: remove the container (docker rm)",
        others.join(", "),
        config.data.path.display()
    );
    let stopped_before = agent
        .as_ref()
        .is_some_and(|status| status.phase == Some(Phase::Stopped) && !has_stop_marker(&config.agent.state_dir));
    let comes_back = agent.is_some() && !stopped_before;
    if comes_back {
        set_stop_marker(&config.agent.state_dir)?;
    }
    if agent.is_some() {
        send(client, &Command::Stop { automatic: true }).await?;
    }
    let limit = config.collator.stop_timeout + AGENT_STOP_MARGIN;
    let end = Instant::now() + limit;
    let (mut starts, mut answered) = (None, Instant::now());
    let (container, starts) = loop {
        // Before the container is inspected: what does not run then is not started any more.
        if starts.is_none() {
            starts = forbid_starts(&config.agent.state_dir)?;
        }
        let container = docker.inspect().await?.container;
        let runs = matches!(
            container,
            Container::Running { .. } | Container::Paused { .. } | Container::Restarting
        );
        let settled = match &agent {
            None => true,
            Some(_) => match client.status(STATUS_TIMEOUT).await {
                Err(error) if is_gone(&error) && answered.elapsed() < MAX_GONE => false,
                status => {
                    answered = Instant::now();
                    is_stopped(&status?)
                }
            },
        };
        if let Some(starts) = starts.take_if(|_| !runs && settled) {
            break (container, starts);
        }
        if agent.is_none() && runs {
            bail!("the collator runs and no agent answers: start the agent, or stop the container (docker stop)");
        }
        ensure!(Instant::now() < end || starts.is_some(), STARTING);
        ensure!(
            Instant::now() < end,
            "the collator still runs after {}: look at its log",
            show_duration(limit)
        );
        sleep(POLL).await;
    };
    let clean = match container {
        Container::Exited { exit, .. } => exit
            .code
            .map(|code| code == 0 && exit_diagnosis::damage(&exit.log).is_none()),
        _ => None,
    };
    Ok(DataAtRest { clean, _starts: starts })
}

/// Starts the collator again, if [`quiesce`] stopped it.
pub(crate) async fn resume(config: &Config, client: &AgentClient) -> anyhow::Result<()> {
    if has_stop_marker(&config.agent.state_dir) {
        let started = send(client, &Command::Start { automatic: true }).await;
        started.context("the collator was not started again: t0rn-agent start")?;
        clear_stop_marker(&config.agent.state_dir);
    }
    Ok(())
}

/// Sends a command that may be repeated, to an agent that is perhaps being upgraded.
async fn send(client: &AgentClient, command: &Command) -> Result<(), ClientError> {
    let end = Instant::now() + MAX_GONE;
    loop {
        match client.command(command).await {
            Err(error) if is_gone(&error) && Instant::now() < end => sleep(POLL).await,
            sent => return sent.map(drop),
        }
    }
}

/// Whether no agent answers, and another one may soon.
fn is_gone(error: &ClientError) -> bool {
    use ClientError::{Broken, Dead, Missing};
    matches!(error, Missing(_) | Dead(_) | Broken { .. })
}

/// Forgets that the collator was stopped for a snapshot or a restore: an operator stopped or started it since.
pub(crate) fn operator_took_over(config: &Config) {
    clear_stop_marker(&config.agent.state_dir);
}

/// Describes a collator that is still stopped for a snapshot or a restore that was killed, with the remedy; `None` when it
/// is not.
pub(crate) fn describe_left_stopped(config: &Config, status: &Status) -> Option<String> {
    let left = is_stopped(status)
        && has_stop_marker(&config.agent.state_dir)
        && lock_data_dir(&config.agent.state_dir, &config.data.path).is_ok();
    left.then(|| {
        "a snapshot or a restore had stopped the collator and did not end well: t0rn-agent start, or run it again"
            .to_owned()
    })
}

fn is_stopped(status: &Status) -> bool {
    status.phase == Some(Phase::Stopped)
}
