//! Calls of the AWS query APIs: signed forms out, XML back.

use std::time::Duration;

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Body, Request, StatusCode};
use url::{Url, form_urlencoded};

use super::consistency::ErrorClass;
use super::transport::{CLOCK, ErrorResponse, LARGEST};
use agent_core::units::show_duration;
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
}

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ApiError {
    /// What it says about the same call a moment later.
    pub class: ErrorClass,
    text: String,
}

impl ApiError {
    pub(super) fn new(class: ErrorClass, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { class, text }
    }
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
            let text = format!("{action}: no answer within {}", show_duration(TIMEOUT));
            Err(ApiError::new(ErrorClass::Transient, text))
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
        let lost = |error: RequestError| ApiError::new(ErrorClass::Transient, format!("{action}: {error}"));
        let refused =
            |error: &dyn std::fmt::Display| ApiError::new(ErrorClass::Permanent, format!("{action}: {error}"));
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
            Err(broken) if status.is_success() => {
                Err(ApiError::new(ErrorClass::Transient, format!("{action}: {broken}")))
            }
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

/// The error that a response other than success stands for. A remedy comes first: what AWS says may be long.
fn api_error(service: Service, action: &str, status: StatusCode, xml: &str) -> ApiError {
    let answer = ErrorResponse::read(status, xml);
    let class = answer.class();
    let text = match answer.code.as_str() {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            format!(
                "allow {}:{action} to the instance's role ({action}: {answer})",
                service.name
            )
        }
        _ if answer.is_of_another_time() => format!("{CLOCK} ({action}: {answer})"),
        // What EC2 says of a wrong clock may have no word about time.
        "AuthFailure" | "SignatureDoesNotMatch" | "InvalidSignatureException" => {
            format!("see that this host's clock is right: the role's credentials are not accepted ({action}: {answer})")
        }
        _ if class == ErrorClass::Credentials => {
            format!("the role's credentials are not accepted ({action}: {answer})")
        }
        _ => format!("{action}: {answer}"),
    };
    ApiError::new(class, text)
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
    fn refusal_begins_with_its_remedy_and_ends_before_the_encoded_message() {
        let of = |service, action: &str, status: u16, code: &str, message: &str| {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            api_error(service, action, status, &error(code, message))
        };
        let said = "You are not authorized to perform this operation. Encoded authorization failure message: 1tZcK3";
        let denied = of(EC2, "AttachVolume", 403, "UnauthorizedOperation", said);
        assert_eq!(denied.class, ErrorClass::Permanent);
        assert_eq!(
            denied.to_string(),
            "allow ec2:AttachVolume to the instance's role (AttachVolume: 403 Forbidden UnauthorizedOperation \
             You are not authorized to perform this operation.)"
        );
        let denied = of(AUTO_SCALING, "CompleteLifecycleAction", 403, "AccessDenied", "not you").to_string();
        assert!(
            denied.starts_with("allow autoscaling:CompleteLifecycleAction"),
            "{denied}"
        );
        for (code, said) in [
            ("RequestTimeTooSkewed", "The difference is too large."),
            ("RequestExpired", "Request has expired."),
            (
                "SignatureDoesNotMatch",
                "Signature expired: 20261201T000000Z is now earlier than 20261201T001000Z",
            ),
            (
                "SignatureDoesNotMatch",
                "Signature not yet current: 20261201T003000Z is still later than 20261201T001000Z",
            ),
        ] {
            let text = of(EC2, "DescribeVolumes", 403, code, said).to_string();
            let expected = format!("set this host's clock (DescribeVolumes: 403 Forbidden {code} {said})");
            assert_eq!(text, expected);
        }
        for (code, said) in [
            (
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
            ),
            (
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match.",
            ),
        ] {
            let text = of(EC2, "DescribeVolumes", 401, code, said).to_string();
            assert!(text.starts_with("see that this host's clock is right: "), "{text}");
        }
        let expired = of(EC2, "DescribeVolumes", 403, "ExpiredToken", "");
        assert_eq!(expired.class, ErrorClass::Credentials);
        let none = of(EC2, "DescribeVolumes", 400, "InvalidVolume.NotFound", "");
        assert_eq!(none.class, ErrorClass::Unsettled);
    }
}
