//! Calls of the AWS query APIs: signed forms out, XML back.

use std::time::Duration;

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Body, Request, StatusCode};
use url::{Url, form_urlencoded};

use super::transport::{ErrorResponse, LARGEST};
use agent_net::http::{self, RequestError};

/// Limit of one call as a whole.
const TIMEOUT: Duration = Duration::from_secs(10);
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// One of the APIs: its name in signatures, and its version.
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

/// One API in one region, as called by this instance.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) endpoint: Url,
    pub(super) region: String,
    pub(super) service: Service,
    pub(super) instance: String,
}

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The same call may succeed later.
    #[error("{0}")]
    Transient(String),
    /// The credentials were rejected; new ones may be accepted.
    #[error("the role's credentials are not accepted ({0})")]
    Credentials(String),
    /// There is no such lifecycle action, or no longer.
    #[error("there is no lifecycle action under way ({0})")]
    NoLifecycleAction(String),
    /// The request itself was rejected.
    #[error("{0}")]
    Refused(String),
}

impl Api {
    /// Calls `action`, within ten seconds. Returns the response's XML.
    pub(super) async fn call(
        &self,
        credentials: &AwsCredential,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, ApiError> {
        let timed_out = |_| {
            Err(ApiError::Transient(format!(
                "{action}: no answer within {} s",
                TIMEOUT.as_secs()
            )))
        };
        let done = tokio::time::timeout(TIMEOUT, self.exchange(credentials, action, params)).await;
        done.unwrap_or_else(timed_out)
    }

    async fn exchange(
        &self,
        credentials: &AwsCredential,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, ApiError> {
        let lost = |error: RequestError| ApiError::Transient(format!("{action}: {error}"));
        let refused = |error: &dyn std::fmt::Display| ApiError::Refused(format!("{action}: {error}"));
        let body = form(self.service, action, params);
        let request = ::http::Request::post(self.endpoint.as_str()).header(CONTENT_TYPE, FORM);
        let request = request.body(HttpRequestBody::from(body));
        let mut request = request.map_err(|error| refused(&error))?;
        AwsAuthorizer::new(credentials, self.service.name, &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| refused(&error))?;
        let request = Request::try_from(request.map(Body::wrap)).map_err(|error| lost(error.into()))?;
        let client = http::once(&self.endpoint, None, Policy::none()).await.map_err(lost)?;
        let answer = http::execute(&client, request).await.map_err(lost)?;
        let status = answer.status();
        let text = http::text(answer, LARGEST).await;
        match text {
            Ok(text) if status.is_success() => Ok(text),
            Err(broken) if status.is_success() => Err(ApiError::Transient(format!("{action}: {broken}"))),
            text => Err(api_error(self.service, action, status, &text.unwrap_or_default())),
        }
    }
}

fn form(service: Service, action: &str, params: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action)
        .append_pair("Version", service.version);
    form.extend_pairs(params).finish()
}

/// The error that a response other than success stands for.
fn api_error(service: Service, action: &str, status: StatusCode, xml: &str) -> ApiError {
    let answer = ErrorResponse::read(status, xml);
    let text = format!("{action}: {answer}");
    match answer.code.as_str() {
        "ExpiredToken" | "ExpiredTokenException" | "InvalidClientTokenId" | "RequestExpired" => {
            ApiError::Credentials(text)
        }
        "AccessDenied" | "UnauthorizedOperation" => ApiError::Refused(format!(
            "{text}; allow {}:{action} to the instance's role",
            service.name
        )),
        // One code for everything that is wrong with a request: the message begins with what.
        "ValidationError" if answer.message.starts_with("No active Lifecycle Action found") => {
            ApiError::NoLifecycleAction(text)
        }
        _ if answer.is_transient() => ApiError::Transient(text),
        _ => ApiError::Refused(text),
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
    fn error_response_is_classified_by_status_and_code() {
        let call = "CompleteLifecycleAction";
        let of = |status: u16, code: &str, message: &str| {
            api_error(
                AUTO_SCALING,
                call,
                StatusCode::from_u16(status).unwrap_or_default(),
                &error(code, message),
            )
        };
        assert!(matches!(of(400, "Throttling", "Rate exceeded"), ApiError::Transient(_)));
        assert!(matches!(of(503, "", ""), ApiError::Transient(_)));
        assert!(matches!(of(429, "", ""), ApiError::Transient(_)));
        assert!(matches!(of(403, "ExpiredToken", ""), ApiError::Credentials(_)));
        let none = of(
            400,
            "ValidationError",
            "No active Lifecycle Action found with instance ID i-1",
        );
        assert!(matches!(none, ApiError::NoLifecycleAction(_)));
        let denied = of(403, "AccessDenied", "not you").to_string();
        assert!(denied.contains("allow autoscaling:CompleteLifecycleAction"), "{denied}");
    }
}
