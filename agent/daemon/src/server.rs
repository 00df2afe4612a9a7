//! Serves HTTP within bounds, on whatever listens: the agent's socket ([`crate::api`]) and its port
//! ([`crate::web`]).
//!
//! Everything a client can hold on to is bounded: connections, sizes, and the time for each step. One
//! connection carries one request.

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

/// Largest request, bytes.
pub(crate) const REQUEST_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerLimits {
    /// Open connections; more wait in the kernel's backlog.
    pub connections: usize,
    /// Connections among them that may [`LongLivedPermit`].
    pub stays: usize,
    /// For a request's head.
    pub head: Duration,
    /// From there to the head of the answer.
    pub request: Duration,
    /// For a connection that does not stay.
    pub connection: Duration,
    /// For a client that takes nothing of what it is sent.
    pub stall: Duration,
    /// For open answers, when the agent ends.
    pub drain: Duration,
}

/// A connection's leave to outlast [`ServerLimits::connection`], for answers that go on; an
/// [`Extension`](axum::Extension) of every request.
#[derive(Debug, Clone)]
pub(crate) struct LongLivedPermit {
    places: Arc<Semaphore>,
    granted: Arc<AtomicBool>,
}

impl LongLivedPermit {
    /// A place for an answer that goes on, to be kept for as long as it does; `None` when all
    /// [`ServerLimits::stays`] are taken.
    pub(crate) fn claim(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.granted.store(true, Ordering::Relaxed);
        Some(place)
    }
}

/// Answers clients with `router` until `shutdown`, then gives open answers [`ServerLimits::drain`] to end.
pub(crate) async fn serve(
    limits: ServerLimits,
    mut listener: impl Listener<Io: Send + Unpin + 'static>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let router = router
        .layer(middleware::from_fn(move |request, next| {
            in_time(limits.request, request, next)
        }))
        .layer(DefaultBodyLimit::max(REQUEST_MAX));
    let places = Arc::new(Semaphore::new(limits.stays));
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    let stay = LongLivedPermit { places: Arc::clone(&places), granted: Arc::default() };
                    open.spawn(connection(limits, stream, router.clone(), stay));
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

async fn connection<S>(limits: ServerLimits, stream: S, router: Router, stay: LongLivedPermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stall));
    let granted = Arc::clone(&stay.granted);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(stay.clone());
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
        let seconds = limit.as_secs_f32();
        let words = format!("not done within {seconds} s, and it may still be: see t0rn-agent status\n");
        (StatusCode::GATEWAY_TIMEOUT, words).into_response()
    })
}
