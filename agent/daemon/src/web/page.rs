//! The status page: one document that needs nothing else, `/history` with the last 24 h or 7 days, `/incidents`, and
//! `/events`, which pushes what the loop publishes.
//!
//! Read-only. Only addresses and `localhost` are accepted as host, against DNS rebinding: under a foreign name that
//! resolves to this host, the page would belong to another site's origin.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use agent_core::history::HistoryRange;
use agent_core::status::clean;
use agent_runtime::disk::{self, Disk};
use agent_runtime::wall;
use axum::extract::{Extension, Path as UrlPath, Query, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, interval_at};

use super::WebState;
use crate::process;
use crate::recorder::incident::{self, Incident, IncidentError};
use crate::server::LongLivedPermit;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// One script, so that one hash names it.
static SCRIPT: LazyLock<String> = LazyLock::new(|| without_comments(SOURCE));
const SOURCE: &str = concat!(
    include_str!("page/base.js"),
    include_str!("page/state.js"),
    include_str!("page/marks.js"),
    include_str!("page/incident.js"),
    include_str!("page/frame.js"),
    include_str!("page/chart.js"),
    include_str!("page/zoom.js"),
    include_str!("page/link.js"),
);
/// Placeholders of [`STYLE`] and [`SCRIPT`] in the document.
const PLACES: [(&str, &str); 2] = [("<style></style>", "style"), ("<script></script>", "script")];

/// What is for readers of the source is not transferred: lines of comment, and what stands before a line.
fn without_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Interval of heartbeats on `/events`.
const BEAT: Duration = Duration::from_secs(10);
/// How long a page waits for an incident: less than a request may take.
const READ_LIMIT: Duration = Duration::from_secs(3);
/// Reconnection delay of the page.
const RETRY: Duration = Duration::from_secs(2);

/// The page's routes.
pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/", get(page))
        .route("/history", get(history))
        .route("/incidents", get(incidents))
        .route("/incidents/{id}", get(incident))
        .route("/events", get(events))
        .route_layer(middleware::from_fn(guarded))
}

/// Rejects foreign host names, and sets the security headers of every response.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = if is_known(request.headers()) {
        next.run(request).await
    } else {
        let words = "open this page by an address or as localhost: any other name may be a trap (DNS rebinding)\n";
        (StatusCode::MISDIRECTED_REQUEST, words).into_response()
    };
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

/// Whether the requested host is an address or `localhost`, which DNS cannot redirect.
pub(super) fn is_known(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Content security policy: the document's own style and script, requests to its own origin, nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let [style, script] = [STYLE, SCRIPT.as_str()].map(|text| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    // Base64 is ASCII, so this does not fail; the fallback allows nothing.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

async fn page() -> Response {
    let mut document = HTML.to_owned();
    for ((place, tag), text) in PLACES.into_iter().zip([STYLE, SCRIPT.as_str()]) {
        document = document.replacen(place, &format!("<{tag}>{text}</{tag}>"), 1);
    }
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], document).into_response()
}

/// Query of `/history`.
#[derive(Debug, Deserialize)]
struct HistoryQuery {
    #[serde(default)]
    range: HistoryRange,
}

async fn history(State(state): State<WebState>, Query(query): Query<HistoryQuery>) -> Response {
    Json(state.history.view(query.range)).into_response()
}

async fn incidents(State(state): State<WebState>) -> Response {
    let named = |incident: Incident| json!({"id": incident.id, "at": incident.at, "cause": incident.cause});
    match on_state_disk(&state, incident::list).await {
        // One that cannot be read was logged when the agent started.
        Ok(Ok(incidents)) => Json(incidents.into_iter().flatten().map(named).collect::<Value>()).into_response(),
        Ok(Err(error)) => failed(StatusCode::INTERNAL_SERVER_ERROR, &error),
        Err(answer) => answer,
    }
}

async fn incident(State(state): State<WebState>, UrlPath(id): UrlPath<String>) -> Response {
    match on_state_disk(&state, move |dir| incident::excerpt(dir, &id)).await {
        Ok(Ok(excerpt)) => Json(excerpt).into_response(),
        Ok(Err(error @ IncidentError::NotFound(_))) => failed(StatusCode::NOT_FOUND, &error),
        Ok(Err(error)) => failed(StatusCode::INTERNAL_SERVER_ERROR, &error),
        Err(answer) => answer,
    }
}

/// Reads the incidents, or answers that the disk does not.
async fn on_state_disk<T: Send + 'static>(
    state: &WebState,
    read: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, Response> {
    let dir = Arc::clone(&state.incidents);
    let done = disk::run_long(Disk::State, READ_LIMIT, move || read(&dir)).await;
    done.map_err(|error| failed(StatusCode::SERVICE_UNAVAILABLE, &error))
}

fn failed(status: StatusCode, error: &dyn Error) -> Response {
    (status, format!("{}\n", clean(&error.to_string()))).into_response()
}

async fn events(State(state): State<WebState>, Extension(permit): Extension<LongLivedPermit>) -> Response {
    let Some(place) = permit.claim() else {
        let words = "as many pages as the agent follows are open already; close one of them\n";
        return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    };
    let connection = PageConnection {
        state,
        opened: false,
        beat: interval_at(Instant::now() + BEAT, BEAT),
        _place: place,
    };
    Sse::new(stream::unfold(connection, PageConnection::next)).into_response()
}

/// One open page.
#[derive(Debug)]
struct PageConnection {
    state: WebState,
    opened: bool,
    beat: Interval,
    _place: OwnedSemaphorePermit,
}

impl PageConnection {
    /// The next message; `None` when the agent ends. Snapshots published while the client did not read are skipped.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if !self.opened {
            self.opened = true;
            self.state.snapshot.mark_changed();
            return Some((Ok(heartbeat().retry(RETRY)), self));
        }
        let Self { state, beat, .. } = &mut self;
        let event = tokio::select! {
            biased;
            () = state.stopped.cancelled() => return None,
            changed = state.snapshot.changed() => {
                changed.ok()?;
                Event::default().event("status").data(process::status_now(&state.snapshot.borrow_and_update()).to_json())
            }
            _ = beat.tick() => heartbeat(),
        };
        Some((Ok(event), self))
    }
}

/// A heartbeat with the agent's wall clock, Unix milliseconds, by which the page computes ages.
fn heartbeat() -> Event {
    Event::default().event("beat").data(wall::unix_ms().to_string())
}
