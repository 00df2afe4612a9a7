//! Containers as operators have them: what `docker inspect` says, and the configuration that comes of it.

use serde_json::{Value, json};

use super::engine::{Fake, merge};
use super::{notes, parsed};
use crate::commands::init::from_container;

const DIGEST: &str = "org/collator@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// A collator that was run with what is needed, on a bridge.
const COMMAND: &str = "--collator --base-path /data --chain x --prometheus-port 9615 --prometheus-external \
                       -- --chain polkadot --prometheus-port 9616 --prometheus-external";

struct Shape {
    name: &'static str,
    /// Change of [`plain`].
    container: Value,
    command: &'static str,
    /// Change of the image.
    image: Value,
    others: Vec<Value>,
    /// Lines of the file, and parts of the notes.
    lines: &'static [&'static str],
    notes: &'static [&'static str],
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            name: "",
            container: json!({}),
            command: COMMAND,
            image: json!({}),
            others: Vec::new(),
            lines: &[],
            notes: &[],
        }
    }
}

fn plain() -> Value {
    json!({
        "Id": "00ff00ff00ff00ff00ff", "Name": "/collator", "Image": "sha256:1111", "State": {"Status": "exited", "Pid": 0},
        "Config": {
            "Hostname": "00ff00ff00ff", "Image": "org/collator:v1", "User": "1000:1000", "Entrypoint": ["/usr/bin/node"],
            "Env": ["PATH=/bin"], "Labels": {}, "WorkingDir": "",
        },
        "HostConfig": {
            "NetworkMode": "bridge", "RestartPolicy": {"Name": "unless-stopped"}, "IpcMode": "private", "Runtime": "runc",
            "LogConfig": {"Type": "json-file", "Config": {}}, "ShmSize": 67_108_864,
            "PortBindings": {
                "30333/tcp": [{"HostIp": "", "HostPort": "30333"}],
                "9615/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9615"}],
                "9616/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9616"}],
            },
        },
        "Mounts": [{"Type": "bind", "Source": "/srv/chain", "Destination": "/data", "RW": true, "Propagation": "rprivate"}],
        "NetworkSettings": {"Ports": {}, "Networks": {"bridge": {}}},
    })
}

/// Shapes by network and image.
fn networks_and_images() -> Vec<Shape> {
    vec![
        Shape {
            name: "bridge network with published ports",
            lines: &[
                "image = \"org/collator:v1\"",
                "container = \"collator\"",
                "ports = [\"30333:30333/tcp\", \"127.0.0.1:9615:9615/tcp\", \"127.0.0.1:9616:9616/tcp\"]",
                "user = \"1000:1000\"",
                "path = \"/srv/chain\"",
                "metrics = \"http://127.0.0.1:9616/metrics\"",
                "read_only = false",
            ],
            notes: &["confined more"],
            ..Shape::default()
        },
        Shape {
            name: "exporters that are not published",
            container: json!({"HostConfig": {"PortBindings": {"9615/tcp": null, "9616/tcp": null}}}),
            command: "--collator --base-path /data --prometheus-port 9615 -- --chain polkadot",
            others: vec![
                json!({"Names": ["/other"], "State": "running", "Ports": [{"PrivatePort": 1, "PublicPort": 9615, "Type": "tcp"}]}),
            ],
            lines: &[
                "ports = [\"30333:30333/tcp\", \"127.0.0.1:9616:9615/tcp\", \"127.0.0.1:9617:9616/tcp\"]",
                "metrics = \"http://127.0.0.1:9617/metrics\"",
            ],
            notes: &[
                "--prometheus-external is added: the exporter on port 9616",
                "127.0.0.1:9616 is published for",
            ],
            ..Shape::default()
        },
        Shape {
            name: "host network",
            container: json!({"HostConfig": {"NetworkMode": "host", "PortBindings": {}}}),
            command: "--collator --base-path=/data --prometheus-port=9700 -- --chain kusama",
            lines: &[
                "network = \"host\"",
                "metrics = \"http://127.0.0.1:9700/metrics\"",
                "metrics = \"http://127.0.0.1:9616/metrics\"",
            ],
            ..Shape::default()
        },
        Shape {
            name: "network of compose",
            container: json!({
                "HostConfig": {"NetworkMode": "chain_default"},
                "NetworkSettings": {"Networks": {"chain_default": {"Aliases": ["node", "00ff00ff00ff"]}}},
                "Config": {"Labels": {"com.docker.compose.service": "node"}},
            }),
            lines: &["network = \"chain_default\""],
            notes: &["network-alias node"],
            ..Shape::default()
        },
        Shape {
            name: "image pinned by its digest",
            container: json!({"Config": {"Image": DIGEST}}),
            lines: &[
                "image = \"org/collator@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
            ],
            ..Shape::default()
        },
        Shape {
            name: "image given by its id",
            container: json!({"Config": {"Image": "sha256:1111"}}),
            image: json!({"RepoDigests": [DIGEST]}),
            lines: &[
                "image = \"org/collator@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
            ],
            ..Shape::default()
        },
    ]
}

/// Shapes by files and users.
fn files_and_users() -> Vec<Shape> {
    vec![
        Shape {
            name: "named volumes",
            container: json!({"Mounts": [{
                "Type": "volume", "Name": "chain", "Driver": "local", "Source": "/var/lib/docker/volumes/chain/_data",
                "Destination": "/data", "RW": true, "Propagation": "",
            }]}),
            lines: &["path = \"/var/lib/docker/volumes/chain/_data\"", "target = \"/data\""],
            notes: &["- /data is the volume chain of Docker"],
            ..Shape::default()
        },
        Shape {
            name: "keystore and node key elsewhere",
            container: json!({"Mounts": [
                {"Type": "bind", "Source": "/srv/chain", "Destination": "/data", "RW": true, "Propagation": "rprivate"},
                {"Type": "bind", "Source": "/srv/keys/session", "Destination": "/keys", "RW": true, "Propagation": "rprivate"},
                {"Type": "bind", "Source": "/srv/node-key", "Destination": "/node-key", "RW": false, "Propagation": "rprivate"},
            ]}),
            command: "--collator --base-path /data --keystore-path /keys --node-key-file /node-key --prometheus-external \
                      -- --chain polkadot --prometheus-external",
            lines: &[
                "# For --keystore-path.",
                "source = \"/srv/keys/session\"",
                "# For --node-key-file.",
                "read_only = true",
            ],
            notes: &["/srv/keys/session has the keys"],
            ..Shape::default()
        },
        Shape {
            name: "base path within a mount, and keys within the container",
            command: "--collator -d /data/node --keystore-path /inside/keystore --prometheus-external -- --prometheus-external",
            lines: &[
                "path = \"/srv/chain/node\"",
                "source = \"/var/lib/t0rn-identity/keystore\"",
                "target = \"/data/node\"",
                "source = \"/srv/chain\"",
                "target = \"/data\"",
            ],
            notes: &[
                "! --keystore-path /inside/keystore is in the container itself",
                "docker cp --archive collator:/inside/keystore",
            ],
            ..Shape::default()
        },
        Shape {
            name: "chain within the container",
            container: json!({"Mounts": []}),
            lines: &["path = \"/var/lib/collator\"", "target = \"/data\""],
            notes: &[
                "! the chain's data is in the container itself",
                "docker cp --archive collator:/data /var/lib/collator",
            ],
            ..Shape::default()
        },
        Shape {
            name: "user root",
            container: json!({"Config": {"User": ""}, "HostConfig": {"CapDrop": ["CAP_KILL"], "CapAdd": ["NET_BIND_SERVICE"]}}),
            lines: &[
                "user = \"0:0\"",
                "cap_add = [\"CHOWN\", \"DAC_OVERRIDE\", \"FOWNER\", \"NET_BIND_SERVICE\", \"SETGID\", \"SETUID\"]",
            ],
            ..Shape::default()
        },
        Shape {
            name: "user of the image by name",
            container: json!({"Config": {"User": "node"}}),
            image: json!({"Config": {"User": "node"}}),
            lines: &["user = \"\"", "# The image's own, node."],
            ..Shape::default()
        },
    ]
}

/// Shapes by programs and their arguments.
fn programs() -> Vec<Shape> {
    vec![
        Shape {
            name: "overridden entrypoint",
            container: json!({"Config": {"Entrypoint": ["/opt/other", "--collator"]}}),
            command: "--base-path /data --prometheus-external -- --prometheus-external",
            lines: &[
                "entrypoint = \"/opt/other\"",
                "command = [\"--collator\", \"--base-path\", \"/data\",",
                "[chains.parachain]",
                "[chains.relaychain]",
            ],
            ..Shape::default()
        },
        Shape {
            name: "arguments in the image's entrypoint, behind an init",
            container: json!({"Config": {"Entrypoint": ["/tini", "--", "/node", "--collator", "--base-path", "/data"]}}),
            image: json!({"Config": {"Entrypoint": ["/tini", "--", "/node", "--collator", "--base-path", "/data"]}}),
            command: "--chain x -- --chain polkadot",
            lines: &[
                "path = \"/srv/chain\"",
                "command = [\"--chain\", \"x\", \"--prometheus-external\", \"--\", \"--chain\", \"polkadot\", \"--prometheus-external\"]",
                "[chains.parachain]",
                "[chains.relaychain]",
            ],
            ..Shape::default()
        },
        Shape {
            name: "relative paths in a directory of their own",
            container: json!({"Config": {"WorkingDir": "/"}}),
            image: json!({"Config": {"WorkingDir": "/node"}}),
            command: "--collator -d data --prometheus-external -- --prometheus-external",
            lines: &["path = \"/srv/chain\"", "target = \"/data\""],
            notes: &["! the path of -d begins in /,", "- workdir /"],
            ..Shape::default()
        },
        Shape {
            name: "line for a shell",
            container: json!({"Config": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["exec node --collator --prometheus-port 9615 -- --chain x"]}}),
            command: "",
            lines: &["entrypoint = \"/bin/sh\"", "[chains.parachain]", "[chains.relaychain]"],
            notes: &[
                "! change collator.command, which is a line for a shell",
                "no --base-path: /srv/chain is taken",
            ],
            ..Shape::default()
        },
    ]
}

/// Shapes by chains and limits.
fn chains_and_limits() -> Vec<Shape> {
    vec![
        Shape {
            name: "relay chain by RPC",
            command: "--collator --base-path /data --relay-chain-rpc-urls wss://relay --prometheus-port 9615 --prometheus-external",
            lines: &["[chains.parachain]"],
            ..Shape::default()
        },
        Shape {
            name: "solo chain",
            command: "--validator --base-path /data --prometheus-port 9615 --prometheus-external",
            lines: &[
                "[chains.relaychain]",
                "metrics = \"http://127.0.0.1:9615/metrics\"",
                "# A chain of its own.",
            ],
            ..Shape::default()
        },
        Shape {
            name: "two collators on one host",
            container: json!({"HostConfig": {"PortBindings": {"30334/tcp": [{"HostIp": "", "HostPort": "9733"}]}}}),
            others: vec![json!({
                "Names": ["/first"], "State": "running", "Ports": [{"PrivatePort": 30333, "PublicPort": 30333, "Type": "tcp"}],
                "Mounts": [{"Type": "bind", "Source": "/srv/chain", "Destination": "/data", "RW": true}],
            })],
            lines: &["listen = \"127.0.0.1:9734\""],
            notes: &[
                "! the container first is given /srv/chain as well",
                "! the container first has the host's port 30333/tcp",
                "- port 9733 is taken",
            ],
            ..Shape::default()
        },
        Shape {
            name: "limits, log and settings without a key",
            container: json!({
                "Config": {"StopTimeout": 90, "Env": ["PATH=/bin", "SEED_PHRASE=bottom drive obey"], "Labels": {"a.b": "c"}},
                "HostConfig": {
                    "Memory": 4_294_967_296_u64, "NanoCpus": 2_000_000_000_u64, "AutoRemove": true,
                    "RestartPolicy": {"Name": "on-failure"}, "Ulimits": [{"Name": "nofile", "Soft": 10000, "Hard": 10000}],
                    "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5", "compress": "true"}},
                },
            }),
            lines: &[
                "memory = \"4GiB\"",
                "nofile = 10000",
                "stop_timeout = \"1m30s\"",
                "log_max_size = \"10000000\"",
                "log_max_files = 5",
                "\"SEED_PHRASE\" = \"bottom drive obey\"",
            ],
            notes: &[
                "- the restart policy on-failure",
                "- the log option compress",
                "- cpus 2.00",
                "! rm: the container goes",
                "- label a.b",
            ],
            ..Shape::default()
        },
    ]
}

#[tokio::test]
async fn container_of_every_shape_becomes_a_valid_configuration() {
    for shape in [
        networks_and_images(),
        files_and_users(),
        programs(),
        chains_and_limits(),
    ]
    .into_iter()
    .flatten()
    {
        let mut container = plain();
        if !shape.command.is_empty() {
            container["Config"]["Cmd"] = json!(shape.command.split_whitespace().collect::<Vec<_>>());
        }
        merge(&mut container, shape.container);
        let mut image = json!({
            "Id": "sha256:1111", "RepoTags": ["org/collator:v1"], "RepoDigests": [],
            "Config": {"Entrypoint": ["/usr/bin/node"], "Env": ["PATH=/bin"], "User": ""},
        });
        merge(&mut image, shape.image);
        let engine = Fake {
            container,
            image,
            others: shape.others,
            named: Value::Null,
        }
        .start();
        let draft = from_container(&engine.docker, "collator").await.unwrap();
        let (_, text) = parsed(&draft);
        for line in shape.lines {
            assert!(
                text.lines().any(|found| found.starts_with(line)),
                "{}: no {line}\n{text}",
                shape.name
            );
        }
        let said = notes(&draft);
        for note in shape.notes {
            assert!(said.contains(note), "{}: no {note}\n{said}", shape.name);
        }
        assert!(!said.contains("bottom drive obey"), "{said}");
    }
}
