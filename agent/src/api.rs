//! The agent's HTTP API on its unix socket: `GET /v1/status`, `POST /v1/command`, `GET /v1/logs`; and the
//! [`Client`] for it.
//!
//! Everything a client can hold on to is bounded: connections, sizes, and the time for each step. One
//! connection carries one request.

mod client;
mod patience;
mod socket;
#[cfg(test)]
pub(crate) mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, warn};

pub use self::client::{Client, ClientError};
pub use self::socket::{BindError, bind};
use crate::docker::Docker;
use crate::event::{Command, Container};
use crate::status::Status;

/// Largest request, bytes.
const REQUEST_MAX: usize = 64 * 1024;
/// Longest reason given with a command, characters.
pub const REASON_MAX: usize = 300;
/// Longest pause: whoever forgets it must not lose the agent for ever.
pub const PAUSE_MAX: Duration = Duration::from_hours(30 * 24);
/// Most lines of one log request.
pub const TAIL_MAX: u32 = 100_000;

/// What the API needs from the rest of the agent.
#[derive(Debug, Clone)]
pub struct Handle {
    pub status: watch::Receiver<Arc<Status>>,
    pub commands: mpsc::Sender<Request>,
    pub docker: Docker,
}

/// A command on its way to whoever decides.
#[derive(Debug)]
pub struct Request {
    pub command: Command,
    /// What is done about it, or why nothing is; in words for the operator. To be sent as soon as that is
    /// decided: the client waits 8 s.
    pub reply: oneshot::Sender<Result<String, String>>,
}

/// Answers clients until `shutdown`, then removes the socket and gives open answers a second to end.
pub async fn serve(listener: UnixListener, handle: Handle, shutdown: impl Future<Output = ()>) {
    serve_within(Limits::default(), listener, handle, shutdown).await;
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Open connections; more wait in the kernel's backlog.
    connections: usize,
    /// Clients that follow the log.
    followers: usize,
    /// From the first byte to the end of a request's head.
    head: Duration,
    /// From there to the head of the answer, and for a log that is not followed to its end.
    request: Duration,
    /// For a connection that does not follow the log.
    connection: Duration,
    /// For a client that follows the log and takes nothing.
    stall: Duration,
    drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            followers: 8,
            head: Duration::from_secs(5),
            request: Duration::from_secs(8),
            connection: Duration::from_secs(20),
            // As long as somebody might read one page of it.
            stall: Duration::from_mins(5),
            drain: Duration::from_secs(1),
        }
    }
}

async fn serve_within(limits: Limits, listener: UnixListener, handle: Handle, shutdown: impl Future<Output = ()>) {
    let app = App {
        handle,
        limits,
        followers: Arc::new(Semaphore::new(limits.followers)),
    };
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    open.spawn(connection(stream, app.clone()));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a client of the API: check the limit on open files");
                    sleep(Duration::from_millis(200)).await;
                }
            },
        }
    }
    if let Some(path) = listener.local_addr().ok().as_ref().and_then(|a| a.as_pathname())
        && let Err(error) = std::fs::remove_file(path)
    {
        debug!(%error, socket = %path.display(), "cannot remove the socket");
    }
    drop(listener);
    let _ = timeout(limits.drain, async { while open.join_next().await.is_some() {} }).await;
}

#[derive(Debug, Clone)]
struct App {
    handle: Handle,
    limits: Limits,
    followers: Arc<Semaphore>,
}

/// Whether this connection follows the log and so may stay.
type Follows = Arc<AtomicBool>;

async fn connection(stream: UnixStream, app: App) {
    let limits = app.limits;
    let follows = Follows::default();
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/command", post(command))
        .route("/v1/logs", get(logs))
        .fallback((
            StatusCode::NOT_FOUND,
            "the agent has /v1/status, /v1/command and /v1/logs\n",
        ))
        .layer(axum::middleware::from_fn_with_state(app.clone(), in_time))
        .layer(DefaultBodyLimit::max(REQUEST_MAX))
        .layer(Extension(follows.clone()))
        .with_state(app);
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .max_buf_size(REQUEST_MAX)
        .serve_connection(
            TokioIo::new(patience::Patient::new(stream, limits.stall)),
            TowerToHyperService::new(router),
        );
    let mut served = pin!(served);
    let ended = match timeout(limits.connection, &mut served).await {
        Ok(ended) => ended,
        Err(_) if follows.load(Ordering::Relaxed) => served.await,
        Err(_) => return debug!("a client of the API was too slow"),
    };
    if let Err(error) = ended {
        debug!(%error, "a client of the API went away");
    }
}

async fn in_time(State(app): State<App>, request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let limit = app.limits.request;
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let seconds = limit.as_secs_f32();
        let words = format!("not done within {seconds} s, and it may still be: see t0rn-agent status\n");
        (StatusCode::GATEWAY_TIMEOUT, words).into_response()
    })
}

async fn status(State(app): State<App>) -> Response {
    let json = app.handle.status.borrow().to_json();
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

async fn command(State(app): State<App>, body: Bytes) -> Result<String, (StatusCode, String)> {
    let command = serde_json::from_slice(&body)
        .map_err(|e| e.to_string())
        .and_then(within_bounds);
    let command = command.map_err(|e| (StatusCode::BAD_REQUEST, format!("not a command: {e}")))?;
    let (reply, answer) = oneshot::channel();
    let unavailable = |words: &str| (StatusCode::SERVICE_UNAVAILABLE, words.to_owned());
    app.handle
        .commands
        .try_send(Request { command, reply })
        .map_err(|e| match e {
            TrySendError::Full(_) => unavailable("the agent is busy with earlier commands; try again"),
            TrySendError::Closed(_) => unavailable("the agent is shutting down"),
        })?;
    match answer.await {
        Ok(Ok(words)) => Ok(words),
        Ok(Err(words)) => Err((StatusCode::CONFLICT, words)),
        Err(_) => Err(unavailable("the agent is shutting down")),
    }
}

fn within_bounds(command: Command) -> Result<Command, String> {
    let reason = match &command {
        Command::Pause { seconds, .. } if !(1..=PAUSE_MAX.as_secs()).contains(seconds) => {
            return Err(format!(
                "a pause takes from 1 s to {} days",
                PAUSE_MAX.as_secs() / 86_400
            ));
        }
        Command::Restart { reason } | Command::Pause { reason, .. } => reason,
        Command::Stop | Command::Start | Command::Resume => return Ok(command),
    };
    match reason.chars().count() {
        n if n > REASON_MAX => Err(format!("the reason has {n} characters, at most {REASON_MAX} are kept")),
        _ => Ok(command),
    }
}

#[derive(Debug, Deserialize)]
struct LogQuery {
    #[serde(default)]
    tail: u32,
    #[serde(default)]
    follow: bool,
}

async fn logs(
    State(app): State<App>,
    Extension(follows): Extension<Follows>,
    Query(LogQuery { tail, follow }): Query<LogQuery>,
) -> Result<Body, (StatusCode, String)> {
    let slot = follow
        .then(|| app.followers.clone().try_acquire_owned())
        .transpose()
        .map_err(|_| {
            let words = format!(
                "{} clients follow the log already; end one of them",
                app.limits.followers
            );
            (StatusCode::SERVICE_UNAVAILABLE, words)
        })?;
    // Asked first, so that a missing container or a silent Docker is an error and not an empty log.
    let found = app.handle.docker.inspect().await;
    let found = found.map_err(|e| (StatusCode::BAD_GATEWAY, e.to_string()))?;
    if found.container == Container::Missing {
        return Err((
            StatusCode::NOT_FOUND,
            "there is no container yet, so there is no log".to_owned(),
        ));
    }
    follows.store(follow, Ordering::Relaxed);
    let end = (!follow).then(|| Instant::now() + app.limits.request);
    let log = Box::pin(app.handle.docker.logs(tail.min(TAIL_MAX), follow));
    let chunks = stream::unfold(Some((log, slot)), move |state| async move {
        let (mut log, slot) = state?;
        let next = match end {
            Some(end) => timeout_at(end, log.next()).await,
            None => Ok(log.next().await),
        };
        // An error breaks the connection off: a client must not take half a log for a whole one.
        match next {
            Ok(None) => None,
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some((log, slot)))),
            Ok(Some(Err(error))) => Some((Err(axum::BoxError::from(error)), None)),
            Err(_) => Some((Err("docker takes too long to send the log".into()), None)),
        }
    });
    Ok(Body::from_stream(chunks))
}
