//! What the container's description does not say by itself: the image behind a tag, and users in numbers.

use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};

use super::engine::Fake;
use super::{notes, parsed};
use crate::commands::init::draft::Draft;
use crate::commands::init::from_container;

const DIGEST: &str = "org/collator@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn container(user: &str, pid: u32, data: &str) -> Value {
    json!({
        "Id": "00ff", "Name": "/collator", "Image": "sha256:1111", "State": {"Status": "exited", "Pid": pid},
        "Config": {"Image": "org/collator:v1", "User": user, "Cmd": ["--validator", "--base-path", "/data"]},
        "HostConfig": {"NetworkMode": "host"},
        "Mounts": [{"Type": "bind", "Source": data, "Destination": "/data", "RW": true}],
    })
}

async fn draft(container: Value, digests: &[&str], named: Value) -> anyhow::Result<Draft> {
    let image = json!({"Id": "sha256:1111", "RepoDigests": digests, "Config": {}});
    let engine = Fake {
        container,
        image,
        named,
        ..Fake::default()
    }
    .start();
    from_container(&engine.docker, "collator").await
}

#[tokio::test]
async fn tag_that_names_another_image_by_now_is_pinned() {
    let moved = draft(container("1:1", 0, "/srv/chain"), &[DIGEST], json!("sha256:2222"))
        .await
        .unwrap();
    let (config, text) = parsed(&moved);
    assert_eq!(config.collator.image, DIGEST);
    assert!(text.contains("# org/collator:v1 names another image by now"), "{text}");

    let same = draft(container("1:1", 0, "/srv/chain"), &[DIGEST], Value::Null)
        .await
        .unwrap();
    assert_eq!(parsed(&same).0.collator.image, "org/collator:v1");
}

#[tokio::test]
async fn image_without_a_name_is_refused_with_the_remedy() {
    let refused = draft(container("1:1", 0, "/srv/chain"), &[], json!("sha256:2222"))
        .await
        .map(drop)
        .unwrap_err();
    assert!(refused.to_string().contains("docker tag sha256:1111"), "{refused:#}");
}

#[tokio::test]
async fn user_by_name_is_that_of_the_process_or_of_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let about = dir.path().metadata().unwrap();
    let own = format!("user = \"{}:{}\"", about.uid(), about.gid());
    let data = dir.path().to_str().unwrap();
    for (pid, data) in [(std::process::id(), "/nowhere/at/all"), (0, data)] {
        let draft = draft(container("node", pid, data), &[], Value::Null).await.unwrap();
        assert!(
            parsed(&draft).1.lines().any(|line| line == own),
            "{pid}: {}",
            parsed(&draft).1
        );
    }
    let unknown = draft(container("node", 0, "/nowhere/at/all"), &[], Value::Null)
        .await
        .unwrap();
    assert!(
        notes(&unknown).contains("! the user node is not known"),
        "{}",
        notes(&unknown)
    );
}
