//! Other containers with the collator's keys or data, in every way of mounting them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use agent_config::BindMount;
use agent_docker::Error;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};

use crate::engine::{World, permit};

/// A running container with `source`.
async fn beside(world: &World, name: &str, source: &Path, read_only: bool) {
    let mount = Mount {
        typ: Some(MountType::BIND),
        source: Some(source.display().to_string()),
        target: Some("/shared".to_owned()),
        read_only: Some(read_only),
        ..Mount::default()
    };
    let body = ContainerCreateBody {
        image: Some(world.config.collator.image.clone()),
        host_config: Some(HostConfig {
            mounts: Some(vec![mount]),
            network_mode: Some("none".into()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    world.hands.create_container(Some(options), body).await.unwrap();
    world.hands.start_container(name, None).await.unwrap();
}

async fn remove(world: &World, name: &str) {
    let force = RemoveContainerOptionsBuilder::default().force(true).build();
    world.hands.remove_container(name, Some(force)).await.unwrap();
}

#[tokio::test]
async fn whoever_has_the_keys_or_writes_to_the_data_prevents_the_start_and_is_named_later() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let home = world.dir.path().join("home");
    let (data, keys) = (home.join("data"), home.join("id/keystore"));
    fs::create_dir_all(data.join("chains")).unwrap();
    fs::create_dir_all(&keys).unwrap();
    symlink(&keys, home.join("link")).unwrap();
    world.config.data.path.clone_from(&data);
    world.config.mounts.push(BindMount {
        source: keys.clone(),
        target: "/node/keystore".into(),
        read_only: false,
    });
    let name = format!("{}-other", world.name());
    let shared = [
        (keys.clone(), true),
        (home.join("link"), true),
        (home.join("id"), true),
        (home.clone(), false),
        (data.clone(), false),
        (data.join("chains"), false),
    ];
    for (source, read_only) in &shared {
        beside(&world, &name, source, *read_only).await;
        let refused = world.docker().ensure_running(&permit()).await;
        let shown = source.display();
        assert!(
            matches!(&refused, Err(Error::Occupied { name: other, .. }) if *other == name),
            "{shown}, read-only {read_only}: {refused:?}"
        );
        assert_eq!(world.running().await, [name.as_str()]);
        remove(&world, &name).await;
    }

    beside(&world, &name, &data, true).await;
    world.docker().ensure_running(&permit()).await.unwrap();
    assert_eq!(world.docker().sharer().await.unwrap(), None, "it only reads the data");
    remove(&world, &name).await;
    for (source, read_only) in &shared {
        beside(&world, &name, source, *read_only).await;
        let found = world.docker().sharer().await.unwrap();
        assert!(
            found.is_some_and(|found| found.starts_with(&name)),
            "{}",
            source.display()
        );
        remove(&world, &name).await;
    }
    assert_eq!(world.docker().sharer().await.unwrap(), None);
}
