//! References: what nodes that the agent does not supervise say about a chain.
//!
//! A reference is an HTTP JSON-RPC endpoint, or the metrics page of a node or of another agent. Everything that goes
//! wrong with one is a [`ReferenceError`], which says nothing about the chain. Its URL may hold a provider's key: no log
//! and no error shows it.

pub(crate) mod metrics;
pub(crate) mod rpc;
#[cfg(test)]
mod tests;

use std::time::Duration;

use agent_core::event::{Chain, Reading, ReferenceError};
use agent_net::backoff::jitter;
use agent_net::http::{self, BodyError, RequestError};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use tracing::{info, warn};
use url::Url;

/// Mean time between two readings.
const INTERVAL: Duration = Duration::from_secs(30);
/// Longest pause of a reference that limits requests.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// Limit of one request as a whole, from name resolution to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept: the requests of one reading share it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A block of this node, by which a reference on another fork is recognized. A finalized one: others may differ for a
/// moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnBlock {
    pub(crate) height: u64,
    /// As nodes log it: `0x1234…abcd`.
    pub(crate) hash: String,
}

/// Why a reading failed, without any part of the URL.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct ReadingError {
    kind: ReferenceError,
    detail: String,
    /// The pause that the server asks for.
    retry_after: Option<Duration>,
}

/// Client of one reference.
pub(crate) struct ReferenceClient {
    chain: Chain,
    /// Index in `chains.*.reference`.
    source: usize,
    url: Url,
    timeout: Duration,
    /// Certificates to trust instead of the host's authorities.
    trusts: Option<Vec<CertificateDer<'static>>>,
    /// Dropped after each failure, so that new certificates of the host count.
    client: Option<Client>,
    /// How many answers in a row said that requests are limited.
    limited: u32,
    /// What the last reading was: changes are logged.
    last: Option<Result<(), ReferenceError>>,
}

impl ReferenceClient {
    pub(crate) fn new(chain: Chain, source: usize, url: Url) -> Self {
        Self {
            chain,
            source,
            url,
            timeout: TIMEOUT,
            trusts: None,
            client: None,
            limited: 0,
            last: None,
        }
    }

    /// Reads the reference once. Returns the pause before the next reading, too.
    pub(crate) async fn poll(&mut self, own: Option<&OwnBlock>) -> (Result<Reading, ReferenceError>, Duration) {
        let result = self.read(own).await;
        let pause = self.pause(result.as_ref().err());
        self.log(&result);
        if result.is_err() {
            self.client = None;
        }
        (result.map_err(|error| error.kind), pause)
    }

    async fn read(&mut self, own: Option<&OwnBlock>) -> Result<Reading, ReadingError> {
        let client = self.client().await?;
        if self.url.path().ends_with("/metrics") {
            self.read_metrics(&client).await
        } else {
            self.read_rpc(&client, own).await
        }
    }

    /// `https` goes through the environment's proxy; `http` is a neighbour's, as exporters are.
    async fn client(&mut self) -> Result<Client, ReadingError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let (url, trusts) = (self.url.clone(), self.trusts.clone());
        let connector = move || {
            let builder = match url.scheme() {
                "https" => http::internet(&url, trusts)?,
                _ => http::local()?,
            };
            Ok::<_, RequestError>(builder.pool_idle_timeout(KEEP_ALIVE).build()?)
        };
        let built = http::built(connector).await;
        let client = built.map_err(|e| failed(ReferenceError::Unreachable, e.to_string()))?;
        Ok(self.client.insert(client).clone())
    }

    /// One request, and what `body` makes of a response with status 200. Ends within the timeout.
    async fn exchange<T>(
        &self,
        request: RequestBuilder,
        body: impl AsyncFnOnce(Response) -> Result<T, ReadingError>,
    ) -> Result<T, ReadingError> {
        let exchange = async {
            let response = http::send(request).await.map_err(unanswered)?;
            body(accepted(response)?).await
        };
        let done = tokio::time::timeout(self.timeout, exchange).await;
        done.unwrap_or_else(|_| {
            let limit = agent_config::show_duration(self.timeout);
            Err(failed(
                ReferenceError::Unreachable,
                format!("no complete answer within {limit}"),
            ))
        })
    }

    fn pause(&mut self, error: Option<&ReadingError>) -> Duration {
        let Some(limit) = error.filter(|error| error.kind == ReferenceError::RateLimited) else {
            self.limited = 0;
            // 20 to 40 s, so that many agents do not read in step.
            return jitter(INTERVAL * 4 / 3);
        };
        let doubled = jitter((INTERVAL * (2 << self.limited)).min(LONGEST_PAUSE));
        self.limited = (self.limited + 1).min(8);
        limit.retry_after.unwrap_or(doubled).clamp(INTERVAL, LONGEST_PAUSE)
    }

    fn log(&mut self, result: &Result<Reading, ReadingError>) {
        let now = result.as_ref().map(|_| ()).map_err(|error| error.kind);
        if self.last.replace(now) == Some(now) {
            return;
        }
        let (chain, reference) = (self.chain.into_str(), self.source);
        match result {
            Ok(reading) => info!(chain, reference, ?reading, "the reference answers"),
            Err(error) => warn!(chain, reference, %error, "the reference is no help: check chains.{chain}.reference"),
        }
    }
}

/// The response, when its status is 200.
fn accepted(response: Response) -> Result<Response, ReadingError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let kind = match status.as_u16() {
        429 | 503 => ReferenceError::RateLimited,
        _ => ReferenceError::Refused,
    };
    Err(ReadingError {
        retry_after: http::retry_after(&response),
        ..failed(kind, format!("it answered {status}"))
    })
}

/// The error for a request without a response, or with one that is not HTTP.
fn unanswered(error: RequestError) -> ReadingError {
    match error {
        RequestError::Garbage(_) => failed(ReferenceError::Unparsable, "the answer is no HTTP"),
        error => failed(ReferenceError::Unreachable, error.to_string()),
    }
}

fn unread(error: &BodyError) -> ReadingError {
    let kind = match error {
        BodyError::Broken(_) => ReferenceError::Unreachable,
        BodyError::TooLarge(_) | BodyError::NoText => ReferenceError::Unparsable,
    };
    failed(kind, error.to_string())
}

fn failed(kind: ReferenceError, detail: impl Into<String>) -> ReadingError {
    ReadingError {
        kind,
        detail: detail.into(),
        retry_after: None,
    }
}
