//! Contradictions between values that are valid by themselves.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use agent_core::notification::NotifyFormat;
use agent_core::units::show_duration;
use url::Url;

use crate::reader::DocumentReader;
use crate::signatures;
use crate::types::{Config, PublishedPort};

/// Adds a problem to the document for each contradiction in `config`.
pub(crate) fn validate(document: &mut DocumentReader, config: &Config) {
    windows(document, config);
    paths(document, config);
    identity(document, config);
    ports(document, config);
    notify(document, config);
    exporters(document, config);
    signatures::validate(document, &config.signatures);
}

fn windows(document: &mut DocumentReader, Config { health, restart, .. }: &Config) {
    let interval = show_duration(health.scrape_interval);
    if health.scrape_timeout > health.scrape_interval {
        let timeout = show_duration(health.scrape_timeout);
        document.conflict(
            &["health.scrape_timeout", "health.scrape_interval"],
            format!("{timeout} is longer than scrape_interval, {interval}"),
            "shorten the timeout: scrapes would pile up",
        );
    }
    for (key, window) in [
        ("stall_after", health.stall_after),
        ("isolated_after", health.isolated_after),
        ("frozen_after", health.frozen_after),
    ] {
        if window < 2 * health.scrape_interval {
            let window = show_duration(window);
            document.conflict(
                &[&format!("health.{key}"), "health.scrape_interval"],
                format!("{key}, {window}, is less than twice scrape_interval, {interval}"),
                "lengthen the window: a single sample proves nothing",
            );
        }
    }
    if restart.backoff_initial > restart.backoff_max {
        let (initial, max) = (
            show_duration(restart.backoff_initial),
            show_duration(restart.backoff_max),
        );
        document.conflict(
            &["restart.backoff_initial", "restart.backoff_max"],
            format!("backoff_initial, {initial}, is longer than backoff_max, {max}"),
            "shorten the first or lengthen the second",
        );
    }
}

/// Directories of the operating system.
const SYSTEM: [&str; 8] = ["/bin", "/boot", "/etc", "/lib", "/proc", "/sbin", "/sys", "/usr"];
/// Directories in which many programs have one each.
const SHARED: [&str; 6] = ["/home", "/opt", "/root", "/run", "/var", "/var/lib"];

fn paths(document: &mut DocumentReader, config: &Config) {
    let (agent, data) = (&config.agent, &config.data);
    if agent.state_dir == data.path {
        document.conflict(
            &["agent.state_dir", "data.path"],
            format!("agent.state_dir and data.path are both \"{}\"", data.path.display()),
            "give the agent a directory of its own: the collator may write to its data",
        );
    }
    if SYSTEM.iter().any(|system| data.path.starts_with(system))
        || SHARED.iter().any(|shared| data.path == Path::new(shared))
    {
        document.conflict(
            &["data.path"],
            format!("data.path is \"{}\", which is the system's", data.path.display()),
            "give the collator a directory of its own, such as /var/lib/t0rn-collator",
        );
    }
    if agent.socket == agent.docker {
        document.conflict(
            &["agent.socket", "agent.docker"],
            format!("agent.socket and agent.docker are both \"{}\"", agent.docker.display()),
            "give the agent a socket of its own",
        );
    }
    let mut targets = BTreeSet::from([&data.target]);
    for (i, mount) in config.mounts.iter().enumerate() {
        if !targets.insert(&mount.target) {
            document.conflict(
                &[&format!("mounts[{i}].target")],
                format!("\"{}\" is mounted twice", mount.target.display()),
                "give every mount a target of its own",
            );
        }
    }
}

fn identity(document: &mut DocumentReader, config: &Config) {
    let identity = &config.identity;
    if !identity.required {
        return;
    }
    let (mount, path) = (&identity.mount, &config.data.path);
    if mount.starts_with(path) || path.starts_with(mount) {
        let (mount, path) = (mount.display(), path.display());
        document.conflict(
            &["identity.mount", "data.path"],
            format!("identity.mount {mount} and data.path {path} lie in each other"),
            "give the keys a volume of their own: chain data is copied, replaced and thrown away",
        );
    }
    if identity.volume.is_some() && config.ec2.enabled == Some(false) {
        document.conflict(
            &["identity.volume", "ec2.enabled"],
            "identity.volume is an EBS volume, and ec2.enabled is false",
            "enable ec2, or leave the volume away where something else mounts it",
        );
    }
}

fn ports(document: &mut DocumentReader, Config { collator, metrics, .. }: &Config) {
    if collator.network == "host" && !collator.ports.is_empty() {
        document.conflict(
            &["collator.network", "collator.ports"],
            "ports are published although network is \"host\"",
            "remove ports: on the host's network every port is the host's",
        );
    }
    let own = metrics.listen.map(|address| PublishedPort {
        address: Some(address.ip()),
        host: address.port(),
        container: address.port(),
        protocol: "tcp",
    });
    for (i, port) in collator.ports.iter().enumerate() {
        let key = format!("collator.ports[{i}]");
        if collator.ports[..i].iter().any(|other| overlap(port, other)) {
            let found = format!("host port {}/{} is published twice", port.host, port.protocol);
            document.conflict(&[&key], found, "publish it once");
        }
        if own.as_ref().is_some_and(|own| overlap(port, own)) {
            let found = format!("host port {} is also metrics.listen", port.host);
            document.conflict(&[&key, "metrics.listen"], found, "give one of them another port");
        }
    }
}

/// Whether two published ports need the same socket of the host.
fn overlap(a: &PublishedPort, b: &PublishedPort) -> bool {
    let everywhere = |port: &PublishedPort| port.address.is_none_or(|address| address.is_unspecified());
    a.host == b.host && a.protocol == b.protocol && (everywhere(a) || everywhere(b) || a.address == b.address)
}

fn notify(document: &mut DocumentReader, Config { notify, .. }: &Config) {
    let webhook = notify.webhook.as_ref().and_then(|url| Url::parse(url).ok());
    let Some(webhook) = webhook.filter(|_| notify.format == NotifyFormat::Telegram) else {
        return;
    };
    let is_chat = |(name, value): (Cow<str>, Cow<str>)| name == "chat_id" && !value.is_empty();
    if !webhook.query_pairs().any(is_chat) {
        document.conflict(
            &["notify.webhook"],
            "telegram's webhook names no chat_id",
            "write https://api.telegram.org/bot<token>/sendMessage?chat_id=<id>",
        );
    }
}

fn exporters(document: &mut DocumentReader, Config { chains, .. }: &Config) {
    let mut urls = chains.values().map(|exporter| &exporter.metrics);
    if let (Some(parachain), Some(relaychain)) = (urls.next(), urls.next())
        && parachain == relaychain
    {
        document.conflict(
            &["chains.parachain.metrics", "chains.relaychain.metrics"],
            format!("both chains have the exporter {parachain}"),
            "write each chain's own: the node has two exporters",
        );
    }
    let own: Vec<_> = chains.values().filter_map(|e| Url::parse(&e.metrics).ok()).collect();
    for (chain, exporter) in chains {
        if exporter.references.iter().any(|reference| own.contains(reference)) {
            let key = format!("chains.{}.reference", chain.into_str());
            let remedy = "name another node: this one always agrees with itself";
            document.conflict(&[&key], "the reference is this node's own exporter", remedy);
        }
    }
}
