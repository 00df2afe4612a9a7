//! Read-only HTTP on `metrics.listen`: `/metrics` for Prometheus, `/healthz` and `/readyz` for probes, and the status page.
//!
//! Only GET and HEAD, and of a request only its path and host are read. Supervision never waits for it: a port in use is
//! a warning and a retry.

mod page;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::history::SharedHistory;
use crate::process;
use crate::server::{self, ServerLimits};
use agent_core::metrics::{self, Format};
use agent_core::published::AgentSnapshot;
use agent_core::status::{Health, clean};
use agent_core::units::rounded_duration;
use agent_net::backoff::pauses;
use agent_runtime::Instant;

/// Pauses between attempts to listen: doubled from the first to the cap.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_mins(1);
/// Age of a snapshot at which the loop hangs: it publishes every few seconds.
pub(crate) const LATE: Duration = Duration::from_secs(30);

/// Shared state of the handlers.
#[derive(Debug, Clone)]
pub(crate) struct WebState {
    pub(crate) snapshot: watch::Receiver<Arc<AgentSnapshot>>,
    /// Age of a snapshot at which the loop hangs.
    pub(crate) late_after: Duration,
    pub(crate) history: SharedHistory,
    /// Directory of the incidents.
    pub(crate) incidents: Arc<Path>,
    /// `metrics.hosts`.
    pub(crate) hosts: watch::Receiver<Arc<[String]>>,
    /// Cancelled when the agent ends, which ends open pages.
    pub(crate) stopped: CancellationToken,
}

/// Answers clients on `address` until `shutdown`.
///
/// While the address cannot be bound, logs why and tries again.
pub(crate) async fn run(address: SocketAddr, state: WebState, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let listener = tokio::select! {
        () = &mut shutdown => return,
        listener = listen(address, RETRY_FIRST) => listener,
    };
    serve(limits(), listener, state, shutdown).await;
}

async fn listen(address: SocketAddr, first: Duration) -> TcpListener {
    let (mut pauses, mut logged) = (pauses(first, RETRY_CAP), None);
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                info!(%address, "metrics and status page");
                return listener;
            }
            // The same error is logged once.
            Err(error) if logged == Some(error.kind()) => {}
            Err(error) => {
                logged = Some(error.kind());
                warn!(
                    key = "metrics.listen", %address, %error,
                    "no metrics and no status page: free the address, or set the key to another one and restart \
                     the agent; trying again meanwhile"
                );
            }
        }
        sleep(pauses.next().unwrap_or(RETRY_CAP)).await;
    }
}

pub(crate) fn limits() -> ServerLimits {
    ServerLimits {
        connections: 32,
        long_lived: 8,
        // Short, so that idle connections do not keep Prometheus out for long.
        head: Duration::from_secs(1),
        request: Duration::from_secs(5),
        connection: Duration::from_secs(10),
        stall: Duration::from_secs(10),
        drain: Duration::from_secs(1),
    }
}

async fn serve(limits: ServerLimits, listener: TcpListener, state: WebState, shutdown: impl Future<Output = ()>) {
    server::serve(limits, listener, router(state), shutdown).await;
}

pub(crate) fn router(state: WebState) -> Router {
    routes(&state)
        .fallback((
            StatusCode::NOT_FOUND,
            "the agent has its page at / here, and /metrics, /healthz and /readyz\n",
        ))
        .with_state(state)
}

/// All routes.
fn routes(state: &WebState) -> Router<WebState> {
    Router::new()
        .route("/metrics", get(exposition))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route_layer(middleware::from_fn_with_state(state.clone(), known))
        .merge(page::routes())
}

/// Rejects names that may be a browser's way to this host by a foreign domain (DNS rebinding).
async fn known(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    // Every browser sends a host, and no public domain is without a dot.
    let is_known = match headers.get(header::HOST) {
        None => true,
        Some(_) if page::is_known(headers) => true,
        Some(host) => {
            let name = host.to_str().unwrap_or_default().to_ascii_lowercase();
            let name = name.split(':').next().unwrap_or_default();
            !name.contains('.') || state.hosts.borrow().iter().any(|known| known == name)
        }
    };
    if is_known {
        return next.run(request).await;
    }
    let words = "this name is not known: ask by an address, or write the name into metrics.hosts of the agent's \
                 configuration (any other may be a trap, DNS rebinding)\n";
    (StatusCode::MISDIRECTED_REQUEST, words).into_response()
}

async fn exposition(State(state): State<WebState>, headers: HeaderMap) -> Response {
    let snapshot = Arc::clone(&state.snapshot.borrow());
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let process = process::stats(snapshot.started);
    (
        [(header::CONTENT_TYPE, format.content_type())],
        metrics::render(&snapshot, &process, format, Instant::now().into_std()),
    )
        .into_response()
}

async fn healthz(State(state): State<WebState>) -> Response {
    answer(state.alive())
}

async fn readyz(State(state): State<WebState>) -> Response {
    answer(state.alive().and_then(|_| state.ready()))
}

/// 200 or 503 with a one-line reason.
fn answer(verdict: Result<String, String>) -> Response {
    let (status, words) = match verdict {
        Ok(words) => (StatusCode::OK, words),
        Err(words) => (StatusCode::SERVICE_UNAVAILABLE, words),
    };
    (status, format!("{}\n", clean(&words))).into_response()
}

impl WebState {
    /// Whether the supervision loop is alive.
    fn alive(&self) -> Result<String, String> {
        let at = self.snapshot.borrow().at;
        let age = Instant::now().into_std().saturating_duration_since(at);
        let shown = rounded_duration(age.as_secs());
        if age <= self.late_after {
            Ok(format!("alive: the supervision loop came round {shown} ago"))
        } else {
            Err(format!(
                "the supervision loop hangs: it last came round {shown} ago; see journalctl -u t0rn-agent, then \
                 systemctl restart t0rn-agent (the collator goes on running)"
            ))
        }
    }

    /// Whether the collator runs and works, possibly degraded.
    fn ready(&self) -> Result<String, String> {
        let snapshot = self.snapshot.borrow();
        let status = &snapshot.status;
        let words = format!("{}: {}", status.health.into_str(), status.summary);
        match (snapshot.running, status.health) {
            (Some(true), Health::Ok | Health::Degraded) => Ok(format!("ready: {words}")),
            (Some(true), _) => Err(format!("not ready: {words}")),
            (Some(false), _) => Err(format!("not ready: the collator does not run: {words}")),
            (None, _) => Err(format!("not ready: unknown whether the collator runs: {words}")),
        }
    }
}

#[cfg(test)]
mod tests;
