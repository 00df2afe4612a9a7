//! Settings without a key: what the agent does instead, and what can be done.

use agent_docker::Setting;

use crate::commands::init::draft::Draft;

/// By the option of `docker run`; keys of compose files are the same with underscores.
const REMEDIES: &[(&str, &str)] = &[
    (
        "privileged",
        "a collator needs none of it; single capabilities are collator.cap_add",
    ),
    (
        "device",
        "the agent gives the collator no devices; chain data on a disk is a mount",
    ),
    (
        "devices",
        "the agent gives the collator no devices; chain data on a disk is a mount",
    ),
    ("gpus", "the agent gives the collator no devices"),
    ("cpus", "the collator may use all of the host's processors"),
    ("cpu-quota", "the collator may use all of the host's processors"),
    ("cpu-shares", "the collator has the same share as others"),
    ("cpu-period", "the collator may use all of the host's processors"),
    (
        "device-cgroup-rule",
        "the agent gives the collator no devices; chain data on a disk is a mount",
    ),
    ("cpuset-cpus", "the collator may use all of the host's processors"),
    ("cpuset", "the collator may use all of the host's processors"),
    (
        "memory-swap",
        "with collator.memory the collator gets no swap: one that swaps misses its slots",
    ),
    (
        "memory-reservation",
        "collator.memory is the limit; there is no reservation",
    ),
    (
        "mem-reservation",
        "collator.memory is the limit; there is no reservation",
    ),
    (
        "hostname",
        "it is the container's id; a node's name is --name in collator.command",
    ),
    (
        "label",
        "the agent's container has labels of the agent alone: what reads these needs another way",
    ),
    (
        "labels",
        "the agent's container has labels of the agent alone: what reads these needs another way",
    ),
    ("health-cmd", "the agent judges the collator by its exporters"),
    ("healthcheck", "the agent judges the collator by its exporters"),
    (
        "network",
        "the container is on one network, collator.network: `docker network connect` after each creation",
    ),
    (
        "networks",
        "the container is on one network, collator.network: `docker network connect` after each creation",
    ),
    (
        "network-alias",
        "other containers find it by its name, collator.container",
    ),
    ("aliases", "other containers find it by its name, collator.container"),
    (
        "ip",
        "Docker gives the container an address: other containers find it by its name, collator.container",
    ),
    ("dns", "set it for the engine, in /etc/docker/daemon.json"),
    ("dns-search", "set it for the engine, in /etc/docker/daemon.json"),
    ("dns-option", "set it for the engine, in /etc/docker/daemon.json"),
    (
        "add-host",
        "give the address itself in collator.command, or a name that DNS knows",
    ),
    (
        "extra-hosts",
        "give the address itself in collator.command, or a name that DNS knows",
    ),
    (
        "tmpfs",
        "with read_only = false it is a directory of the container; else only /tmp is in memory",
    ),
    ("mount", "only directories of the host and volumes can be mounted"),
    (
        "shm-size",
        "it is Docker's default of 64 MiB, which a node does not need",
    ),
    (
        "workdir",
        "it is the image's: write paths in collator.command from the root",
    ),
    (
        "working-dir",
        "it is the image's: write paths in collator.command from the root",
    ),
    ("stop-signal", "it is the image's"),
    (
        "init",
        "the node is the first process: its entrypoint has to end in exec",
    ),
    ("security-opt", "the engine's default profiles hold"),
    (
        "selinux",
        "its files are labelled for the old container alone (:Z), and where SELinux is enforced they are closed to the agent's: \
         `chcon --recursive --type container_file_t --range s0` on its directory",
    ),
    ("ulimit", "collator.nofile is the only one with a key"),
    ("publish", "only tcp and udp are published"),
    ("publish-all", "ports are published one by one, in collator.ports"),
    ("depends-on", "the agent starts the collator alone"),
    (
        "build",
        "the image has to be on this host or in a registry: `docker compose build`",
    ),
    ("secrets", "write a [[mounts]] with the file for /run/secrets"),
    ("configs", "write a [[mounts]] with the file"),
    ("platform", "it is the host's"),
    ("group-add", "the collator has the group of collator.user alone"),
    (
        "extends",
        "let compose resolve it: `docker compose config >resolved.yml`, then --from-compose resolved.yml",
    ),
    ("profiles", "the agent starts the collator whatever profile is active"),
    ("deploy", "only the limits of memory and processes are carried over"),
];

pub(super) fn note(draft: &mut Draft, setting: &Setting) {
    let option = setting.name.replace('_', "-");
    let remedy = REMEDIES.iter().find(|(name, _)| *name == option);
    let remedy = remedy.map_or("there is no key for it", |(_, remedy)| remedy);
    let value = if setting.value.is_empty() {
        String::new()
    } else {
        format!(" {}", setting.value)
    };
    draft.note(format!("{}{value}: {remedy}", setting.name));
}
