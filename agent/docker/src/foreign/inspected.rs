//! Docker's description of a container and its image, as an [`ExistingContainer`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use bollard::models::{
    ContainerInspectResponse, HostConfig, ImageConfig, ImageInspect, MountPoint, PortBinding, PortMap,
};

use super::{ExistingConfinement, ExistingContainer, ExistingImage, ExistingMount, ExistingPort, Setting, settings};
use crate::RestartPolicy;
use crate::inspection::{is_ours, time};

/// Labels of those that start their containers again themselves.
const ORCHESTRATORS: [(&str, &str); 2] = [
    ("com.docker.swarm.service.name", "Docker Swarm"),
    ("io.kubernetes.pod.name", "Kubernetes"),
];
const COMPOSE_PROJECT: &str = "com.docker.compose.project";

/// `named` is the id of the image that the container's reference names now.
pub(crate) fn container(
    answer: ContainerInspectResponse,
    image: ImageInspect,
    named: Option<String>,
) -> ExistingContainer {
    let own = image.config.clone().unwrap_or_default();
    let others = settings::settings(&answer, &own);
    let (config, host) = (
        answer.config.unwrap_or_default(),
        answer.host_config.unwrap_or_default(),
    );
    let state = answer.state.unwrap_or_default();
    let mut made_from = self::image(image, config.image.as_deref().unwrap_or_default());
    // The image itself may have been removed.
    made_from.id = answer.image.unwrap_or(made_from.id);
    // One that is named by its id names itself.
    made_from.is_moved = named.is_none_or(|named| named != made_from.id);
    let log = host.log_config.clone().unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let mut orchestrators = ORCHESTRATORS.iter();
    let orchestrator = orchestrators.find(|(label, _)| labels.contains_key(*label));
    let (entrypoint, command) = entrypoint_and_command(
        config.entrypoint.unwrap_or_default(),
        config.cmd.unwrap_or_default(),
        &made_from.entrypoint,
    );
    let mut existing = ExistingContainer {
        name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        id: answer.id.unwrap_or_default(),
        status: state.status.map(|status| status.to_string()).unwrap_or_default(),
        pid: state.pid.filter(|pid| *pid > 0),
        exit_code: state.exit_code,
        finished_at: time(state.finished_at),
        is_ours: is_ours(&labels),
        orchestrator: orchestrator.map(|(_, name)| *name),
        compose_project: labels.get(COMPOSE_PROJECT).cloned(),
        image: made_from,
        entrypoint,
        command,
        process: answer.path.into_iter().chain(answer.args.unwrap_or_default()).collect(),
        working_dir: config.working_dir.unwrap_or_default(),
        env: variables(&config.env.unwrap_or_default(), &own),
        user: config.user.unwrap_or_default(),
        network: network(&host),
        memory: positive(host.memory),
        nofile: nofile(&host),
        confinement: confinement(&host),
        stop_timeout: config.stop_timeout,
        restart: RestartPolicy::from_engine(host.restart_policy),
        is_removed_on_exit: host.auto_remove.unwrap_or(false),
        log_driver: log.typ.unwrap_or_default(),
        log_options: log.config.unwrap_or_default().into_iter().collect(),
        others,
        ..ExistingContainer::default()
    };
    let actual = answer
        .network_settings
        .and_then(|settings| settings.ports)
        .unwrap_or_default();
    ports(&mut existing, host.port_bindings.unwrap_or_default(), &actual);
    for mount in answer.mounts.unwrap_or_default() {
        add_mount(&mut existing, mount);
    }
    existing
}

pub(super) fn image(image: ImageInspect, reference: &str) -> ExistingImage {
    let config = image.config.unwrap_or_default();
    ExistingImage {
        reference: reference.to_owned(),
        id: image.id.unwrap_or_default(),
        digests: image.repo_digests.unwrap_or_default(),
        tags: image.repo_tags.unwrap_or_default(),
        is_moved: false,
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        volumes: config.volumes.unwrap_or_default(),
    }
}

/// What takes the place of the image's entrypoint, and the command. With `--entrypoint ""` the command is the program.
fn entrypoint_and_command(
    given: Vec<String>,
    mut command: Vec<String>,
    images: &[String],
) -> (Option<Vec<String>>, Vec<String>) {
    if given.is_empty() && !images.is_empty() && !command.is_empty() {
        return (Some(vec![command.remove(0)]), command);
    }
    (Some(given).filter(|given| given != images), command)
}

/// `default` is Docker's name for `bridge` on Linux.
fn network(host: &HostConfig) -> String {
    match host.network_mode.as_deref() {
        None | Some("" | "default") => "bridge".to_owned(),
        Some(mode) => mode.to_owned(),
    }
}

fn variables(env: &[String], image: &ImageConfig) -> BTreeMap<String, String> {
    let images = image.env.as_deref().unwrap_or_default();
    let own = env.iter().filter(|pair| !images.contains(pair));
    own.filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Without a limit it is one that has no key.
fn nofile(host: &HostConfig) -> Option<u64> {
    let limits = host.ulimits.as_deref().unwrap_or_default();
    let nofile = limits.iter().find(|limit| limit.name.as_deref() == Some("nofile"))?;
    positive(nofile.hard).max(positive(nofile.soft))
}

fn confinement(host: &HostConfig) -> ExistingConfinement {
    let options = host.security_opt.as_deref().unwrap_or_default();
    ExistingConfinement {
        no_new_privileges: options.iter().any(|option| settings::is_no_new_privileges(option)),
        read_only: host.readonly_rootfs.unwrap_or(false),
        cap_add: host.cap_add.clone().unwrap_or_default(),
        cap_drop: host.cap_drop.clone().unwrap_or_default(),
        pids_limit: positive(host.pids_limit).and_then(|limit| u32::try_from(limit).ok()),
    }
}

/// `actual` are the ports of a container that runs, by which those that Docker chose are known.
fn ports(existing: &mut ExistingContainer, bindings: PortMap, actual: &PortMap) {
    let mut all: Vec<_> = bindings.into_iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, bindings) in all {
        let (port, protocol) = key.split_once('/').unwrap_or((&key, "tcp"));
        let protocol = match protocol {
            "tcp" => "tcp",
            "udp" => "udp",
            _ => {
                existing.others.push(Setting::new("publish", key));
                continue;
            }
        };
        let Ok(port) = port.parse() else { continue };
        let chosen = actual.get(&key).and_then(|bindings| bindings.as_ref()?.first());
        for binding in bindings.unwrap_or_default() {
            existing.ports.push(ExistingPort {
                address: binding.host_ip.as_deref().and_then(|ip| ip.parse().ok()),
                host: host_port(&binding).or_else(|| host_port(chosen?)),
                container: port,
                protocol,
            });
        }
    }
}

fn host_port(binding: &PortBinding) -> Option<u16> {
    binding.host_port.as_deref()?.parse().ok().filter(|port| *port > 0)
}

fn add_mount(existing: &mut ExistingContainer, mount: MountPoint) {
    let target = mount.destination.unwrap_or_default();
    let kind = mount.typ.unwrap_or_default();
    let is_volume = kind == "volume";
    let is_local = mount
        .driver
        .as_deref()
        .is_none_or(|driver| driver.is_empty() || driver == "local");
    let source = mount.source.filter(|source| source.starts_with('/'));
    match source {
        Some(source) if kind == "bind" || (is_volume && is_local) => {
            if mount
                .propagation
                .as_deref()
                .is_some_and(|kind| !matches!(kind, "" | "rprivate" | "private"))
            {
                existing.others.push(Setting::new("bind-propagation", target.clone()));
            }
            let is_private = mount
                .mode
                .as_deref()
                .is_some_and(|mode| mode.split(',').any(|word| word == "Z"));
            if is_private {
                existing.others.push(Setting::new("selinux", target.clone()));
            }
            existing.mounts.push(ExistingMount {
                source: PathBuf::from(source),
                target: PathBuf::from(target),
                read_only: mount.rw == Some(false),
                volume: mount.name.filter(|_| is_volume),
            });
        }
        // Those of `--tmpfs` are listed by the host's configuration alone.
        _ => existing.others.push(Setting::new("mount", format!("{kind} {target}"))),
    }
}

fn positive(number: Option<i64>) -> Option<u64> {
    number
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| *number > 0)
}
