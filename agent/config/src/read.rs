//! Every key of the configuration: its default and its bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use strum::VariantArray as _;

use super::document::{Document, Section};
use super::problem::Invalid;
use super::values::{argument, bind, boolean, choice, duration, integer, optional, path, size, socket, string};
use super::{
    Agent, Collator, Config, DEFAULT_IMDS, DEFAULT_SOCKET, DEFAULT_STATE_DIR, Data, Ec2, Exporter, Health, Host,
    Identity, Metrics, Mount, Notify, NotifyFormat, Port, Pull, Restart, Update, User, WithoutVolume, conflicts, net,
    parse_image,
};
use agent_core::event::Chain;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MIB: u64 = 1 << 20;
const PIB: u64 = 1 << 50;

/// What the document says, with defaults for what it does not say; `None` when an image is missing.
/// Problems are left in the document: the result is worth something only when there are none.
pub(super) fn config(document: &mut Document) -> Option<Config> {
    let agent = agent(document.section("agent"));
    let collator = collator(document.section("collator"));
    let data = data(document.section("data"));
    let mounts = document.sections("mounts", mount);
    let chains = chains(document);
    let health = health(document.section("health"));
    let restart = restart(document.section("restart"));
    let host = host(document.section("host"));
    let metrics = Metrics {
        listen: {
            let listen = document.section("metrics").read("listen", string(net::listen));
            listen.unwrap_or_else(|| Some(([127, 0, 0, 1], 9733).into()))
        },
    };
    let notify = notify(document.section("notify"));
    let ec2 = ec2(document.section("ec2"));
    let update = update(document.section("update"));
    let identity = identity(document.section("identity"));
    let config = Config {
        agent,
        collator: collator?,
        data,
        mounts,
        chains,
        health,
        restart,
        host,
        metrics,
        notify,
        ec2,
        update,
        identity,
    };
    conflicts::find(document, &config);
    Some(config)
}

fn agent(mut section: Section) -> Agent {
    Agent {
        state_dir: section
            .read("state_dir", string(path))
            .unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
        socket: section
            .read("socket", string(socket))
            .unwrap_or_else(|| DEFAULT_SOCKET.into()),
        docker: section
            .read("docker", string(socket))
            .unwrap_or_else(|| "/var/run/docker.sock".into()),
    }
}

fn collator(mut section: Section) -> Option<Collator> {
    let image = section.require(
        "image",
        "write the image to run, as NAME:TAG or NAME@sha256:…",
        string(parse_image),
    );
    let network = section
        .read("network", string(net::network))
        .unwrap_or_else(|| "bridge".to_owned());
    let local = |port| Port {
        address: Some([127, 0, 0, 1].into()),
        host: port,
        container: port,
        protocol: "tcp",
    };
    let published = || match network.as_str() {
        "host" => Vec::new(),
        _ => vec![
            Port {
                address: None,
                ..local(33333)
            },
            local(7001),
            local(9616),
        ],
    };
    let pull = [
        ("always", Pull::Always),
        ("missing", Pull::Missing),
        ("never", Pull::Never),
    ];
    let variable = |name: &str, value: &toml::de::DeValue| {
        net::variable(name)?;
        // Not shown: it may be a secret.
        let text = value
            .as_str()
            .ok_or_else(|| Invalid::new("its value is no string", "write it in quotes"))?;
        argument(text)
    };
    let collator = Collator {
        image: String::new(),
        container: section
            .read("container", string(net::name))
            .unwrap_or_else(|| "t0rn-collator".to_owned()),
        command: section.list("command", string(argument)).unwrap_or_default(),
        pull: section.read("pull", choice(&pull)).unwrap_or(Pull::Missing),
        env: section.entries("env", variable).unwrap_or_default(),
        ports: section.list("ports", string(net::port)).unwrap_or_else(published),
        network,
        user: section
            .read("user", optional(string(net::user)))
            .unwrap_or(Some(User { uid: 1000, gid: 1000 })),
        stop_timeout: section
            .read("stop_timeout", duration(SECOND, HOUR))
            .unwrap_or(5 * MINUTE),
        // Docker refuses a limit below 6 MiB.
        memory: section.read("memory", optional(size(6 * MIB, PIB))).flatten(),
        nofile: section.read("nofile", integer(1024, 1_073_741_816)).unwrap_or(65536),
        log_max_size: section.read("log_max_size", size(64 << 10, PIB)).unwrap_or(50 * MIB),
        log_max_files: section.read("log_max_files", integer(1, 1000)).unwrap_or(3),
        registry_auth: section.read("registry_auth", optional(string(path))).flatten(),
    };
    Some(Collator {
        image: image?,
        ..collator
    })
}

fn data(mut section: Section) -> Data {
    Data {
        path: section
            .read("path", string(bind))
            .unwrap_or_else(|| "/var/lib/t0rn-collator".into()),
        target: section
            .read("target", string(bind))
            .unwrap_or_else(|| "/node/data".into()),
    }
}

fn mount(mut section: Section) -> Option<Mount> {
    let source = section.require("source", "write the path on the host", string(bind));
    let target = section.require("target", "write the path in the container", string(bind));
    let read_only = section.read("read_only", boolean).unwrap_or(false);
    Some(Mount {
        source: source?,
        target: target?,
        read_only,
    })
}

fn chains(document: &mut Document) -> BTreeMap<Chain, Exporter> {
    let none_given = !{
        document.section("chains");
        document.has("chains")
    };
    let mut chains = BTreeMap::new();
    for &chain in Chain::VARIANTS {
        let mut section = document.section("chains").into_section(chain.into_str());
        let default = match chain {
            Chain::Parachain => "http://127.0.0.1:7001/metrics",
            Chain::Relaychain => "http://127.0.0.1:9616/metrics",
        };
        let metrics = section
            .read("metrics", string(net::http))
            .unwrap_or_else(|| default.to_owned());
        let prefix = section
            .read("prefix", string(net::prefix))
            .unwrap_or_else(|| "substrate".to_owned());
        if none_given || document.has(&format!("chains.{}", chain.into_str())) {
            chains.insert(chain, Exporter { metrics, prefix });
        }
    }
    if chains.is_empty() {
        let remedy = "write [chains.parachain] or [chains.relaychain], or leave [chains] out for both";
        document.conflict(&["chains"], Invalid::new("names no chain", remedy));
    }
    chains
}

fn health(mut section: Section) -> Health {
    let scrape_interval = section
        .read("scrape_interval", duration(100 * MILLISECOND, HOUR))
        .unwrap_or(5 * SECOND);
    let window = || duration(SECOND, 7 * DAY);
    Health {
        scrape_interval,
        scrape_timeout: section
            .read("scrape_timeout", duration(50 * MILLISECOND, HOUR))
            .unwrap_or_else(|| (3 * SECOND).min(scrape_interval * 3 / 5)),
        startup_grace: section
            .read("startup_grace", duration(SECOND, 7 * DAY))
            .unwrap_or(10 * MINUTE),
        lag_blocks: section.read("lag_blocks", integer(0, 1_000_000)).unwrap_or(10),
        stall_after: section.read("stall_after", window()).unwrap_or(5 * MINUTE),
        isolated_after: section.read("isolated_after", window()).unwrap_or(5 * MINUTE),
        frozen_after: section.read("frozen_after", window()).unwrap_or(2 * MINUTE),
        activity_extension: section.read("activity_extension", integer(1, 100)).unwrap_or(3),
        activity_bytes: section.read("activity_bytes", size(1, 1 << 40)).unwrap_or(32 << 10),
    }
}

fn restart(mut section: Section) -> Restart {
    Restart {
        backoff_initial: section
            .read("backoff_initial", duration(100 * MILLISECOND, DAY))
            .unwrap_or(SECOND),
        backoff_max: section
            .read("backoff_max", duration(100 * MILLISECOND, DAY))
            .unwrap_or(5 * MINUTE),
        backoff_reset: section
            .read("backoff_reset", duration(SECOND, 7 * DAY))
            .unwrap_or(30 * MINUTE),
        start_timeout: section
            .read("start_timeout", duration(SECOND, HOUR))
            .unwrap_or(30 * SECOND),
        budget: section.read("budget", integer(0, 100)).unwrap_or(3),
        budget_window: section
            .read("budget_window", duration(SECOND, 30 * DAY))
            .unwrap_or(6 * HOUR),
    }
}

fn host(mut section: Section) -> Host {
    Host {
        disk_warn_percent: section.read("disk_warn_percent", integer(0, 99)).unwrap_or(10),
        disk_floor: section.read("disk_floor", size(0, PIB)).unwrap_or(2 << 30),
        clock_warn: section
            .read("clock_warn", duration(MILLISECOND, HOUR))
            .unwrap_or(500 * MILLISECOND),
        memory_warn_percent: section.read("memory_warn_percent", integer(0, 100)).unwrap_or(20),
    }
}

fn notify(mut section: Section) -> Notify {
    let formats = [
        ("json", NotifyFormat::Json),
        ("slack", NotifyFormat::Slack),
        ("discord", NotifyFormat::Discord),
        ("telegram", NotifyFormat::Telegram),
    ];
    Notify {
        webhook: section.read("webhook", optional(string(net::webhook))).flatten(),
        format: section.read("format", choice(&formats)).unwrap_or(NotifyFormat::Json),
        no_collation_after: section
            .read("no_collation_after", duration(Duration::ZERO, 7 * DAY))
            .or(Some(30 * MINUTE))
            .filter(|limit| !limit.is_zero()),
    }
}

fn ec2(mut section: Section) -> Ec2 {
    let enabled = |value: &toml::de::DeValue| match (value.as_bool(), value.as_str()) {
        (Some(enabled), _) => Ok(Some(enabled)),
        _ => choice(&[("auto", None), ("true", Some(true)), ("false", Some(false))])(value),
    };
    Ec2 {
        enabled: section.read("enabled", enabled).flatten(),
        imds: section
            .read("imds", string(net::http))
            .unwrap_or_else(|| DEFAULT_IMDS.to_owned()),
        lifecycle_hook: section.read("lifecycle_hook", optional(string(net::hook))).flatten(),
    }
}

fn update(mut section: Section) -> Update {
    Update {
        auto: section.read("auto", boolean).unwrap_or(false),
        check_every: section
            .read("check_every", duration(SECOND, 30 * DAY))
            .unwrap_or(6 * HOUR),
        probation: section
            .read("probation", duration(SECOND, 7 * DAY))
            .unwrap_or(10 * MINUTE),
        keep_images: section.read("keep_images", integer(2, 1000)).unwrap_or(2),
    }
}

fn identity(mut section: Section) -> Identity {
    let without = [
        ("nothing", WithoutVolume::Nothing),
        ("full_node", WithoutVolume::FullNode),
    ];
    Identity {
        required: section.read("required", boolean).unwrap_or(false),
        volume: section.read("volume", optional(string(net::volume))).flatten(),
        mount: section
            .read("mount", string(bind))
            .unwrap_or_else(|| "/var/lib/t0rn-identity".into()),
        without_volume: section
            .read("without_volume", choice(&without))
            .unwrap_or(WithoutVolume::Nothing),
    }
}
