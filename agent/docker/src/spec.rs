//! What was asked for, and the container that is created from it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount as EngineMount, MountType, PortBinding,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::Error;
use agent_config::{BindMount, CollatorConfig, Config, Confinement, DataConfig, PublishedPort, WithoutVolume, keyless};
use agent_core::event::DesiredSpec;
use agent_core::key_paths::is_key;

pub(super) const MANAGED: &str = "t0rn-agent.managed";
/// Label of the agent's own image (`dist/oci/build`): its container is given the directories that the agent looks at.
pub(super) const AGENT: &str = "t0rn-agent.agent";
/// The name that it was created with.
pub(super) const NAME: &str = "t0rn-agent.container";
pub(super) const SPEC: &str = "t0rn-agent.spec";
pub(super) const VERSION: &str = "t0rn-agent.version";
/// The reference as given; the container itself is created from what it resolved to.
pub(super) const IMAGE: &str = "t0rn-agent.image";

/// Modes of network that are not the name of one.
const BUILT_IN: [&str; 4] = ["bridge", "default", "host", "none"];

/// What is writable beside data and mounts where the image is not: in memory, and counted as the container's.
const TMP: &str = "/tmp";
const TMP_OPTIONS: &str = "rw,nosuid,nodev,noexec,size=64m,mode=1777";

/// The part of the configuration that a container is made from.
#[derive(Clone)]
pub(super) struct Spec {
    pub(super) collator: CollatorConfig,
    pub(super) data: DataConfig,
    pub(super) mounts: Vec<BindMount>,
    /// Behind the identity's fence Docker starts nothing by itself: even `on-failure` is obeyed at the engine's start,
    /// after a power cut, when the volume may be another host's.
    fenced: bool,
    /// Whether it runs with authority and keys.
    pub(super) keys: bool,
    /// First 16 hex digits of the SHA-256 over what was asked for.
    pub(super) hash: String,
    /// The very image that it has to be made from, where an update says so: a repository digest or an image id.
    pub(super) pin: Option<String>,
}

/// What the configuration asks for: the collator, and what runs in its place without the keys.
#[derive(Debug)]
pub(super) struct Specs {
    collator: Spec,
    full_node: Option<Spec>,
}

impl Specs {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let wanted = config.identity.required && config.identity.without_volume == WithoutVolume::FullNode;
        let full_node = || {
            let config = keyless(config).map_err(|error| Error::FullNode {
                reason: error.to_string(),
            })?;
            Ok(Spec {
                keys: false,
                ..Spec::new(&config)?
            })
        };
        Ok(Self {
            collator: Spec::new(config)?,
            full_node: wanted.then(full_node).transpose()?,
        })
    }

    pub(super) fn configured(&self) -> Spec {
        self.collator.clone()
    }

    /// The reference in the configuration, whatever runs.
    pub(super) fn configured_image(&self) -> &str {
        &self.collator.collator.image
    }

    pub(super) fn desired(&self, desired: &DesiredSpec) -> Result<Spec, Error> {
        let without_keys = || {
            self.full_node.as_ref().ok_or_else(|| Error::FullNode {
                reason: "identity.without_volume asks for nothing".to_owned(),
            })
        };
        let spec = if desired.keys { &self.collator } else { without_keys()? };
        match &desired.image {
            Some(image) => spec.with_image(&image.reference, Some(&image.pin)),
            None => Ok(spec.clone()),
        }
    }
}

impl Spec {
    /// Fails when a path is not UTF-8, which Docker needs.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let (collator, data, mounts) = (config.collator.clone(), config.data.clone(), config.mounts.clone());
        let fenced = config.identity.required;
        let hash = hash(&collator, &data, &mounts, fenced)?;
        Ok(Self {
            collator,
            data,
            mounts,
            fenced,
            keys: true,
            hash,
            pin: None,
        })
    }

    pub(super) fn with_image(&self, reference: &str, pin: Option<&str>) -> Result<Self, Error> {
        let mut spec = self.clone();
        reference.clone_into(&mut spec.collator.image);
        spec.hash = hash(&spec.collator, &spec.data, &spec.mounts, spec.fenced)?;
        spec.pin = pin.map(str::to_owned);
        Ok(spec)
    }

    pub(super) fn name(&self) -> &str {
        &self.collator.container
    }

    /// Whether a container with these labels, created from `image`, was made from this very spec.
    pub(super) fn made(&self, labels: &HashMap<String, String>, image: &str) -> bool {
        labels.get(SPEC) == Some(&self.hash) && self.pin.as_deref().is_none_or(|pin| pin == image)
    }

    /// Whether a container with these labels was asked for by this spec, whatever its image.
    pub(super) fn asks_for(&self, labels: &HashMap<String, String>) -> bool {
        let asked = labels.get(IMAGE).and_then(|image| self.with_image(image, None).ok());
        asked.is_some_and(|asked| labels.get(SPEC) == Some(&asked.hash))
    }

    /// The network that it is to be on, by name or id; `None` where Docker's own mode leaves no choice.
    pub(super) fn network(&self) -> Option<&str> {
        let name = self.collator.network.as_str();
        let built_in = BUILT_IN.contains(&name) || name.starts_with("container:");
        (!built_in).then_some(name)
    }

    pub(super) fn restart_policy(&self) -> RestartPolicyNameEnum {
        if self.fenced {
            RestartPolicyNameEnum::NO
        } else {
            RestartPolicyNameEnum::UNLESS_STOPPED
        }
    }

    /// The limit of memory, bytes.
    pub(super) fn memory(&self) -> Option<i64> {
        let limit = self.collator.memory;
        limit.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
    }

    /// Seconds from SIGTERM to SIGKILL, rounded up: Docker takes 0 for "kill at once".
    pub(super) fn stop_seconds(&self) -> i32 {
        i32::try_from(self.collator.stop_timeout.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
    }

    /// The request that creates the container from `image`: a repository digest or an image id.
    pub(super) fn body(&self, image: &str) -> Result<ContainerCreateBody, Error> {
        let collator = &self.collator;
        let mut mounts = vec![bind(&self.data.path, &self.data.target, false)?];
        for mount in &self.mounts {
            mounts.push(bind(&mount.source, &mount.target, mount.read_only)?);
        }
        let nofile = i64::try_from(collator.nofile).unwrap_or(i64::MAX);
        let memory = self.memory();
        let host = HostConfig {
            restart_policy: Some(RestartPolicy {
                name: Some(self.restart_policy()),
                maximum_retry_count: None,
            }),
            memory,
            // Equal to the memory limit means no swap: a collator that swaps misses its slots.
            memory_swap: memory,
            ulimits: Some(vec![ResourcesUlimits {
                name: Some("nofile".to_owned()),
                soft: Some(nofile),
                hard: Some(nofile),
            }]),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), collator.log_max_size.to_string()),
                    ("max-file".to_owned(), collator.log_max_files.to_string()),
                ])),
            }),
            mounts: Some(mounts),
            network_mode: Some(collator.network.clone()),
            port_bindings: self.publishes().then(|| port_bindings(&collator.ports)),
            ..self.confined()
        };
        Ok(ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: collator.entrypoint.clone().map(|program| vec![program]),
            cmd: Some(collator.command.clone()),
            env: Some(
                collator
                    .env
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect(),
            ),
            user: collator.user.map(|user| format!("{}:{}", user.uid, user.gid)),
            stop_timeout: Some(i64::from(self.stop_seconds())),
            exposed_ports: self.publishes().then(|| collator.ports.iter().map(port_key).collect()),
            labels: Some(HashMap::from([
                (MANAGED.to_owned(), "true".to_owned()),
                (NAME.to_owned(), collator.container.clone()),
                (SPEC.to_owned(), self.hash.clone()),
                (VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                (IMAGE.to_owned(), collator.image.clone()),
            ])),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        })
    }

    /// What the container's processes are kept from. Seccomp is left to the engine: its default profile.
    fn confined(&self) -> HostConfig {
        let confinement = &self.collator.confinement;
        let is_free = |path: &str| {
            let mut targets = self.mounts.iter().map(|mount| &mount.target);
            self.data.target != Path::new(path) && targets.all(|target| target != Path::new(path))
        };
        let needs_tmp = confinement.read_only && is_free(TMP);
        HostConfig {
            security_opt: confinement
                .no_new_privileges
                .then(|| vec!["no-new-privileges:true".to_owned()]),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(confinement.cap_add.clone()),
            pids_limit: confinement.pids_limit.map(i64::from),
            readonly_rootfs: Some(confinement.read_only),
            tmpfs: needs_tmp.then(|| HashMap::from([(TMP.to_owned(), TMP_OPTIONS.to_owned())])),
            ..HostConfig::default()
        }
    }

    /// What no second container may have: the chain data, then each keystore and key.
    pub(super) fn exclusive(&self) -> impl Iterator<Item = Exclusive<'_>> {
        let data = Exclusive {
            path: &self.data.path,
            is_key: is_key(&self.data.path) || is_key(&self.data.target),
        };
        let keys = self
            .mounts
            .iter()
            .filter(|mount| is_key(&mount.source) || is_key(&mount.target));
        std::iter::once(data).chain(keys.map(|mount| Exclusive {
            path: &mount.source,
            is_key: true,
        }))
    }

    /// On the host's network there is nothing to publish, and Docker rejects the attempt.
    fn publishes(&self) -> bool {
        !self.collator.ports.is_empty() && self.collator.network != "host"
    }
}

/// A path on the host that belongs to this collator alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exclusive<'a> {
    pub(super) path: &'a Path,
    /// Whether it holds keys: then no other container may read it either.
    pub(super) is_key: bool,
}

/// Neither environment nor arguments: they may carry secrets.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("container", &self.collator.container)
            .field("image", &self.collator.image)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// Everything that makes another container when it changes, in one canonical order. Renaming or reordering
/// a field here re-creates every container in the field.
#[derive(Serialize)]
struct Asked<'a> {
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<&'a str>,
    command: &'a [String],
    env: &'a std::collections::BTreeMap<String, String>,
    mounts: Vec<(String, String, bool)>,
    ports: Vec<String>,
    network: &'a str,
    user: Option<(u32, u32)>,
    memory: Option<u64>,
    nofile: u64,
    log_max_size: u64,
    log_max_files: u32,
    stop_timeout_ms: u128,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fenced: bool,
    /// Absent where it is the default, as in containers that were made before there was one: these are confined when they
    /// are made anew for another reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    confinement: Option<(bool, &'a [String], Option<u32>, bool)>,
}

fn hash(collator: &CollatorConfig, data: &DataConfig, mounts: &[BindMount], fenced: bool) -> Result<String, Error> {
    let mut all = vec![(text(&data.path)?, text(&data.target)?, false)];
    for mount in mounts {
        all.push((text(&mount.source)?, text(&mount.target)?, mount.read_only));
    }
    all.sort();
    let mut ports: Vec<String> = collator.ports.iter().map(port_line).collect();
    ports.sort();
    let confinement = &collator.confinement;
    let asked = Asked {
        image: &collator.image,
        entrypoint: collator.entrypoint.as_deref(),
        command: &collator.command,
        env: &collator.env,
        mounts: all,
        ports,
        network: &collator.network,
        user: collator.user.map(|user| (user.uid, user.gid)),
        memory: collator.memory,
        nofile: collator.nofile,
        log_max_size: collator.log_max_size,
        log_max_files: collator.log_max_files,
        stop_timeout_ms: collator.stop_timeout.as_millis(),
        fenced,
        confinement: (*confinement != Confinement::default()).then_some((
            confinement.no_new_privileges,
            &confinement.cap_add,
            confinement.pids_limit,
            confinement.read_only,
        )),
    };
    let json = serde_json::to_vec(&asked).map_err(|error| Error::Api {
        action: "describe the container",
        status: None,
        reason: error.to_string(),
    })?;
    Ok(hex::encode(&digest(&SHA256, &json).as_ref()[..8]))
}

/// A bind mount of the kind that fails when its source is missing, where `Binds` would make it as root.
fn bind(source: &Path, target: &Path, read_only: bool) -> Result<EngineMount, Error> {
    Ok(EngineMount {
        typ: Some(MountType::BIND),
        source: Some(text(source)?),
        target: Some(text(target)?),
        read_only: Some(read_only),
        ..EngineMount::default()
    })
}

fn text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::Path {
        path: PathBuf::from(path),
        reason: "not UTF-8, which Docker needs; rename it".to_owned(),
    })
}

fn port_key(port: &PublishedPort) -> String {
    format!("{}/{}", port.container, port.protocol)
}

fn port_line(port: &PublishedPort) -> String {
    let address = port.address.map(|address| address.to_string()).unwrap_or_default();
    format!("{address}:{}:{}", port.host, port_key(port))
}

fn port_bindings(ports: &[PublishedPort]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in ports {
        bindings
            .entry(port_key(port))
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: port.address.map(|address| address.to_string()),
                host_port: Some(port.host.to_string()),
            });
    }
    bindings
}

#[cfg(test)]
pub(super) mod tests;
