//! Compose files in their notations.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::engine::Fake;
use super::{notes, parsed};
use crate::commands::init::draft::Draft;
use crate::commands::init::from_compose;

const SHORT: &str = r#"
name: chains
x-logging: &logging
  driver: json-file
  options: {max-size: "20m", max-file: "4"}
services:
  node:
    image: org/collator:${TAG:-v1}
    container_name: collator
    command: >
      --collator --base-path /data --chain /specs/x.json --name "my node"
      --prometheus-port 9615 --prometheus-external
      -- --chain polkadot --prometheus-port 9616 --prometheus-external
    environment:
      RUST_LOG: info
      PASSED_ON:
    env_file: node.env
    volumes:
      - chain:/data
      - ./specs:/specs:ro
    ports: ["30333:30333", "127.0.0.1:9000:9615", "127.0.0.1:9616:9616/tcp"]
    user: "1000:1000"
    restart: unless-stopped
    mem_limit: 4g
    stop_grace_period: 1m30s
    ulimits: {nofile: {soft: 4096, hard: 8192}}
    logging: *logging
    healthcheck: {test: curl localhost}
    hostname: collator-1
    gadget: 1
volumes:
  chain:
"#;

const LONG: &str = r#"
services:
  one:
    image: org/one
    network_mode: host
    entrypoint: ["/node", "--collator"]
    command: ["--base-path", "/data", "--", "--chain", "kusama"]
    environment: ["A=b", "C=d=e"]
    volumes:
      - {type: volume, source: outer, target: /data}
      - {type: bind, source: ../keys, target: /keystore, read_only: true}
      - {type: tmpfs, target: /scratch}
      - /anonymous
    deploy: {resources: {limits: {memory: 2G, cpus: "1.5"}}, replicas: 1}
    security_opt: ["no-new-privileges:true"]
  two:
    image: org/two
    ports:
      - {target: 30333, published: "30400", host_ip: 10.0.0.1}
      - "9615"
    networks: [inner, outer]
volumes:
  outer: {external: true}
networks:
  inner: {name: own}
"#;

async fn draft(text: &str, service: Option<&str>) -> anyhow::Result<Draft> {
    let engine = Fake {
        image: json!({"Id": "sha256:1", "Config": {}}),
        ..Fake::default()
    }
    .start();
    let dir = engine.dir.path().join("stack");
    fs::create_dir(&dir)?;
    fs::write(dir.join("node.env"), "TOKEN=\"s3cret value\"\n")?;
    fs::write(dir.join(".env"), "PASSED_ON=yes\n")?;
    fs::write(dir.join("compose.yml"), text)?;
    from_compose(&engine.docker, &dir.join("compose.yml"), service).await
}

#[tokio::test]
async fn service_in_short_notation_becomes_a_valid_configuration() {
    let draft = draft(SHORT, None).await.unwrap();
    let (config, text) = parsed(&draft);
    let collator = &config.collator;
    assert_eq!(
        (
            collator.image.as_str(),
            collator.container.as_str(),
            collator.network.as_str()
        ),
        ("org/collator:v1", "collator", "bridge")
    );
    assert!(
        collator.command.contains(&"my node".to_owned()),
        "{:?}",
        collator.command
    );
    let env: Vec<_> = collator
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(env, ["PASSED_ON=yes", "RUST_LOG=info", "TOKEN=s3cret value"]);
    assert_eq!(
        (collator.memory, collator.nofile, collator.log_max_files),
        (Some(4 << 30), 8192, 4)
    );
    assert_eq!(
        (collator.log_max_size, collator.stop_timeout.as_secs()),
        (20_000_000, 90)
    );
    assert_eq!(
        config.data.path,
        Path::new("/var/lib/docker/volumes/chains_chain/_data")
    );
    assert!(
        config.mounts[0].source.ends_with("stack/specs") && config.mounts[0].read_only,
        "{text}"
    );
    let urls: Vec<_> = config.chains.values().map(|chain| chain.metrics.as_str()).collect();
    assert_eq!(urls, ["http://127.0.0.1:9000/metrics", "http://127.0.0.1:9616/metrics"]);
    let said = notes(&draft);
    for note in [
        "- gadget: there is no key for it",
        "- hostname collator-1",
        "- healthcheck",
        "volume chains_chain",
    ] {
        assert!(said.contains(note), "no {note}\n{said}");
    }
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test]
async fn services_in_long_notation_become_valid_configurations() {
    let one = draft(LONG, Some("one")).await.unwrap();
    let (config, text) = parsed(&one);
    assert_eq!(
        (
            config.collator.entrypoint.as_deref(),
            config.collator.command[0].as_str()
        ),
        (Some("/node"), "--collator")
    );
    assert_eq!(
        (config.collator.container.as_str(), config.collator.memory),
        ("stack-one-1", Some(2 << 30))
    );
    assert_eq!(config.data.path, Path::new("/var/lib/docker/volumes/outer/_data"));
    assert!(
        config.mounts[0].source.ends_with("keys") && !text.contains(".."),
        "{text}"
    );
    let said = notes(&one);
    for note in [
        "cpus 1.5",
        "mount tmpfs /scratch",
        "volume without a name on /anonymous",
        "- deploy",
        "- the restart policy no",
    ] {
        assert!(said.contains(note), "no {note}\n{said}");
    }

    let two = draft(LONG, Some("two")).await.unwrap();
    let (config, text) = parsed(&two);
    assert_eq!(config.collator.network, "own");
    assert!(
        text.contains("ports = [\"10.0.0.1:30400:30333/tcp\", \"9615:9615/tcp\"]"),
        "{text}"
    );
    let said = notes(&two);
    assert!(
        said.contains("- networks outer") && said.contains("was Docker's choice"),
        "{said}"
    );
}

#[tokio::test]
async fn file_that_cannot_be_resolved_is_refused_with_the_remedy() {
    for (text, service, reason) in [
        (LONG, None, "name one with --service, of one, two"),
        (LONG, Some("three"), "no service three"),
        ("services: [", None, "is no compose file"),
        ("a: b", None, "no services"),
        (
            "services: {a: {image: x, extends: {service: b}}}",
            None,
            "docker compose config",
        ),
        (
            "services: {a: {image: '${IMAGE:?}'}}",
            None,
            "the variable IMAGE is required",
        ),
        ("services: {a: {image: x, ports: ['a:b']}}", None, "ports"),
        ("services: {a: {image: x, env_file: gone.env}}", None, "gone.env"),
    ] {
        let error = format!("{:#}", draft(text, service).await.map(drop).unwrap_err());
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[tokio::test]
async fn unset_variable_and_unread_part_of_the_file_are_said() {
    let text = "include: [other.yml]\nservices: {a: {image: 'org/a:v1', hostname: '${NO_SUCH_NAME}x'}}";
    let said = notes(&draft(text, None).await.unwrap());
    assert!(said.contains("! the variable NO_SUCH_NAME is not set"), "{said}");
    assert!(said.contains("! include at the top of the file"), "{said}");
}

#[tokio::test]
async fn command_and_entrypoint_are_the_images_where_the_service_has_none() {
    let image = json!({"Id": "sha256:1", "Config": {
        "Entrypoint": ["/node", "--collator"], "Cmd": ["--base-path", "/data", "--", "--chain", "polkadot"],
    }});
    let engine = Fake {
        image,
        ..Fake::default()
    }
    .start();
    let file = engine.dir.path().join("compose.yml");
    for (more, wanted) in [
        (
            "",
            "(None, [\"--base-path\", \"/data\", \"--prometheus-external\", \"--\", \"--chain\", \"polkadot\", \"--prometheus-external\"])",
        ),
        (
            ", entrypoint: [], command: [/other, --validator]",
            "(Some(\"/other\"), [\"--validator\", \"--prometheus-external\"])",
        ),
    ] {
        let text = format!("services: {{a: {{image: 'org/a:v1', volumes: ['/srv/chain:/data']{more}}}}}");
        fs::write(&file, text).unwrap();
        let draft = from_compose(&engine.docker, &file, None).await.unwrap();
        let collator = parsed(&draft).0.collator;
        assert_eq!(format!("{:?}", (collator.entrypoint, collator.command)), wanted);
    }
}
