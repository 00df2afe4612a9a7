//! The few calls of AWS APIs that are needed: signed forms out, a word of XML back.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use url::{Position, Url, form_urlencoded};

use super::credentials::Credentials;
use super::sigv4::{Signer, amz_date};
use agent_net::http::{self, RequestError};

/// One call as a whole.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Size of the largest answer that is read, bytes.
const LARGEST: usize = 64 << 10;
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Which of the APIs: its name for signatures, and its version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

pub(super) const AUTO_SCALING: Service = Service {
    name: "autoscaling",
    version: "2011-01-01",
};
pub(super) const EC2: Service = Service {
    name: "ec2",
    version: "2016-11-15",
};

/// Where the API is.
#[derive(Debug, Clone)]
pub(super) struct Api {
    endpoint: Url,
    region: String,
    service: Service,
}

/// A call that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failed {
    /// It may go well later.
    #[error("{0}")]
    Passing(String),
    /// The credentials are not taken: new ones may be.
    #[error("the role's credentials are not accepted ({0})")]
    Credentials(String),
    /// There is no such lifecycle action, or not any more.
    #[error("there is no lifecycle action under way ({0})")]
    NoAction(String),
    /// Not as it is asked.
    #[error("{0}")]
    Refused(String),
}

impl Api {
    pub(super) fn new(endpoint: Url, region: &str, service: Service) -> Self {
        Self {
            endpoint,
            region: region.to_owned(),
            service,
        }
    }

    /// Carries out `action`. Returns the XML of the answer. Ends within ten seconds.
    pub(super) async fn call(
        &self,
        credentials: &Credentials,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, Failed> {
        let late = |_| {
            Err(Failed::Passing(format!(
                "{action}: no answer within {} s",
                TIMEOUT.as_secs()
            )))
        };
        let done = tokio::time::timeout(TIMEOUT, self.exchange(credentials, action, params)).await;
        done.unwrap_or_else(late)
    }

    async fn exchange(
        &self,
        credentials: &Credentials,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, Failed> {
        let body = form(self.service, action, params);
        let date = amz_date(Timestamp::now());
        let host = &self.endpoint[Position::BeforeHost..Position::AfterPort];
        let headers = [
            ("content-type", FORM),
            ("host", host),
            ("x-amz-date", &date),
            ("x-amz-security-token", &credentials.token),
        ];
        let signer = Signer {
            access_key: &credentials.access_key_id,
            secret_key: &credentials.secret_access_key,
            region: &self.region,
            service: self.service.name,
        };
        let authorization = signer.authorization("POST", self.endpoint.path(), &headers, body.as_bytes(), &date);
        let lost = |error: RequestError| Failed::Passing(format!("{action}: {error}"));
        let client = http::once(&self.endpoint, None, Policy::none()).await.map_err(lost)?;
        let request = client.post(self.endpoint.clone()).header(AUTHORIZATION, authorization);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.body(body).send().await.map_err(|error| lost(error.into()))?;
        let status = answer.status();
        let text = http::text(answer, LARGEST).await;
        match text {
            Ok(text) if status.is_success() => Ok(text),
            Err(broken) if status.is_success() => Err(Failed::Passing(format!("{action}: {broken}"))),
            text => Err(failed(self.service, action, status, &text.unwrap_or_default())),
        }
    }
}

fn form(service: Service, action: &str, params: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action)
        .append_pair("Version", service.version);
    form.extend_pairs(params).finish()
}

/// What an answer other than success means.
fn failed(service: Service, action: &str, status: StatusCode, xml: &str) -> Failed {
    let code = element(xml, "Code").unwrap_or_default();
    let message = element(xml, "Message").unwrap_or_default();
    let said = format!("{action}: {status} {code} {message}").trim_end().to_owned();
    match code.as_str() {
        "ExpiredToken" | "ExpiredTokenException" | "InvalidClientTokenId" | "RequestExpired" => {
            Failed::Credentials(said)
        }
        "AccessDenied" | "UnauthorizedOperation" => Failed::Refused(format!(
            "{said}; allow {}:{action} to the instance's role",
            service.name
        )),
        "ValidationError" if message.contains("No active Lifecycle Action") => Failed::NoAction(said),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => Failed::Passing(said),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Failed::Passing(said),
        _ => Failed::Refused(said),
    }
}

/// The text of the first element of that name, at most 1024 characters of it: what has to be handed back is not cut.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text.trim().to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    });
    Some(plain.chars().filter(|c| !c.is_control()).take(1024).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> String {
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        )
    }

    #[test]
    fn what_an_error_means_decides_what_is_done() {
        let call = "CompleteLifecycleAction";
        let of = |status: u16, code: &str, message: &str| {
            failed(
                AUTO_SCALING,
                call,
                StatusCode::from_u16(status).unwrap_or_default(),
                &error(code, message),
            )
        };
        assert!(matches!(of(400, "Throttling", "Rate exceeded"), Failed::Passing(_)));
        assert!(matches!(of(503, "", ""), Failed::Passing(_)));
        assert!(matches!(of(429, "", ""), Failed::Passing(_)));
        assert!(matches!(of(403, "ExpiredToken", ""), Failed::Credentials(_)));
        let none = of(
            400,
            "ValidationError",
            "No active Lifecycle Action found with instance ID i-1",
        );
        assert!(matches!(none, Failed::NoAction(_)));
        let denied = of(403, "AccessDenied", "not you").to_string();
        assert!(denied.contains("allow autoscaling:CompleteLifecycleAction"), "{denied}");
    }

    #[test]
    fn an_element_is_read_as_text() {
        let xml = "<a><Name>one &amp; &lt;two&gt;</Name><Name>three</Name></a>";
        assert_eq!(element(xml, "Name").as_deref(), Some("one & <two>"));
        assert_eq!(element(xml, "Other"), None);
        assert_eq!(element("<Name>cut", "Name"), None);
    }
}
