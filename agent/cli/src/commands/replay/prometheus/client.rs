//! The HTTP API of a Prometheus server, as far as it is needed, with a bound on everything.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use agent_net::{backoff, http};

const CONNECT: Duration = Duration::from_secs(5);
/// One answer as a whole; a server gives up on a query after two minutes.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Size of the largest answer that is read, bytes. A chunk of one exporter has half a megabyte.
const LARGEST: usize = 16 << 20;
/// Of a question to a server that has answered before.
const RETRIES: usize = 4;
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// Where a Prometheus server is: `http://host:port`, with the prefix of its paths if it has one. Its text
/// leaves out the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address(reqwest::Url);

#[derive(Debug)]
pub(super) struct PrometheusClient {
    pub(super) address: Address,
    http: reqwest::Client,
    timeout: Duration,
    backoff: Duration,
    /// It has answered: what fails now may pass.
    answered: bool,
    /// The first warning that came with an answer.
    pub(super) warning: Option<String>,
}

pub(super) type Labels = BTreeMap<String, String>;

/// One series over the times that were asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    pub(super) metric: Labels,
    /// Unix seconds, and the value as text.
    #[serde(default)]
    pub(super) values: Vec<(f64, String)>,
}

#[derive(Debug, Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct ApiResponse<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    #[error("{0}; start it, or name the address at which this machine reaches it")]
    Unreachable(String),
    #[error("no complete answer within {}; ask for less: a shorter --since or a longer --step", agent_config::show_duration(*.0))]
    Timeout(Duration),
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("the answer is larger than {} MiB; narrow it down with --selector or --instance", LARGEST >> 20)]
    TooLarge,
    #[error("it answers {0}; where it wants a password, write http://USER:PASSWORD@HOST:PORT")]
    Denied(u16),
    #[error("it sends us on to {0}; name that address, or a tunnel to it where it is https")]
    Moved(String),
    #[error("it cannot answer now ({0})")]
    Busy(String),
    #[error("it refuses the question: {0}; selectors are written as in PromQL: job=\"collators\",instance=~\"10.*\"")]
    Question(String),
    #[error(
        "that is no Prometheus ({0}); name the server itself, such as http://127.0.0.1:9090, with the prefix of \
         its paths if it has one"
    )]
    Stranger(String),
}

impl PrometheusClient {
    pub(super) fn new(address: &Address) -> Result<Self, QueryError> {
        let http = http::local().and_then(|client| Ok(client.connect_timeout(CONNECT).build()?));
        let http = http.map_err(|e| QueryError::Unreachable(format!("the HTTP client cannot be set up: {e}")))?;
        Ok(Self {
            address: address.clone(),
            http,
            timeout: TIMEOUT,
            backoff: BACKOFF,
            answered: false,
            warning: None,
        })
    }

    /// With other waits, for tests.
    #[cfg(test)]
    pub(super) fn hurried(mut self, timeout: Duration) -> Self {
        (self.timeout, self.backoff) = (timeout, Duration::from_millis(1));
        self
    }

    /// The labels of the series that match any of the selectors and have samples between two times (Unix
    /// milliseconds), more or less: the server reports whole blocks.
    pub(super) async fn series(&mut self, selectors: &[String], from: u64, to: u64) -> Result<Vec<Labels>, QueryError> {
        let mut params = vec![("start", seconds(from)), ("end", seconds(to))];
        params.extend(selectors.iter().map(|s| ("match[]", s.clone())));
        self.ask("series", &params).await
    }

    /// The value of a query at each `step` from `from` to `to`, both included (Unix milliseconds). The server
    /// refuses more than 11,000 of them.
    pub(super) async fn range(
        &mut self,
        query: &str,
        from: u64,
        to: u64,
        step: u64,
    ) -> Result<Vec<Series>, QueryError> {
        let params = [
            ("query", query.to_owned()),
            ("start", seconds(from)),
            ("end", seconds(to)),
            ("step", seconds(step)),
        ];
        Ok(self.ask::<Matrix>("query_range", &params).await?.result)
    }

    async fn ask<T: DeserializeOwned>(&mut self, what: &str, params: &[(&str, String)]) -> Result<T, QueryError> {
        for pause in backoff::pauses(self.backoff, BACKOFF_MAX).take(RETRIES) {
            match self.ask_once(what, params).await {
                Err(fault) if self.answered && fault.may_pass() => {
                    tokio::time::sleep(pause).await;
                }
                done => return done,
            }
        }
        self.ask_once(what, params).await
    }

    async fn ask_once<T: DeserializeOwned>(&mut self, what: &str, params: &[(&str, String)]) -> Result<T, QueryError> {
        let url = self.address.api(what, params);
        let sent = self.http.get(url).timeout(self.timeout).send().await;
        let mut response = sent.map_err(|e| self.unanswered(&e))?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(reqwest::header::LOCATION);
            let to = to.map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            let to = to.and_then(|to| Some(to.split(['?', '#']).next()?.to_owned()));
            return Err(QueryError::Moved(to.unwrap_or_else(|| "nowhere".to_owned())));
        }
        if matches!(status.as_u16(), 401 | 403) {
            return Err(QueryError::Denied(status.as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(QueryError::TooLarge);
            }
        }
        let busy = status.is_server_error() || status.as_u16() == 429;
        let answer: ApiResponse<T> = match serde_json::from_slice(&body) {
            Ok(answer) => answer,
            Err(_) if busy => return Err(QueryError::Busy(status.to_string())),
            Err(_) if !status.is_success() => return Err(QueryError::Stranger(format!("it answers {status}"))),
            Err(e) => return Err(QueryError::Stranger(format!("its answer makes no sense: {e}"))),
        };
        let ApiResponse { error, warnings, .. } = answer;
        let error = error.unwrap_or_else(|| format!("status {:?}", answer.status));
        match answer.data {
            Some(data) if answer.status == "success" => {
                self.answered = true;
                self.warning = self.warning.take().or(warnings.into_iter().next());
                Ok(data)
            }
            _ if busy => Err(QueryError::Busy(error)),
            _ => Err(QueryError::Question(error)),
        }
    }

    /// No answer at all, or none that is HTTP.
    fn unanswered(&self, error: &reqwest::Error) -> QueryError {
        if error.is_timeout() && !error.is_connect() {
            return QueryError::Timeout(self.timeout);
        }
        if http::io_kind(error) == Some(ErrorKind::ConnectionRefused) {
            return QueryError::Unreachable("connection refused: nothing listens there".to_owned());
        }
        if http::is_garbage(error) {
            return QueryError::Stranger("its answer is no HTTP".to_owned());
        }
        QueryError::Unreachable(format!("no connection: {}", http::innermost(error)))
    }

    fn broken(&self, error: &reqwest::Error) -> QueryError {
        if error.is_timeout() {
            return QueryError::Timeout(self.timeout);
        }
        QueryError::Broken(http::innermost(error))
    }
}

/// The series in the body of an answer.
#[cfg(any(test, fuzzing))]
pub(super) fn series_in(body: &[u8]) -> Option<Vec<Series>> {
    let answer: ApiResponse<Matrix> = serde_json::from_slice(body).ok()?;
    Some(answer.data?.result)
}

impl QueryError {
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Timeout(_) | Self::Broken(_) | Self::Busy(_)
        )
    }
}

impl Address {
    fn api(&self, what: &str, params: &[(&str, String)]) -> reqwest::Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/api/v1/{what}", self.0.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(params);
        url
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const REMEDY: &str = "write the server's address, such as http://127.0.0.1:9090";
        if text.starts_with("https:") {
            return Err(
                "https is not spoken here: open a tunnel (ssh -L 9090:127.0.0.1:9090 HOST) or a local proxy to the \
                        server, and name http://127.0.0.1:9090"
                    .to_owned(),
            );
        }
        let mut url = reqwest::Url::parse(text).map_err(|e| format!("{e}: {REMEDY}"))?;
        if url.scheme() != "http" || !url.has_host() {
            return Err(REMEDY.to_owned());
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // Refused only where there can be none.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        f.write_str(url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Milliseconds as the API wants times: seconds with a fraction.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
