#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use serde_json::{Value, json};

use super::*;

/// What a container has that was run with Docker's defaults alone.
fn plain() -> Value {
    json!({
        "Id": "0123456789abcdef", "Name": "/node", "Image": "sha256:11",
        "State": {"Status": "running", "Pid": 4711},
        "Config": {
            "Hostname": "0123456789ab", "Image": "org/node:v1", "User": "", "Cmd": ["--collator"], "Entrypoint": ["/node"],
            "Env": ["PATH=/bin"], "Labels": {"maintainer": "a"}, "WorkingDir": "/node",
        },
        "HostConfig": {
            "NetworkMode": "default", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "ShmSize": 67_108_864,
            "IpcMode": "private", "Runtime": "runc", "LogConfig": {"Type": "json-file", "Config": {}}, "Memory": 0,
            "PortBindings": {}, "Ulimits": null, "SecurityOpt": null, "CapAdd": null, "PidsLimit": null, "OomKillDisable": false,
        },
        "Mounts": [], "NetworkSettings": {"Ports": {}, "Networks": {"bridge": {"Aliases": null}}},
    })
}

fn existing(container: &Value) -> ExistingContainer {
    let image = json!({
        "Id": "sha256:11", "RepoTags": ["org/node:v1"], "RepoDigests": ["org/node@sha256:22"],
        "Config": {"Entrypoint": ["/node"], "Env": ["PATH=/bin"], "Labels": {"maintainer": "a"}, "WorkingDir": "/node"},
    });
    let container = serde_json::from_value(container.clone()).unwrap();
    inspected::container(
        container,
        serde_json::from_value(image).unwrap(),
        Some("sha256:11".to_owned()),
    )
}

#[test]
fn plain_container_has_nothing_but_its_command() {
    let found = existing(&plain());
    assert_eq!(
        (found.name.as_str(), found.status.as_str(), found.pid),
        ("node", "running", Some(4711))
    );
    assert_eq!(
        (found.network.as_str(), found.entrypoint, found.command),
        ("bridge", None, vec!["--collator".to_owned()])
    );
    assert_eq!(
        (found.env, found.others, found.image.is_moved),
        (BTreeMap::new(), vec![], false)
    );
}

#[test]
fn settings_with_a_key_are_read() {
    let mut container = plain();
    container["Config"]["Entrypoint"] = json!(["/other"]);
    container["Config"]["Env"] = json!(["PATH=/bin", "SEED=a=b"]);
    container["Config"]["StopTimeout"] = json!(60);
    container["HostConfig"]["Ulimits"] = json!([{"Name": "nofile", "Soft": 1024, "Hard": 4096}]);
    container["HostConfig"]["SecurityOpt"] = json!(["no-new-privileges"]);
    container["HostConfig"]["PidsLimit"] = json!(100);
    container["HostConfig"]["PortBindings"] = json!({"9615/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}], "30333/tcp": [{"HostIp": "", "HostPort": ""}]});
    container["NetworkSettings"]["Ports"] = json!({"30333/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}]});
    container["Mounts"] = json!([
        {"Type": "bind", "Source": "/srv/keys", "Destination": "/keys", "RW": false, "Propagation": "rprivate"},
        {"Type": "volume", "Name": "chain", "Driver": "local", "Source": "/var/lib/docker/volumes/chain/_data",
         "Destination": "/data", "RW": true, "Propagation": ""},
    ]);
    let found = existing(&container);
    assert_eq!(found.entrypoint, Some(vec!["/other".to_owned()]));
    assert_eq!(found.env, BTreeMap::from([("SEED".to_owned(), "a=b".to_owned())]));
    assert_eq!((found.stop_timeout, found.nofile), (Some(60), Some(4096)));
    assert_eq!(
        (found.confinement.no_new_privileges, found.confinement.pids_limit),
        (true, Some(100))
    );
    let port = |address: Option<&str>, host, container| ExistingPort {
        address: address.map(|address| address.parse().unwrap()),
        host: Some(host),
        container,
        protocol: "tcp",
    };
    assert_eq!(
        found.ports,
        [port(None, 32768, 30333), port(Some("127.0.0.1"), 9000, 9615)]
    );
    let [keys, chain] = found.mounts.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        (keys.source.as_path(), keys.read_only, &keys.volume),
        (Path::new("/srv/keys"), true, &None)
    );
    assert_eq!(
        (chain.target.as_path(), chain.volume.as_deref()),
        (Path::new("/data"), Some("chain"))
    );
    assert_eq!(found.others, []);
    assert!(!format!("{found:?}").contains("a=b"), "{found:?}");
}

#[test]
fn settings_without_a_key_are_named() {
    let mut container = plain();
    container["Config"]["Hostname"] = json!("collator-1");
    container["Config"]["WorkingDir"] = json!("/elsewhere");
    container["Config"]["Labels"] =
        json!({"maintainer": "a", "traefik.enable": "true", "com.docker.compose.project": "x"});
    container["Config"]["Healthcheck"] = json!({"Test": ["CMD", "curl", "secret"]});
    for (name, value) in [
        ("NanoCpus", json!(2_500_000_000_u64)),
        ("Memory", json!(1 << 30)),
        ("MemorySwap", json!(3_u64 << 30)),
        ("ShmSize", json!(1 << 30)),
        ("SecurityOpt", json!(["seccomp=unconfined"])),
        ("ExtraHosts", json!(["a:10.0.0.1"])),
        ("Tmpfs", json!({"/run": ""})),
        ("Privileged", json!(true)),
    ] {
        container["HostConfig"][name] = value;
    }
    container["NetworkSettings"]["Networks"] =
        json!({"bridge": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}}, "other": {}});
    container["Mounts"] = json!([{"Type": "tmpfs", "Source": "", "Destination": "/scratch", "RW": true}]);
    let found: Vec<_> = existing(&container)
        .others
        .into_iter()
        .map(|other| format!("{} {}", other.name, other.value))
        .collect();
    let wanted = [
        "privileged ",
        "security-opt seccomp=unconfined",
        "cpus 2.50",
        "memory-swap 3221225472",
        "shm-size 1073741824",
        "tmpfs /run",
        "workdir /elsewhere",
        "health-cmd ",
        "hostname collator-1",
        "label traefik.enable",
        "add-host a:10.0.0.1",
        "network other",
        "ip 10.0.0.2",
        "mount tmpfs /scratch",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn run_policy_and_owner_of_a_container_are_read() {
    let mut container = plain();
    container["Path"] = json!("/node");
    container["Args"] = json!(["--collator"]);
    container["State"] = json!({"Status": "exited", "ExitCode": 3, "FinishedAt": "0001-01-01T00:00:00Z"});
    container["HostConfig"]["RestartPolicy"] = json!({"Name": "on-failure", "MaximumRetryCount": 4});
    container["HostConfig"]["AutoRemove"] = json!(true);
    container["Config"]["StopTimeout"] = json!(-1);
    container["Config"]["Labels"] =
        json!({"com.docker.compose.project": "chain", "com.docker.swarm.service.name": "node"});
    let found = existing(&container);
    assert_eq!(found.process, ["/node", "--collator"]);
    assert_eq!(
        (found.runs(), found.exit_code, found.finished_at),
        (false, Some(3), None)
    );
    assert_eq!(found.restart.to_string(), "on-failure:4");
    assert_eq!((found.is_removed_on_exit, found.stop_timeout), (true, Some(-1)));
    assert_eq!(
        (found.orchestrator, found.compose_project.as_deref()),
        (Some("Docker Swarm"), Some("chain"))
    );
    for status in ["running", "paused", "restarting"] {
        container["State"] = json!({"Status": status});
        assert!(existing(&container).runs(), "{status}");
    }
}

#[test]
fn cleared_entrypoint_leaves_the_program_to_the_command() {
    let mut container = plain();
    container["Config"]["Entrypoint"] = Value::Null;
    container["Config"]["Cmd"] = json!(["/other", "--collator"]);
    let found = existing(&container);
    assert_eq!(found.entrypoint, Some(vec!["/other".to_owned()]));
    assert_eq!(found.command, ["--collator"]);
}

#[test]
fn unlimited_files_and_a_private_label_are_named() {
    let mut container = plain();
    container["HostConfig"]["Ulimits"] = json!([{"Name": "nofile", "Soft": -1, "Hard": -1}]);
    container["HostConfig"]["MemorySwappiness"] = json!(0);
    container["Mounts"] =
        json!([{"Type": "bind", "Source": "/srv/data", "Destination": "/data", "RW": true, "Mode": "Z,rw"}]);
    let found = existing(&container);
    let others: Vec<_> = found
        .others
        .iter()
        .map(|other| format!("{} {}", other.name, other.value))
        .collect();
    assert_eq!(others, ["memory-swappiness 0", "ulimit nofile=-1", "selinux /data"]);
    assert_eq!((found.nofile, found.mounts.len()), (None, 1));
}
