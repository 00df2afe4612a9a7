//! The few calls of AWS APIs that are needed: signed forms out, a word of XML back.

use std::time::Duration;

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Body, Request, StatusCode};
use url::{Url, form_urlencoded};

use super::transport::ErrorResponse;
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
        credentials: &AwsCredential,
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
        credentials: &AwsCredential,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, Failed> {
        let lost = |error: RequestError| Failed::Passing(format!("{action}: {error}"));
        let refused = |error: &dyn std::fmt::Display| Failed::Refused(format!("{action}: {error}"));
        let body = form(self.service, action, params);
        let request = ::http::Request::post(self.endpoint.as_str()).header(CONTENT_TYPE, FORM);
        let request = request.body(HttpRequestBody::from(body));
        let mut request = request.map_err(|error| refused(&error))?;
        AwsAuthorizer::new(credentials, self.service.name, &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| refused(&error))?;
        let request = Request::try_from(request.map(Body::wrap)).map_err(|error| lost(error.into()))?;
        let client = http::once(&self.endpoint, None, Policy::none()).await.map_err(lost)?;
        let answer = client.execute(request).await.map_err(|error| lost(error.into()))?;
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
    let answer = ErrorResponse::read(status, xml);
    let said = format!("{action}: {answer}");
    match answer.code.as_str() {
        "ExpiredToken" | "ExpiredTokenException" | "InvalidClientTokenId" | "RequestExpired" => {
            Failed::Credentials(said)
        }
        "AccessDenied" | "UnauthorizedOperation" => Failed::Refused(format!(
            "{said}; allow {}:{action} to the instance's role",
            service.name
        )),
        "ValidationError" if answer.message.contains("No active Lifecycle Action") => Failed::NoAction(said),
        _ if answer.may_pass() => Failed::Passing(said),
        _ => Failed::Refused(said),
    }
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
}
