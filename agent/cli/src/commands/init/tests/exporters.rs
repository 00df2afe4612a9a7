//! Exporters of a container that runs: their prefix, their chain, and a relay chain by RPC.

use agent_net::http::fake::{answer, request, serve};
use serde_json::{Value, json};

use super::engine::Fake;
use super::{notes, parsed};
use crate::commands::init::from_container;

/// An exporter with this page; returns its port.
async fn exporter(page: &'static str) -> u16 {
    let served = serve(async move |_, mut peer| {
        if request(&mut peer).await.is_some() {
            let answer = answer(
                200,
                "content-type: text/plain\r\nconnection: close\r\n",
                page.as_bytes(),
            );
            let _ = tokio::io::AsyncWriteExt::write_all(&mut peer, &answer).await;
        }
    });
    served.await.port()
}

/// A collator on the host's network, which runs.
fn running(command: &str) -> Value {
    json!({
        "Id": "00ff", "Name": "/collator", "Image": "sha256:1111", "State": {"Status": "running", "Pid": 1},
        "Config": {
            "Image": "org/collator:v1", "User": "1000:1000", "Entrypoint": ["/usr/bin/node"],
            "Cmd": command.split_whitespace().collect::<Vec<_>>(),
        },
        "HostConfig": {"NetworkMode": "host", "RestartPolicy": {"Name": "always"}},
        "Mounts": [{"Type": "bind", "Source": "/srv/chain", "Destination": "/data", "RW": true}],
        "NetworkSettings": {"Networks": {"host": {}}},
    })
}

fn engine(command: &str) -> super::engine::FakeEngine {
    let image = json!({"Id": "sha256:1111", "Config": {"Entrypoint": ["/usr/bin/node"]}});
    Fake {
        container: running(command),
        image,
        ..Fake::default()
    }
    .start()
}

#[tokio::test]
async fn prefix_and_chain_are_those_of_the_exporter() {
    let page = "moonbeam_substrate_block_height{status=\"best\",chain=\"moonbeam\"} 7\n";
    let relay_page = "substrate_block_height{status=\"best\",chain=\"polkadot\"} 9\n";
    let (port, relay) = (exporter(page).await, exporter(relay_page).await);
    let command = format!("--collator --base-path /data --prometheus-port {port} -- --prometheus-port {relay}");
    let draft = from_container(&engine(&command).docker, "collator").await.unwrap();
    let (_, text) = parsed(&draft);
    let wanted = format!(
        "[chains.parachain]\n# It says: chain moonbeam.\nmetrics = \"http://127.0.0.1:{port}/metrics\"\nprefix = \"moonbeam_substrate\"\n"
    );
    assert!(text.contains(&wanted), "{text}");
    assert!(
        text.contains("# It says: chain polkadot.") && text.contains("prefix = \"substrate\""),
        "{text}"
    );
}

#[tokio::test]
async fn relay_chain_by_rpc_is_watched_only_where_its_side_answers() {
    let page = "substrate_block_height{status=\"best\",chain=\"x\"} 7\n";
    let relay_page = "polkadot_parachain_collations_sent_total 3\n";
    let (port, relay) = (exporter(page).await, exporter(relay_page).await);
    let main = format!("--collator --base-path /data --relay-chain-rpc-urls wss://relay --prometheus-port {port}");
    let command = format!("{main} -- --prometheus-port {relay}");
    let draft = from_container(&engine(&command).docker, "collator").await.unwrap();
    let (config, text) = parsed(&draft);
    assert!(
        config.chains.len() == 2 && text.contains("# The relay chain comes by RPC"),
        "{text}"
    );

    // Nothing listens on this port.
    let draft = from_container(&engine(&format!("{main} -- --prometheus-port 1")).docker, "collator")
        .await
        .unwrap();
    assert_eq!(parsed(&draft).0.chains.len(), 1);
    assert!(
        notes(&draft).contains("the parachain alone is watched"),
        "{}",
        notes(&draft)
    );
}

#[tokio::test]
async fn silent_exporter_is_said_with_its_reason() {
    let draft = from_container(
        &engine("--validator --base-path /data --prometheus-port 1").docker,
        "collator",
    )
    .await
    .unwrap();
    let said = notes(&draft);
    assert!(
        said.contains("relaychain: http://127.0.0.1:1/metrics: connection refused"),
        "{said}"
    );
    assert_eq!(parsed(&draft).0.chains.len(), 1);
}
