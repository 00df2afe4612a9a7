//! The collator brought to rest for a copy or a switch, and started again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep};

use agent_chaindata::compatibility::NodeInfo;
use agent_chaindata::lock::lock_data_dir;
use agent_chaindata::stop_marker::{clear_stop_marker, has_stop_marker, set_stop_marker};
use agent_config::{Config, show_duration};
use agent_core::event::{Command, Container};
use agent_core::exit_diagnosis;
use agent_core::machine::Phase;
use agent_core::status::Status;
use agent_daemon::api::{Client, ClientError};
use agent_daemon::exporter::Exporter;
use agent_docker::Docker;

/// Between two looks at a collator that stops.
const LOOK: Duration = Duration::from_millis(500);
/// What stopping may take beyond the node's own time.
const MARGIN: Duration = Duration::from_mins(2);
/// What the agent may take to tell its status.
const STATUS: Duration = Duration::from_secs(5);

/// What the nodes tell of themselves, by the id of their chain; those that do not answer are left out.
pub(crate) async fn ask(config: &Config) -> BTreeMap<String, NodeInfo> {
    let mut told = BTreeMap::new();
    for (chain, exporter) in &config.chains {
        let Ok(exporter) = Exporter::new(*chain, exporter, config.health.scrape_timeout) else {
            continue;
        };
        if let Ok(page) = exporter.scrape().await
            && let Some(id) = page.chain_id
        {
            let about = NodeInfo {
                genesis: page.genesis,
                best: page.sample.best,
                finalized: page.sample.finalized,
                node: page.node_version,
            };
            told.insert(id, about);
        }
    }
    told
}

/// Makes sure that nothing runs on the data: through the agent, if one runs, which then keeps it down.
///
/// Returns whether it ended as one ends whose database is whole; `None` when nobody knows. Fails when the collator runs and
/// no agent answers, when something else has the data, and when the collator does not stop in its time.
pub(crate) async fn rest(config: &Config, client: &Client) -> anyhow::Result<Option<bool>> {
    let docker = Docker::new(config).context("failed to set up the docker client")?;
    let agent = match client.status(STATUS).await {
        Ok(status) => Some(status),
        Err(ClientError::Missing(_) | ClientError::Dead(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if agent.is_none() && !config.agent.docker.exists() {
        // No engine, so no container.
        return Ok(None);
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
        client.command(&Command::Stop).await?;
    }
    let limit = config.collator.stop_timeout + MARGIN;
    let end = Instant::now() + limit;
    let container = loop {
        let container = docker.inspect().await?.container;
        let runs = matches!(
            container,
            Container::Running { .. } | Container::Paused { .. } | Container::Restarting
        );
        let settled = match &agent {
            None => true,
            Some(_) => is_stopped(&client.status(STATUS).await?),
        };
        if !runs && settled {
            break container;
        }
        if agent.is_none() {
            bail!("the collator runs and no agent answers: start the agent, or stop the container (docker stop)");
        }
        ensure!(
            Instant::now() < end,
            "the collator still runs after {}: look at its log",
            show_duration(limit)
        );
        sleep(LOOK).await;
    };
    let clean = match container {
        Container::Exited { exit, .. } => exit
            .code
            .map(|code| code == 0 && !exit.oom && exit_diagnosis::damage(&exit.log).is_none()),
        _ => None,
    };
    Ok(clean)
}

/// Starts the collator again if it was stopped for a snapshot or a restore.
pub(crate) async fn over(config: &Config, client: &Client) -> anyhow::Result<()> {
    if has_stop_marker(&config.agent.state_dir) {
        let started = client.command(&Command::Start).await;
        started.context("the collator was not started again: t0rn-agent start")?;
        clear_stop_marker(&config.agent.state_dir);
    }
    Ok(())
}

/// In words, when a snapshot or a restore was killed that had stopped the collator, and nobody has started it since.
pub(crate) fn left_stopped(config: &Config, status: &Status) -> Option<String> {
    let left =
        is_stopped(status) && has_stop_marker(&config.agent.state_dir) && lock_data_dir(&config.data.path).is_ok();
    left.then(|| {
        "a snapshot or a restore had stopped the collator and did not end well: t0rn-agent start, or run it again"
            .to_owned()
    })
}

fn is_stopped(status: &Status) -> bool {
    status.phase == Some(Phase::Stopped)
}
