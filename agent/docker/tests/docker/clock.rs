//! An engine, played, whose host's clock is set while the agent is not connected.

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
    let attributes = r#""name":"node","t0rn-agent.managed":"true","signal":"15""#;
    format!(
        r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"ab","Attributes":{{{attributes}}}}},"timeNano":{unix}000000000}}"#
    ) + "\n"
}

/// Answers one request: with no container, or with the next list of events, after which the stream ends.
async fn answer(mut peer: UnixStream, events: &Mutex<Vec<String>>, asked: &Mutex<Vec<i64>>, connected: &Notify) {
    let (head, _) = read(&mut peer).await;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = if path.ends_with("/version") {
        ("200 OK", r#"{"ApiVersion":"1.45","MinAPIVersion":"1.12"}"#.to_owned())
    } else if let Some((_, since)) = path.split_once("since=") {
        let since: String = since.chars().take_while(char::is_ascii_digit).collect();
        asked.lock().unwrap().push(since.parse().unwrap());
        connected.notify_one();
        ("200 OK", events.lock().unwrap().pop().unwrap_or_default())
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

/// An engine at `socket` that gives these events, the last first, one text for each connection.
fn engine(socket: &Path, events: Vec<String>) -> (Arc<Mutex<Vec<i64>>>, Arc<Notify>) {
    let listener = UnixListener::bind(socket).unwrap();
    let (asked, connected) = (Arc::default(), Arc::new(Notify::new()));
    let (noted, connects) = (Arc::clone(&asked), Arc::clone(&connected));
    tokio::spawn(async move {
        let events = Arc::new(Mutex::new(events));
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            answer(peer, &events, &noted, &connects).await;
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
    let (asked, connected) = engine(&socket, vec![later, String::new()]);
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
    let _clock = World::begin(Timestamp::from_second(BEGIN - BACK).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
    let told = event("kill", BEGIN - 5) + &event("stop", BEGIN - BACK);
    let _engine = engine(&socket, vec![told]);
    let mut watch = Watch::since(&docker, Some((BEGIN - BACK - 60) * 1000));
    assert_eq!(stopped(&mut watch).await, Some((BEGIN - BACK) * 1000));
}
