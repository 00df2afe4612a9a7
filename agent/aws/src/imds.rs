//! The instance metadata service, version 2: a token first, then one path at a time.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder, StatusCode};

use agent_net::http::{self, RequestError};

/// Limit of one answer as a whole, with a new token if need be: who has none within this is not there.
const TIMEOUT: Duration = Duration::from_millis(900);
/// The same for a service that is known to be there.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// Size of the largest answer that is read, bytes. Credentials have one and a half thousand.
const LARGEST: usize = 16 << 10;
/// For how long a token is asked for, seconds: the most there is.
const TOKEN_TTL: u64 = 21_600;
/// A token is renewed so long before its end, or at half its time.
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

struct Token {
    value: HeaderValue,
    renew_at: Instant,
}

/// Why a path has no answer: nobody knows what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unknown {
    /// Nothing like a metadata service answers.
    #[error("there is no instance metadata service: {0}")]
    Absent(String),
    /// It is there and cannot tell now.
    #[error("the instance metadata service does not tell: {0}")]
    Trouble(String),
}

impl Imds {
    /// The service at `base`: `http://HOST[:PORT]`.
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            client: http::local().and_then(|client| Ok(client.pool_max_idle_per_host(1).build()?)),
            token: None,
            timeout: TIMEOUT,
        }
    }

    /// With another limit: for a service that is known to be there.
    pub(super) fn patient(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// What is at `/latest/PATH`; `None` when there is nothing. Ends within the limit.
    pub(super) async fn get(&mut self, path: &str) -> Result<Option<String>, Unknown> {
        let limit = self.timeout;
        let late = |_| Err(Unknown::Absent(format!("no answer within {} ms", limit.as_millis())));
        tokio::time::timeout(limit, self.ask(path)).await.unwrap_or_else(late)
    }

    async fn ask(&mut self, path: &str) -> Result<Option<String>, Unknown> {
        let fresh = self.token.as_ref().is_none_or(|token| token.renew_at <= Instant::now());
        if fresh {
            self.renew().await?;
        }
        match self.ask_once(path).await? {
            (StatusCode::UNAUTHORIZED, _) if !fresh => {
                // The token is not known any more.
                self.renew().await?;
                let (status, text) = self.ask_once(path).await?;
                self.judge(status, text)
            }
            (status, text) => self.judge(status, text),
        }
    }

    fn judge(&mut self, status: StatusCode, text: String) -> Result<Option<String>, Unknown> {
        match status {
            StatusCode::OK => Ok(Some(text)),
            StatusCode::NOT_FOUND => Ok(None),
            status => {
                if status == StatusCode::UNAUTHORIZED {
                    self.token = None;
                }
                Err(Unknown::Trouble(format!("it answers {status}")))
            }
        }
    }

    async fn ask_once(&self, path: &str) -> Result<(StatusCode, String), Unknown> {
        let request = self.client()?.get(format!("{}/latest/{path}", self.base));
        let token = self.token.iter().map(|token| (TOKEN_HEADER, token.value.clone()));
        let request = token.fold(request, |request, (name, value)| request.header(name, value));
        let (status, _, text) = exchange(request).await?;
        Ok((status, text))
    }

    async fn renew(&mut self) -> Result<(), Unknown> {
        self.token = None;
        let request = self.client()?.put(format!("{}/latest/api/token", self.base));
        let (status, ttl, text) = exchange(request.header(TTL_HEADER, TOKEN_TTL)).await?;
        match status {
            StatusCode::OK => {}
            // Another cloud's, or any web server.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                return Err(Unknown::Absent(format!("asked for a token, it answers {status}")));
            }
            status => return Err(Unknown::Trouble(format!("asked for a token, it answers {status}"))),
        }
        let mut value = HeaderValue::from_str(text.trim())
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Unknown::Trouble("its token is none".to_owned()))?;
        value.set_sensitive(true);
        let ttl = ttl.unwrap_or(TOKEN_TTL).min(TOKEN_TTL);
        let keep = ttl.saturating_sub(RENEW_BEFORE).max(ttl / 2);
        self.token = Some(Token {
            value,
            renew_at: Instant::now() + Duration::from_secs(keep),
        });
        Ok(())
    }

    fn client(&self) -> Result<&Client, Unknown> {
        self.client.as_ref().map_err(|error| Unknown::Absent(error.to_string()))
    }
}

/// Status, the token's time to live if it is told, and the body of a good answer.
async fn exchange(request: RequestBuilder) -> Result<(StatusCode, Option<u64>, String), Unknown> {
    let answer = request.send().await;
    let answer = answer.map_err(|error| Unknown::Absent(RequestError::from(error).to_string()))?;
    let status = answer.status();
    let ttl = answer.headers().get(TTL_HEADER);
    let ttl = ttl.and_then(|ttl| ttl.to_str().ok()?.trim().parse().ok());
    // Read in any case: the connection is used again.
    let text = match http::text(answer, LARGEST).await {
        Ok(text) => text,
        Err(_) if status != StatusCode::OK => String::new(),
        Err(error) => return Err(Unknown::Trouble(error.to_string())),
    };
    Ok((status, ttl, text))
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}
