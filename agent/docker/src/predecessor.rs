//! The container that an operator ran before the agent, for `t0rn-agent takeover`: what it is like, and the few things
//! that are done to it. Nothing here touches a container with the agent's label.

use std::fmt;
use std::path::PathBuf;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum as Status, ContainerUpdateBody, RestartPolicy as EnginePolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::RenameContainerOptionsBuilder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::inspection::is_ours;
use crate::{Docker, Error};

/// What Docker takes for `StopTimeout` where a container has none, seconds.
const DEFAULT_STOP_SECONDS: i64 = 10;
/// Labels of those that start their containers again themselves.
const ORCHESTRATORS: [(&str, &str); 2] = [
    ("com.docker.swarm.service.name", "Docker Swarm"),
    ("io.kubernetes.pod.name", "Kubernetes"),
];
const COMPOSE_PROJECT: &str = "com.docker.compose.project";

#[derive(Clone, PartialEq, Eq)]
pub struct Predecessor {
    pub id: String,
    pub name: String,
    /// Whether it has the agent's label, and so is no predecessor.
    pub is_managed: bool,
    /// Whether a process of it runs, or Docker is about to start one.
    pub runs: bool,
    /// Of the last run that ended.
    pub exit_code: Option<i64>,
    pub finished_at: Option<Timestamp>,
    pub restart_policy: RestartPolicy,
    /// Whether Docker removes it when it ends (`docker run --rm`).
    pub is_removed_on_exit: bool,
    /// From SIGTERM to SIGKILL, seconds; negative is without end.
    pub stop_seconds: i64,
    /// Image reference as it was given.
    pub image: String,
    /// `sha256:…`
    pub image_id: Option<String>,
    /// Program and arguments; they may hold secrets.
    pub command: Vec<String>,
    pub mounts: Vec<PredecessorMount>,
    pub ports: PredecessorPorts,
    /// What starts it again whatever Docker's policy says.
    pub orchestrator: Option<&'static str>,
    /// Project of Docker Compose.
    pub compose_project: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredecessorMount {
    /// On the host.
    pub source: PathBuf,
    pub target: PathBuf,
}

/// Ports of the host that a container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PredecessorPorts {
    Published(Vec<u16>),
    /// It is on the host's network, and may have any.
    Host,
}

/// Docker's restart policy of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    pub name: String,
    /// With `on-failure`; 0 is without a limit.
    pub max_retries: i64,
}

/// Without its arguments: they may hold secrets.
impl fmt::Debug for Predecessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predecessor")
            .field("name", &self.name)
            .field("runs", &self.runs)
            .field("restart_policy", &self.restart_policy)
            .finish_non_exhaustive()
    }
}

impl RestartPolicy {
    /// Docker starts nothing by itself.
    pub fn no() -> Self {
        Self {
            name: "no".to_owned(),
            max_retries: 0,
        }
    }

    fn from_engine(policy: Option<EnginePolicy>) -> Self {
        let policy = policy.unwrap_or_default();
        match policy.name {
            None | Some(RestartPolicyNameEnum::EMPTY) => Self::no(),
            Some(name) => Self {
                name: name.to_string(),
                max_retries: policy.maximum_retry_count.unwrap_or(0),
            },
        }
    }

    fn to_engine(&self) -> EnginePolicy {
        let name = match self.name.as_str() {
            "always" => RestartPolicyNameEnum::ALWAYS,
            "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
            "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
            _ => RestartPolicyNameEnum::NO,
        };
        EnginePolicy {
            name: Some(name),
            // Refused with any other policy.
            maximum_retry_count: (name == RestartPolicyNameEnum::ON_FAILURE).then_some(self.max_retries),
        }
    }
}

impl Predecessor {
    fn new(answer: ContainerInspectResponse) -> Self {
        let (state, config) = (answer.state.unwrap_or_default(), answer.config.unwrap_or_default());
        let host = answer.host_config.unwrap_or_default();
        let labels = config.labels.unwrap_or_default();
        let mounts = answer.mounts.unwrap_or_default().into_iter().filter_map(|mount| {
            let source = mount.source.filter(|source| !source.is_empty())?;
            Some(PredecessorMount {
                source: source.into(),
                target: mount.destination?.into(),
            })
        });
        let bindings = host.port_bindings.unwrap_or_default().into_values().flatten().flatten();
        let ports = bindings.filter_map(|binding| binding.host_port?.parse().ok());
        let status = state.status.unwrap_or(Status::EMPTY);
        Self {
            id: answer.id.unwrap_or_default(),
            name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            is_managed: is_ours(&labels),
            runs: matches!(
                status,
                Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING
            ),
            exit_code: state.exit_code,
            finished_at: crate::inspection::time(state.finished_at),
            restart_policy: RestartPolicy::from_engine(host.restart_policy),
            is_removed_on_exit: host.auto_remove.unwrap_or(false),
            stop_seconds: config.stop_timeout.unwrap_or(DEFAULT_STOP_SECONDS),
            image: config.image.unwrap_or_default(),
            image_id: answer.image,
            command: answer.path.into_iter().chain(answer.args.unwrap_or_default()).collect(),
            mounts: mounts.collect(),
            ports: match host.network_mode.as_deref() {
                Some("host") => PredecessorPorts::Host,
                _ => PredecessorPorts::Published(ports.collect()),
            },
            orchestrator: ORCHESTRATORS
                .iter()
                .find(|(label, _)| labels.contains_key(*label))
                .map(|(_, name)| *name),
            compose_project: labels.get(COMPOSE_PROJECT).cloned(),
        }
    }
}

impl Docker {
    /// The container of that name, whose ever it is; `None` when there is none.
    ///
    /// Fails when the engine does not answer.
    pub async fn predecessor(&self, name: &str) -> Result<Option<Predecessor>, Error> {
        let answer = self.look_at_container(name).await?;
        Ok(answer.map(Predecessor::new).filter(|found| found.name == name))
    }

    pub async fn rename_predecessor(&self, predecessor: &Predecessor, name: &str) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let engine = self.engine().await?;
        let renamed = engine.rename_container(&predecessor.id, options);
        self.within("rename the container", self.limits.change, renamed).await
    }

    pub async fn set_predecessor_policy(&self, predecessor: &Predecessor, policy: &RestartPolicy) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let update = ContainerUpdateBody {
            restart_policy: Some(policy.to_engine()),
            ..ContainerUpdateBody::default()
        };
        let engine = self.engine().await?;
        let updated = engine.update_container(&predecessor.id, update);
        self.within("change the restart policy", self.limits.change, updated)
            .await
    }

    /// SIGTERM, and SIGKILL after its own stop timeout or `collator.stop_timeout`, whichever is longer.
    pub async fn stop_predecessor(&self, predecessor: &Predecessor) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let own = i32::try_from(predecessor.stop_seconds).unwrap_or(i32::MAX);
        self.halt_in(&predecessor.id, own.max(self.spec.stop_seconds())).await
    }

    /// Starts it as it is. The caller has made sure that nothing else has its data.
    pub async fn start_predecessor(&self, predecessor: &Predecessor) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let engine = self.engine().await?;
        let started = engine.start_container(&predecessor.id, None);
        self.within("start the container", self.limits.change, started).await
    }

    /// Id of the configured image on this host; `None` when it is not here.
    ///
    /// Fails when the engine does not answer, and when the reference cannot be used.
    pub async fn configured_image_id(&self) -> Result<Option<String>, Error> {
        let reference = agent_config::ImageReference::parse(&self.spec.collator.image);
        match self.local_image(&reference).await? {
            Some(pin) => self.image_id(&pin).await,
            None => Ok(None),
        }
    }
}

/// The agent's own containers are started and stopped in `lifecycle` alone.
fn require_unmanaged(predecessor: &Predecessor) -> Result<(), Error> {
    if predecessor.is_managed {
        return Err(Error::Api {
            action: "take the container over",
            status: None,
            reason: format!("{} is the agent's already", predecessor.name),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn described(json: &str) -> Predecessor {
        Predecessor::new(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn description_has_command_mounts_policy_and_stop_timeout() {
        let found = described(
            r#"{"Id":"0123","Name":"/node","Image":"sha256:11","Path":"/node","Args":["--collator"],
                "State":{"Status":"running","ExitCode":0,"FinishedAt":"0001-01-01T00:00:00Z"},
                "HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4},"AutoRemove":false,
                    "NetworkMode":"bridge","PortBindings":{"9615/tcp":[{"HostIp":"","HostPort":"9615"}],"30333/tcp":null}},
                "Mounts":[{"Source":"/srv/data","Destination":"/data","RW":true},{"Source":"","Destination":"/tmp"}],
                "Config":{"Image":"org/node:1","StopTimeout":90,"Labels":{"com.docker.compose.project":"chain"}}}"#,
        );
        assert_eq!(
            (found.name.as_str(), found.command.len(), found.runs),
            ("node", 2, true)
        );
        assert_eq!((found.stop_seconds, found.finished_at), (90, None));
        assert_eq!(found.ports, PredecessorPorts::Published(vec![9615]));
        let host = described(r#"{"HostConfig":{"NetworkMode":"host"}}"#);
        assert_eq!(host.ports, PredecessorPorts::Host);
        let policy = RestartPolicy {
            name: "on-failure".to_owned(),
            max_retries: 4,
        };
        assert_eq!(found.restart_policy, policy);
        assert_eq!(policy.to_engine().maximum_retry_count, Some(4));
        let mount = PredecessorMount {
            source: "/srv/data".into(),
            target: "/data".into(),
        };
        assert_eq!(found.mounts, [mount]);
        assert_eq!(found.compose_project.as_deref(), Some("chain"));
    }

    #[test]
    fn missing_fields_are_dockers_defaults() {
        let found = described(r#"{"Id":"0123","Name":"/node"}"#);
        assert_eq!(
            (found.runs, found.is_managed, found.is_removed_on_exit),
            (false, false, false)
        );
        assert_eq!((found.stop_seconds, found.restart_policy), (10, RestartPolicy::no()));
        assert_eq!(RestartPolicy::no().to_engine().maximum_retry_count, None);
    }

    #[test]
    fn container_with_the_agents_label_is_refused() {
        let found = described(r#"{"Id":"0123","Name":"/node","Config":{"Labels":{"t0rn-agent.managed":"true"}}}"#);
        assert!(require_unmanaged(&found).is_err());
        assert!(require_unmanaged(&described(r#"{"Id":"0123","Name":"/node"}"#)).is_ok());
    }
}
