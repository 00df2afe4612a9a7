//! A container that the agent did not make, as plain data: how it is, what a configuration can describe of it, and what not.
//!
//! It is only read here; `predecessor` changes the one that is taken over. Begin with [`Docker::existing`].

pub(crate) mod inspected;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use bollard::models::ContainerSummary;
use jiff::Timestamp;

use super::{Docker, Error};
use crate::RestartPolicy;
use crate::lifecycle::conflicting_containers;

/// A container as `docker run` or `docker compose` made it. Environment and arguments may hold secrets: `Debug` shows neither.
#[derive(Clone, Default, PartialEq)]
pub struct ExistingContainer {
    pub name: String,
    /// 64 hexadecimal digits; empty when there is no container yet.
    pub id: String,
    /// As Docker writes it: created, running, paused, restarting, removing, exited, dead.
    pub status: String,
    /// Of its first process, on the host; `None` while it does not run.
    pub pid: Option<i64>,
    /// Of the last run that ended.
    pub exit_code: Option<i64>,
    pub finished_at: Option<Timestamp>,
    /// Whether it has the agent's label.
    pub is_ours: bool,
    /// What starts it again whatever Docker's policy says.
    pub orchestrator: Option<&'static str>,
    /// Project of Docker Compose.
    pub compose_project: Option<String>,
    pub image: ExistingImage,
    /// Program and arguments in place of the image's own entrypoint; `None` is the image's.
    pub entrypoint: Option<Vec<String>>,
    pub command: Vec<String>,
    /// Program and arguments of its first process, those of the image included; empty when there is no container yet.
    pub process: Vec<String>,
    /// Where the process begins; empty is the image's.
    pub working_dir: String,
    /// Variables beyond those of the image.
    pub env: BTreeMap<String, String>,
    /// `USER[:GROUP]` by name or number; empty is root.
    pub user: String,
    pub mounts: Vec<ExistingMount>,
    pub ports: Vec<ExistingPort>,
    /// Docker's network mode: `bridge`, `host`, `none`, `container:…`, or the name of a network.
    pub network: String,
    /// Bytes.
    pub memory: Option<u64>,
    pub nofile: Option<u64>,
    pub confinement: ExistingConfinement,
    /// From SIGTERM to SIGKILL, seconds; negative is without end.
    pub stop_timeout: Option<i64>,
    pub restart: RestartPolicy,
    /// Whether Docker removes it when it ends (`docker run --rm`).
    pub is_removed_on_exit: bool,
    /// Name of the log driver; empty is the engine's default.
    pub log_driver: String,
    pub log_options: BTreeMap<String, String>,
    /// What a configuration of the agent has no key for.
    pub others: Vec<Setting>,
}

/// The image of an existing container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExistingImage {
    /// As it was given: a name with tag or digest, or an id.
    pub reference: String,
    /// `sha256:…`
    pub id: String,
    /// `REPOSITORY@sha256:…`; empty for an image that was built here.
    pub digests: Vec<String>,
    /// `REPOSITORY:TAG` on this host.
    pub tags: Vec<String>,
    /// Whether the reference names another image by now, or none.
    pub is_moved: bool,
    /// The image's own entrypoint and command.
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub working_dir: String,
    /// The image's own user.
    pub user: String,
    /// Paths that the image declares as volumes.
    pub volumes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExistingMount {
    pub source: PathBuf,
    pub target: PathBuf,
    pub read_only: bool,
    /// Name of the volume; `None` is a directory of the host.
    pub volume: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExistingPort {
    /// Host address; `None` is every address.
    pub address: Option<IpAddr>,
    /// `None` is a port that Docker chooses at each start.
    pub host: Option<u16>,
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

/// What the container's processes may do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExistingConfinement {
    pub no_new_privileges: bool,
    pub read_only: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub pids_limit: Option<u32>,
}

/// A setting without a key in the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The option of `docker run` without its dashes, or the key of a compose file.
    pub name: String,
    /// What is set, as far as it may be shown: no labels and no commands.
    pub value: String,
}

impl Setting {
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
        }
    }
}

/// Another container of this host.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    pub name: String,
    pub is_running: bool,
    /// Published ports of the host, with their protocol.
    pub ports: Vec<(u16, String)>,
    /// Directories of the host that it is given.
    pub sources: Vec<PathBuf>,
}

impl Docker {
    /// A container by its name or id, running or not, foreign or not; `None` when there is none.
    ///
    /// Fails when the engine does not answer.
    pub async fn existing(&self, name: &str) -> Result<Option<ExistingContainer>, Error> {
        let Some(container) = self.look_at_container(name).await? else {
            return Ok(None);
        };
        let image = match &container.image {
            Some(id) => self.look_at_image(id).await?,
            None => None,
        };
        let reference = container.config.as_ref().and_then(|config| config.image.as_deref());
        let named = match reference {
            Some(reference) => self.look_at_image(reference).await?.and_then(|image| image.id),
            None => None,
        };
        Ok(Some(inspected::container(container, image.unwrap_or_default(), named)))
    }

    /// An image on this host by its reference; `None` when it is not here.
    ///
    /// Fails when the engine does not answer.
    pub async fn existing_image(&self, reference: &str) -> Result<Option<ExistingImage>, Error> {
        let found = self.look_at_image(reference).await?;
        Ok(found.map(|image| inspected::image(image, reference)))
    }

    /// Directory of the engine's own volumes, as a rule `/var/lib/docker/volumes`.
    ///
    /// Fails when the engine does not answer.
    pub async fn volume_root(&self) -> Result<PathBuf, Error> {
        let engine = self.engine().await?;
        let info = self.within("describe itself", self.limits.call, engine.info()).await?;
        let root = info.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".to_owned());
        Ok(PathBuf::from(root).join("volumes"))
    }

    /// All containers but `name`, running or not.
    ///
    /// Fails when the engine does not answer or cannot describe its containers.
    pub async fn neighbours(&self, name: &str) -> Result<Vec<Neighbour>, Error> {
        let all = self.all_containers().await?.into_iter();
        Ok(all.map(neighbour).filter(|other| other.name != name).collect())
    }
}

fn neighbour(summary: ContainerSummary) -> Neighbour {
    let name = conflicting_containers::name(&summary).to_owned();
    let ports = summary.ports.unwrap_or_default().into_iter();
    let ports = ports.filter_map(|port| {
        let protocol = port.typ.map(|protocol| protocol.to_string()).unwrap_or_default();
        Some((port.public_port?, protocol))
    });
    let mounts = summary.mounts.unwrap_or_default().into_iter();
    Neighbour {
        name,
        is_running: summary.state.is_some_and(|state| state.to_string() == "running"),
        ports: ports.collect(),
        sources: mounts.filter_map(|mount| mount.source.map(PathBuf::from)).collect(),
    }
}

impl ExistingContainer {
    /// Whether a process of it runs, or Docker is about to start one.
    pub fn runs(&self) -> bool {
        matches!(self.status.as_str(), "running" | "paused" | "restarting" | "stopping")
    }
}

impl fmt::Debug for ExistingContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExistingContainer")
            .field("name", &self.name)
            .field("status", &self.status)
            .field("restart", &self.restart)
            .field("image", &self.image)
            .field("mounts", &self.mounts)
            .field("ports", &self.ports)
            .field("network", &self.network)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}
