//! What a takeover is about, and how its state is observed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use agent_config::Config;
use agent_core::event::{Command, Container, Holding};
use agent_core::machine::Phase;
use agent_core::status::Status;
use agent_daemon::api::{AgentClient, ClientError};
use agent_docker::{Docker, ExistingContainer, KEPT_SUFFIX, RestartPolicy};

use super::examine::examine;
use super::plan::{AgentState, CollatorState, Observed, PredecessorState, UnitState};
use super::record::{Direction, Record};
use super::unit;
use crate::globals::GlobalArgs;

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

    /// Notes in the record which way a call goes. A disk that does not take that is no reason to stop half-way.
    pub(super) fn note(&self, found: &Found, under_way: Option<Direction>) {
        if let Some(record) = &found.record {
            let _ = record.note(under_way, &self.config.agent.state_dir, &self.name);
        }
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
            None if found.record.is_some_and(|record| record.is_removed_on_exit) => {}
            None => {
                self.forget();
                bail!("there is no container {} to take over: docker ps -a", self.name);
            }
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

    /// Removes the record of a container that is gone, or is another one by now.
    fn forget(&self) {
        let _ = Record::remove(&self.config.agent.state_dir, &self.name);
    }

    /// Fails when there is nothing to go back to, and without `force` when that would sign outside of the identity's fence.
    pub(super) async fn require_undoable(&self, force: bool) -> anyhow::Result<()> {
        let found = self.find().await?;
        let Some(predecessor) = &found.predecessor else {
            self.forget();
            bail!(
                "there is neither {} nor {}: nothing to go back to",
                self.name,
                self.kept_name()
            )
        };
        if predecessor.name == self.name && found.record.is_none() {
            self.forget();
            bail!("{} was not taken over", self.name);
        }
        ensure!(
            force || predecessor.runs() || !self.config.identity.required,
            "{name} would run with its keys outside of the identity's fence: nothing stops it when another host takes the \
             identity, and then both sign. Let no other host take it (stop the agents there), then give --force",
            name = self.name
        );
        Ok(())
    }

    pub(super) async fn observe(&self, found: &Found) -> anyhow::Result<Observed> {
        let collator = self.collator().await?;
        let policy = found.restart_policy();
        let (agent, identity) = self.agent().await?;
        Ok(Observed {
            is_recorded: found.record.is_some(),
            predecessor: found.predecessor.as_ref().map(|predecessor| PredecessorState {
                is_kept: predecessor.name != self.name,
                runs: predecessor.runs(),
                restarts: predecessor.restart != RestartPolicy::no(),
                has_recorded_policy: predecessor.restart == policy,
            }),
            unit: self.unit().await?,
            agent,
            collator,
            collator_has_name: self.config.collator.container == self.name && collator != CollatorState::Missing,
            lacks_identity: self.config.identity.required && identity != Some(Holding::Held),
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

    /// The agent's state, and what it has of the identity, where that is known.
    async fn agent(&self) -> anyhow::Result<(AgentState, Option<Holding>)> {
        let status = match self.status().await {
            Ok(status) => status,
            Err(error @ (ClientError::Denied(_) | ClientError::Refused(_))) => return Err(error.into()),
            Err(_) => return Ok((AgentState::Absent, None)),
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
        let state = if status.phase == Some(Phase::Stopped) {
            AgentState::Stopped
        } else if uptime.is_some_and(|uptime| self.was_configured_within(uptime)) {
            AgentState::Outdated
        } else {
            AgentState::Answers
        };
        Ok((state, status.identity))
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
