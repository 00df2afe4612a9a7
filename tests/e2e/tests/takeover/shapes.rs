//! The shapes of containers that operators have.

use anyhow::Result;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim_image;

use crate::shape::{DATA, NODE, PORTS, Shape};

#[test]
fn host_network() -> Result<()> {
    let node = "--collator --base-path=/node/data --prometheus-port={parachain} --sim-control-port {control} \
                -- --prometheus-port {relaychain}";
    Shape {
        options: format!("--network host --restart always {DATA}"),
        node: node.to_owned(),
        ..Shape::default()
    }
    .goes_there_and_back("host-network")
}

#[test]
fn network_and_labels_of_compose() -> Result<()> {
    let labels =
        "--label com.docker.compose.project={name} --label com.docker.compose.service=node --label traefik.enable=true";
    Shape {
        before: &["network create {name}_default"],
        options: format!(
            "--network {{name}}_default --network-alias node {labels} --restart unless-stopped {DATA} {PORTS}"
        ),
        said: &[
            "- network-alias node",
            "- label traefik.enable",
            "`docker compose down` removes it while the collator is stopped",
        ],
        printed: &["of the compose project {name}: docker compose up starts it again, docker compose down removes it"],
        after: &["network rm {name}_default"],
        ..Shape::default()
    }
    .goes_there_and_back("compose")
}

#[test]
fn named_volume() -> Result<()> {
    let engine = Engine::shared()?;
    let root = engine.docker(["info", "--format", "{{.DockerRootDir}}"])?;
    Shape {
        options: format!("-v {{name}}-chain:/node/data {PORTS}"),
        data: &format!("{root}/volumes/{{name}}-chain/_data"),
        said: &["is the volume"],
        after: &["volume rm {name}-chain"],
        ..Shape::default()
    }
    .goes_there_and_back("volume")
}

#[test]
fn volumes_from_another_container() -> Result<()> {
    Shape {
        before: &["create --name {name}-data -v {dir}/data:/node/data {image}"],
        options: format!("--volumes-from {{name}}-data {PORTS}"),
        after: &["rm -v {name}-data"],
        ..Shape::default()
    }
    .goes_there_and_back("volumes-from")
}

#[test]
fn keystore_and_node_key_elsewhere() -> Result<()> {
    Shape {
        options: format!("{DATA} -v {{dir}}/keys/keystore:/keystore -v {{dir}}/node-key:/node-key:ro {PORTS}"),
        node: format!("--keystore-path /keystore --node-key-file /node-key {NODE}"),
        ..Shape::default()
    }
    .goes_there_and_back("keystore")
}

#[test]
fn data_under_a_symbolic_link() -> Result<()> {
    Shape {
        options: format!("-v {{dir}}/link:/node/data {PORTS}"),
        data: "{dir}/link",
        ..Shape::default()
    }
    .goes_there_and_back("link")
}

#[test]
fn base_path_within_a_mount() -> Result<()> {
    Shape {
        options: format!("-v {{dir}}/data:/srv {PORTS}"),
        node: NODE.replace("/node/data", "/srv"),
        ..Shape::default()
    }
    .goes_there_and_back("within")
}

#[test]
fn overridden_entrypoint() -> Result<()> {
    let engine = Engine::shared()?;
    // The image's own entrypoint would end at once.
    let image = format!("t0rn-takeover-{}:entrypoint", std::process::id());
    sim_image::variant(&engine, &image, &["--sim-no-such-flag"])?;
    let remove = format!("rmi -f {image}");
    Shape {
        options: format!("--entrypoint /usr/local/bin/sim-collator {DATA} {PORTS}"),
        image: &image,
        after: &[&remove],
        ..Shape::default()
    }
    .goes_there_and_back("entrypoint")
}

#[test]
fn arguments_in_the_entrypoint_of_the_image() -> Result<()> {
    let engine = Engine::shared()?;
    let image = format!("t0rn-takeover-{}:arguments", std::process::id());
    let arguments: Vec<_> = "--collator --base-path /srv --prometheus-port 7001 --prometheus-external"
        .split(' ')
        .collect();
    sim_image::variant(&engine, &image, &arguments)?;
    let remove = format!("rmi -f {image}");
    Shape {
        options: format!("-v {{dir}}/data:/srv {PORTS}"),
        image: &image,
        node: "--name a -- --prometheus-port 9616 --prometheus-external".to_owned(),
        after: &[&remove],
        ..Shape::default()
    }
    .goes_there_and_back("arguments")
}

#[test]
fn user_root() -> Result<()> {
    Shape {
        options: format!("--user 0 --cap-drop KILL {DATA} {PORTS}"),
        owner: 0,
        ..Shape::default()
    }
    .goes_there_and_back("root")
}

#[test]
fn relay_chain_by_rpc() -> Result<()> {
    Shape {
        node: "--collator --base-path /node/data --prometheus-port 7001 --prometheus-external \
               --relay-chain-rpc-urls wss://relay.example:443"
            .to_owned(),
        ..Shape::default()
    }
    .goes_there_and_back("rpc")
}

#[test]
fn solo_chain() -> Result<()> {
    Shape {
        node: "--validator --base-path /node/data --prometheus-port 7001 --prometheus-external".to_owned(),
        ..Shape::default()
    }
    .goes_there_and_back("solo")
}

#[test]
fn two_collators_on_one_host() -> Result<()> {
    Shape {
        before: &[
            "run -d --name {name}-other -v {dir}/keys:/node/data --user 0 {image} --collator --base-path /node/data",
        ],
        after: &["top {name}-other", "rm -fv {name}-other"],
        ..Shape::default()
    }
    .goes_there_and_back("two")
}

#[test]
fn exporters_that_are_not_published() -> Result<()> {
    Shape {
        options: format!("{DATA} -p 33333 -p 127.0.0.1:{{control}}:7999"),
        node: "--collator --base-path /node/data --prometheus-port 7001 -- --prometheus-port 9616".to_owned(),
        said: &[
            "--prometheus-external is added: the exporter on port 7001",
            "is published for",
        ],
        ..Shape::default()
    }
    .goes_there_and_back("hidden")
}

#[test]
fn limits_variables_log_and_health_check() -> Result<()> {
    let limits =
        "--restart on-failure:5 --memory 256m --ulimit nofile=1024 --ulimit core=0 --pids-limit 200 --stop-timeout 20";
    let more = "--cap-drop ALL --security-opt no-new-privileges --read-only --tmpfs /run --log-driver local --log-opt max-size=1m";
    Shape {
        options: format!("{limits} {more} --env-file {{dir}}/env --env EMPTY= --health-cmd true {DATA} {PORTS}"),
        said: &[
            "- the restart policy on-failure:5",
            "- ulimit core",
            "- the log driver local",
            "- health-cmd",
            "- tmpfs /run",
        ],
        ..Shape::default()
    }
    .goes_there_and_back("limits")
}

#[test]
fn image_given_by_its_id() -> Result<()> {
    let engine = Engine::shared()?;
    let image = sim_image::sim(&engine)?;
    let id = engine.docker(["image", "inspect", "--format", "{{.Id}}", &image])?;
    Shape {
        image: &id,
        ..Shape::default()
    }
    .goes_there_and_back("id")
}
