//! What a container was given that the configuration has no key for.

use std::collections::HashMap;

use bollard::models::{ContainerConfig, ContainerInspectResponse, EndpointSettings, HostConfig, ImageConfig};

use super::Setting;

/// Docker's size of `/dev/shm`, bytes.
const SHM: i64 = 64 << 20;
/// Characters of an option that are shown.
const SHOWN: usize = 60;

pub(super) fn is_no_new_privileges(option: &str) -> bool {
    matches!(
        option,
        "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true"
    )
}

pub(super) fn settings(answer: &ContainerInspectResponse, image: &ImageConfig) -> Vec<Setting> {
    let (config, host) = (
        answer.config.clone().unwrap_or_default(),
        answer.host_config.clone().unwrap_or_default(),
    );
    let mut found = Found::default();
    life(&mut found, &host);
    limits(&mut found, &host);
    devices(&mut found, &host);
    namespaces(&mut found, &host);
    process(&mut found, &config, image);
    let is_host = host.network_mode.as_deref() == Some("host");
    let hostname = config
        .hostname
        .filter(|name| !is_host && !answer.id.as_deref().unwrap_or("").starts_with(name.as_str()));
    found.text("hostname", hostname);
    labels(&mut found, &config.labels.unwrap_or_default(), image);
    let networks = answer
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.clone());
    network(
        &mut found,
        &host,
        networks.unwrap_or_default(),
        answer.id.as_deref().unwrap_or_default(),
    );
    found.0
}

#[derive(Default)]
struct Found(Vec<Setting>);

impl Found {
    fn text(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.push(Setting::new(name, value));
        }
    }

    fn list(&mut self, name: &str, values: Option<Vec<String>>) {
        self.text(name, values.map(|values| values.join(", ")));
    }

    fn flag(&mut self, name: &str, is_set: Option<bool>) {
        if is_set == Some(true) {
            self.0.push(Setting::new(name, ""));
        }
    }

    fn number(&mut self, name: &str, value: Option<i64>) {
        self.text(name, value.filter(|value| *value > 0).map(|value| value.to_string()));
    }
}

fn life(found: &mut Found, host: &HostConfig) {
    found.flag("publish-all", host.publish_all_ports);
    found.flag("init", host.init);
    found.flag("privileged", host.privileged);
    let options = host.security_opt.clone().unwrap_or_default().into_iter();
    let options = options.filter(|option| !is_no_new_privileges(option));
    // A profile of seccomp stands there as a whole.
    let options = options.map(|option| option.chars().take(SHOWN).collect());
    found.list("security-opt", Some(options.collect()));
}

fn limits(found: &mut Found, host: &HostConfig) {
    let cpus = host.nano_cpus.filter(|cpus| *cpus > 0).map(|cpus| {
        let (whole, hundredths) = (cpus / 1_000_000_000, cpus % 1_000_000_000 / 10_000_000);
        format!("{whole}.{hundredths:02}")
    });
    found.text("cpus", cpus);
    found.number("cpu-quota", host.cpu_quota);
    found.number("cpu-shares", host.cpu_shares);
    found.number("cpu-period", host.cpu_period);
    found.text("cpuset-cpus", host.cpuset_cpus.clone());
    found.text("cpuset-mems", host.cpuset_mems.clone());
    let has_memory = host.memory.is_some_and(|memory| memory > 0);
    let swap = host
        .memory_swap
        .filter(|swap| has_memory && *swap != 0 && Some(*swap) != host.memory);
    found.text("memory-swap", swap.map(|swap| swap.to_string()));
    let swappiness = host.memory_swappiness.filter(|swappiness| *swappiness >= 0);
    found.text("memory-swappiness", swappiness.map(|swappiness| swappiness.to_string()));
    found.number("memory-reservation", host.memory_reservation);
    found.flag("oom-kill-disable", host.oom_kill_disable);
    found.text(
        "oom-score-adj",
        host.oom_score_adj
            .filter(|adjust| *adjust != 0)
            .map(|adjust| adjust.to_string()),
    );
    found.number("blkio-weight", host.blkio_weight.map(i64::from));
    found.number("shm-size", host.shm_size.filter(|size| *size != SHM));
    let ulimits = host.ulimits.clone().unwrap_or_default().into_iter();
    let ulimits = ulimits.filter_map(|limit| {
        let is_unlimited = limit.hard.max(limit.soft) < Some(0);
        match limit.name? {
            name if name != "nofile" => Some(name),
            name => is_unlimited.then(|| format!("{name}=-1")),
        }
    });
    found.list("ulimit", Some(ulimits.collect()));
}

fn devices(found: &mut Found, host: &HostConfig) {
    let devices = host.devices.clone().unwrap_or_default().into_iter();
    found.list(
        "device",
        Some(devices.filter_map(|device| device.path_on_host).collect()),
    );
    found.list("device-cgroup-rule", host.device_cgroup_rules.clone());
    found.flag(
        "gpus",
        host.device_requests.as_ref().map(|requests| !requests.is_empty()),
    );
    found.list("tmpfs", host.tmpfs.clone().map(sorted_names));
    found.flag(
        "storage-opt",
        host.storage_opt.as_ref().map(|options| !options.is_empty()),
    );
    found.text("runtime", host.runtime.clone().filter(|runtime| runtime != "runc"));
    found.text("cgroup-parent", host.cgroup_parent.clone());
}

fn namespaces(found: &mut Found, host: &HostConfig) {
    let ipc = host
        .ipc_mode
        .clone()
        .filter(|mode| !matches!(mode.as_str(), "private" | "shareable"));
    found.text("ipc", ipc);
    found.text("pid", host.pid_mode.clone());
    found.text("uts", host.uts_mode.clone());
    found.text("userns", host.userns_mode.clone());
    found.list("group-add", host.group_add.clone());
    found.list("sysctl", host.sysctls.clone().map(sorted_names));
}

fn process(found: &mut Found, config: &ContainerConfig, image: &ImageConfig) {
    let differs =
        |own: &Option<String>, images: &Option<String>| own.clone().filter(|own| Some(own) != images.as_ref());
    found.text("domainname", config.domainname.clone());
    found.text("workdir", differs(&config.working_dir, &image.working_dir));
    let signal = differs(&config.stop_signal, &image.stop_signal);
    found.text(
        "stop-signal",
        signal.filter(|signal| !matches!(signal.as_str(), "SIGTERM" | "TERM" | "15")),
    );
    // Its command may hold a secret.
    found.flag(
        "health-cmd",
        config
            .healthcheck
            .as_ref()
            .map(|own| image.healthcheck.as_ref() != Some(own)),
    );
}

fn labels(found: &mut Found, labels: &HashMap<String, String>, image: &ImageConfig) {
    let images = image.labels.clone().unwrap_or_default();
    let made = |name: &str| {
        ["com.docker.compose.", "desktop.docker.io/", "t0rn-agent."]
            .iter()
            .any(|by| name.starts_with(by))
    };
    let own = labels
        .iter()
        .filter(|(name, value)| images.get(*name) != Some(*value) && !made(name));
    let mut names: Vec<String> = own.map(|(name, _)| name.clone()).collect();
    names.sort();
    found.list("label", Some(names));
}

fn network(found: &mut Found, host: &HostConfig, networks: HashMap<String, EndpointSettings>, id: &str) {
    found.list("dns", host.dns.clone());
    found.list("dns-search", host.dns_search.clone());
    found.list("dns-option", host.dns_options.clone());
    found.list("add-host", host.extra_hosts.clone());
    found.list("link", host.links.clone());
    let mode = host.network_mode.as_deref().unwrap_or_default();
    let is_first = |name: &str| name == mode || (name == "bridge" && matches!(mode, "" | "default"));
    let mut others: Vec<String> = networks.keys().filter(|name| !is_first(name)).cloned().collect();
    others.sort();
    found.list("network", Some(others));
    for (name, endpoint) in networks.into_iter().filter(|(name, _)| is_first(name)) {
        let address = endpoint
            .ipam_config
            .and_then(|fixed| fixed.ipv4_address.or(fixed.ipv6_address));
        found.text("ip", address.filter(|address| !address.is_empty()));
        let aliases = endpoint.aliases.unwrap_or_default().into_iter();
        let aliases = aliases.filter(|alias| !id.starts_with(alias.as_str()) && *alias != name);
        found.list("network-alias", Some(aliases.collect()));
    }
}

fn sorted_names<V>(map: HashMap<String, V>) -> Vec<String> {
    let mut names: Vec<String> = map.into_keys().collect();
    names.sort();
    names
}
