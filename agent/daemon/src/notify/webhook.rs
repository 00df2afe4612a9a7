//! One bounded request to the webhook, and its response.

use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use url::Url;

use agent_config::{NotifyConfig, NotifyFormat, show_duration};
use agent_core::notification::payload;
use agent_core::notification::queue::QueuedMessage;
use agent_net::http::{self, RequestError};

/// Limit of one request as a whole, from name resolution to response.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects that are followed, within the same server.
const REDIRECTS: usize = 3;
/// Most bytes of a response that are read; errors have a few hundred.
const ANSWER_MAX: usize = 4 << 10;
/// Longest explanation of an error that is repeated, characters.
const EXPLANATION_MAX: usize = 120;
/// Shortest part of a URL that is treated as a secret, bytes.
const SECRET_MIN: usize = 4;

/// The webhook. Its `Debug` does not show the URL.
#[derive(Clone)]
pub(crate) struct Webhook {
    url: Url,
    format: NotifyFormat,
    /// Query parameters that are sent in the body instead of the URL.
    params: Vec<(String, String)>,
    /// Secret texts, longest first.
    secrets: Vec<String>,
    timeout: Duration,
    /// Certificates to trust instead of the host's authorities.
    pub(super) trusts: Option<Vec<CertificateDer<'static>>>,
}

/// Why the webhook did not accept a message, with the remedy and without any part of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct WebhookError {
    pub(crate) reason: String,
    pub(crate) retry: Retry,
}

/// Whether the same message may be accepted later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    Soon,
    /// After the pause that the service requested.
    After(Duration),
}

impl Webhook {
    /// The configured webhook; `None` when there is none.
    pub(crate) fn new(config: &NotifyConfig) -> Option<Self> {
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
            trusts: None,
        })
    }

    /// With another timeout, for tests.
    #[cfg(test)]
    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends one message, once. `lost` counts messages before it that could not be delivered. Ends within the
    /// timeout.
    pub(super) async fn post(&self, queued: &QueuedMessage, lost: u64) -> Result<(), WebhookError> {
        let body = payload::body(self.format, &self.params, queued, lost);
        let done = tokio::time::timeout(self.timeout, self.exchange(body)).await;
        done.unwrap_or_else(|_| {
            let limit = show_duration(self.timeout);
            Err(webhook_error(Retry::Soon, format!("no answer within {limit}")))
        })
    }

    async fn exchange(&self, body: String) -> Result<(), WebhookError> {
        let lost = |error: RequestError| webhook_error(Retry::Soon, self.clean(&error.to_string()));
        let client = http::once(&self.url, self.trusts.clone(), redirects())
            .await
            .map_err(lost)?;
        let request = client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let answer = http::send(request.body(body)).await.map_err(lost)?;
        self.interpret(answer).await
    }

    async fn interpret(&self, answer: Response) -> Result<(), WebhookError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let header = http::retry_after(&answer);
        // Without its explanation, an error is still one.
        let text = http::bytes(answer, ANSWER_MAX).await.unwrap_or_default();
        Err(self.error_response(status, header, &text))
    }

    /// The error for a response other than success.
    pub(crate) fn error_response(&self, status: StatusCode, header: Option<Duration>, answer: &[u8]) -> WebhookError {
        let json: Option<Value> = serde_json::from_slice(answer).ok();
        let body = json.as_ref().and_then(|json| {
            let seconds = json.pointer("/parameters/retry_after").or(json.get("retry_after"))?;
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
        let explanation = explanation(json.as_ref(), answer).map(|text| format!(" ({})", self.clean(&text)));
        webhook_error(
            retry,
            format!("it answered {status}{}{remedy}", explanation.unwrap_or_default()),
        )
    }

    /// A foreign text without the parts of the URL.
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

/// Follows redirects within the same server that keep the request as it was. Others turn a POST into a GET, which
/// delivers nothing.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let kept = matches!(attempt.status().as_u16(), 307 | 308);
        let here = attempt
            .previous()
            .first()
            .is_some_and(|first| first.origin() == attempt.url().origin());
        if kept && here && attempt.previous().len() <= REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn webhook_error(retry: Retry, reason: String) -> WebhookError {
    WebhookError { reason, retry }
}

/// A URL as a whole and in parts, longest first.
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

/// The service's explanation of an error, where that is one short line.
fn explanation(json: Option<&Value>, answer: &[u8]) -> Option<String> {
    let text = match json {
        Some(json) => ["description", "message", "error"]
            .iter()
            .find_map(|field| json.get(field)?.as_str())?,
        None => std::str::from_utf8(answer).ok()?.trim(),
    };
    let fits = !text.is_empty() && !text.contains(|c: char| c == '<' || c.is_control());
    (fits && text.chars().count() <= EXPLANATION_MAX).then(|| text.to_owned())
}
