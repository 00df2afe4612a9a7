//! An engine, played, whose events come late, or by the clock of before somebody set it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use agent_core::event::Container;
use agent_docker::Docker;
use agent_runtime::simulation::World;
use jiff::{SignedDuration, Timestamp};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::engine::{Watch, config};
use crate::scripted::read;

/// When the agent connects first, Unix seconds.
const BEGIN: i64 = 1_800_000_000;
const BACK: i64 = 7_200;

fn event(action: &str, unix: i64) -> String {
    let attributes = r#""name":"node","t0rn-agent.managed":"true","signal":"15","exitCode":"137""#;
    format!(
        r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"ab","Attributes":{{{attributes}}}}},"timeNano":{unix}000000000}}"#
    ) + "\n"
}

/// The container after its end.
fn ended(unix: i64) -> String {
    let time = |unix| Timestamp::from_second(unix).unwrap();
    format!(
        r#"{{"Id":"ab","Name":"/node","Image":"sha256:1111","Config":{{"Image":"node:1","Labels":{{"t0rn-agent.managed":"true"}}}},
            "State":{{"Status":"exited","ExitCode":0,"StartedAt":"{}","FinishedAt":"{}"}}}}"#,
        time(unix - 60),
        time(unix)
    )
}

/// What Docker has to tell, whatever it is asked.
#[derive(Default)]
struct Told {
    /// The container, where there is one.
    container: Option<String>,
    /// One text for each connection, the last first; the stream ends after it.
    events: Vec<String>,
}

/// Answers one request.
async fn answer(mut peer: UnixStream, told: &Mutex<Told>, asked: &Mutex<Vec<i64>>, connected: &Notify) {
    let (head, _) = read(&mut peer).await;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = if path.ends_with("/version") {
        ("200 OK", r#"{"ApiVersion":"1.45","MinAPIVersion":"1.12"}"#.to_owned())
    } else if let Some((_, since)) = path.split_once("/events?since=") {
        let since: String = since.chars().take_while(char::is_ascii_digit).collect();
        asked.lock().unwrap().push(since.parse().unwrap());
        connected.notify_one();
        ("200 OK", told.lock().unwrap().events.pop().unwrap_or_default())
    } else if path.ends_with("/containers/node/json")
        && let Some(container) = &told.lock().unwrap().container
    {
        ("200 OK", container.clone())
    } else {
        ("404 Not Found", r#"{"message":"No such container"}"#.to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    let answer = format!("{head}Connection: close\r\n\r\n{body}");
    // The agent may have gone on.
    let _ = peer.write_all(answer.as_bytes()).await;
}

fn engine(socket: &Path, told: Told) -> (Arc<Mutex<Vec<i64>>>, Arc<Notify>) {
    let listener = UnixListener::bind(socket).unwrap();
    let (asked, connected) = (Arc::default(), Arc::new(Notify::new()));
    let (noted, connects) = (Arc::clone(&asked), Arc::clone(&connected));
    tokio::spawn(async move {
        let told = Mutex::new(told);
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            answer(peer, &told, &noted, &connects).await;
        }
    });
    (asked, connected)
}

/// When the stop is said to have been; a signal sent before is no news.
async fn stopped(watch: &mut Watch) -> Option<i64> {
    watch
        .container("the stop", |container| match container {
            Container::Signalled { .. } => panic!("it is of before"),
            Container::Stopped { at } => Some(*at),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn stop_after_the_clock_was_set_back_is_news_and_what_was_before_is_not() {
    let clock = World::begin(Timestamp::from_second(BEGIN).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
    // Nothing at first, then what came before the step with what came after it.
    let later = event("kill", BEGIN - 5) + &event("stop", BEGIN - BACK);
    let told = Told {
        events: vec![later, String::new()],
        ..Told::default()
    };
    let (asked, connected) = engine(&socket, told);
    let mut watch = Watch::since(&docker, Some((BEGIN - 60) * 1000));
    tokio::select! {
        () = connected.notified() => {}
        () = watch.until("nothing", |_| None) => {}
    }
    clock.step_wall(SignedDuration::from_secs(-BACK));
    assert_eq!(stopped(&mut watch).await, Some((BEGIN - BACK) * 1000));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked[0], BEGIN - 60);
    assert!(asked[1] <= BEGIN - 60 - BACK, "{asked:?}");
}

#[tokio::test]
async fn what_was_before_the_clock_was_set_back_is_no_news_for_an_agent_that_begins_after_it() {
    let events = event("kill", BEGIN - 5) + &event("stop", BEGIN - 4) + &event("stop", BEGIN - BACK);
    assert_eq!(told_after_the_step(None, events).await, Some((BEGIN - BACK) * 1000));
}

#[tokio::test]
async fn stop_of_the_run_that_ended_last_is_news_for_an_agent_that_begins_after_the_clock_was_set_back() {
    let earlier = event("stop", BEGIN - 1_000);
    let last = event("kill", BEGIN - 5) + &event("stop", BEGIN - 4);
    let events = earlier + &last + &event("stop", BEGIN - BACK);
    assert_eq!(
        told_after_the_step(Some(ended(BEGIN - 4)), events).await,
        Some((BEGIN - 4) * 1000)
    );
}

/// The first stop that an agent hears of which begins after the clock was set back.
async fn told_after_the_step(container: Option<String>, events: String) -> Option<i64> {
    let _clock = World::begin(Timestamp::from_second(BEGIN - BACK).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
    let events = vec![events];
    let _engine = engine(&socket, Told { container, events });
    let mut watch = Watch::since(&docker, Some((BEGIN - BACK - 60) * 1000));
    stopped(&mut watch).await
}

#[tokio::test]
async fn memory_limit_that_is_reported_after_an_end_is_told_with_it() {
    let _clock = World::begin(Timestamp::from_second(BEGIN).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
    let events = vec![event("die", BEGIN - 5) + &event("oom", BEGIN - 5)];
    let _engine = engine(
        &socket,
        Told {
            events,
            ..Told::default()
        },
    );
    let mut watch = Watch::since(&docker, Some((BEGIN - 60) * 1000));
    let mut ends = Vec::new();
    for _ in 0..2 {
        let end = watch.container("the end", |container| match container {
            Container::Exited { at, exit, .. } => Some((*at, exit.code, exit.oom)),
            _ => None,
        });
        ends.push(end.await);
    }
    let at = Some((BEGIN - 5) * 1000);
    assert_eq!(ends, [(at, Some(137), false), (at, Some(137), true)]);
}
