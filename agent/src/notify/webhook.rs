//! One request to the webhook, with a bound on everything, and what its answer means.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use super::outbox::Letter;
use super::payload;
use crate::config::{Notify, NotifyFormat, show_duration};
use crate::http;

const CONNECT: Duration = Duration::from_secs(5);
/// One request as a whole, redirects and answer included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects that are followed, within the same server.
const REDIRECTS: usize = 3;
/// The most that is read of an answer, bytes: errors have a few hundred.
const ANSWER_MAX: usize = 4 << 10;
/// The longest of what a service says about an error that is repeated, characters.
const SAID_MAX: usize = 120;
/// Shorter parts of a URL are words and not secrets.
const SECRET_MIN: usize = 4;

/// Where messages go. Its `Debug` does not show the URL.
#[derive(Clone)]
pub(super) struct Webhook {
    url: Url,
    format: NotifyFormat,
    /// Fields that go into the body instead of the URL.
    params: Vec<(String, String)>,
    /// Texts that nobody may see, longest first.
    secrets: Vec<String>,
    timeout: Duration,
    /// A certificate to trust besides the host's.
    #[cfg(test)]
    pub(super) trusts: Option<reqwest::Certificate>,
}

/// A message that was not taken. Its text names the reason and the remedy, and nothing of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) retry: Retry,
}

/// Whether the same message may be taken later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    Soon,
    /// When the service says so.
    After(Duration),
}

impl Webhook {
    /// The configured webhook; `None` when there is none.
    pub(super) fn new(config: &Notify) -> Option<Self> {
        let mut url = Url::parse(config.webhook.as_ref()?).ok()?;
        let secrets = secrets(&url);
        let mut params = Vec::new();
        if config.format == NotifyFormat::Telegram {
            params.extend(url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())));
            url.set_query(None);
        }
        url.set_fragment(None);
        Some(Self {
            url,
            format: config.format,
            params,
            secrets,
            timeout: TIMEOUT,
            #[cfg(test)]
            trusts: None,
        })
    }

    /// With another timeout, for tests.
    #[cfg(test)]
    pub(super) fn hurried(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends one message, once. `lost` counts messages before it that could not be delivered. Ends within
    /// fifteen seconds.
    pub(super) async fn post(&self, letter: &Letter, lost: u64) -> Result<(), Refusal> {
        let body = payload::body(self.format, &self.params, letter, lost);
        let this = self.clone();
        // Reads the host's certificate authorities; afterwards nothing of them stays in memory.
        let client = tokio::task::spawn_blocking(move || this.client()).await;
        let client = client.map_err(|e| refuse(Retry::Soon, format!("the HTTP client cannot be set up: {e}")))??;
        let request = client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let sent = request.body(body).timeout(self.timeout).send().await;
        let mut response = sent.map_err(|e| self.unanswered(&e.without_url()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let header = response.headers().get(RETRY_AFTER).and_then(wait);
        let mut answer = Vec::new();
        // What an error is explained with may break off.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = ANSWER_MAX - answer.len();
            answer.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if answer.len() == ANSWER_MAX {
                break;
            }
        }
        Err(self.refused(status, header, &answer))
    }

    fn client(&self) -> Result<Client, Refusal> {
        let origin = self.url.origin();
        let same_server = move |attempt: Attempt| {
            // Others turn a POST into a GET, which delivers nothing.
            let kept = matches!(attempt.status().as_u16(), 307 | 308);
            if kept && attempt.url().origin() == origin && attempt.previous().len() <= REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        };
        let builder = match self.url.scheme() {
            "https" => http::public(),
            // There is nothing to vouch for.
            _ => http::public().tls_certs_only([]),
        };
        #[cfg(test)]
        let builder = match &self.trusts {
            Some(certificate) => builder.tls_certs_only([certificate.clone()]),
            None => builder,
        };
        let builder = builder
            .redirect(Policy::custom(same_server))
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0);
        builder.build().map_err(|e| {
            let reason = format!(
                "no certificate authority of this host can be read ({}): apt-get install ca-certificates",
                innermost(&e)
            );
            refuse(Retry::Soon, reason)
        })
    }

    /// What an answer other than success means.
    fn refused(&self, status: StatusCode, header: Option<Duration>, answer: &[u8]) -> Refusal {
        let told: Option<Value> = serde_json::from_slice(answer).ok();
        let body = told.as_ref().and_then(|told| {
            let seconds = told.pointer("/parameters/retry_after").or(told.get("retry_after"))?;
            Duration::try_from_secs_f64(seconds.as_f64()?).ok()
        });
        let retry = match status.as_u16() {
            429 | 503 => header.or(body).map_or(Retry::Soon, Retry::After),
            408 | 425 | 500.. => Retry::Soon,
            _ => Retry::Never,
        };
        let remedy = match status.as_u16() {
            300..400 => ": it is redirected elsewhere; write the address it leads to into notify.webhook",
            401 | 403 | 404 | 410 => ": check notify.webhook",
            400 | 405 | 415 | 422 => ": check notify.webhook and notify.format",
            _ => "",
        };
        let said = said(told.as_ref(), answer).map(|said| format!(" ({})", self.clean(&said)));
        refuse(
            retry,
            format!("it answered {status}{}{remedy}", said.unwrap_or_default()),
        )
    }

    /// No answer.
    fn unanswered(&self, error: &reqwest::Error) -> Refusal {
        let limit = show_duration(self.timeout);
        if error.is_timeout() {
            return refuse(Retry::Soon, format!("no answer within {limit}"));
        }
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
            let io = source.downcast_ref::<std::io::Error>();
            if io.is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused) {
                return refuse(Retry::Soon, "connection refused: nothing listens there".to_owned());
            }
        }
        let text = self.clean(&innermost.to_string());
        let reason = if text.contains("certificate") {
            format!("its certificate is not trusted ({text}): is it valid, and its authority known to this host?")
        } else {
            format!("no connection: {text}")
        };
        refuse(Retry::Soon, reason)
    }

    /// A text of others without what the URL consists of.
    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret, "…");
        }
        text
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

fn refuse(retry: Retry, reason: String) -> Refusal {
    Refusal { reason, retry }
}

/// Everything that a URL consists of, as a whole and in parts, longest first.
fn secrets(url: &Url) -> Vec<String> {
    let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
    let query = url.query().unwrap_or_default();
    let mut parts = vec![url.as_str().to_owned(), url.path().to_owned(), query.to_owned()];
    parts.extend(url.path().split('/').chain(query.split(['&', '='])).map(str::to_owned));
    parts.extend(
        [url.host_str(), url.password(), Some(url.username())]
            .into_iter()
            .flatten()
            .map(str::to_owned),
    );
    parts.extend(decoded);
    parts.retain(|part| part.len() >= SECRET_MIN);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

/// `Retry-After`: seconds, or a date.
fn wait(header: &HeaderValue) -> Option<Duration> {
    let text = header.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or_default())
}

/// What the service says in its own words, where that is one short line.
fn said(told: Option<&Value>, answer: &[u8]) -> Option<String> {
    let text = match told {
        Some(told) => ["description", "message", "error"]
            .iter()
            .find_map(|field| told.get(field)?.as_str())?,
        None => std::str::from_utf8(answer).ok()?.trim(),
    };
    let fits = !text.is_empty() && !text.contains(|c: char| c == '<' || c.is_control());
    (fits && text.chars().count() <= SAID_MAX).then(|| text.to_owned())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
