//! HTTP servers that stand in for the agent's counterparts: exporters, webhooks, AWS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use futures_util::{StreamExt as _, stream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// Longest request body, bytes.
const LONGEST: usize = 64 << 20;

/// A request with its whole body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// The value of a header; `None` where there is none, or none that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A response, or an error that closes the connection without one.
pub(crate) type Answer = io::Result<Response<Body>>;

/// A response with this status and body.
///
/// # Errors
/// There is no such status.
pub(crate) fn answer(status: u16, body: impl Into<Body>) -> Answer {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    Ok(response)
}

/// A redirect with this status.
///
/// # Errors
/// There is no such status, or the place cannot stand in a header.
pub(crate) fn redirect(status: u16, to: &str) -> Answer {
    let mut response = answer(status, "")?;
    let to = to.try_into().map_err(io::Error::other)?;
    response.headers_mut().insert(LOCATION, to);
    Ok(response)
}

/// A body that breaks off after `part`, with the connection.
pub(crate) fn broken(part: impl Into<Bytes>) -> Body {
    let end = stream::once(async {
        // What was sent so far is to arrive.
        sleep(Duration::from_millis(50)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(stream::iter([Ok(part.into())]).chain(end))
}

/// Serves a handler on a free port of 127.0.0.1 until the process ends. Returns the address.
///
/// # Errors
/// No port is free.
pub(crate) fn start<F>(
    tls: Option<Arc<ServerConfig>>,
    handle: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
) -> Result<SocketAddr>
where
    F: Future<Output = Answer> + Send + 'static,
{
    start_at(Ipv4Addr::LOCALHOST, tls, handle)
}

/// As [`start`], on a free port of another address of this host.
///
/// # Errors
/// As [`start`], or the address is not this host's.
pub(crate) fn start_at<F>(
    address: Ipv4Addr,
    tls: Option<Arc<ServerConfig>>,
    handle: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
) -> Result<SocketAddr>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind((address, 0))?;
    listener.set_nonblocking(true)?;
    let (address, runtime) = (listener.local_addr()?, runtime()?);
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                let (tls, handle) = (tls.clone(), handle.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, handle).await,
                        Some(tls) => {
                            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                                converse(stream, handle).await;
                            }
                        }
                    }
                });
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            io::Result::Ok(())
        })
    });
    Ok(address)
}

/// A runtime for the one thread that calls it.
///
/// # Errors
/// The system is out of file descriptors.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Answers the requests of one connection. How it ends is the other side's affair.
pub(crate) async fn converse<F: Future<Output = Answer>>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handle: impl Fn(Request) -> F,
) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async {
        let (head, body) = request.into_parts();
        let body = to_bytes(Body::new(body), LONGEST).await.map_err(io::Error::other)?;
        let request = Request {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body,
        };
        handle(request).await
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
