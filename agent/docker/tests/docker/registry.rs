//! Pulling from a registry that asks for a password.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use agent_config::PullPolicy;
use agent_core::event::Container;
use agent_docker::{Error, ImageFault};
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{PushImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::TryStreamExt;

use crate::engine::{World, permit, skip};

/// Plain and URL-safe base64 differ on these characters, and an engine that gets the wrong one asks the
/// registry without any login.
const PASSWORD: &str = "a>>>b???c~~~d";
/// That password and the one that the image is pushed with, as bcrypt has them.
const HTPASSWD: &str = "node:$2y$05$abcdefghijklmnopqrstuuqgSMAiGpML.bbX0CQKklTonzkXIhfeC\n\
                        pusher:$2y$05$abcdefghijklmnopqrstuuh/a1ColwkDLwITl3EMaTFLLeSZM2mWi\n";

struct Registry {
    process: Child,
    host: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A world whose image is in a registry and no longer on the host, and its digest.
async fn with_registry() -> Option<(World, Registry, String)> {
    let mut world = World::new().await?;
    let dir = world.dir.path().to_owned();
    // Free a moment ago; the registry cannot be told to choose and say.
    let host = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    fs::write(dir.join("htpasswd"), HTPASSWD).unwrap();
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}/registry}}}}\n\
         http: {{addr: '{host}'}}\nauth: {{htpasswd: {{realm: test, path: {0}/htpasswd}}}}\n",
        dir.display()
    );
    fs::write(dir.join("registry.yml"), config).unwrap();
    let mut command = Command::new("docker-registry");
    command
        .arg("serve")
        .arg(dir.join("registry.yml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(process) = command.spawn() else {
        skip("docker-registry is not installed");
        return None;
    };
    let registry = Registry { process, host };
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(&registry.host).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let repository = format!("{}/{}", registry.host, world.name());
    let local = world.config.collator.image.clone();
    let tag = TagImageOptionsBuilder::default().repo(&repository).tag("1").build();
    world.hands.tag_image(&local, Some(tag)).await.unwrap();
    // The push is made with a login that the client's own encoding gets right.
    let login = DockerCredentials {
        username: Some("pusher".into()),
        password: Some("push".into()),
        ..DockerCredentials::default()
    };
    let push = PushImageOptionsBuilder::default().tag("1").build();
    let pushed = world.hands.push_image(&repository, Some(push), Some(login));
    pushed.try_collect::<Vec<_>>().await.unwrap();
    let image = world.hands.inspect_image(&format!("{repository}:1")).await.unwrap();
    let digest = image
        .repo_digests
        .unwrap()
        .iter()
        .find_map(|d| Some(d.split_once('@')?.1.to_owned()))
        .unwrap();
    world.config.collator.image = format!("{repository}:1");
    world.config.collator.registry_auth = Some(dir.join("auth.json"));
    login_as(&world, PASSWORD);
    forget(&world).await;
    world.remove_image(&local).await;
    Some((world, registry, digest))
}

fn login_as(world: &World, password: &str) {
    let file = world.config.collator.registry_auth.as_ref().unwrap();
    fs::write(
        file,
        serde_json::json!({"username": "node", "password": password}).to_string(),
    )
    .unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

async fn forget(world: &World) {
    world.remove_image(&world.config.collator.image).await;
}

async fn fault(world: &World) -> ImageFault {
    match world.docker().ensure_running(&permit()).await {
        Err(Error::Image { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_image_is_pulled_with_the_login_and_pinned_to_its_digest() {
    let Some((world, _registry, digest)) = with_registry().await else {
        return;
    };
    let up = world.docker().ensure_running(&permit()).await.unwrap();
    assert!(matches!(up.container, Container::Running { .. }), "{up:?}");
    let detail = up.detail.unwrap();
    assert_eq!(
        (detail.digest.as_deref(), &detail.image),
        (Some(digest.as_str()), &world.config.collator.image)
    );
    let created_from = world.seen().await.config.unwrap().image.unwrap();
    assert!(created_from.ends_with(&digest), "{created_from}");
}

#[tokio::test]
async fn wrong_password_tag_and_digest_are_distinguished() {
    let Some((mut world, _registry, digest)) = with_registry().await else {
        return;
    };
    login_as(&world, "wrong");
    let refused = fault(&world).await;
    assert!(matches!(refused, ImageFault::Unauthorized(_)), "{refused}");
    assert!(!refused.to_string().contains("wrong"), "{refused}");

    login_as(&world, PASSWORD);
    let good = world.config.collator.image.clone();
    world.config.collator.image = format!("{}:absent", good.trim_end_matches(":1"));
    let unknown = fault(&world).await;
    assert!(matches!(unknown, ImageFault::NotFound(_)), "{unknown}");

    let repository = good.trim_end_matches(":1");
    world.config.collator.image = format!("{repository}@sha256:{}", "0".repeat(64));
    let other = fault(&world).await;
    assert!(
        matches!(other, ImageFault::NotFound(_) | ImageFault::Digest(_)),
        "{other}"
    );

    world.config.collator.image = format!("{repository}@{digest}");
    let up = world.docker().ensure_running(&permit()).await.unwrap();
    assert_eq!(up.detail.unwrap().digest, Some(digest));
}

#[tokio::test]
async fn a_registry_that_is_gone_stops_nothing_that_is_here() {
    let Some((mut world, registry, _)) = with_registry().await else {
        return;
    };
    world.config.collator.pull = PullPolicy::Always;
    world.docker().ensure_running(&permit()).await.unwrap();
    drop(registry);
    world.acts(&["idle", "again"]);
    let up = world.docker().ensure_running(&permit()).await.unwrap();
    assert!(
        matches!(up.container, Container::Running { spec_matches: true, .. }),
        "{up:?}"
    );

    world.remove().await;
    let image = world
        .hands
        .inspect_image(&world.config.collator.image)
        .await
        .unwrap()
        .id
        .unwrap();
    world.remove_image(&image).await;
    let unreachable = fault(&world).await;
    assert!(matches!(unreachable, ImageFault::Registry(_)), "{unreachable}");
}

#[tokio::test]
async fn an_image_deleted_under_its_container_is_pulled_for_the_next_one() {
    let Some((world, _registry, _)) = with_registry().await else {
        return;
    };
    world.docker().ensure_running(&permit()).await.unwrap();
    world.remove().await;
    forget(&world).await;
    let up = world.docker().ensure_running(&permit()).await.unwrap();
    assert!(matches!(up.container, Container::Running { .. }), "{up:?}");
}
