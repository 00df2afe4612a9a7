//! One request to the webhook, with a bound on everything, and what its answer means.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION, RETRY_AFTER};
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use agent_config::{Notify, NotifyFormat, show_duration};
use agent_core::notification::payload;
use agent_core::notification::queue::QueuedMessage;
use agent_net::wire::{Answer, Wire};

/// One request as a whole: names, connection, redirects and answer included.
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
    pub(super) wire: Wire,
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
            wire: Wire::default(),
        })
    }

    /// With another timeout, for tests.
    #[cfg(test)]
    pub(super) fn hurried(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends one message, once. `lost` counts messages before it that could not be delivered. Ends within the
    /// timeout.
    pub(super) async fn post(&self, letter: &QueuedMessage, lost: u64) -> Result<(), Refusal> {
        let body = payload::body(self.format, &self.params, letter, lost);
        let done = tokio::time::timeout(self.timeout, self.exchange(body)).await;
        done.unwrap_or_else(|_| {
            let limit = show_duration(self.timeout);
            Err(refuse(Retry::Soon, format!("no answer within {limit}")))
        })
    }

    async fn exchange(&self, body: String) -> Result<(), Refusal> {
        let (mut url, mut redirects) = (self.url.clone(), 0);
        loop {
            let sent = self
                .wire
                .post(&url, &[("content-type", "application/json")], body.clone())
                .await;
            let answer = sent.map_err(|broken| refuse(Retry::Soon, self.clean(&broken.to_string())))?;
            match self.redirected(&url, &answer) {
                Some(next) if redirects < REDIRECTS => url = next,
                _ => return self.judge(answer).await,
            }
            redirects += 1;
        }
    }

    /// Where an answer leads to: within the same server, and with the request as it was. Other redirects turn a
    /// POST into a GET, which delivers nothing.
    fn redirected(&self, url: &Url, answer: &Answer) -> Option<Url> {
        let kept = matches!(answer.status().as_u16(), 307 | 308);
        let location = answer.headers().get(LOCATION).filter(|_| kept)?;
        let next = url.join(location.to_str().ok()?).ok()?;
        (next.origin() == self.url.origin()).then_some(next)
    }

    async fn judge(&self, answer: Answer) -> Result<(), Refusal> {
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let header = answer.headers().get(RETRY_AFTER).and_then(wait);
        let mut chunks = Body::new(answer.into_body()).into_data_stream();
        let mut text = Vec::new();
        // What an error is explained with may break off.
        while let Some(Ok(chunk)) = chunks.next().await {
            let room = ANSWER_MAX - text.len();
            text.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if text.len() == ANSWER_MAX {
                break;
            }
        }
        Err(self.refused(status, header, &text))
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
