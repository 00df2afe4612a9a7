//! The status page: one document that needs nothing else, `/history` with the last 24 h, and `/events`, which pushes
//! what the loop publishes.
//!
//! It can only be looked at. What a name server says is not trusted: a foreign name that was made to point here would
//! make this page a part of somebody else's site, so that only addresses and `localhost` are answered.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::{Extension, Request, State};
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
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, interval_at};

use super::WebState;
use crate::server::LongLivedPermit;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What the document has in the places of [`STYLE`] and [`SCRIPT`].
const PLACES: [(&str, &str); 2] = [("<style></style>", "style"), ("<script></script>", "script")];

/// Between two signs of life on `/events`.
const BEAT: Duration = Duration::from_secs(10);
/// After which a page tries again that lost the agent.
const RETRY: Duration = Duration::from_secs(2);

/// The page and what it asks for.
pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/", get(page))
        .route("/history", get(history))
        .route("/events", get(events))
        .route_layer(middleware::from_fn(guarded))
}

/// Refuses foreign names, and says on every answer what a browser may do with it: nothing but show it.
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

/// Whether the client asked for an address or for `localhost`: nobody can make those point elsewhere.
fn is_known(headers: &HeaderMap) -> bool {
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

/// The document's own style and script, its own origin to ask, and nothing else from anywhere.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let [style, script] = [STYLE, SCRIPT].map(|text| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    // Base64 is ASCII; should that change, nothing is allowed.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

async fn page() -> Response {
    let mut document = HTML.to_owned();
    for ((place, tag), text) in PLACES.into_iter().zip([STYLE, SCRIPT]) {
        document = document.replacen(place, &format!("<{tag}>{text}</{tag}>"), 1);
    }
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], document).into_response()
}

async fn history(State(state): State<WebState>) -> Response {
    Json(state.history.view()).into_response()
}

async fn events(State(state): State<WebState>, Extension(stay): Extension<LongLivedPermit>) -> Response {
    let Some(place) = stay.claim() else {
        let words = "as many pages as the agent follows are open already; close one of them\n";
        return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    };
    let follower = Follower {
        state,
        greeted: false,
        beat: interval_at(Instant::now() + BEAT, BEAT),
        _place: place,
    };
    Sse::new(stream::unfold(follower, Follower::next)).into_response()
}

/// One open page.
#[derive(Debug)]
struct Follower {
    state: WebState,
    greeted: bool,
    beat: Interval,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next message; none when the agent ends. What was published while the client took nothing is passed over.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if !self.greeted {
            self.greeted = true;
            self.state.snapshot.mark_changed();
            return Some((Ok(sign_of_life().retry(RETRY)), self));
        }
        let Self { state, beat, .. } = &mut self;
        let event = tokio::select! {
            biased;
            _ = state.stopped.changed() => return None,
            changed = state.snapshot.changed() => {
                changed.ok()?;
                Event::default().event("status").data(state.snapshot.borrow_and_update().status.to_json())
            }
            _ = beat.tick() => sign_of_life(),
        };
        Some((Ok(event), self))
    }
}

/// The agent's wall clock, Unix milliseconds: from it a page knows how old what it shows is.
fn sign_of_life() -> Event {
    Event::default()
        .event("beat")
        .data(Timestamp::now().as_millisecond().to_string())
}
