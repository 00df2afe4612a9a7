//! What the plain HTTP clients of the adapters have in common.

use axum::body::Body;
use futures_util::TryStreamExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

pub type Plain = Client<HttpConnector, Body>;

/// A client that keeps one connection to each server, and reads `chunk` bytes at once: left to itself it keeps a
/// buffer of the size of the largest answer.
pub fn plain(chunk: usize) -> Plain {
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(1)
        .http1_read_buf_exact_size(chunk)
        .build_http()
}

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
pub enum NoBody {
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer is no text")]
    NoText,
}

/// A whole body of at most `cap` bytes, as text.
pub async fn text(body: Incoming, cap: usize) -> Result<String, NoBody> {
    let mut chunks = Body::new(body).into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.try_next().await.map_err(|e| NoBody::Broken(e.to_string()))? {
        if bytes.len() + chunk.len() > cap {
            return Err(NoBody::TooLarge(cap));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| NoBody::NoText)
}

/// The innermost cause of an error, which says what happened.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
