//! What a takeover is about, and how its state is observed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use agent_config::Config;
use agent_core::event::{Command, Container};
use agent_core::machine::Phase;
use agent_core::status::Status;
use agent_daemon::api::{AgentClient, ClientError};
use agent_docker::{Docker, ExistingContainer, RestartPolicy};

use super::examine::examine;
use super::plan::{AgentState, CollatorState, Observed, PredecessorState, UnitState};
use super::record::Record;
use super::unit;
use crate::globals::GlobalArgs;

/// Follows the name of a container that was taken over.
pub(super) const KEPT_SUFFIX: &str = "-before-t0rn-agent";
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Session {
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) docker: Docker,
    client: AgentClient,
    config_path: PathBuf,
    /// Whether this is the configuration that the unit uses.
    is_of_unit: bool,
}

/// The predecessor and what is recorded of it.
pub(super) struct Found {
    pub(super) predecessor: Option<ExistingContainer>,
    pub(super) record: Option<Record>,
}

impl Found {
    /// The restart policy to go back to. Without a record it is what keeps a container running that was kept from it, and
    /// otherwise what the container has.
    pub(super) fn restart_policy(&self) -> RestartPolicy {
        let present = self.predecessor.as_ref().map(|found| (&found.restart, &found.name));
        match (&self.record, present) {
            (Some(record), _) => record.restart_policy.clone(),
            (None, Some((policy, name))) if *policy != RestartPolicy::no() || !name.ends_with(KEPT_SUFFIX) => {
                policy.clone()
            }
            (None, _) => RestartPolicy {
                name: "unless-stopped".to_owned(),
                max_retries: 0,
            },
        }
    }
}

impl Session {
    pub(super) fn new(name: &str, config: Config, globals: &GlobalArgs) -> anyhow::Result<Self> {
        let docker = Docker::new(&config).context("failed to set up the docker client")?;
        Ok(Self {
            name: name.to_owned(),
            client: AgentClient::new(&config.agent.socket),
            config,
            docker,
            config_path: globals.config_path().to_owned(),
            is_of_unit: globals.uses_default_config(),
        })
    }

    pub(super) fn kept_name(&self) -> String {
        format!("{}{KEPT_SUFFIX}", self.name)
    }

    pub(super) async fn find(&self) -> anyhow::Result<Found> {
        let named = self.existing(&self.name).await?;
        let named = named.filter(|found| !found.is_ours);
        let kept = self.existing(&self.kept_name()).await?;
        if let (Some(named), Some(kept)) = (&named, &kept) {
            bail!(
                "there are both {} and {}: remove the one that is not wanted (docker rm)",
                named.name,
                kept.name
            );
        }
        let predecessor = named.or(kept);
        let record = Record::read(&self.config.agent.state_dir, &self.name)?;
        let record = record.filter(|record| predecessor.as_ref().is_none_or(|found| record.is_of(found)));
        Ok(Found { predecessor, record })
    }

    /// The container of that very name; Docker also takes a name for the beginning of an id.
    async fn existing(&self, name: &str) -> anyhow::Result<Option<ExistingContainer>> {
        let found = self.docker.existing(name).await?;
        Ok(found.filter(|found| found.name == name))
    }

    /// Fails when the container cannot be taken over, or no agent is there to do it.
    pub(super) async fn require_ready(&self, force: bool) -> anyhow::Result<()> {
        let found = self.find().await?;
        let seen = self.observe(&found).await?;
        match &found.predecessor {
            Some(predecessor) => {
                let is_under_way = found.record.is_some() && !predecessor.runs();
                examine(&self.docker, &self.config, predecessor, force, is_under_way).await?;
            }
            None => ensure!(
                found.record.is_some_and(|record| record.is_removed_on_exit),
                "there is no container {} to take over: docker ps -a",
                self.name
            ),
        }
        ensure!(
            seen.unit.is_some() || seen.agent != AgentState::Absent,
            "no agent runs with {}, and systemd does not start it: start it first (t0rn-agent run); it waits until {} is \
             stopped",
            self.config_path.display(),
            self.name
        );
        Ok(())
    }

    /// Fails when there is nothing to go back to.
    pub(super) async fn require_undoable(&self) -> anyhow::Result<()> {
        let found = self.find().await?;
        let is_kept = |found: &ExistingContainer| found.name != self.name;
        match &found.predecessor {
            Some(predecessor) if is_kept(predecessor) || found.record.is_some() => Ok(()),
            Some(_) => bail!("{} was not taken over", self.name),
            None => bail!(
                "there is neither {} nor {}: nothing to go back to",
                self.name,
                self.kept_name()
            ),
        }
    }

    pub(super) async fn observe(&self, found: &Found) -> anyhow::Result<Observed> {
        let collator = self.collator().await?;
        let policy = found.restart_policy();
        Ok(Observed {
            is_recorded: found.record.is_some(),
            predecessor: found.predecessor.as_ref().map(|predecessor| PredecessorState {
                is_kept: predecessor.name != self.name,
                runs: predecessor.runs(),
                restarts: predecessor.restart != RestartPolicy::no(),
                has_recorded_policy: predecessor.restart == policy,
            }),
            unit: self.unit().await?,
            agent: self.agent().await?,
            collator,
            collator_has_name: self.config.collator.container == self.name && collator != CollatorState::Missing,
        })
    }

    async fn unit(&self) -> anyhow::Result<Option<UnitState>> {
        if self.is_of_unit {
            unit::find_unit().await
        } else {
            Ok(None)
        }
    }

    pub(super) async fn collator(&self) -> anyhow::Result<CollatorState> {
        Ok(match self.docker.inspect().await?.container {
            // The predecessor has its name.
            Container::Missing | Container::Foreign => CollatorState::Missing,
            Container::Running { .. } | Container::Paused { .. } | Container::Restarting => CollatorState::Runs,
            _ => CollatorState::Down,
        })
    }

    pub(super) async fn status(&self) -> Result<Status, ClientError> {
        self.client.status(STATUS_TIMEOUT).await
    }

    async fn agent(&self) -> anyhow::Result<AgentState> {
        let status = match self.status().await {
            Ok(status) => status,
            Err(error @ (ClientError::Denied(_) | ClientError::Refused(_))) => return Err(error.into()),
            Err(_) => return Ok(AgentState::Absent),
        };
        let container = status.collator.container.unwrap_or_default();
        ensure!(
            container.is_empty() || container == self.config.collator.container,
            "the agent at {} has the container {container}, and {} names {}: restart it, or give its configuration (--config)",
            self.config.agent.socket.display(),
            self.config_path.display(),
            self.config.collator.container
        );
        let uptime = status.agent.uptime_seconds.map(Duration::from_secs);
        Ok(if status.phase == Some(Phase::Stopped) {
            AgentState::Stopped
        } else if uptime.is_some_and(|uptime| self.was_configured_within(uptime)) {
            AgentState::Outdated
        } else {
            AgentState::Answers
        })
    }

    /// Whether the configuration was written so recently.
    fn was_configured_within(&self, time: Duration) -> bool {
        let written = std::fs::metadata(&self.config_path).and_then(|about| about.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        age.is_some_and(|age| age.as_secs() < time.as_secs())
    }

    /// Sends a command; what the agent declines it still notes as a wish. Returns whether it was heard.
    pub(super) async fn send(&self, command: Command) -> bool {
        match self.client.command(&command).await {
            Ok(_) | Err(ClientError::Refused(_)) => true,
            Err(_) => false,
        }
    }
}
