//! Every key of the configuration: its default and its bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_core::event::Chain;
use agent_core::machine::{Idle, WithoutVolume};
use agent_core::notification::NotifyFormat;
use strum::VariantArray as _;
use toml::de::DeValue;

use crate::error::ValueError;
use crate::formats;
use crate::names;
use crate::reader::{DocumentReader, SectionReader};
use crate::shape::{Reader, Shape};
use crate::signatures::signature;
use crate::types::{
    AgentConfig, BindMount, CollatorConfig, Config, Confinement, ContainerUser, DataConfig, Ec2Config, ExporterConfig,
    HealthConfig, HostConfig, IdentityConfig, MetricsConfig, NotifyConfig, PublishedPort, PullPolicy, RestartConfig,
    UpdateConfig,
};
use crate::validate::validate;
use crate::values::{argument, boolean, choice, duration, integer, optional, size, some, string};

/// Default of `agent.state_dir`.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/t0rn-agent";
/// Default of `agent.socket`.
pub const DEFAULT_SOCKET: &str = "/run/t0rn-agent/agent.sock";
/// Default of `ec2.imds`: EC2's address of the instance metadata service.
pub const DEFAULT_IMDS: &str = "http://169.254.169.254";

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// How many of its blocks a chain may make late, one after the other.
const IDLE_BLOCKS: u32 = 50;
const MIB: u64 = 1 << 20;
const PIB: u64 = 1 << 50;

/// The values of the document, with the defaults of absent keys.
///
/// Problems are added to the document: the result is valid only when there are none.
pub(crate) fn config(document: &mut DocumentReader) -> Config {
    let config = Config {
        agent: agent(document.section("agent")),
        collator: collator(document.section("collator")),
        data: data(document.section("data")),
        mounts: document.sections("mounts", mount),
        chains: chains(document),
        health: health(document.section("health")),
        restart: restart(document.section("restart")),
        host: host(document.section("host")),
        metrics: metrics(document.section("metrics")),
        notify: notify(document.section("notify")),
        ec2: ec2(document.section("ec2")),
        update: update(document.section("update")),
        identity: identity(document.section("identity")),
        signatures: document.sections("signatures", |row| Some(signature(row))),
    };
    // Contradictions wait until there is an image to run.
    if !config.collator.image.is_empty() {
        validate(document, &config);
    }
    config
}

fn agent(mut section: SectionReader) -> AgentConfig {
    AgentConfig {
        state_dir: section.read_or("state_dir", DEFAULT_STATE_DIR.into(), string(&formats::PATH)),
        socket: section.read_or("socket", DEFAULT_SOCKET.into(), string(&formats::SOCKET)),
        docker: section.read_or("docker", "/var/run/docker.sock".into(), string(&formats::SOCKET)),
    }
}

fn collator(mut section: SectionReader) -> CollatorConfig {
    let image = section.require(
        "image",
        "write the image to run, as NAME:TAG or NAME@sha256:…",
        string(&formats::IMAGE),
    );
    let network = section.read_or("network", "bridge".to_owned(), string(&formats::NETWORK));
    let local = |port| PublishedPort {
        address: Some([127, 0, 0, 1].into()),
        host: port,
        container: port,
        protocol: "tcp",
    };
    let published = || match network.as_str() {
        "host" => Vec::new(),
        _ => vec![
            PublishedPort {
                address: None,
                ..local(33333)
            },
            local(7001),
            local(9616),
        ],
    };
    let pull = [
        ("always", PullPolicy::Always),
        ("missing", PullPolicy::Missing),
        ("never", PullPolicy::Never),
    ];
    let variable = |name: &str, value: &DeValue| {
        names::variable(name)?;
        // Not shown: it may be a secret.
        let text = value
            .as_str()
            .ok_or_else(|| ValueError::new("its value is no string", "write it in quotes"))?;
        argument(text)
    };
    let variables = Reader {
        parse: variable,
        shape: Shape::Entries {
            name: formats::VARIABLE,
            each: string(&formats::ARGUMENT).shape.into(),
        },
    };
    let user = ContainerUser { uid: 1000, gid: 1000 };
    CollatorConfig {
        image: image.unwrap_or_default(),
        container: section.read_or("container", "t0rn-collator".to_owned(), string(&formats::NAME)),
        entrypoint: section.read_or("entrypoint", None, optional(string(&formats::ARGUMENT))),
        command: section.list("command", string(&formats::ARGUMENT)).unwrap_or_default(),
        pull: section.read_or("pull", PullPolicy::Missing, choice(&pull)),
        env: section.entries("env", variables).unwrap_or_default(),
        ports: section.list("ports", string(&formats::PORT)).unwrap_or_else(published),
        network,
        user: section.read_or("user", Some(user), optional(string(&formats::USER))),
        stop_timeout: section.read_or("stop_timeout", 5 * MINUTE, duration(SECOND, HOUR)),
        // Docker refuses a limit below 6 MiB.
        memory: section.read_or("memory", None, optional(size(6 * MIB, PIB))),
        nofile: section.read_or("nofile", 65536, integer(1024, 1_073_741_816)),
        log_max_size: section.read_or("log_max_size", 50 * MIB, size(64 << 10, PIB)),
        log_max_files: section.read_or("log_max_files", 3, integer(1, 1000)),
        registry_auth: section.read_or("registry_auth", None, optional(string(&formats::LOGIN_FILE))),
        cosign_key: section.read_or("cosign_key", None, optional(string(&formats::PATH))),
        confinement: confinement(&mut section),
    }
}

fn confinement(section: &mut SectionReader) -> Confinement {
    let default = Confinement::default();
    let mut cap_add = section
        .list("cap_add", string(&formats::CAPABILITY))
        .unwrap_or(default.cap_add);
    cap_add.sort();
    cap_add.dedup();
    let pids_limit = section.read_or("pids_limit", 8192, integer(0, 4_194_304));
    Confinement {
        no_new_privileges: section.read_or("no_new_privileges", default.no_new_privileges, boolean()),
        cap_add,
        pids_limit: (pids_limit > 0).then_some(pids_limit),
        read_only: section.read_or("read_only", default.read_only, boolean()),
    }
}

fn data(mut section: SectionReader) -> DataConfig {
    DataConfig {
        path: section.read_or("path", "/var/lib/t0rn-collator".into(), string(&formats::BIND)),
        target: section.read_or("target", "/node/data".into(), string(&formats::BIND)),
    }
}

fn mount(mut section: SectionReader) -> Option<BindMount> {
    let source = section.require("source", "write the path on the host", string(&formats::BIND));
    let target = section.require("target", "write the path in the container", string(&formats::BIND));
    let read_only = section.read_or("read_only", false, boolean());
    Some(BindMount {
        source: source?,
        target: target?,
        read_only,
    })
}

fn chains(document: &mut DocumentReader) -> BTreeMap<Chain, ExporterConfig> {
    document.section("chains");
    let none_given = !document.has("chains");
    let mut chains = BTreeMap::new();
    for &chain in Chain::VARIANTS {
        let mut section = document.section("chains").into_section(chain.into_str());
        let default = match chain {
            Chain::Parachain => "http://127.0.0.1:7001/metrics",
            Chain::Relaychain => "http://127.0.0.1:9616/metrics",
        };
        let exporter = ExporterConfig {
            metrics: section.read_or("metrics", default.to_owned(), string(&formats::HTTP)),
            prefix: section.read_or("prefix", "substrate".to_owned(), string(&formats::PREFIX)),
            references: section
                .one_or_list("reference", string(&formats::REFERENCE))
                .unwrap_or_default(),
            idle: idle(&mut section),
        };
        if none_given || document.has(&format!("chains.{}", chain.into_str())) {
            chains.insert(chain, exporter);
        }
    }
    if chains.is_empty() {
        let remedy = "write [chains.parachain] or [chains.relaychain], or leave [chains] out for both";
        document.conflict(&["chains"], "names no chain", remedy);
    }
    chains
}

fn idle(section: &mut SectionReader) -> Idle {
    let expected = section.read_or("idle", false, choice(&[("expected", true)]));
    let block_time = section.read_or("block_time", None, some(duration(100 * MILLISECOND, DAY)));
    let max_idle = section.read_or("max_idle", None, some(duration(SECOND, 90 * DAY)));
    Idle {
        expected,
        max: max_idle.or(block_time.map(|block| block * IDLE_BLOCKS)),
    }
}

fn health(mut section: SectionReader) -> HealthConfig {
    let scrape_interval = section.read_or("scrape_interval", 5 * SECOND, duration(100 * MILLISECOND, HOUR));
    let scrape_timeout = (3 * SECOND).min(scrape_interval * 3 / 5);
    let window = || duration(SECOND, 7 * DAY);
    HealthConfig {
        scrape_interval,
        scrape_timeout: section.read_or("scrape_timeout", scrape_timeout, duration(50 * MILLISECOND, HOUR)),
        startup_grace: section.read_or("startup_grace", 10 * MINUTE, window()),
        lag_blocks: section.read_or("lag_blocks", 10, integer(0, 1_000_000)),
        stall_after: section.read_or("stall_after", 5 * MINUTE, window()),
        isolated_after: section.read_or("isolated_after", 5 * MINUTE, window()),
        frozen_after: section.read_or("frozen_after", 2 * MINUTE, window()),
        finality_after: section.read_or("finality_after", 30 * MINUTE, window()),
        activity_extension: section.read_or("activity_extension", 3, integer(1, 100)),
        activity_bytes: section.read_or("activity_bytes", 32 << 10, size(1, 1 << 40)),
    }
}

fn restart(mut section: SectionReader) -> RestartConfig {
    RestartConfig {
        backoff_initial: section.read_or("backoff_initial", SECOND, duration(100 * MILLISECOND, DAY)),
        backoff_max: section.read_or("backoff_max", 5 * MINUTE, duration(100 * MILLISECOND, DAY)),
        backoff_reset: section.read_or("backoff_reset", 30 * MINUTE, duration(SECOND, 7 * DAY)),
        start_timeout: section.read_or("start_timeout", 30 * SECOND, duration(SECOND, HOUR)),
        budget: section.read_or("budget", 3, integer(0, 100)),
        budget_window: section.read_or("budget_window", 6 * HOUR, duration(SECOND, 30 * DAY)),
    }
}

fn host(mut section: SectionReader) -> HostConfig {
    HostConfig {
        disk_warn_percent: section.read_or("disk_warn_percent", 10, integer(0, 99)),
        disk_floor: section.read_or("disk_floor", 2 << 30, size(0, PIB)),
        clock_warn: section.read_or("clock_warn", 500 * MILLISECOND, duration(MILLISECOND, HOUR)),
        memory_warn_percent: section.read_or("memory_warn_percent", 20, integer(0, 100)),
    }
}

fn metrics(mut section: SectionReader) -> MetricsConfig {
    let default = ([127, 0, 0, 1], 9733).into();
    MetricsConfig {
        listen: section.read_or("listen", Some(default), optional(string(&formats::LISTEN))),
        hosts: section.list("hosts", string(&formats::HOST_NAME)).unwrap_or_default(),
    }
}

fn notify(mut section: SectionReader) -> NotifyConfig {
    let formats = [
        ("json", NotifyFormat::Json),
        ("slack", NotifyFormat::Slack),
        ("discord", NotifyFormat::Discord),
        ("telegram", NotifyFormat::Telegram),
    ];
    let no_collation_after = section.read_or("no_collation_after", 30 * MINUTE, duration(Duration::ZERO, 7 * DAY));
    NotifyConfig {
        webhook: section.read_or("webhook", None, optional(string(&formats::WEBHOOK))),
        format: section.read_or("format", NotifyFormat::Json, choice(&formats)),
        no_collation_after: Some(no_collation_after).filter(|limit| !limit.is_zero()),
    }
}

fn ec2(mut section: SectionReader) -> Ec2Config {
    let words = [("auto", None), ("true", Some(true)), ("false", Some(false))];
    let enabled = Reader {
        parse: |value: &DeValue| match value.as_bool() {
            Some(enabled) => Ok(Some(enabled)),
            None => (choice(&words).parse)(value),
        },
        shape: Shape::BooleanOr(words.map(|(word, _)| word.to_owned()).into()),
    };
    Ec2Config {
        enabled: section.read_or("enabled", None, enabled),
        imds: section.read_or("imds", DEFAULT_IMDS.to_owned(), string(&formats::HTTP)),
        lifecycle_hook: section.read_or("lifecycle_hook", None, optional(string(&formats::HOOK))),
    }
}

fn update(mut section: SectionReader) -> UpdateConfig {
    UpdateConfig {
        auto: section.read_or("auto", false, boolean()),
        check_every: section.read_or("check_every", 6 * HOUR, duration(SECOND, 30 * DAY)),
        probation: section.read_or("probation", 10 * MINUTE, duration(SECOND, 7 * DAY)),
        repositories: section
            .list("repositories", string(&formats::REPOSITORY))
            .unwrap_or_default(),
        keep_images: section.read_or("keep_images", 2, integer(2, 1000)),
    }
}

fn identity(mut section: SectionReader) -> IdentityConfig {
    let without = [
        ("nothing", WithoutVolume::Nothing),
        ("full_node", WithoutVolume::FullNode),
    ];
    IdentityConfig {
        required: section.read_or("required", false, boolean()),
        volume: section.read_or("volume", None, optional(string(&formats::VOLUME))),
        mount: section.read_or("mount", "/var/lib/t0rn-identity".into(), string(&formats::BIND)),
        without_volume: section.read_or("without_volume", WithoutVolume::Nothing, choice(&without)),
    }
}
