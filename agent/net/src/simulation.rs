//! The network of a simulation: one for each thread, in place of sockets. Never in the release binary.
//!
//! A real socket cannot be used on virtual time: tokio's paused clock runs ahead while the kernel is at work.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use crate::http::RequestError;

/// A future of a [`Network`].
pub type Answer<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// What a host of the simulation can reach.
pub trait Network: Send + Sync {
    /// Connects to `address`: `HOST:PORT`, or the path of a unix socket.
    fn connect(&self, address: &str) -> Answer<DuplexStream>;

    /// Sends one request, and reads the whole response.
    fn request(&self, request: http::Request<Bytes>) -> Answer<http::Response<Bytes>>;
}

thread_local! {
    static NETWORK: RefCell<Option<Arc<dyn Network>>> = const { RefCell::new(None) };
}

/// Sets the network of this thread; `None` is the real one.
pub fn set(network: Option<Arc<dyn Network>>) {
    NETWORK.replace(network);
}

/// The network of this thread, where it is simulated.
pub fn network() -> Option<Arc<dyn Network>> {
    NETWORK.with_borrow(Clone::clone)
}

/// Sends a request over a connection of its own.
///
/// # Errors
/// As the network says, or the response is not HTTP.
pub async fn exchange<B>(
    network: &dyn Network,
    address: &str,
    request: http::Request<B>,
) -> io::Result<http::Response<Incoming>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = network.connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async {
        // Its error is the response's as well.
        let _ = connection.await;
    });
    sender.send_request(request).await.map_err(io::Error::other)
}

/// A request of `reqwest` to the simulated network.
pub(crate) async fn execute(
    network: &dyn Network,
    request: reqwest::Request,
) -> Result<reqwest::Response, RequestError> {
    let (parts, body) = http::Request::<reqwest::Body>::try_from(request)?.into_parts();
    let body = body.collect().await?.to_bytes();
    match network.request(http::Request::from_parts(parts, body)).await {
        Ok(response) => Ok(response.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(RequestError::Refused),
        Err(error) => Err(RequestError::Lost(error.to_string())),
    }
}
