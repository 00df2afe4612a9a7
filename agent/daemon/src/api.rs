//! The agent's HTTP API on its unix socket: `GET /v1/status`, `POST /v1/command`, `GET /v1/logs`, `POST /v1/config/…`; and
//! the [`AgentClient`] for it.
//!
//! Commands go to the event loop; everything else is read from its latest snapshot.

mod client;
mod configuration;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

pub use self::client::{AgentClient, ClientError};
pub use self::configuration::{ConfigHandle, ConfigReport, ConfigRequest, ConfigSource, ConfigTask, ReloadError};
pub use self::socket::{ApiSocket, BindError, bind};
use crate::process;
use crate::recorder::LineRedactor;
use crate::server::{self, LongLivedPermit, ServerLimits};
use crate::supervisor::KnownSecrets;
use agent_config::{parse_image, show_duration};
use agent_core::event::{Command, Container};
use agent_core::machine::CommandError;
use agent_core::published::AgentSnapshot;
use agent_docker::Docker;
use agent_runtime::wall;

/// Longest reason given with a command, characters.
pub const REASON_MAX: usize = 300;
/// Longest pause, so that a forgotten one ends by itself.
pub const PAUSE_MAX: Duration = Duration::from_hours(30 * 24);
/// Most lines of one log request.
pub const TAIL_MAX: u32 = 100_000;

/// Header of a command: when its client stops waiting, Unix milliseconds.
const GIVES_UP: &str = "t0rn-agent-gives-up";

/// The API's access to the rest of the agent.
#[derive(Debug, Clone)]
pub struct Handle {
    pub snapshot: watch::Receiver<Arc<AgentSnapshot>>,
    pub commands: mpsc::Sender<CommandRequest>,
    pub docker: Docker,
    /// Texts that the log is printed without.
    pub secrets: KnownSecrets,
    pub config: ConfigHandle,
}

/// What is done about a command, as text for the operator.
pub type CommandReply = Result<String, CommandError>;

/// A command for the event loop.
#[derive(Debug)]
pub struct CommandRequest {
    pub command: Command,
    /// The client waits 8 s for it.
    pub reply: oneshot::Sender<CommandReply>,
}

/// Serves clients until `shutdown`, then removes the socket and gives open responses a second to end. A socket that is
/// removed meanwhile is made again.
pub async fn serve(socket: ApiSocket, handle: Handle, shutdown: impl Future<Output = ()>) {
    serve_within(limits(), socket, handle, shutdown).await;
}

pub(crate) fn limits() -> ServerLimits {
    ServerLimits {
        connections: 64,
        // Clients that follow the log.
        long_lived: 8,
        head: Duration::from_secs(5),
        request: Duration::from_secs(8),
        connection: Duration::from_secs(20),
        // Long enough to read one page of the log.
        stall: Duration::from_mins(5),
        drain: Duration::from_secs(1),
    }
}

async fn serve_within(limits: ServerLimits, socket: ApiSocket, handle: Handle, shutdown: impl Future<Output = ()>) {
    let router = router(limits, handle);
    let (listener, keeper) = socket.kept();
    let shutdown = keeper.keep_until(shutdown);
    server::serve(limits, listener, router, shutdown).await;
}

pub(crate) fn router(limits: ServerLimits, handle: Handle) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/command", post(command))
        .route("/v1/logs", get(logs))
        .route("/v1/config/diff", post(configuration::diff))
        .route("/v1/config/reload", post(configuration::reload))
        .fallback((
            StatusCode::NOT_FOUND,
            "the agent has /v1/status, /v1/command, /v1/logs, /v1/config/diff and /v1/config/reload\n",
        ))
        .with_state(ApiState { handle, limits })
}

#[derive(Debug, Clone)]
struct ApiState {
    handle: Handle,
    limits: ServerLimits,
}

async fn status(State(state): State<ApiState>) -> Response {
    let json = process::status_now(&state.handle.snapshot.borrow()).to_json();
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

async fn command(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, (StatusCode, String)> {
    let until = headers.get(GIVES_UP).and_then(|at| at.to_str().ok()?.parse().ok());
    if until.is_some_and(|until: i64| wall::unix_ms() > until) {
        // The client has reported a failure already.
        let words = "the command came too late: its client no longer waits".to_owned();
        return Err((StatusCode::REQUEST_TIMEOUT, words));
    }
    let command = serde_json::from_slice(&body)
        .map_err(|e| e.to_string())
        .and_then(within_bounds);
    let command = command.map_err(|e| (StatusCode::BAD_REQUEST, format!("not a command: {e}")))?;
    let (reply, answer) = oneshot::channel();
    let unavailable = |words: &str| (StatusCode::SERVICE_UNAVAILABLE, words.to_owned());
    state
        .handle
        .commands
        .try_send(CommandRequest { command, reply })
        .map_err(|e| match e {
            TrySendError::Full(_) => unavailable("the agent is busy with earlier commands; try again"),
            TrySendError::Closed(_) => unavailable("the agent is shutting down"),
        })?;
    match answer.await {
        Ok(Ok(reply)) if accepts_json(&headers) => {
            let agent = AGENT.to_owned();
            Ok(Json(Reply { agent, reply }).into_response())
        }
        Ok(Ok(words)) => Ok(words.into_response()),
        Ok(Err(rejected)) => Err((StatusCode::CONFLICT, rejected.to_string())),
        Err(_) => Err(unavailable("the agent is shutting down")),
    }
}

/// The agent's own word in a [`Reply`].
const AGENT: &str = "t0rn-agent";

/// The reply to a command, in a form that no other server on the socket has by chance.
#[derive(Debug, Serialize, Deserialize)]
struct Reply {
    agent: String,
    reply: String,
}

/// Text is for people with curl, and for commands of earlier versions.
fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|types| types.to_str().ok());
    accepted.is_some_and(|types| types.contains("application/json"))
}

fn within_bounds(command: Command) -> Result<Command, String> {
    let reason = match &command {
        Command::Pause { seconds, .. } if !(1..=PAUSE_MAX.as_secs()).contains(seconds) => {
            return Err(format!("a pause takes from 1s to {}", show_duration(PAUSE_MAX)));
        }
        Command::Restart { reason } | Command::Pause { reason, .. } => reason,
        Command::Update { image, automatic } => {
            parse_image(image).map_err(|error| format!("image {error}"))?;
            if *automatic {
                return Err("an update by command is not automatic".to_owned());
            }
            return Ok(command);
        }
        Command::Stop { .. } | Command::Start { .. } | Command::Resume => return Ok(command),
    };
    if reason.contains(char::is_control) {
        return Err("the reason has to be one line of plain text".to_owned());
    }
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
    State(state): State<ApiState>,
    Extension(permit): Extension<LongLivedPermit>,
    Query(LogQuery { tail, follow }): Query<LogQuery>,
) -> Result<Body, (StatusCode, String)> {
    let place = if follow { permit.claim() } else { None };
    if follow && place.is_none() {
        let words = format!(
            "{} clients follow the log already; end one of them",
            state.limits.long_lived
        );
        return Err((StatusCode::SERVICE_UNAVAILABLE, words));
    }
    // Inspected first, so that a missing container or a silent Docker is an error and not an empty log.
    let found = state.handle.docker.inspect().await;
    let found = found.map_err(|e| (StatusCode::BAD_GATEWAY, e.to_string()))?;
    if found.container == Container::Missing {
        return Err((
            StatusCode::NOT_FOUND,
            "there is no container yet, so there is no log".to_owned(),
        ));
    }
    let end = (!follow).then(|| Instant::now() + state.limits.request);
    let log = Box::pin(state.handle.docker.logs(tail.min(TAIL_MAX), follow));
    let (secrets, mut redactor) = (state.handle.secrets.texts(), LineRedactor::default());
    // Docker sends a line at a time, and one of more than 16 KiB in several parts.
    let log = log.map_ok(move |line| redacted(line, &mut redactor, &secrets));
    let chunks = stream::unfold(Some((log, place)), move |state| async move {
        let (mut log, place) = state?;
        let next = match end {
            Some(end) => timeout_at(end, log.next()).await,
            None => Ok(log.next().await),
        };
        // An error aborts the connection, so that the client does not take a partial log for a whole one.
        match next {
            Ok(None) => None,
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some((log, place)))),
            Ok(Some(Err(error))) => Some((Err(axum::BoxError::from(error)), None)),
            Err(_) => Some((Err("docker takes too long to send the log".into()), None)),
        }
    });
    Ok(Body::from_stream(chunks))
}

/// The bytes as they are, unless there is something to redact.
fn redacted(bytes: Vec<u8>, redactor: &mut LineRedactor, secrets: &[String]) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    let clean = redactor.text(&text, secrets);
    if clean == text { bytes } else { clean.into_bytes() }
}
