#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod confinement;
mod reload;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use agent_config::{
    AgentConfig, Confinement, ContainerUser, Ec2Config, HealthConfig, HostConfig, IdentityConfig, MetricsConfig,
    NotifyConfig, NotifyFormat, PullPolicy, RestartConfig, UpdateConfig, WithoutVolume,
};

/// A configuration that uses everything a container can be given.
pub(crate) fn config() -> Config {
    Config {
        agent: AgentConfig {
            state_dir: "/var/lib/t0rn-agent".into(),
            socket: "/run/t0rn-agent/agent.sock".into(),
            docker: "/var/run/docker.sock".into(),
        },
        collator: CollatorConfig {
            image: "org/node:v1".into(),
            container: "collator".into(),
            entrypoint: None,
            command: vec!["--collator".into(), "--".into(), "--chain".into()],
            pull: PullPolicy::Missing,
            env: BTreeMap::from([("RUST_LOG".into(), "info".into())]),
            network: "bridge".into(),
            ports: vec![
                PublishedPort {
                    address: None,
                    host: 33333,
                    container: 33333,
                    protocol: "tcp",
                },
                PublishedPort {
                    address: Some([127, 0, 0, 1].into()),
                    host: 7001,
                    container: 7001,
                    protocol: "tcp",
                },
            ],
            user: Some(ContainerUser { uid: 1000, gid: 1000 }),
            stop_timeout: Duration::from_mins(5),
            memory: Some(3 << 30),
            nofile: 65_536,
            log_max_size: 50 << 20,
            log_max_files: 3,
            registry_auth: None,
            cosign_key: None,
            confinement: Confinement::default(),
        },
        data: DataConfig {
            path: "/var/lib/t0rn-collator".into(),
            target: "/node/data".into(),
        },
        mounts: vec![
            BindMount {
                source: "/id/keystore".into(),
                target: "/node/keystore".into(),
                read_only: false,
            },
            BindMount {
                source: "/etc/specs".into(),
                target: "/node/specs".into(),
                read_only: true,
            },
        ],
        chains: BTreeMap::new(),
        health: HealthConfig {
            scrape_interval: Duration::from_secs(5),
            scrape_timeout: Duration::from_secs(3),
            startup_grace: Duration::from_mins(10),
            lag_blocks: 10,
            stall_after: Duration::from_mins(5),
            isolated_after: Duration::from_mins(5),
            frozen_after: Duration::from_mins(2),
            activity_extension: 3,
            activity_bytes: 32_768,
            finality_after: Duration::from_mins(30),
        },
        restart: RestartConfig {
            backoff_initial: Duration::from_secs(1),
            backoff_max: Duration::from_mins(5),
            backoff_reset: Duration::from_mins(30),
            start_timeout: Duration::from_secs(10),
            budget: 3,
            budget_window: Duration::from_hours(6),
        },
        host: HostConfig {
            disk_warn_percent: 10,
            disk_floor: 2 << 30,
            clock_warn: Duration::from_millis(500),
            memory_warn_percent: 20,
        },
        metrics: MetricsConfig {
            listen: None,
            hosts: Vec::new(),
        },
        notify: NotifyConfig {
            webhook: None,
            no_collation_after: None,
            format: NotifyFormat::Json,
        },
        ec2: Ec2Config {
            enabled: None,
            imds: String::new(),
            lifecycle_hook: None,
        },
        update: no_updates(),
        identity: no_identity(),
        signatures: Vec::new(),
    }
}

fn no_updates() -> UpdateConfig {
    UpdateConfig {
        auto: false,
        check_every: Duration::from_hours(6),
        probation: Duration::from_mins(10),
        repositories: Vec::new(),
        keep_images: 2,
    }
}

fn no_identity() -> IdentityConfig {
    IdentityConfig {
        required: false,
        volume: None,
        mount: "/var/lib/t0rn-identity".into(),
        without_volume: WithoutVolume::Nothing,
    }
}

type Change = fn(&mut Config);

fn hash_of(change: impl FnOnce(&mut Config)) -> String {
    let mut config = config();
    change(&mut config);
    Spec::new(&config).unwrap().hash
}

#[test]
fn the_hash_never_changes_between_versions() {
    // Every container in the field carries it: another value here re-creates them all on an update.
    assert_eq!(hash_of(|_| {}), "d582e8673e356431");
}

#[test]
fn whatever_makes_another_container_changes_the_hash() {
    let before = hash_of(|_| {});
    let changes: &[(&str, Change)] = &[
        ("image", |c| c.collator.image = "org/node:v2".into()),
        ("entrypoint", |c| c.collator.entrypoint = Some("/node".into())),
        ("command", |c| c.collator.command.push("--dev".into())),
        ("env", |c| {
            drop(c.collator.env.insert("A".into(), "b".into()));
        }),
        ("network", |c| c.collator.network = "host".into()),
        ("ports", |c| c.collator.ports.truncate(1)),
        ("port address", |c| {
            c.collator.ports[0].address = Some([127, 0, 0, 1].into());
        }),
        ("user", |c| c.collator.user = None),
        ("stop timeout", |c| {
            c.collator.stop_timeout = Duration::from_mins(1);
        }),
        ("memory", |c| c.collator.memory = None),
        ("nofile", |c| c.collator.nofile = 1024),
        ("log size", |c| c.collator.log_max_size = 1),
        ("log files", |c| c.collator.log_max_files = 1),
        ("new privileges", |c| c.collator.confinement.no_new_privileges = false),
        ("capabilities", |c| c.collator.confinement.cap_add.push("CHOWN".into())),
        ("processes", |c| c.collator.confinement.pids_limit = None),
        ("read-only image", |c| c.collator.confinement.read_only = false),
        ("data path", |c| c.data.path = "/elsewhere".into()),
        ("data target", |c| c.data.target = "/data".into()),
        ("mounts", |c| c.mounts.truncate(1)),
        ("read only", |c| c.mounts[0].read_only = true),
    ];
    for (what, change) in changes {
        assert_ne!(hash_of(change), before, "{what}");
    }
}

#[test]
fn what_makes_no_other_container_leaves_the_hash_alone() {
    let before = hash_of(|_| {});
    let changes: &[(&str, Change)] = &[
        ("pull policy", |c| c.collator.pull = PullPolicy::Never),
        ("credentials", |c| {
            c.collator.registry_auth = Some("/etc/auth.json".into());
        }),
        ("order of ports", |c| c.collator.ports.reverse()),
        ("order of mounts", |c| c.mounts.reverse()),
        ("name", |c| c.collator.container = "other".into()),
    ];
    for (what, change) in changes {
        assert_eq!(hash_of(change), before, "{what}");
    }
}

#[test]
fn entrypoint_is_the_images_unless_one_is_configured() {
    let entrypoint = |given: Option<&str>| {
        let mut config = config();
        config.collator.entrypoint = given.map(str::to_owned);
        Spec::new(&config).unwrap().body("i").unwrap().entrypoint
    };
    assert_eq!(entrypoint(None), None);
    assert_eq!(entrypoint(Some("/node")), Some(vec!["/node".to_owned()]));
}

#[test]
fn the_container_gets_everything_that_was_asked_for() {
    let body = Spec::new(&config()).unwrap().body("org/node@sha256:ab").unwrap();
    assert_eq!(body.image.as_deref(), Some("org/node@sha256:ab"));
    assert_eq!(body.cmd.unwrap(), ["--collator", "--", "--chain"]);
    assert_eq!(body.env.unwrap(), ["RUST_LOG=info"]);
    assert_eq!(
        (body.user.as_deref(), body.stop_timeout),
        (Some("1000:1000"), Some(300))
    );
    let labels = body.labels.unwrap();
    assert_eq!(labels.get(MANAGED).map(String::as_str), Some("true"));
    assert_eq!(labels.get(IMAGE).map(String::as_str), Some("org/node:v1"));
    let host = body.host_config.unwrap();
    assert_eq!(
        host.restart_policy.unwrap().name,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED)
    );
    assert_eq!((host.memory, host.memory_swap), (Some(3 << 30), Some(3 << 30)));
    let log = host.log_config.unwrap();
    assert_eq!(log.typ.as_deref(), Some("json-file"));
    assert_eq!(
        log.config.unwrap().get("max-size").map(String::as_str),
        Some("52428800")
    );
    let nofile = &host.ulimits.unwrap()[0];
    assert_eq!((nofile.soft, nofile.hard), (Some(65_536), Some(65_536)));
}

#[test]
fn mounts_are_binds_that_fail_when_their_source_is_missing() {
    let host = Spec::new(&config()).unwrap().body("i").unwrap().host_config.unwrap();
    assert!(host.binds.is_none(), "`Binds` would make a missing source as root");
    let mounts: Vec<_> = host
        .mounts
        .unwrap()
        .into_iter()
        .map(|m| (m.typ, m.source, m.target, m.read_only))
        .collect();
    let bind = |source: &str, target: &str, read_only| {
        (
            Some(MountType::BIND),
            Some(source.to_owned()),
            Some(target.to_owned()),
            Some(read_only),
        )
    };
    assert_eq!(
        mounts,
        [
            bind("/var/lib/t0rn-collator", "/node/data", false),
            bind("/id/keystore", "/node/keystore", false),
            bind("/etc/specs", "/node/specs", true),
        ]
    );
}

#[test]
fn ports_are_published_where_they_were_asked_for() {
    let mut config = config();
    config.collator.ports.push(PublishedPort {
        address: Some([10, 0, 0, 1].into()),
        host: 7002,
        container: 7001,
        protocol: "tcp",
    });
    config.collator.ports.push(PublishedPort {
        address: None,
        host: 30333,
        container: 33333,
        protocol: "udp",
    });
    let body = Spec::new(&config).unwrap().body("i").unwrap();
    let mut exposed = body.exposed_ports.unwrap();
    exposed.sort();
    exposed.dedup();
    assert_eq!(exposed, ["33333/tcp", "33333/udp", "7001/tcp"]);
    let bindings = body.host_config.unwrap().port_bindings.unwrap();
    let of = |key: &str| -> Vec<(Option<String>, Option<String>)> {
        bindings[key]
            .iter()
            .flatten()
            .map(|b| (b.host_ip.clone(), b.host_port.clone()))
            .collect()
    };
    let at = |ip: &str, port: &str| (Some(ip.to_owned()), Some(port.to_owned()));
    assert_eq!(of("33333/tcp"), [(None, Some("33333".to_owned()))]);
    assert_eq!(of("33333/udp"), [(None, Some("30333".to_owned()))]);
    assert_eq!(of("7001/tcp"), [at("127.0.0.1", "7001"), at("10.0.0.1", "7002")]);
}

#[test]
fn on_the_hosts_network_nothing_is_published() {
    let mut config = config();
    config.collator.network = "host".into();
    let body = Spec::new(&config).unwrap().body("i").unwrap();
    assert!(body.exposed_ports.is_none() && body.host_config.unwrap().port_bindings.is_none());
}

#[test]
fn a_stop_timeout_below_a_second_still_asks_before_it_kills() {
    let mut config = config();
    config.collator.stop_timeout = Duration::from_millis(300);
    assert_eq!(Spec::new(&config).unwrap().stop_seconds(), 1);
}

#[test]
fn the_chain_and_the_keystore_are_for_one_container_only() {
    let spec = Spec::new(&config()).unwrap();
    let paths: Vec<_> = spec.exclusive().map(|place| (place.path, place.is_key)).collect();
    let expected = [("/var/lib/t0rn-collator", false), ("/id/keystore", true)];
    assert_eq!(paths, expected.map(|(path, is_key)| (Path::new(path), is_key)));
}

#[test]
fn neither_environment_nor_arguments_appear_in_debug_output() {
    let mut config = config();
    config.collator.env.insert("TOKEN".into(), "hunter2".into());
    config.collator.command.push("--password=hunter2".into());
    assert!(!format!("{:?}", Spec::new(&config).unwrap()).contains("hunter2"));
}

fn with_fence(without_volume: WithoutVolume) -> Specs {
    let mut config = config();
    config.identity.required = true;
    config.identity.without_volume = without_volume;
    Specs::new(&config).unwrap()
}

#[test]
fn desired_spec_without_keys_has_neither_authority_nor_keystore() {
    let specs = with_fence(WithoutVolume::FullNode);
    let full_node = specs
        .desired(&DesiredSpec {
            image: None,
            keys: false,
        })
        .unwrap();
    assert!(!full_node.keys && !full_node.collator.command.contains(&"--collator".to_owned()));
    assert!(full_node.mounts.iter().all(|mount| mount.read_only));
    let collator = specs.desired(&DesiredSpec::default()).unwrap();
    assert!(collator.keys && collator.hash == specs.configured().hash && collator.hash != full_node.hash);
}

#[test]
fn desired_spec_without_keys_and_without_full_node_is_refused() {
    for specs in [with_fence(WithoutVolume::Nothing), Specs::new(&config()).unwrap()] {
        let refused = specs.desired(&DesiredSpec {
            image: None,
            keys: false,
        });
        assert!(matches!(refused, Err(Error::FullNode { .. })));
    }
}

#[test]
fn desired_spec_with_image_is_pinned_to_it_with_and_without_keys() {
    let specs = with_fence(WithoutVolume::FullNode);
    for keys in [true, false] {
        let image = agent_core::event::Image {
            reference: "org/node:v2".to_owned(),
            pin: "org/node@sha256:22".to_owned(),
        };
        let spec = specs
            .desired(&DesiredSpec {
                image: Some(image),
                keys,
            })
            .unwrap();
        assert_eq!(
            (spec.collator.image.as_str(), spec.pin.as_deref()),
            ("org/node:v2", Some("org/node@sha256:22"))
        );
        assert_eq!(spec.keys, keys);
    }
}
