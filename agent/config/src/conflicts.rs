//! Values that are good by themselves and do not go together.

use std::collections::BTreeSet;
use std::path::Path;

use super::document::Document;
use super::problem::Invalid;
use super::{Config, NotifyFormat, Port};
use agent_core::units::show_duration;

/// Leaves a problem in the document for each contradiction in `config`.
pub(super) fn find(document: &mut Document, config: &Config) {
    windows(document, config);
    paths(document, config);
    identity(document, config);
    ports(document, config);
    notify(document, config);
    let mut urls = config.chains.values().map(|exporter| &exporter.metrics);
    if let (Some(parachain), Some(relaychain)) = (urls.next(), urls.next())
        && parachain == relaychain
    {
        let found = format!("both chains have the exporter {parachain}");
        let keys = ["chains.parachain.metrics", "chains.relaychain.metrics"];
        document.conflict(
            &keys,
            Invalid::new(found, "write each chain's own: the node has two exporters"),
        );
    }
}

fn windows(document: &mut Document, Config { health, restart, .. }: &Config) {
    let interval = show_duration(health.scrape_interval);
    if health.scrape_timeout > health.scrape_interval {
        let found = format!(
            "{} is longer than scrape_interval, {interval}",
            show_duration(health.scrape_timeout)
        );
        let keys = ["health.scrape_timeout", "health.scrape_interval"];
        document.conflict(&keys, Invalid::new(found, "shorten the timeout: scrapes would pile up"));
    }
    for (key, window) in [
        ("stall_after", health.stall_after),
        ("isolated_after", health.isolated_after),
        ("frozen_after", health.frozen_after),
    ] {
        if window < 2 * health.scrape_interval {
            let found = format!(
                "{key}, {}, is less than twice scrape_interval, {interval}",
                show_duration(window)
            );
            let remedy = "lengthen the window: a single sample proves nothing";
            document.conflict(
                &[&format!("health.{key}"), "health.scrape_interval"],
                Invalid::new(found, remedy),
            );
        }
    }
    if restart.backoff_initial > restart.backoff_max {
        let (initial, max) = (
            show_duration(restart.backoff_initial),
            show_duration(restart.backoff_max),
        );
        let found = format!("backoff_initial, {initial}, is longer than backoff_max, {max}");
        let keys = ["restart.backoff_initial", "restart.backoff_max"];
        document.conflict(&keys, Invalid::new(found, "shorten the first or lengthen the second"));
    }
}

/// Where nothing but the system's own files lies.
const SYSTEM: [&str; 8] = ["/bin", "/boot", "/etc", "/lib", "/proc", "/sbin", "/sys", "/usr"];
/// Where many programs have a directory each.
const SHARED: [&str; 6] = ["/home", "/opt", "/root", "/run", "/var", "/var/lib"];

fn paths(
    document: &mut Document,
    Config {
        agent, data, mounts, ..
    }: &Config,
) {
    if agent.state_dir == data.path {
        let found = format!("agent.state_dir and data.path are both \"{}\"", data.path.display());
        let remedy = "give the agent a directory of its own: the collator may write to its data";
        document.conflict(&["agent.state_dir", "data.path"], Invalid::new(found, remedy));
    }
    if SYSTEM.iter().any(|system| data.path.starts_with(system))
        || SHARED.iter().any(|shared| data.path == Path::new(shared))
    {
        let found = format!("data.path is \"{}\", which is the system's", data.path.display());
        let remedy = "give the collator a directory of its own, such as /var/lib/t0rn-collator";
        document.conflict(&["data.path"], Invalid::new(found, remedy));
    }
    if agent.socket == agent.docker {
        let found = format!("agent.socket and agent.docker are both \"{}\"", agent.docker.display());
        let keys = ["agent.socket", "agent.docker"];
        document.conflict(&keys, Invalid::new(found, "give the agent a socket of its own"));
    }
    let mut targets = BTreeSet::from([&data.target]);
    for (i, mount) in mounts.iter().enumerate() {
        if !targets.insert(&mount.target) {
            let found = format!("\"{}\" is mounted twice", mount.target.display());
            let key = format!("mounts[{i}].target");
            document.conflict(&[&key], Invalid::new(found, "give every mount a target of its own"));
        }
    }
}

fn identity(
    document: &mut Document,
    Config {
        identity, data, ec2, ..
    }: &Config,
) {
    if !identity.required {
        return;
    }
    let (mount, path) = (&identity.mount, &data.path);
    if mount.starts_with(path) || path.starts_with(mount) {
        let found = format!(
            "identity.mount {} and data.path {} lie in each other",
            mount.display(),
            path.display()
        );
        let remedy = "give the keys a volume of their own: chain data is copied, replaced and thrown away";
        document.conflict(&["identity.mount", "data.path"], Invalid::new(found, remedy));
    }
    if identity.volume.is_some() && ec2.enabled == Some(false) {
        let found = "identity.volume is an EBS volume, and ec2.enabled is false";
        let remedy = "enable ec2, or leave the volume away where somebody else mounts it";
        document.conflict(&["identity.volume", "ec2.enabled"], Invalid::new(found, remedy));
    }
}

fn ports(document: &mut Document, Config { collator, metrics, .. }: &Config) {
    if collator.network == "host" && !collator.ports.is_empty() {
        let keys = ["collator.network", "collator.ports"];
        let found = "ports are published although network is \"host\"";
        document.conflict(
            &keys,
            Invalid::new(found, "remove ports: on the host's network every port is the host's"),
        );
    }
    for (i, port) in collator.ports.iter().enumerate() {
        let key = format!("collator.ports[{i}]");
        if collator.ports[..i].iter().any(|other| overlap(port, other)) {
            let found = format!("host port {}/{} is published twice", port.host, port.protocol);
            document.conflict(&[&key], Invalid::new(found, "publish it once"));
        }
        let own = metrics.listen.map(|a| Port {
            address: Some(a.ip()),
            host: a.port(),
            container: 1,
            protocol: "tcp",
        });
        if own.is_some_and(|own| overlap(port, &own)) {
            let found = format!("host port {} is also metrics.listen", port.host);
            document.conflict(
                &[&key, "metrics.listen"],
                Invalid::new(found, "give one of them another port"),
            );
        }
    }
}

fn notify(document: &mut Document, Config { notify, .. }: &Config) {
    let webhook = notify.webhook.as_ref().and_then(|url| url::Url::parse(url).ok());
    let Some(webhook) = webhook.filter(|_| notify.format == NotifyFormat::Telegram) else {
        return;
    };
    if !webhook
        .query_pairs()
        .any(|(name, value)| name == "chat_id" && !value.is_empty())
    {
        let remedy = "write https://api.telegram.org/bot<token>/sendMessage?chat_id=<id>";
        let invalid = Invalid::new("telegram's webhook names no chat_id", remedy);
        document.conflict(&["notify.webhook"], invalid);
    }
}

/// Whether two published ports want the same socket of the host.
fn overlap(a: &Port, b: &Port) -> bool {
    let everywhere = |port: &Port| port.address.is_none_or(|address| address.is_unspecified());
    a.host == b.host && a.protocol == b.protocol && (everywhere(a) || everywhere(b) || a.address == b.address)
}
