//! `object_store`'s HTTP transport, and the error responses of AWS APIs.

use std::time::Duration;

use agent_net::http::{self, RequestError};
use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use quick_xml::events::Event;
use reqwest::{Client, Method, Request, StatusCode, Url};

use super::consistency::ErrorClass;

/// Limit of a request up to its response's head.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Size of the largest response that is read as text, bytes.
pub(super) const LARGEST: usize = 64 << 10;
/// What to do about a request that AWS takes for one of another time.
pub(super) const CLOCK: &str = "set this host's clock";
/// A response other than success.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", format!("{status} {code} {message}").trim_end())]
pub struct ErrorResponse {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    /// The region that S3 names in place of the one that was asked.
    pub(super) region: Option<String>,
}

impl ErrorResponse {
    /// Parses a response's body, which may be anything.
    pub(super) fn read(status: StatusCode, xml: &str) -> Self {
        let message = element(xml, "Message").unwrap_or_default();
        // What follows is for machines, and a thousand characters long.
        let message = message
            .split("Encoded authorization failure message")
            .next()
            .unwrap_or_default();
        Self {
            status,
            code: element(xml, "Code").unwrap_or_default(),
            message: message.trim().to_owned(),
            region: element(xml, "Region")
                .or_else(|| region_of(&element(xml, "Endpoint")?))
                .filter(|region| is_region(region)),
        }
    }

    /// Whether the request was signed at a time that is not AWS' own.
    pub(super) fn is_of_another_time(&self) -> bool {
        match self.code.as_str() {
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => true,
            // Mostly another secret, unless the message speaks of time.
            "SignatureDoesNotMatch" | "InvalidSignatureException" => {
                let of_time = ["Signature expired", "Signature not yet current"];
                of_time.iter().any(|words| self.message.contains(words))
            }
            _ => false,
        }
    }

    /// What it says about the same request a moment later.
    pub(super) fn class(&self) -> ErrorClass {
        ErrorClass::of(self.status, &self.code, &self.message)
    }
}

/// The region in the name of an endpoint of S3: `s3.REGION.`, `s3-REGION.` or `s3.dualstack.REGION.`.
fn region_of(endpoint: &str) -> Option<String> {
    let mut labels = endpoint.split('.').skip_while(|label| !label.starts_with("s3"));
    let first = labels.next()?;
    let region = match first.strip_prefix("s3-") {
        Some(region) => region,
        None => labels.find(|label| *label != "dualstack")?,
    };
    Some(region.to_owned())
}

fn is_region(text: &str) -> bool {
    let of_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.contains('-') && text.len() < 40 && text.chars().all(of_region)
}

/// The first `most` characters of a text that are no control characters.
pub(super) fn plain(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// The text of the first element of that name, at most 1024 characters.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.name().as_ref() == name.as_bytes() => {
                let text = reader.read_text(start.name()).ok()?.decode().ok()?;
                let text = quick_xml::escape::unescape(text.trim()).ok()?;
                return Some(plain(&text, 1024));
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Connects to the store at this URL, and to the services that issue credentials for it.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Url);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Only the link-local credential services are contacted in the clear, and without a proxy.
        let is_local = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let client = if is_local {
            http::local()
        } else {
            http::internet(&self.0, None)
        };
        let client = client.and_then(|client| Ok(client.build()?));
        let client = client.map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: error.into(),
        })?;
        Ok(HttpClient::new(Transport(client)))
    }
}

#[derive(Debug)]
struct Transport(Client);

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let lost = |error: RequestError| HttpError::new(HttpErrorKind::Request, error);
        let broken = |error| HttpError::new(HttpErrorKind::Interrupted, error);
        let is_post = request.method() == Method::POST;
        let request = Request::try_from(request.map(reqwest::Body::wrap)).map_err(|error| lost(error.into()))?;
        let answer = tokio::time::timeout(TIMEOUT, http::execute(&self.0, request)).await;
        let answer = answer.map_err(|_| lost(RequestError::Lost("no answer".to_owned())))?;
        let answer = answer.map_err(lost)?;
        let status = answer.status();
        if status.is_success() && !is_post {
            let answer = ::http::Response::<reqwest::Body>::from(answer);
            return Ok(answer.map(|body| HttpResponseBody::new(body.map_err(broken))));
        }
        let named = answer.headers().get("x-amz-bucket-region");
        let named = named.and_then(|region| Some(region.to_str().ok()?.to_owned()));
        let xml = http::text(answer, LARGEST).await.unwrap_or_default();
        let mut answer = ErrorResponse::read(status, &xml);
        answer.region = named.filter(|region| is_region(region)).or(answer.region);
        // The completion of an upload may fail after a status of success was sent.
        if status.is_success() && answer.code.is_empty() {
            return Ok(HttpResponse::new(xml.into()));
        }
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_returns_unescaped_text() {
        let xml = "<a><!-- <Name>no</Name> --><Name>one &amp; &lt;two&#62;</Name><Name>three</Name></a>";
        assert_eq!(element(xml, "Name").as_deref(), Some("one & <two>"));
        for (xml, name) in [(xml, "Other"), ("<Name>cut", "Name"), ("no XML", "Name"), ("", "Name")] {
            assert_eq!(element(xml, name), None, "{xml}");
        }
    }
}
