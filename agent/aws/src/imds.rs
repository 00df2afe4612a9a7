//! The instance metadata service, version 2: a token first, then one path at a time.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder, StatusCode};

use super::consistency::ErrorClass;
use agent_net::backoff::pauses;
use agent_net::http::{self, RequestError};
use agent_runtime::Instant;

/// Limit of one request with its token: without an answer in this time there is no such service.
const PROBE_TIMEOUT: Duration = Duration::from_millis(900);
/// The same for a service that has answered before.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(4);
/// The first and the longest pause before an error response is asked for again, and how often.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(800));
const TIMES_AGAIN: usize = 3;
/// Size of the largest answer that is read, bytes. Credentials have one and a half thousand.
const LARGEST: usize = 16 << 10;
/// Requested lifetime of a token, seconds: the maximum.
const TOKEN_TTL: u64 = 21_600;
/// A token is renewed this long before its end, seconds, or at half its lifetime.
const RENEW_BEFORE: u64 = 300;
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// One metadata service.
#[derive(Debug)]
pub(super) struct Imds {
    base: String,
    client: Result<Client, RequestError>,
    token: Option<Token>,
    timeout: Duration,
}

/// The value is marked as sensitive, which keeps it out of debug output.
#[derive(Debug)]
struct Token {
    value: HeaderValue,
    renew_at: Instant,
}

/// Why a path could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImdsError {
    /// Nothing like a metadata service answers.
    #[error("there is no instance metadata service: {0}")]
    Absent(String),
    /// The service is there, but gave no usable answer.
    #[error("the instance metadata service gives no answer: {0}")]
    Unavailable(String),
    /// There are no credentials, or not yet: a profile that was just attached takes a moment.
    #[error("the instance has no role: give it an instance profile that allows what docs/ec2.md lists")]
    NoRole,
    /// EC2 cannot hand out the role's credentials: remedy, code and message.
    #[error("{remedy}: the role has no credentials ({code}: {message})")]
    RoleRefused {
        remedy: String,
        code: String,
        message: String,
    },
}

impl ImdsError {
    /// What it says about the same request a moment later.
    pub(super) fn class(&self) -> ErrorClass {
        match self {
            Self::Absent(_) | Self::Unavailable(_) => ErrorClass::Transient,
            Self::NoRole => ErrorClass::Unsettled,
            Self::RoleRefused { .. } => ErrorClass::Permanent,
        }
    }
}

impl Imds {
    /// The service at `base`: `http://HOST[:PORT]`.
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            client: http::local().and_then(|client| Ok(client.pool_max_idle_per_host(1).build()?)),
            token: None,
            timeout: PROBE_TIMEOUT,
        }
    }

    /// With another limit, for a service that has answered before.
    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// What is at `/latest/PATH`; `None` when there is nothing. Ends within the limit.
    pub(super) async fn get(&mut self, path: &str) -> Result<Option<String>, ImdsError> {
        let limit = self.timeout;
        let timed_out = |_| Err(ImdsError::Absent(format!("no answer within {} ms", limit.as_millis())));
        tokio::time::timeout(limit, self.exchange(path))
            .await
            .unwrap_or_else(timed_out)
    }

    /// As [`Self::get`], and asks again a few times where the service answers with an error, as it does while it throttles.
    pub(super) async fn get_again(&mut self, path: &str) -> Result<Option<String>, ImdsError> {
        let mut left = pauses(AGAIN.0, AGAIN.1).take(TIMES_AGAIN);
        loop {
            match (self.get(path).await, left.next()) {
                (Err(ImdsError::Unavailable(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (found, _) => return found,
            }
        }
    }

    async fn exchange(&mut self, path: &str) -> Result<Option<String>, ImdsError> {
        let fresh = self.token.as_ref().is_none_or(|token| token.renew_at <= Instant::now());
        if fresh {
            self.renew_token().await?;
        }
        let (mut status, mut text) = self.send(path).await?;
        if status == StatusCode::UNAUTHORIZED && !fresh {
            self.renew_token().await?;
            (status, text) = self.send(path).await?;
        }
        if status == StatusCode::UNAUTHORIZED {
            self.token = None;
        }
        match status {
            StatusCode::OK => Ok(Some(text)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(ImdsError::Unavailable(format!("it answers {status}"))),
        }
    }

    async fn send(&self, path: &str) -> Result<(StatusCode, String), ImdsError> {
        let request = self.client()?.get(format!("{}/latest/{path}", self.base));
        let token = self.token.iter().map(|token| (TOKEN_HEADER, token.value.clone()));
        let request = token.fold(request, |request, (name, value)| request.header(name, value));
        let (status, _, text) = send(request).await?;
        Ok((status, text))
    }

    async fn renew_token(&mut self) -> Result<(), ImdsError> {
        self.token = None;
        let request = self.client()?.put(format!("{}/latest/api/token", self.base));
        let (status, ttl, text) = send(request.header(TTL_HEADER, TOKEN_TTL)).await?;
        match status {
            StatusCode::OK => {}
            // Another cloud's service, or any web server.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                return Err(ImdsError::Absent(format!("asked for a token, it answers {status}")));
            }
            status => {
                return Err(ImdsError::Unavailable(format!(
                    "asked for a token, it answers {status}"
                )));
            }
        }
        let mut value = HeaderValue::from_str(text.trim())
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| ImdsError::Unavailable("its token is invalid".to_owned()))?;
        value.set_sensitive(true);
        let ttl = ttl.unwrap_or(TOKEN_TTL).min(TOKEN_TTL);
        let keep = ttl.saturating_sub(RENEW_BEFORE).max(ttl / 2);
        self.token = Some(Token {
            value,
            renew_at: Instant::now() + Duration::from_secs(keep),
        });
        Ok(())
    }

    fn client(&self) -> Result<&Client, ImdsError> {
        self.client
            .as_ref()
            .map_err(|error| ImdsError::Absent(error.to_string()))
    }
}

/// Status, the token's time to live if given, and the body of a successful response.
async fn send(request: RequestBuilder) -> Result<(StatusCode, Option<u64>, String), ImdsError> {
    let answer = http::send(request).await;
    let answer = answer.map_err(|error| ImdsError::Absent(error.to_string()))?;
    let status = answer.status();
    let ttl = answer.headers().get(TTL_HEADER);
    let ttl = ttl.and_then(|ttl| ttl.to_str().ok()?.trim().parse().ok());
    // Read in any case, so that the connection can be reused.
    let text = match http::text(answer, LARGEST).await {
        Ok(text) => text,
        Err(_) if status != StatusCode::OK => String::new(),
        Err(error) => return Err(ImdsError::Unavailable(error.to_string())),
    };
    Ok((status, ttl, text))
}
