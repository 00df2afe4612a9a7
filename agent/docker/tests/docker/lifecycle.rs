//! From whatever there is to a running container with the right spec.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use agent_config::{BindMount, ContainerUser, PublishedPort, PullPolicy};
use agent_core::event::{ActionFailure, Container};
use agent_docker::{Docker, Error, ImageFault, KeyPermit};
use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::RenameContainerOptionsBuilder;
use tokio::sync::watch;

use crate::engine::{Watch, World, permit, skip};

#[tokio::test]
async fn a_container_is_made_as_asked_and_later_adopted_untouched() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let specs = world.dir.path().join("specs");
    fs::create_dir(&specs).unwrap();
    world.config.mounts.push(BindMount {
        source: specs,
        target: "/specs".into(),
        read_only: true,
    });
    world.config.collator.env.insert("KEY".into(), "value".into());
    world.config.collator.memory = Some(64 << 20);
    world.config.collator.user = Some(ContainerUser { uid: 1234, gid: 1235 });
    let first = world.docker().ensure_running(&permit()).await.unwrap();
    assert!(
        matches!(first.container, Container::Running { spec_matches: true, .. }),
        "{first:?}"
    );

    let seen = world.seen().await;
    let (config, host) = (seen.config.unwrap(), seen.host_config.unwrap());
    assert_eq!(config.cmd.unwrap(), ["idle"]);
    assert!(config.env.unwrap().contains(&"KEY=value".to_owned()));
    assert_eq!(
        (config.user.as_deref(), config.stop_timeout),
        (Some("1234:1235"), Some(2))
    );
    assert_eq!(config.labels.as_ref().unwrap()["t0rn-agent.managed"], "true");
    let spec = &config.labels.unwrap()["t0rn-agent.spec"];
    assert!(spec.len() == 16 && hex::decode(spec).is_ok(), "{spec}");
    assert_eq!(host.restart_policy.unwrap().name.unwrap().to_string(), "unless-stopped");
    assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
    assert_eq!(
        host.log_config.unwrap().config.unwrap()["max-size"],
        (20 << 20).to_string()
    );
    let mounts: Vec<_> = seen
        .mounts
        .unwrap()
        .into_iter()
        .map(|m| (m.destination.unwrap(), m.rw.unwrap()))
        .collect();
    assert!(
        mounts.contains(&("/data".into(), true)) && mounts.contains(&("/specs".into(), false)),
        "{mounts:?}"
    );
    let data = fs::metadata(&world.config.data.path).unwrap();
    assert_eq!((data.uid(), data.gid(), data.mode() & 0o777), (1234, 1235, 0o750));

    let second = Docker::new(&world.config)
        .unwrap()
        .ensure_running(&permit())
        .await
        .unwrap();
    assert_eq!(second, first, "another agent takes over what runs");
}

#[tokio::test]
async fn changed_spec_replaces_container_cleanly_on_same_data() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let old = world.up(&world.docker()).await.detail.unwrap();
    fs::write(world.config.data.path.join("db"), "chain").unwrap();
    let mut watch = Watch::of(&world.docker());
    watch.running().await;
    world.acts(&["idle", "again"]);
    let docker = world.docker();
    let spec_matches = match docker.inspect().await.unwrap().container {
        Container::Running { spec_matches, .. } => spec_matches,
        other => panic!("{other:?}"),
    };
    assert!(!spec_matches, "the old one is told from the new");
    let new = docker.ensure_running(&permit()).await.unwrap();
    assert!(
        matches!(new.container, Container::Running { spec_matches: true, .. }),
        "{new:?}"
    );
    assert_ne!(new.detail.unwrap().id, old.id);
    assert_eq!(fs::read_to_string(world.config.data.path.join("db")).unwrap(), "chain");
    let code = watch
        .container("exit", |c| {
            if let Container::Exited { exit, .. } = c {
                exit.code
            } else {
                None
            }
        })
        .await;
    assert_eq!(code, 0, "SIGTERM was enough");
    assert_eq!(world.running().await, [world.name()]);
}

#[tokio::test]
async fn the_old_container_runs_on_when_the_new_one_cannot_be_had() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let old = world.docker().ensure_running(&permit()).await.unwrap().detail.unwrap();
    world.config.collator.image = "t0rn-agent-test/absent:1".into();
    world.config.collator.pull = PullPolicy::Never;
    let error = world.docker().ensure_running(&permit()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Image {
                fault: ImageFault::Absent,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.failure(), ActionFailure::Image);
    assert_eq!(world.docker().inspect().await.unwrap().detail.unwrap().pid, old.pid);
}

#[tokio::test]
async fn without_permit_nothing_is_created_started_or_thawed_with_keys() {
    let Some(world) = World::new().await else {
        return;
    };
    let (allow, permitted) = watch::channel(false);
    let (docker, permit) = (world.docker(), KeyPermit::new(permitted));
    let error = docker.ensure_running(&permit).await.unwrap_err();
    assert!(matches!(error, Error::KeysNotPermitted), "{error}");
    assert_eq!(error.failure(), ActionFailure::Cancelled);
    assert_eq!(docker.inspect().await.unwrap().container, Container::Missing);
    allow.send_replace(true);
    docker.ensure_running(&permit).await.unwrap();
    docker.stop().await.unwrap();
    allow.send_replace(false);
    let error = docker.ensure_running(&permit).await.unwrap_err();
    assert!(matches!(error, Error::KeysNotPermitted), "{error}");
    assert!(matches!(
        docker.inspect().await.unwrap().container,
        Container::Exited { .. }
    ));
    allow.send_replace(true);
    docker.ensure_running(&permit).await.unwrap();
    world.hands.pause_container(world.name()).await.unwrap();
    allow.send_replace(false);
    let error = docker.ensure_running(&permit).await.unwrap_err();
    assert!(matches!(error, Error::KeysNotPermitted), "{error}");
    assert!(matches!(
        docker.inspect().await.unwrap().container,
        Container::Paused { .. }
    ));
}

#[tokio::test]
async fn a_foreign_container_is_refused_and_never_touched() {
    let Some(world) = World::new().await else {
        return;
    };
    world.run_foreign(world.name(), None).await;
    let before = world.seen().await.state;
    let docker = world.docker();
    for attempt in [
        docker.ensure_running(&permit()).await,
        docker.stop().await,
        docker.restart(&permit()).await,
    ] {
        let error = attempt.unwrap_err();
        assert!(
            matches!(&error, Error::Foreign { name, .. } if name == world.name()),
            "{error}"
        );
        assert_eq!(error.failure(), ActionFailure::Foreign);
    }
    assert_eq!(docker.inspect().await.unwrap().container, Container::Foreign);
    assert_eq!(world.seen().await.state, before);
}

#[tokio::test]
async fn a_foreign_container_that_runs_on_the_data_prevents_the_start() {
    let Some(world) = World::new().await else {
        return;
    };
    let other = format!("{}-other", world.name());
    fs::create_dir(&world.config.data.path).unwrap();
    world.run_foreign(&other, Some((&world.config.data.path, false))).await;
    let error = world.docker().ensure_running(&permit()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Occupied { name, .. } if *name == other),
        "{error}"
    );
    // Tried again, and told in its own words: it is not our container that is another's.
    assert_eq!(error.failure(), ActionFailure::Other);
    assert_eq!(world.running().await, [other]);
}

#[tokio::test]
async fn renamed_container_is_found_and_no_second_one_is_started() {
    let Some(world) = World::new().await else {
        return;
    };
    world.docker().ensure_running(&permit()).await.unwrap();
    let new = format!("{}-old", world.name());
    let away = RenameContainerOptionsBuilder::default().name(&new).build();
    world.hands.rename_container(world.name(), away).await.unwrap();
    let docker = world.docker();
    let up = docker.ensure_running(&permit()).await.unwrap();
    assert!(
        matches!(up.container, Container::Running { spec_matches: true, .. }),
        "{up:?}"
    );
    let altered = up.detail.unwrap().altered.unwrap();
    assert!(
        altered.starts_with(&format!("its name is {new} instead of {}", world.name())),
        "{altered}"
    );
    assert_eq!(world.running().await, [new]);
    assert_eq!(docker.sharer().await.unwrap(), None);
    assert!(!docker.last_lines(10).await.unwrap().is_empty(), "its log is read");
    let after = docker.restart(&permit()).await.unwrap();
    assert_eq!(after.detail.unwrap().altered, None);
    assert_eq!(world.running().await, [world.name()], "and the old one is gone");
    assert!(
        world
            .hands
            .inspect_container(&format!("{}-old", world.name()), None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn attempt_dropped_anywhere_is_finished_by_next() {
    let Some(mut world) = World::new().await else {
        return;
    };
    for round in 0..24u32 {
        world.acts(&["idle", &round.to_string()]);
        let docker = world.docker();
        let moment = Duration::from_millis(u64::from(round) * 23);
        let _ = tokio::time::timeout(moment, docker.ensure_running(&permit())).await;
        let done = docker.ensure_running(&permit()).await.unwrap();
        assert!(
            matches!(done.container, Container::Running { spec_matches: true, .. }),
            "{round}: {done:?}"
        );
        assert_eq!(world.running().await, [world.name()], "{round}");
    }
}

#[tokio::test]
async fn what_keeps_a_container_from_starting_is_named_with_its_remedy() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let good = world.config.clone();

    world.config.mounts.push(BindMount {
        source: "/nonexistent/keystore".into(),
        target: "/k".into(),
        read_only: false,
    });
    let error = world.docker().ensure_running(&permit()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Path { path, .. } if path.ends_with("keystore")),
        "{error}"
    );
    assert!(!fs::exists("/nonexistent").unwrap());

    world.config = good.clone();
    world.config.collator.network = "t0rn-agent-test-no-such-network".into();
    let error = world.docker().ensure_running(&permit()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("docker network create t0rn-agent-test-no-such-network"),
        "{error}"
    );

    world.config = good;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = taken.local_addr().unwrap().port();
    world.config.collator.network = "bridge".into();
    world.config.collator.ports.push(PublishedPort {
        address: Some(Ipv4Addr::LOCALHOST.into()),
        host,
        container: 7001,
        protocol: "tcp",
    });
    let error = world.docker().ensure_running(&permit()).await.unwrap_err();
    assert!(
        matches!(&error, Error::PortTaken { reason } if reason.contains(&host.to_string())),
        "{error}"
    );
    drop(taken);
    let done = world.docker().ensure_running(&permit()).await.unwrap();
    assert!(
        matches!(done.container, Container::Running { .. }),
        "once the port is free it starts: {done:?}"
    );
}

#[tokio::test]
async fn an_image_without_its_program_is_told_from_a_broken_container() {
    let Some(world) = World::new().await else {
        return;
    };
    let image = world.config.collator.image.clone();
    // The same image, committed with an entrypoint that is not in it.
    world.run_foreign(world.name(), None).await;
    let tag = format!("{}-broken", world.name());
    let options = bollard::query_parameters::CommitContainerOptionsBuilder::default()
        .container(world.name())
        .repo(&tag)
        .tag("1")
        .changes("ENTRYPOINT [\"/no/such/program\"]")
        .build();
    world
        .hands
        .commit_container(options, bollard::models::ContainerConfig::default())
        .await
        .unwrap();
    world.remove().await;
    let mut config = world.config.clone();
    config.collator.image = format!("{tag}:1");
    let docker = Docker::new(&config).unwrap();
    let error = docker.ensure_running(&permit()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Executable { reason, .. } if reason.contains("/no/such/program")),
        "{error}"
    );
    assert_eq!(error.failure(), ActionFailure::Executable);
    assert_eq!(
        docker.inspect().await.unwrap().container,
        Container::Created { spec_matches: true }
    );
    config.collator.image = image;
    let done = Docker::new(&config).unwrap().ensure_running(&permit()).await.unwrap();
    assert!(
        matches!(done.container, Container::Running { .. }),
        "with the right image it starts: {done:?}"
    );
    world.remove_image(&format!("{tag}:1")).await;
}

#[tokio::test]
async fn a_container_whose_network_was_removed_is_replaced() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let network = format!("{}-net", world.name());
    let request = || NetworkCreateRequest {
        name: network.clone(),
        ..NetworkCreateRequest::default()
    };
    if let Err(error) = world.hands.create_network(request()).await {
        skip(&format!("the engine makes no networks: {error}"));
        return;
    }
    world.config.collator.network.clone_from(&network);
    let docker = world.docker();
    let old = docker.ensure_running(&permit()).await.unwrap().detail.unwrap();
    fs::write(world.config.data.path.join("db"), "chain").unwrap();
    docker.stop().await.unwrap();
    world.hands.remove_network(&network).await.unwrap();
    let error = docker.ensure_running(&permit()).await.unwrap_err();
    assert!(matches!(&error, Error::Network { name } if *name == network), "{error}");
    world.hands.create_network(request()).await.unwrap();
    let new = docker.ensure_running(&permit()).await.unwrap();
    assert!(matches!(new.container, Container::Running { .. }), "{new:?}");
    assert_ne!(new.detail.unwrap().id, old.id);
    assert_eq!(fs::read_to_string(world.config.data.path.join("db")).unwrap(), "chain");
    docker.stop().await.unwrap();
    world.hands.remove_container(world.name(), None).await.unwrap();
    world.hands.remove_network(&network).await.unwrap();
}
