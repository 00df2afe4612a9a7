//! One service, key by key.

use agent_config::parse_duration;
use agent_docker::{ExistingContainer, ExistingImage, RestartPolicy, Setting};
use anyhow::{Context as _, bail};

use super::yaml::Yaml;
use super::{ComposeFile, lists, ports, volumes};
use crate::commands::init::size::human_size;

/// Keys without an effect on a container of the agent.
const NO_EFFECT: [&str; 8] = [
    "expose",
    "tty",
    "stdin_open",
    "attach",
    "annotations",
    "pull_policy",
    "scale",
    "network_mode",
];

pub(super) fn container(file: &ComposeFile, name: &str) -> anyhow::Result<ExistingContainer> {
    let service = file
        .tree
        .get("services")
        .and_then(|all| all.get(name))
        .context("the service is gone")?;
    if service.get("extends").is_some() {
        bail!(
            "the service {name} extends another one: `docker compose config >resolved.yml`, then --from-compose resolved.yml"
        );
    }
    let mut container = ExistingContainer {
        name: format!("{}-{name}-1", file.project),
        compose_project: Some(file.project.clone()),
        env: lists::environment(file, service)?,
        ..ExistingContainer::default()
    };
    network(file, &mut container, service);
    for (key, value) in service.entries() {
        entry(file, &mut container, key, value).with_context(|| format!("the service {name}: {key}"))?;
    }
    let is_cleared =
        service.get("entrypoint").is_some_and(|value| *value != Yaml::Null) && container.entrypoint.is_none();
    if is_cleared && !container.command.is_empty() {
        container.entrypoint = Some(vec![container.command.remove(0)]);
    }
    if container.image.reference.is_empty() {
        // As compose names what it builds.
        container.image.reference = format!("{}-{name}", file.project);
    }
    Ok(container)
}

fn entry(file: &ComposeFile, container: &mut ExistingContainer, key: &str, value: &Yaml) -> anyhow::Result<()> {
    let text = || value.text().map(str::to_owned);
    match key {
        _ if *value == Yaml::Null || value.text() == Some("false") => {}
        "image" => {
            container.image = ExistingImage {
                reference: text().unwrap_or_default(),
                ..ExistingImage::default()
            }
        }
        "container_name" => container.name = text().unwrap_or_default(),
        "command" => container.command = lists::arguments(value)?,
        "entrypoint" => container.entrypoint = Some(lists::arguments(value)?).filter(|words| !words.is_empty()),
        "environment" | "env_file" | "networks" => {}
        "volumes" => volumes::add(file, container, value),
        "ports" => container.ports = ports::ports(value)?,
        "working_dir" => {
            container.working_dir = text().unwrap_or_default();
            container.others.push(Setting::new(key, container.working_dir.clone()));
        }
        "user" => container.user = text().unwrap_or_default(),
        "mem_limit" => container.memory = size(value)?,
        "pids_limit" => container.confinement.pids_limit = value.text().and_then(|limit| limit.parse().ok()),
        "read_only" => container.confinement.read_only = value.is_true(),
        "cap_add" => container.confinement.cap_add = value.texts(),
        "cap_drop" => container.confinement.cap_drop = value.texts(),
        "security_opt" => security(container, value),
        "restart" => container.restart = restart(&text().unwrap_or_default()),
        "stop_grace_period" => {
            let period = parse_duration(&text().unwrap_or_default()).map_err(anyhow::Error::msg)?;
            container.stop_timeout = i64::try_from(period.as_secs()).ok();
        }
        "logging" => {
            container.log_driver = value
                .get("driver")
                .and_then(Yaml::text)
                .map(str::to_owned)
                .unwrap_or_default();
            let options = value.get("options").map(Yaml::entries).unwrap_or_default().iter();
            let options = options.filter_map(|(name, value)| Some((name.clone(), value.text()?.to_owned())));
            container.log_options = options.collect();
        }
        "ulimits" => ulimits(container, value),
        "deploy" => deploy(container, value)?,
        _ if NO_EFFECT.contains(&key) || key.starts_with("x-") => {}
        // Values of the others are shown where they are one word and no secret.
        "cpus" | "cpu_shares" | "cpuset" | "hostname" | "shm_size" | "stop_signal" | "platform" => {
            container.others.push(Setting::new(key, text().unwrap_or_default()));
        }
        _ => container.others.push(Setting::new(key, "")),
    }
    Ok(())
}

/// The number of tries of `on-failure` stands after a colon.
fn restart(text: &str) -> RestartPolicy {
    let (name, tries) = text.split_once(':').unwrap_or((text, ""));
    RestartPolicy {
        name: name.to_owned(),
        max_retries: tries.parse().unwrap_or(0),
    }
}

fn size(value: &Yaml) -> anyhow::Result<Option<u64>> {
    let text = value.text().unwrap_or_default();
    Ok(Some(
        human_size(text, 1024).with_context(|| format!("{text} is no size"))?,
    ))
}

fn security(container: &mut ExistingContainer, value: &Yaml) {
    for option in value.texts() {
        if matches!(
            option.as_str(),
            "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true"
        ) {
            container.confinement.no_new_privileges = true;
        } else {
            container.others.push(Setting::new("security_opt", option));
        }
    }
}

fn ulimits(container: &mut ExistingContainer, value: &Yaml) {
    for (name, limit) in value.entries() {
        let limit = limit
            .get("hard")
            .unwrap_or(limit)
            .text()
            .and_then(|limit| limit.parse().ok());
        match (name.as_str(), limit) {
            ("nofile", Some(limit)) => container.nofile = Some(limit),
            _ => container.others.push(Setting::new("ulimit", name)),
        }
    }
}

/// Limits; the rest of it is for clusters.
fn deploy(container: &mut ExistingContainer, value: &Yaml) -> anyhow::Result<()> {
    let limits = value.get("resources").and_then(|resources| resources.get("limits"));
    for (name, limit) in limits.map(Yaml::entries).unwrap_or_default() {
        match name.as_str() {
            "memory" => container.memory = size(limit)?,
            "pids" => container.confinement.pids_limit = limit.text().and_then(|limit| limit.parse().ok()),
            name => container
                .others
                .push(Setting::new(name, limit.text().unwrap_or_default())),
        }
    }
    if value.entries().iter().any(|(name, _)| name != "resources") {
        container.others.push(Setting::new("deploy", ""));
    }
    Ok(())
}

fn network(file: &ComposeFile, container: &mut ExistingContainer, service: &Yaml) {
    if let Some(mode) = service.get("network_mode").and_then(Yaml::text) {
        mode.clone_into(&mut container.network);
        return;
    }
    let networks = service.get("networks").cloned().unwrap_or(Yaml::Null);
    let mut names = networks.texts();
    names.extend(networks.entries().iter().map(|(name, _)| name.clone()));
    let Some((first, others)) = names.split_first() else {
        let is_alone = file.services().len() == 1;
        container.network = if is_alone {
            "bridge".to_owned()
        } else {
            file.full_name("networks", "default")
        };
        return;
    };
    container.network = file.full_name("networks", first);
    if !others.is_empty() {
        container.others.push(Setting::new("networks", others.join(", ")));
    }
    let options = networks.get(first).map(Yaml::entries).unwrap_or_default();
    for (option, _) in options {
        let name = if option.ends_with("_address") { "ip" } else { option };
        container.others.push(Setting::new(name, ""));
    }
}
