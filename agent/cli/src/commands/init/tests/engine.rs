//! A Docker engine that has what a test says, on a socket of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;

use agent_docker::Docker;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the engine has: one container with its image, and others.
#[derive(Clone, Default)]
pub(super) struct Fake {
    pub(super) container: Value,
    pub(super) image: Value,
    pub(super) others: Vec<Value>,
    /// Id of the image that the container's reference names now; `null` is the container's own.
    pub(super) named: Value,
}

pub(super) struct FakeEngine {
    pub(super) docker: Docker,
    pub(super) dir: TempDir,
}

impl Fake {
    pub(super) fn start(self) -> FakeEngine {
        let dir = tempfile::tempdir().unwrap();
        let socket: PathBuf = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for peer in listener.incoming().map_while(Result::ok) {
                let fake = self.clone();
                thread::spawn(move || fake.answer(&peer));
            }
        });
        let docker = crate::commands::init::engine(&socket).unwrap();
        FakeEngine { docker, dir }
    }

    fn answer(&self, mut peer: &UnixStream) {
        let mut lines = BufReader::new(peer).lines().map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        lines.find(String::is_empty);
        let path = request.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        let (status, body) = match self.find(&path) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", json!({"message": "no such object"})),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let _ = write!(peer, "{head}Connection: close\r\n\r\n{body}");
    }

    fn find(&self, path: &str) -> Option<Value> {
        let path = path.strip_prefix("/v1.45").unwrap_or(path);
        let some = |value: &Value| Some(value.clone()).filter(|value| !value.is_null());
        match path {
            "/version" => Some(json!({"ApiVersion": "1.45", "MinAPIVersion": "1.24"})),
            "/info" => Some(json!({"DockerRootDir": "/var/lib/docker"})),
            "/containers/json" => Some(json!(self.others)),
            _ if path.starts_with("/containers/") => some(&self.container),
            // By its id it is always the container's.
            _ if path.starts_with("/images/sha256") || self.named.is_null() => some(&self.image),
            _ => Some(json!({"Id": self.named})),
        }
    }
}

/// Merges a change into a document: objects key by key, all else as a whole.
pub(super) fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}
