//! The engine's HTTP API, as far as the agent uses it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::engine::{Container, Run};
use super::images::{self, image_id};
use super::world::{Storage, World};

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
type Reply = Result<Value, (u16, String)>;

/// How often a call that waits looks again.
const LOOK: Duration = Duration::from_millis(250);

/// Serves one request to the engine of `host`.
pub(crate) async fn serve(world: World, host: usize, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let life = world.lock().machine(host).engine.life;
    let hangs = || {
        let mut state = world.lock();
        let now = state.now();
        state.machine(host).engine.hangs > now
    };
    while hangs() {
        sleep(LOOK).await;
    }
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let path = parts.uri.path();
    // Without the version.
    let path = match path.strip_prefix("/v1.") {
        Some(rest) => &rest[rest.find('/').unwrap_or(0)..],
        None => path,
    };
    let query: HashMap<String, String> = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let method = &parts.method;
    let reply = match segments.as_slice() {
        ["_ping"] => return Ok(Response::new(full("OK"))),
        ["events"] => return Ok(Response::new(events(world, host, life, &query))),
        ["containers", name, "logs"] => return Ok(logs(&world, host, name)),
        ["containers", name, "stop"] if method == Method::POST => stop(&world, host, name, &query).await,
        ["images", "create"] => images::pull(&world, host, &query).await,
        _ => answer(&world, host, method, &segments, &query, &body),
    };
    Ok(match reply {
        Ok(Value::Null) => with_status(204, full("")),
        Ok(json) => Response::new(full(json.to_string())),
        Err((status, message)) => with_status(status, full(json!({ "message": message }).to_string())),
    })
}

fn answer(
    world: &World,
    host: usize,
    method: &Method,
    segments: &[&str],
    query: &HashMap<String, String>,
    body: &Bytes,
) -> Reply {
    let mut state = world.lock();
    let query = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
    match (method.as_str(), segments) {
        ("GET", ["version"]) => Ok(json!({
            "ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "25.0.0", "Arch": "amd64", "Os": "linux",
        })),
        ("GET", ["containers", "json"]) => {
            let all = state.machine(host).engine.containers.iter().map(summary);
            Ok(Value::Array(all.collect()))
        }
        ("GET", ["containers", name, "json"]) => match state.machine(host).engine.find(name) {
            Some(container) => Ok(inspection(container)),
            None => Err((404, format!("No such container: {name}"))),
        },
        ("GET", ["containers", name, "stats"]) => match state.machine(host).engine.find(name) {
            Some(container) => Ok(json!({ "id": container.id })),
            None => Err((404, format!("No such container: {name}"))),
        },
        ("POST", ["containers", "create"]) => {
            let body: Value = serde_json::from_slice(body).unwrap();
            let id = state.create(host, query("name"), &body)?;
            Ok(json!({ "Id": id, "Warnings": [] }))
        }
        ("POST", ["containers", name, "start"]) => {
            if state.storage == Storage::Own {
                state.agent_starts();
            }
            state.start(host, name).map(|()| Value::Null)
        }
        ("POST", ["containers", name, "unpause"]) => state.set_paused(host, name, false).map(|()| Value::Null),
        ("DELETE", ["containers", name]) => state.remove(host, name, query("force") == "true").map(|()| Value::Null),
        ("GET", ["images", "json"]) => Ok(images::list(&mut state, host)),
        ("GET", ["images", name @ .., "json"]) => images::inspect(&mut state, host, &name.join("/")),
        ("DELETE", ["images", name @ ..]) => images::remove(&mut state, host, &name.join("/")),
        _ => Err((501, format!("{method} {} is not simulated", segments.join("/")))),
    }
}

async fn stop(world: &World, host: usize, name: &str, query: &HashMap<String, String>) -> Reply {
    let seconds = query.get("t").map_or(10, |t| t.parse().unwrap());
    {
        let mut state = world.lock();
        if state.storage == Storage::Own {
            state.agent_stops();
        }
        state.stop(host, name, seconds)?;
    }
    loop {
        {
            let mut state = world.lock();
            let engine = &mut state.machine(host).engine;
            match engine.find(name).map(|container| container.run) {
                Some(Run::Running | Run::Paused) => {}
                Some(_) => return Ok(Value::Null),
                None => return Err((404, format!("No such container: {name}"))),
            }
        }
        sleep(LOOK).await;
    }
}

fn events(world: World, host: usize, life: u64, query: &HashMap<String, String>) -> Body {
    let since = query.get("since").and_then(|since| {
        let (seconds, nanos) = since.split_once('.')?;
        Some(seconds.parse::<i64>().ok()? * 1_000_000_000 + nanos.parse::<i64>().ok()?)
    });
    let first = (world, 0, since.unwrap_or(i64::MAX));
    let lines = stream::unfold(first, move |(world, mut index, mut since)| async move {
        loop {
            let changed = {
                let mut state = world.lock();
                let engine = &mut state.machine(host).engine;
                if engine.life != life {
                    return None;
                }
                let (found, next) = engine.events(index, since);
                if !found.is_empty() {
                    let lines: Vec<_> = found.iter().map(Value::to_string).collect();
                    let text = lines.join("\n") + "\n";
                    let frame = Ok::<_, io::Error>(Frame::data(Bytes::from(text)));
                    drop(state);
                    // Later ones are sent whatever the clock says.
                    return Some((frame, (world, next, i64::MIN)));
                }
                // What comes from now on is sent whatever the clock says.
                (index, since) = (next, i64::MIN);
                std::sync::Arc::clone(&engine.changed)
            };
            changed.notified().await;
        }
    });
    StreamBody::new(lines).boxed_unsync()
}

fn logs(world: &World, host: usize, name: &str) -> Response<Body> {
    let mut state = world.lock();
    let Some(container) = state.machine(host).engine.find(name) else {
        let message = json!({ "message": format!("No such container: {name}") });
        return with_status(404, full(message.to_string()));
    };
    let mut frames = Vec::new();
    for (at, line) in &container.log {
        let text = format!("{} {line}\n", Timestamp::from_millisecond(*at).unwrap());
        frames.extend([1, 0, 0, 0]);
        frames.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        frames.extend(text.into_bytes());
    }
    let mut response = Response::new(full(frames));
    let kind = "application/vnd.docker.multiplexed-stream".parse().unwrap();
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn inspection(container: &Container) -> Value {
    let never = "0001-01-01T00:00:00Z".to_owned();
    let time = |at: Option<i64>| at.map_or(never.clone(), |at| Timestamp::from_millisecond(at).unwrap().to_string());
    let running = matches!(container.run, Run::Running | Run::Paused);
    json!({
        "Id": container.id, "Name": format!("/{}", container.name), "Image": image_id(&container.image),
        "RestartCount": container.restart_count,
        "Config": {"Image": container.image, "Labels": container.labels},
        "State": {
            "Status": container.run.name(), "Running": running, "Paused": container.run == Run::Paused,
            "Pid": if running { 4242 } else { 0 }, "ExitCode": container.exit_code, "OOMKilled": false,
            "StartedAt": time(container.started), "FinishedAt": time(container.finished),
        },
    })
}

fn summary(container: &Container) -> Value {
    let mounts = container
        .mounts
        .iter()
        .map(|(source, target)| json!({"Type": "bind", "Source": source, "Destination": target, "RW": true}));
    json!({
        "Id": container.id, "Names": [format!("/{}", container.name)], "Image": container.image,
        "State": container.run.name(), "Labels": container.labels, "Mounts": mounts.collect::<Vec<_>>(),
    })
}

fn with_status(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}
