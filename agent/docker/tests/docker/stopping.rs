//! Stopping, from every state, for Docker's own restart policy too.

use agent_core::event::{Activity, Container};
use agent_docker::Docker;

use crate::engine::{PATIENCE, Watch, World, permit};

/// Whether Docker's own policy would leave it alone: it was stopped, and no restart is under way.
async fn stays_down(world: &World, docker: &Docker) {
    let stopped = docker.stop().await.unwrap();
    assert!(matches!(stopped.container, Container::Exited { .. }), "{stopped:?}");
    assert!(world.running().await.is_empty());
    let again = docker.stop().await.unwrap();
    assert_eq!(
        again.container, stopped.container,
        "stopping what is stopped changes nothing"
    );
}

#[tokio::test]
async fn a_running_container_is_asked_to_leave_and_starts_again_when_wanted() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    world.up(&docker).await;
    let stopped = docker.stop().await.unwrap();
    let Container::Exited {
        exit,
        spec_matches: true,
        ..
    } = stopped.container
    else {
        panic!("{stopped:?}")
    };
    assert_eq!((exit.code, exit.oom), (Some(0), false));
    assert_eq!(exit.log.last().map(String::as_str), Some("leaving"));
    stays_down(&world, &docker).await;
    let id = stopped.detail.unwrap().id;
    let up = docker.ensure_running(&permit()).await.unwrap();
    assert!(matches!(up.container, Container::Running { .. }));
    assert_eq!(up.detail.unwrap().id, id, "the same container, started again");
}

#[tokio::test]
async fn a_container_that_does_not_listen_is_killed() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["deaf"]);
    world.config.collator.stop_timeout = std::time::Duration::from_secs(1);
    let docker = world.docker();
    world.up(&docker).await;
    let stopped = docker.stop().await.unwrap();
    assert!(
        matches!(&stopped.container, Container::Exited { exit, .. } if exit.code == Some(137)),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn a_paused_container_is_stopped_and_one_wanted_running_is_thawed() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    let first = docker.ensure_running(&permit()).await.unwrap();
    world.hands.pause_container(world.name()).await.unwrap();
    assert!(matches!(
        docker.inspect().await.unwrap().container,
        Container::Paused { .. }
    ));
    let thawed = docker.ensure_running(&permit()).await.unwrap();
    assert_eq!(thawed.container, first.container, "the same run goes on");
    world.hands.pause_container(world.name()).await.unwrap();
    stays_down(&world, &docker).await;
}

#[tokio::test]
async fn a_container_in_dockers_restart_loop_is_stopped_for_good() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["exit", "3"]);
    let docker = world.docker();
    let mut watch = Watch::of(&docker);
    docker.ensure_running(&permit()).await.unwrap();
    // Three ends: by now Docker waits longer between two attempts than it takes to ask.
    for _ in 0..3 {
        let wanted = |c: &Container| {
            if let Container::Exited { exit, .. } = c {
                Some(exit.code)
            } else {
                None
            }
        };
        assert_eq!(watch.container("exit", wanted).await, Some(3));
    }
    stays_down(&world, &docker).await;
}

#[tokio::test]
async fn a_container_that_docker_lets_wait_is_started_at_once_when_wanted() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["exit", "3"]);
    let docker = world.docker();
    docker.ensure_running(&permit()).await.unwrap();
    let waits = async {
        loop {
            let seen = docker.inspect().await.unwrap();
            let restarts = seen.detail.unwrap().restart_count;
            if seen.container == Container::Restarting && restarts >= 4 {
                return restarts;
            }
        }
    };
    let before = tokio::time::timeout(PATIENCE, waits).await.unwrap();
    let after = docker
        .ensure_running(&permit())
        .await
        .unwrap()
        .detail
        .unwrap()
        .restart_count;
    assert!(
        after < before,
        "Docker counts anew after a start that was asked for: {before} {after}"
    );
}

#[tokio::test]
async fn a_container_that_ended_at_once_is_reported_not_failed() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["exit", "7"]);
    let docker = world.docker();
    let seen = docker.ensure_running(&permit()).await.unwrap();
    assert!(
        !matches!(seen.container, Container::Missing | Container::Created { .. }),
        "{seen:?}"
    );
    let ended = docker.stop().await.unwrap();
    let Container::Exited { exit, .. } = ended.container else {
        panic!("{ended:?}")
    };
    assert_eq!(
        (exit.code, exit.log.as_slice()),
        (Some(7), &["ready".to_owned(), "bye".to_owned()][..])
    );
}

#[tokio::test]
async fn what_does_not_exist_is_stopped_and_uses_nothing() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    assert_eq!(docker.stop().await.unwrap().container, Container::Missing);
    assert_eq!(docker.activity().await.unwrap(), Activity::default());
    assert!(docker.last_lines(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn work_shows_as_cpu_between_two_looks() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["burn"]);
    let docker = world.docker();
    docker.ensure_running(&permit()).await.unwrap();
    assert_eq!(
        docker.activity().await.unwrap().cpu_percent,
        None,
        "one look is no measurement"
    );
    let used = docker.activity().await.unwrap().cpu_percent.unwrap();
    assert!(used > 0.0, "{used}");
    docker.stop().await.unwrap();
    assert_eq!(docker.activity().await.unwrap().cpu_percent, None);
}
