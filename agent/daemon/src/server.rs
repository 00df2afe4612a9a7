//! Bounded HTTP server of the agent's socket ([`crate::api`]) and port ([`crate::web`]).
//!
//! Every resource that a client can occupy is bounded: connections, sizes, and the time of each step. One connection
//! carries one request. While all connections are taken, the oldest that has not sent its request gives way.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::future::OptionFuture;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::net::Listener;
use tracing::{debug, warn};

use agent_core::units::show_duration;
use agent_runtime::Instant;

/// How long a client may take for its request's head while others wait for a connection.
const GRACE: Duration = Duration::from_millis(100);
/// Largest request, bytes.
pub(crate) const REQUEST_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerLimits {
    /// Most open connections. While each has sent its request, more wait in the kernel's backlog.
    pub connections: usize,
    /// Most of them with a [`LongLivedPermit`].
    pub long_lived: usize,
    /// Time for a request's head.
    pub head: Duration,
    /// Time from there to the response's head.
    pub request: Duration,
    /// Time for a connection that is not long-lived.
    pub connection: Duration,
    /// Time for a client that reads nothing.
    pub stall: Duration,
    /// Time for open responses when the agent ends.
    pub drain: Duration,
}

/// A connection's permit to outlast [`ServerLimits::connection`]; an [`Extension`](axum::Extension) of every request.
#[derive(Debug, Clone)]
pub(crate) struct LongLivedPermit {
    places: Arc<Semaphore>,
    granted: Arc<AtomicBool>,
}

impl LongLivedPermit {
    fn of(places: &Arc<Semaphore>) -> Self {
        Self {
            places: Arc::clone(places),
            granted: Arc::default(),
        }
    }

    /// One of a connection that is not counted.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn alone() -> Self {
        Self::of(&Arc::new(Semaphore::new(1)))
    }

    /// A permit to be held during the response; `None` when all [`ServerLimits::long_lived`] are taken.
    pub(crate) fn claim(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.granted.store(true, Ordering::Relaxed);
        Some(place)
    }
}

/// One connection as the server sees it.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    since: Instant,
    has_requested: AtomicBool,
    /// Its place is wanted by another client.
    evicted: Notify,
}

impl ConnectionState {
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self {
            since: Instant::now(),
            has_requested: AtomicBool::new(false),
            evicted: Notify::new(),
        })
    }

    fn is_idle(&self) -> bool {
        !self.has_requested.load(Ordering::Relaxed)
    }

    /// Waits until the connection has to give way.
    async fn gives_way(&self) {
        loop {
            self.evicted.notified().await;
            if self.is_idle() {
                return;
            }
        }
    }
}

/// Serves clients until `shutdown`, then gives open responses [`ServerLimits::drain`] to end.
pub(crate) async fn serve(
    limits: ServerLimits,
    mut listener: impl Listener<Io: Send + Unpin + 'static>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let router = bounded(limits, router);
    let places = Arc::new(Semaphore::new(limits.long_lived));
    let mut open = JoinSet::new();
    // Connections without a request, the oldest first.
    let mut idle: VecDeque<Weak<ConnectionState>> = VecDeque::new();
    let mut shutdown = pin!(shutdown);
    loop {
        idle.retain(|state| state.upgrade().is_some_and(|state| state.is_idle()));
        let is_full = open.len() >= limits.connections;
        let oldest = idle.front().and_then(Weak::upgrade).filter(|_| is_full);
        let gives_way = OptionFuture::from(oldest.as_ref().map(|oldest| sleep_until(oldest.since + GRACE)));
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = open.join_next() => {}
            Some(()) = gives_way => {
                idle.pop_front();
                if let Some(oldest) = oldest {
                    oldest.evicted.notify_one();
                }
                tokio::select! {
                    () = &mut shutdown => break,
                    _ = open.join_next() => {}
                }
            }
            accepted = listener.accept(), if !is_full => match accepted {
                Ok((stream, _)) => {
                    let state = ConnectionState::begin();
                    idle.push_back(Arc::downgrade(&state));
                    open.spawn(connection(limits, stream, router.clone(), LongLivedPermit::of(&places), state));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a client: check the limit on open files");
                    sleep(Duration::from_millis(200)).await;
                }
            },
        }
    }
    drop(listener);
    let _ = timeout(limits.drain, async { while open.join_next().await.is_some() {} }).await;
}

/// The router with its bounds of time and size.
pub(crate) fn bounded(limits: ServerLimits, router: Router) -> Router {
    router
        .layer(middleware::from_fn(move |request, next| {
            in_time(limits.request, request, next)
        }))
        .layer(DefaultBodyLimit::max(REQUEST_MAX))
}

/// Serves one request of one client.
pub(crate) async fn connection<S>(
    limits: ServerLimits,
    stream: S,
    router: Router,
    permit: LongLivedPermit,
    state: Arc<ConnectionState>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stall));
    let granted = Arc::clone(&permit.granted);
    let requested = Arc::clone(&state);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        requested.has_requested.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(permit.clone());
        TowerToHyperService::new(router.clone()).call(request)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .max_buf_size(REQUEST_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut served = pin!(served);
    let limited = async {
        tokio::select! {
            // In this order: a request that has just arrived is served.
            biased;
            ended = &mut served => Some(ended),
            () = state.gives_way() => None,
        }
    };
    let ended = match timeout(limits.connection, limited).await {
        Ok(Some(ended)) => ended,
        Ok(None) => return debug!("a client without a request gave way to another one"),
        Err(_) if granted.load(Ordering::Relaxed) => served.await,
        Err(_) => return debug!("a client was too slow"),
    };
    if let Err(error) = ended {
        debug!(%error, "a client went away");
    }
}

async fn in_time(limit: Duration, request: Request, next: Next) -> Response {
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let limit = show_duration(limit);
        let words = format!("not done within {limit}, and it may still be: see t0rn-agent status\n");
        (StatusCode::GATEWAY_TIMEOUT, words).into_response()
    })
}
