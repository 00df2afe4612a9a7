//! Bounded HTTP server of the agent's socket ([`crate::api`]) and port ([`crate::web`]).
//!
//! Every resource that a client can occupy is bounded: connections, sizes, and the time of each step. One connection
//! carries one request.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::net::Listener;
use tracing::{debug, warn};

use agent_core::units::show_duration;

/// Largest request, bytes.
pub(crate) const REQUEST_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerLimits {
    /// Most open connections; more wait in the kernel's backlog.
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
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    open.spawn(connection(limits, stream, router.clone(), LongLivedPermit::of(&places)));
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
pub(crate) async fn connection<S>(limits: ServerLimits, stream: S, router: Router, permit: LongLivedPermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stall));
    let granted = Arc::clone(&permit.granted);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
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
    let ended = match timeout(limits.connection, &mut served).await {
        Ok(ended) => ended,
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
