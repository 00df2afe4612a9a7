//! Every call that the adapter makes: the list in the document, and what the example of a proxy lets through.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_core::event::DesiredSpec;
use agent_docker::{Docker, EngineTimeouts, RestartPolicy};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};

use crate::engine::{config, permit};
use crate::scripted::read;

const DOCUMENT: &str = include_str!("../../../../docs/docker-socket.md");
const PROXY: &str = include_str!("../../../../dist/examples/docker-socket-proxy.cfg");

const IMAGE: &str = "sha256:1111";
const CONTAINER: &str = "0123456789abcdef0123";

#[derive(Default)]
struct Engine {
    has_image: bool,
    is_full: bool,
    /// An earlier container of the name has left an endpoint.
    endpoint_kept: bool,
    container: Option<Value>,
    calls: BTreeSet<String>,
}

impl Engine {
    fn answer(&mut self, request: &str, body: &[u8]) -> (u16, String) {
        let (method, target) = request.split_once(' ').unwrap();
        let path = target.strip_prefix("/v1.45").unwrap_or(target);
        let path = path.split('?').next().unwrap();
        let call = format!("{method} {}", template(path));
        self.calls.insert(call.clone());
        let ok = |value: Value| (200, value.to_string());
        let missing = || (404, json!({"message": "no such object"}).to_string());
        let state = |engine: &mut Self, state: Value| {
            if let Some(container) = &mut engine.container {
                container["State"] = state;
            }
            (204, String::new())
        };
        let running = json!({"Status": "running", "StartedAt": "2026-11-23T06:24:38Z"});
        match call.as_str() {
            "GET /version" => {
                ok(json!({"ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}))
            }
            "GET /_ping" => (200, "OK".to_owned()),
            "GET /info" => ok(json!({"DockerRootDir": "/srv/docker"})),
            "GET /networks/{name}" => ok(json!({"Name": "net"})),
            "GET /images/json" | "GET /containers/json" | "DELETE /images/{name}" => ok(json!([])),
            "POST /images/create" if self.is_full => {
                ok(json!({"errorDetail": {"message": "no space left on device"}, "error": "no space left on device"}))
            }
            "POST /images/create" => {
                self.has_image = true;
                ok(json!({"status": "Pull complete", "id": "a"}))
            }
            "GET /images/{name}/json" if self.has_image => {
                ok(json!({"Id": IMAGE, "Architecture": "amd64", "Os": "linux"}))
            }
            "GET /distribution/{name}/json" => ok(json!({"Descriptor": {"digest": IMAGE}, "Platforms": []})),
            "POST /containers/create" => {
                let labels = serde_json::from_slice::<Value>(body).unwrap()["Labels"].clone();
                self.container = Some(json!({
                    "Id": CONTAINER, "Name": "/node", "Image": IMAGE, "State": {"Status": "created"},
                    "Config": {"Image": IMAGE, "Labels": labels}, "NetworkSettings": {"Networks": {"net": {}}},
                }));
                (201, json!({"Id": CONTAINER, "Warnings": []}).to_string())
            }
            "GET /containers/{id}/json" => self.container.clone().map_or_else(missing, ok),
            "POST /containers/{id}/start" if self.endpoint_kept => {
                let message = "endpoint with name node already exists in network net";
                (500, json!({"message": message}).to_string())
            }
            // Of a container that exists, Docker takes its own endpoint alone.
            "POST /networks/{name}/disconnect" => {
                self.endpoint_kept &= self.container.is_some();
                (200, String::new())
            }
            "POST /containers/{id}/start" | "POST /containers/{id}/unpause" => state(self, running),
            "POST /containers/{id}/rename" | "POST /containers/{id}/update" => (204, String::new()),
            "POST /containers/{id}/stop" => state(self, json!({"Status": "exited", "ExitCode": 0})),
            "DELETE /containers/{id}" => {
                self.container = None;
                (204, String::new())
            }
            "GET /containers/{id}/logs" | "GET /events" => (200, String::new()),
            "GET /containers/{id}/stats" => ok(json!({"read": "2026-11-23T06:24:38Z"})),
            _ => missing(),
        }
    }
}

/// A path with placeholders for names and ids.
fn template(path: &str) -> String {
    let (kind, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let name = match (kind, rest) {
        ("containers" | "images", "json" | "create") => return path.to_owned(),
        ("containers", _) => "{id}",
        ("images" | "networks" | "distribution", _) => "{name}",
        _ => return path.to_owned(),
    };
    let ends = [
        "disconnect",
        "json",
        "logs",
        "rename",
        "start",
        "stats",
        "stop",
        "unpause",
        "update",
    ];
    match rest.rsplit_once('/').filter(|(_, end)| ends.contains(end)) {
        Some((_, end)) => format!("/{kind}/{name}/{end}"),
        None => format!("/{kind}/{name}"),
    }
}

/// A task for each connection: one that is opened and given up must not hold up the others.
async fn serve(listener: UnixListener, engine: Arc<Mutex<Engine>>) {
    loop {
        let (peer, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(peer, Arc::clone(&engine)));
    }
}

async fn converse(mut peer: UnixStream, engine: Arc<Mutex<Engine>>) {
    let (request, body) = read(&mut peer).await;
    let (status, answer) = engine.lock().unwrap().answer(&request, &body);
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nConnection: close\r\n");
    if request.contains("/events") {
        // Nothing happens.
        let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        let _ = peer.write_all(head.as_bytes()).await;
        std::future::pending::<()>().await;
    }
    let answer = format!("{head}Content-Length: {}\r\n\r\n{answer}", answer.len());
    let _ = peer.write_all(answer.as_bytes()).await;
}

/// Everything that the agent asks of the adapter.
async fn use_all(docker: &Docker, engine: &Mutex<Engine>) {
    let permit = permit();
    engine.lock().unwrap().endpoint_kept = true;
    docker.ensure_running(&permit).await.unwrap();
    engine.lock().unwrap().container.as_mut().unwrap()["State"] = json!({"Status": "paused", "Paused": true});
    docker.ensure_running(&permit).await.unwrap();
    let _ = docker.activity().await;
    docker.last_lines(1).await.unwrap();
    docker.inspect_json().await.unwrap();
    let _ = docker.fetch("node:2").await;
    docker.remove_image(IMAGE).await.unwrap();
    docker.restart(&permit).await.unwrap();
    docker.stop().await.unwrap();
    docker.discard().await.unwrap();
    take_over(docker, engine).await;
    let mut watch = Box::pin(docker.watch(None, tokio::sync::watch::channel(DesiredSpec::default()).1));
    // On a busy machine the first ping is due before the engine has read the request for events.
    while !is_watched(&engine.lock().unwrap().calls) {
        // Without an event it goes on pinging.
        let _ = tokio::time::timeout(Duration::from_millis(200), watch.next()).await;
    }
    drop(watch);
    {
        let mut engine = engine.lock().unwrap();
        (engine.has_image, engine.is_full) = (false, true);
    }
    docker.image_source().await.unwrap();
    docker.ensure_running(&permit).await.unwrap_err();
}

fn is_watched(calls: &BTreeSet<String>) -> bool {
    calls.contains("GET /events") && calls.contains("GET /_ping")
}

/// Everything that `takeover` asks of the adapter about a container that has not the agent's label.
async fn take_over(docker: &Docker, engine: &Mutex<Engine>) {
    engine.lock().unwrap().container = Some(json!({
        "Id": CONTAINER, "Name": "/theirs", "State": {"Status": "running"}, "Config": {"Image": IMAGE},
    }));
    let theirs = docker.existing("theirs").await.unwrap().unwrap();
    docker.rename_predecessor(&theirs, "kept").await.unwrap();
    docker
        .set_predecessor_policy(&theirs, &RestartPolicy::no())
        .await
        .unwrap();
    docker.stop_predecessor(&theirs).await.unwrap();
    docker.start_predecessor(&theirs).await.unwrap();
    engine.lock().unwrap().container = None;
}

#[tokio::test]
async fn calls_to_the_engine_are_those_of_the_document_and_the_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut config = config(&socket, "node", dir.path());
    "net".clone_into(&mut config.collator.network);
    let limits = EngineTimeouts {
        ping_every: Duration::from_millis(10),
        ..EngineTimeouts::default()
    };
    let docker = Docker::new(&config).unwrap().with_limits(limits);
    let engine = Arc::new(Mutex::new(Engine::default()));
    tokio::select! {
        () = serve(listener, Arc::clone(&engine)) => panic!("serves for ever"),
        () = use_all(&docker, &engine) => {}
    }
    let seen = engine.lock().unwrap().calls.clone();
    let row = |line: &str| {
        let call = line.strip_prefix("| `")?.split_once('`')?.0;
        call.contains(" /").then(|| call.to_owned())
    };
    let documented: BTreeSet<String> = DOCUMENT.lines().filter_map(row).collect();
    assert_eq!(
        documented, seen,
        "docs/docker-socket.md lists other calls than are made"
    );
    let allowed: BTreeSet<&str> = PROXY
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("http-request allow"))
        .collect();
    let rules: BTreeSet<String> = seen.iter().map(|call| rule(call)).collect();
    assert_eq!(
        allowed,
        rules.iter().map(String::as_str).collect(),
        "dist/examples/docker-socket-proxy.cfg"
    );
}

/// The proxy's rule for a call.
fn rule(call: &str) -> String {
    let (method, path) = call.split_once(' ').unwrap();
    let path = path
        .replace("{id}", "[a-zA-Z0-9_.-]+")
        .replace("{name}", "[a-zA-Z0-9_.:/@%-]+");
    format!("http-request allow if {{ method {method} }} {{ path_reg ^(/v1\\.[0-9]+)?{path}$ }}")
}
