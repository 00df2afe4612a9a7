//! A Docker engine of a few answers, on a socket of its own: for tests here and in the command line.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a failed unwrap is a failed test"
)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use agent_config::Config;
use agent_docker::Docker;

/// What the engine's log is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Log {
    /// Three lines.
    Short,
    /// One line, then the connection breaks.
    Broken,
    /// Lines for ever, as fast as they are taken.
    Endless,
    /// One line, then silence for ever.
    Silent,
    /// There is no container.
    Missing,
    /// The container was killed.
    Exited,
}

#[derive(Debug)]
pub struct Engine {
    pub config: Config,
    pub docker: Docker,
    /// Gets a message when the reader of a log has gone.
    pub ended: mpsc::UnboundedReceiver<()>,
    _dir: tempfile::TempDir,
}

#[derive(Debug, Clone)]
struct Answers {
    log: Log,
    ended: mpsc::UnboundedSender<()>,
}

impl Engine {
    pub fn start(log: Log) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket: PathBuf = dir.path().join("docker.sock");
        let (tell, ended) = mpsc::unbounded_channel();
        let router = Router::new().fallback(answer).with_state(Answers { log, ended: tell });
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let text = format!(
            "[agent]\ndocker = \"{}\"\n[collator]\nimage = \"example/collator:1\"\n",
            socket.display()
        );
        let config = Config::parse(&text, "test").unwrap();
        Self {
            docker: Docker::new(&config).unwrap(),
            config,
            ended,
            _dir: dir,
        }
    }
}

async fn answer(State(answers): State<Answers>, uri: Uri) -> Response {
    let path = uri.path();
    if path.ends_with("/_ping") {
        return "OK".into_response();
    }
    if path.ends_with("/version") {
        let version = r#"{"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "25.0.0"}"#;
        return json(version.to_owned());
    }
    if answers.log == Log::Missing {
        let words = r#"{"message": "no such container"}"#.to_owned();
        return (StatusCode::NOT_FOUND, json(words)).into_response();
    }
    if path.ends_with("/json") {
        let state = match answers.log {
            Log::Exited => {
                r#""Status": "exited", "Running": false, "Pid": 0, "ExitCode": 137, "OOMKilled": true,
                "StartedAt": "2026-11-22T19:38:00Z", "FinishedAt": "2026-11-22T22:40:00Z""#
            }
            _ => {
                r#""Status": "running", "Running": true, "Pid": 7, "ExitCode": 0,
                "StartedAt": "2026-11-22T19:38:00Z", "FinishedAt": "0001-01-01T00:00:00Z""#
            }
        };
        return json(format!(
            r#"{{"Id": "ab12cd34ef56ab12cd34ef56", "Name": "/t0rn-collator", "Image": "sha256:0123",
                "RestartCount": 0, "Config": {{"Image": "example/collator:1",
                "Labels": {{"t0rn-agent.managed": "true"}}}}, "State": {{{state}}}}}"#
        ));
    }
    if path.ends_with("/logs") {
        let ended = Arc::new(Mutex::new(Ended(answers.ended)));
        let lines = (0..).map(|n| Ok::<_, std::io::Error>(frame(&format!("line {n}\n"))));
        let lines = stream::iter(lines);
        let lines = match answers.log {
            Log::Short | Log::Missing | Log::Exited => lines.take(3).boxed(),
            Log::Broken => {
                let broken = stream::once(async { Err(std::io::ErrorKind::BrokenPipe.into()) });
                lines.take(1).chain(broken).boxed()
            }
            Log::Endless => lines.boxed(),
            Log::Silent => lines.take(1).chain(stream::pending()).boxed(),
        };
        let lines = lines.map(move |line| {
            let _kept = &ended;
            line
        });
        let kind = ("content-type", "application/vnd.docker.multiplexed-stream");
        return ([kind], Body::from_stream(lines)).into_response();
    }
    StatusCode::NOT_IMPLEMENTED.into_response()
}

fn json(text: String) -> Response {
    ([("content-type", "application/json")], text).into_response()
}

/// A record of standard output as the engine frames it.
fn frame(line: &str) -> Bytes {
    let mut frame = vec![1, 0, 0, 0];
    frame.extend(u32::try_from(line.len()).unwrap().to_be_bytes());
    frame.extend(line.as_bytes());
    frame.into()
}

/// Tells when it is dropped.
#[derive(Debug)]
struct Ended(mpsc::UnboundedSender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody listens any more when the test is over.
        let _ = self.0.send(());
    }
}
