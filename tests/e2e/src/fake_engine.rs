//! A Docker engine with one container, as a recorded `docker inspect` describes it: enough for an agent to adopt, stop and
//! start it. Records every request that would change something.

use std::future::ready;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};

use crate::http_server::{self, Request, converse};

/// A running engine; ends with the process.
#[derive(Debug, Clone)]
pub struct FakeEngine {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    container: Option<Value>,
    changes: Vec<String>,
}

impl FakeEngine {
    /// An engine that listens on `socket`, with that container or none.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(socket: &Path, container: Option<Value>) -> Result<Self> {
        let listener = UnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        let runtime = http_server::runtime()?;
        let state = State {
            container,
            changes: Vec::new(),
        };
        let engine = Self {
            state: Arc::new(Mutex::new(state)),
        };
        let server = engine.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::UnixListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    let server = server.clone();
                    tokio::spawn(converse(stream, move |request| ready(server.serve(&request))));
                }
                #[expect(unreachable_code, reason = "gives the block its type")]
                io::Result::Ok(())
            })
        });
        Ok(engine)
    }

    /// Method and path of every request so far that is no question, without the API version.
    pub fn changes(&self) -> Vec<String> {
        self.state().changes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, request: &Request) -> http_server::Answer {
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let path = unversioned(path);
        if path.starts_with("/events") {
            // Nothing ever happens, until the other side goes.
            return http_server::answer(200, Body::from_stream(stream::pending::<io::Result<Bytes>>()));
        }
        let (status, body) = self.answer(request, path);
        http_server::answer(status, body)
    }

    fn answer(&self, request: &Request, path: &str) -> (u16, String) {
        let mut state = self.state();
        if request.method != "GET" {
            state.changes.push(format!("{} {path}", request.method));
        }
        let route = path.split('?').next().unwrap_or(path);
        match (request.method.as_str(), route) {
            (_, "/_ping") => (200, "OK".to_owned()),
            ("GET", "/version") => (200, json!({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}).to_string()),
            ("GET", "/containers/json" | "/images/json") => (200, "[]".to_owned()),
            ("GET", route) if route.starts_with("/containers/") && route.ends_with("/json") => match &state.container {
                Some(container) => (200, container.to_string()),
                None => (404, refusal("no such container")),
            },
            ("GET", route) if route.ends_with("/logs") => (200, String::new()),
            ("POST", route) if route.ends_with("/stop") => {
                state.set("exited");
                (204, String::new())
            }
            ("POST", route) if route.ends_with("/start") => {
                state.set("running");
                (204, String::new())
            }
            ("DELETE", route) if route.starts_with("/images/") => (200, "[]".to_owned()),
            ("GET", _) => (404, refusal("not here")),
            _ => (500, refusal("this engine makes nothing")),
        }
    }
}

impl State {
    fn set(&mut self, status: &str) {
        if let Some(container) = &mut self.container {
            container["State"]["Status"] = status.into();
        }
    }
}

/// `container` as it is once it has ended with code 0.
#[must_use]
pub fn exited(mut container: Value) -> Value {
    let state = &mut container["State"];
    state["FinishedAt"] = state["StartedAt"].clone();
    state["Status"] = "exited".into();
    container
}

fn refusal(words: &str) -> String {
    json!({"message": words}).to_string()
}

/// The path behind `/v1.41`.
fn unversioned(path: &str) -> &str {
    let rest = path
        .strip_prefix("/v1.")
        .and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    rest.unwrap_or(path)
}
