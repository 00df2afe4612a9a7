//! Engines of other versions, played: one that answers as it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_core::event::{ActionFailure, Container};
use agent_docker::{Docker, EngineTimeouts, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::engine::config;

/// Answers `GET /version` with that version, `GET /_ping`, and any other path with 404 if it is of that
/// version, else as an engine does that does not speak it. Answers nothing about locked containers. Notes
/// the paths.
async fn play(listener: UnixListener, version: Arc<Mutex<String>>, asked: Arc<Mutex<Vec<String>>>) {
    let mut kept_open = Vec::new();
    loop {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(peer.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let version = version.lock().unwrap().clone();
        let (status, body) = if path == "/version" {
            (
                "200 OK",
                format!(r#"{{"ApiVersion":"{version}","MinAPIVersion":"1.12"}}"#),
            )
        } else if path == "/_ping" {
            ("200 OK", "OK".to_owned())
        } else if path.contains("/locked/") {
            kept_open.push(peer);
            continue;
        } else if path.starts_with(&format!("/v{version}/")) {
            (
                "404 Not InspectedContainer",
                r#"{"message":"No such container"}"#.to_owned(),
            )
        } else {
            (
                "400 Bad Request",
                r#"{"message":"client version 1.45 is too new"}"#.to_owned(),
            )
        };
        asked.lock().unwrap().push(path);
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        peer.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn newest_common_api_version_is_agreed_again_after_engine_change() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
    let version = Arc::new(Mutex::new("1.45".to_owned()));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let test = async {
        assert_eq!(docker.version().await.unwrap(), "1.45");
        assert_eq!(docker.inspect().await.unwrap().container, Container::Missing);
        "1.41".clone_into(&mut version.lock().unwrap());
        docker.inspect().await.unwrap_err();
        assert_eq!(docker.inspect().await.unwrap().container, Container::Missing);
        "1.99".clone_into(&mut version.lock().unwrap());
        assert_eq!(docker.version().await.unwrap(), "1.53", "no newer than we know");
        "1.40".clone_into(&mut version.lock().unwrap());
        let error = docker.version().await.unwrap_err();
        assert!(
            matches!(&error, Error::Api { reason, .. } if reason.contains("1.41 is needed")),
            "{error}"
        );
    };
    tokio::select! {
        () = play(listener, Arc::clone(&version), Arc::clone(&asked)) => {}
        () = test => {}
    }
    let mut asked = asked.lock().unwrap().clone();
    asked.retain(|path| path.ends_with("/containers/node/json"));
    assert_eq!(asked[0], "/v1.45/containers/node/json");
    assert_eq!(asked.last().unwrap(), "/v1.41/containers/node/json");
}

#[tokio::test]
async fn an_engine_that_is_busy_with_one_container_is_told_from_one_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let limits = EngineTimeouts {
        call: Duration::from_millis(100),
        ..EngineTimeouts::default()
    };
    let docker = Docker::new(&config(&socket, "locked", dir.path()))
        .unwrap()
        .with_limits(limits);
    let version = Arc::new(Mutex::new("1.41".to_owned()));
    tokio::select! {
        () = play(listener, version, Arc::default()) => {}
        inspected = docker.inspect() => {
            let error = inspected.unwrap_err();
            assert!(matches!(error, Error::Busy { .. }), "{error}");
            assert_eq!(error.failure(), ActionFailure::Other, "nobody may take Docker for gone");
        }
    }
}
