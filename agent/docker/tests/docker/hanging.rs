//! An engine, or a registry, that accepts and never answers.

use std::time::Duration;

use agent_core::event::{ActionFailure, Container};
use agent_docker::{Docker, EngineEvent, EngineTimeouts, Error, ImageFault};
use futures_util::FutureExt;
use tokio::net::{TcpListener, UnixListener};

use crate::engine::{Watch, World, permit};

const SHORT: Duration = Duration::from_millis(200);

fn impatient() -> EngineTimeouts {
    EngineTimeouts {
        call: SHORT,
        change: SHORT,
        ping: SHORT,
        ping_every: SHORT,
        pull_silence: Duration::from_secs(2),
    }
}

#[tokio::test]
async fn an_engine_that_never_answers_is_told_once_and_so_is_its_return() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let real = world.config.agent.docker.clone();
    let socket = world.dir.path().join("docker.sock");
    let hanging = UnixListener::bind(&socket).unwrap();
    world.config.agent.docker.clone_from(&socket);
    let docker = Docker::new(&world.config).unwrap().with_limits(impatient());
    for attempt in [
        docker.version().await.map(drop),
        docker.inspect().await.map(drop),
        docker.stop().await.map(drop),
    ] {
        let error = attempt.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert_eq!(error.failure(), ActionFailure::DockerUnreachable);
    }
    assert!(docker.ensure_running(&permit()).await.is_err());
    assert!(docker.activity().await.is_err());
    assert!(docker.last_lines(5).await.is_err());

    let mut watch = Watch::of(&docker);
    let error = watch
        .until("outage", |n| {
            if let EngineEvent::Unreachable { error } = n {
                Some(error.clone())
            } else {
                None
            }
        })
        .await;
    assert!(
        error.contains(socket.to_str().unwrap()) && error.contains("does not answer"),
        "{error}"
    );
    // What the calls above left behind; then several more attempts hang before the engine comes back.
    while hanging.accept().now_or_never().is_some() {}
    for _ in 0..3 {
        tokio::select! {
            notice = watch.until("second outage", |_| Some(())) => panic!("told twice: {notice:?}"),
            accepted = hanging.accept() => drop(accepted.unwrap()),
        }
    }
    drop(hanging);
    std::fs::remove_file(&socket).unwrap();
    std::os::unix::fs::symlink(real, &socket).unwrap();
    watch
        .until("return", |n| matches!(n, EngineEvent::Reachable { .. }).then_some(()))
        .await;
    watch
        .container("absence", |c| (*c == Container::Missing).then_some(()))
        .await;
    let outages = watch
        .seen()
        .iter()
        .filter(|n| matches!(n, EngineEvent::Unreachable { .. }))
        .count();
    assert_eq!(outages, 1);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_told_with_the_remedy() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.config.agent.docker = world.dir.path().join("none.sock");
    let error = world.docker().version().await.unwrap_err().to_string();
    assert!(
        error.contains("none.sock") && error.contains("systemctl start docker"),
        "{error}"
    );
    drop(std::os::unix::net::UnixListener::bind(&world.config.agent.docker).unwrap());
    let error = world.docker().version().await.unwrap_err().to_string();
    assert!(
        error.contains("refused") && error.contains("systemctl start docker"),
        "{error}"
    );
}

#[tokio::test]
async fn a_registry_that_never_answers_ends_in_a_timeout_not_in_a_hang() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.config.collator.image = format!("{}/node:1", registry.local_addr().unwrap());
    let docker = world.docker().with_limits(EngineTimeouts {
        pull_silence: Duration::from_secs(2),
        ..EngineTimeouts::default()
    });
    let hold = async {
        let mut held = Vec::new();
        loop {
            held.push(registry.accept().await.unwrap());
        }
    };
    let permit = permit();
    let error = tokio::select! {
        done = docker.ensure_running(&permit) => done.unwrap_err(),
        () = hold => unreachable!("holds for ever"),
    };
    assert!(
        matches!(
            error,
            Error::Image {
                fault: ImageFault::Timeout(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(docker.version().await.is_ok(), "the engine itself is fine");
}
