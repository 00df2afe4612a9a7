//! What is done to the container from outside comes as news, in order, with its circumstances.

use agent_core::event::{Container, Exit};
use agent_docker::EngineEvent;
use bollard::models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};

use crate::engine::{Watch, World, permit};

async fn exited(watch: &mut Watch) -> (i64, Exit) {
    let wanted = |container: &Container| match container {
        Container::Exited {
            at: Some(at),
            exit,
            spec_matches: true,
        } => Some((*at, exit.clone())),
        _ => None,
    };
    watch.container("exit", wanted).await
}

async fn signalled(watch: &mut Watch) -> (i64, i64) {
    let wanted = |container: &Container| match container {
        Container::Signalled { at: Some(at), signal } => Some((*at, *signal)),
        _ => None,
    };
    watch.container("signal", wanted).await
}

#[tokio::test]
async fn a_watch_begins_with_the_engine_and_the_container_as_it_is() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    let mut watch = Watch::of(&docker);
    let api = watch
        .until("engine", |n| {
            if let EngineEvent::Reachable { api } = n {
                Some(api.clone())
            } else {
                None
            }
        })
        .await;
    assert_eq!(api, docker.version().await.unwrap());
    watch
        .container("absence", |c| (*c == Container::Missing).then_some(()))
        .await;
    let Container::Running { started_at, .. } = docker.ensure_running(&permit()).await.unwrap().container else {
        panic!()
    };
    assert_eq!(
        Some(watch.running().await),
        started_at,
        "the run is identified as an inspection does"
    );
}

#[tokio::test]
async fn docker_kill_is_told_with_its_signal_and_the_last_words() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    world.up(&docker).await;
    let mut watch = Watch::of(&docker);
    let started = watch.running().await;
    let term = KillContainerOptionsBuilder::default().signal("SIGTERM").build();
    world.hands.kill_container(world.name(), Some(term)).await.unwrap();
    let (killed, signal) = signalled(&mut watch).await;
    let (died, exit) = exited(&mut watch).await;
    assert_eq!((signal, exit.code, exit.oom), (15, Some(0), false));
    assert!(started < killed && killed <= died, "{started} {killed} {died}");
    assert_eq!(exit.log, ["ready", "leaving"]);
}

#[tokio::test]
async fn docker_stop_is_told_from_docker_kill() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    world.up(&docker).await;
    let mut watch = Watch::of(&docker);
    watch.running().await;
    let options = StopContainerOptionsBuilder::default().t(5).build();
    world.hands.stop_container(world.name(), Some(options)).await.unwrap();
    assert_eq!(signalled(&mut watch).await.1, 15);
    let (died, _) = exited(&mut watch).await;
    let at = watch
        .container("stop", |c| if let Container::Stopped { at } = c { *at } else { None })
        .await;
    assert!(died <= at, "{died} {at}");
}

#[tokio::test]
async fn removal_by_force_is_told() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    docker.ensure_running(&permit()).await.unwrap();
    let mut watch = Watch::of(&docker);
    watch.running().await;
    world.remove().await;
    assert_eq!(signalled(&mut watch).await.1, 9);
    assert_eq!(exited(&mut watch).await.1.code, Some(137));
    watch
        .container("removal", |c| {
            matches!(c, Container::Removed { at: Some(_) }).then_some(())
        })
        .await;
}

#[tokio::test]
async fn pausing_and_thawing_are_told_as_the_same_run() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    docker.ensure_running(&permit()).await.unwrap();
    let mut watch = Watch::of(&docker);
    let started = watch.running().await;
    world.hands.pause_container(world.name()).await.unwrap();
    let paused = watch
        .container("pause", |c| {
            if let Container::Paused { started_at, .. } = c {
                *started_at
            } else {
                None
            }
        })
        .await;
    world.hands.unpause_container(world.name()).await.unwrap();
    assert_eq!((paused, watch.running().await), (started, started));
}

#[tokio::test]
async fn renamed_container_is_the_same_run_and_its_end_is_told() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    docker.ensure_running(&permit()).await.unwrap();
    let mut watch = Watch::of(&docker);
    let before = watch.running().await;
    let new = format!("{}-old", world.name());
    let away = RenameContainerOptionsBuilder::default().name(&new).build();
    world.hands.rename_container(world.name(), away).await.unwrap();
    assert_eq!(watch.running().await, before);
    let kill = KillContainerOptionsBuilder::default().signal("KILL").build();
    world.hands.kill_container(&new, Some(kill)).await.unwrap();
    assert_eq!(exited(&mut watch).await.1.code, Some(137));
}

#[tokio::test]
async fn docker_update_is_told_as_the_same_run() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    docker.ensure_running(&permit()).await.unwrap();
    let mut watch = Watch::of(&docker);
    let before = watch.running().await;
    let policy = RestartPolicy {
        name: Some(RestartPolicyNameEnum::NO),
        maximum_retry_count: None,
    };
    let update = ContainerUpdateBody {
        restart_policy: Some(policy),
        ..ContainerUpdateBody::default()
    };
    world.hands.update_container(world.name(), update).await.unwrap();
    assert_eq!(watch.running().await, before);
    let altered = docker.inspect().await.unwrap().detail.unwrap().altered.unwrap();
    assert!(
        altered.starts_with("its restart policy is no instead of unless-stopped"),
        "{altered}"
    );
    let after = docker.restart(&permit()).await.unwrap();
    assert_eq!(after.detail.unwrap().altered, None, "a restart makes it as configured");
}

#[tokio::test]
async fn each_crash_ends_once_with_its_own_log_and_docker_restart_is_seen() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["exit", "3"]);
    let docker = world.docker();
    let mut watch = Watch::of(&docker);
    watch
        .container("absence", |c| (*c == Container::Missing).then_some(()))
        .await;
    docker.ensure_running(&permit()).await.unwrap();
    let mut ends = Vec::new();
    for _ in 0..4 {
        let (at, exit) = exited(&mut watch).await;
        assert_eq!(
            (exit.code, exit.log),
            (Some(3), vec!["ready".to_owned(), "bye".to_owned()])
        );
        ends.push(at);
    }
    // Closer than Docker's shortest wait would be the same end told twice.
    assert!(ends.windows(2).all(|pair| pair[1] - pair[0] >= 100), "{ends:?}");
}

#[tokio::test]
async fn running_out_of_memory_is_told_as_such() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["hog"]);
    world.config.collator.memory = Some(16 << 20);
    let docker = world.docker();
    let mut watch = Watch::of(&docker);
    watch
        .container("absence", |c| (*c == Container::Missing).then_some(()))
        .await;
    docker.ensure_running(&permit()).await.unwrap();
    // Docker reports the memory limit now and then after the end.
    let code = watch
        .container("end for want of memory", |container| match container {
            Container::Exited { exit, .. } if exit.oom => Some(exit.code),
            _ => None,
        })
        .await;
    assert_eq!(code, Some(137));
}

#[tokio::test]
async fn what_happened_while_nobody_listened_is_told_from_the_moment_given() {
    let Some(world) = World::new().await else {
        return;
    };
    let docker = world.docker();
    let Container::Running { started_at, .. } = docker.ensure_running(&permit()).await.unwrap().container else {
        panic!()
    };
    world.hands.kill_container(world.name(), None).await.unwrap();
    docker.ensure_running(&permit()).await.unwrap();
    let mut watch = Watch::since(&docker, started_at);
    watch.running().await;
    assert_eq!(exited(&mut watch).await.1.code, Some(137));
}

#[tokio::test]
async fn a_line_of_ten_megabytes_is_cut_and_the_lines_around_it_are_there() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["long", "10485760"]);
    let docker = world.docker();
    docker.ensure_running(&permit()).await.unwrap();
    let follow = docker.logs(1000, true).try_fold(0, |seen, chunk| async move {
        let seen = seen + chunk.len();
        // Ends the following, which never ends by itself, with the last bytes that will come.
        if seen >= 10_485_760 + "ready\n\nafter\n".len() {
            Err(done())
        } else {
            Ok(seen)
        }
    });
    assert!(follow.await.is_err(), "all of it was written");
    let lines = docker.last_lines(1000).await.unwrap();
    assert_eq!(
        (lines.len(), lines[0].as_str(), lines[2].as_str()),
        (3, "ready", "after")
    );
    assert!(lines[1].len() <= 4096 && lines[1].ends_with('…'));
    assert_eq!(docker.last_lines(1).await.unwrap(), ["after"]);
}

#[tokio::test]
async fn last_words_of_an_earlier_run_are_found_behind_many_later_lines() {
    let Some(mut world) = World::new().await else {
        return;
    };
    world.acts(&["lines", "3000"]);
    let docker = world.docker();
    let Container::Running { started_at, .. } = docker.ensure_running(&permit()).await.unwrap().container else {
        panic!()
    };
    let wait = || {
        docker
            .logs(3001, true)
            .try_take_while(|line| std::future::ready(Ok(!line.starts_with(b"line 3000"))))
    };
    wait().try_collect::<Vec<_>>().await.unwrap();
    let lines = docker.last_lines(5).await.unwrap();
    assert_eq!(lines, ["line 2996", "line 2997", "line 2998", "line 2999", "line 3000"]);
    docker.stop().await.unwrap();
    docker.ensure_running(&permit()).await.unwrap();
    wait().skip(1).try_collect::<Vec<_>>().await.unwrap();
    let (_, exit) = exited(&mut Watch::since(&docker, started_at)).await;
    assert_eq!(exit.log[exit.log.len() - 2..], ["line 3000", "leaving"]);
}

fn done() -> agent_docker::Error {
    agent_docker::Error::Network {
        name: "end of the test".to_owned(),
    }
}
