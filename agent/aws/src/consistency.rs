//! Which answers of AWS are believed, and after how long. One rule for every API that the agent calls.
//!
//! AWS' APIs are eventually consistent: an answer that follows a change closely may describe the state before it. What an
//! error means for the same call a moment later, and how long an answer that may be out of date is asked again, is decided
//! here and nowhere else.

use std::time::Duration;

use agent_runtime::Instant;
use reqwest::StatusCode;

/// What was configured may be too new to be found: EC2 knows a new volume within seconds, a new role within half a minute.
pub(super) const NOT_FOUND: Duration = Duration::from_secs(30);
/// An answer about an attachment that contradicts what the host itself sees.
pub const ATTACHMENT: Duration = Duration::from_secs(10);
/// An attachment ends within seconds; one that takes longer needs another device name, or a reboot.
pub const ATTACHING: Duration = Duration::from_mins(1);
/// An answer to the lifecycle hook that is not accepted is reported after so long.
pub(super) const UNANSWERED: Duration = Duration::from_mins(1);
/// A query of unknown outcome, whatever its errors: nothing starts without its answer.
pub const UNKNOWN: Duration = Duration::from_secs(35);
/// The first and the longest pause before an answer that may be out of date is asked again.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Codes of errors that say nothing about the request.
const TRANSIENT: [&str; 20] = [
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "EC2ThrottledException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "OperationAborted",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "Unavailable",
];
/// Codes of credentials that are no longer, or not yet, accepted.
const CREDENTIALS: [&str; 8] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "RequestExpired",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];
/// Codes of a state that may be on its way to another.
const UNSETTLED: [&str; 8] = [
    "DependencyViolation",
    "IncorrectInstanceState",
    "IncorrectState",
    "InvalidInstanceState",
    "ResourceContention",
    "ResourceInUse",
    "ScalingActivityInProgress",
    "VolumeInUse",
];

/// What an error says about the same call a moment later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Throttled, overloaded or lost: it says nothing about the request.
    Transient,
    /// The credentials were rejected; new ones may be accepted.
    Credentials,
    /// "Not found", "not active", "in use": true, or the state before the latest change.
    Unsettled,
    /// Refused until the request or the rights are changed.
    Permanent,
}

impl ErrorClass {
    /// The class of an error response.
    pub(super) fn of(status: StatusCode, code: &str, message: &str) -> Self {
        let is_busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if TRANSIENT.contains(&code) || is_busy {
            Self::Transient
        } else if CREDENTIALS.contains(&code) {
            Self::Credentials
        } else if is_unsettled(code, message) {
            Self::Unsettled
        } else {
            Self::Permanent
        }
    }
}

fn is_unsettled(code: &str, message: &str) -> bool {
    // EC2 puts the kind of the resource first: InvalidVolume.NotFound, InvalidSnapshot.InUse.
    let of_resource = [".NotFound", ".InUse", ".InvalidState"];
    let by_message = match code {
        // One code for everything that is wrong with a request: the message begins with what.
        "ValidationError" => message.starts_with("No active Lifecycle Action found"),
        // A device name, which the next attempt changes.
        "InvalidParameterValue" => message.contains("already in use"),
        _ => false,
    };
    by_message || UNSETTLED.contains(&code) || of_resource.iter().any(|end| code.ends_with(end))
}

/// How long the same answer has been given, against the bound after which it is believed.
#[derive(Debug)]
pub struct Patience {
    bound: Duration,
    since: Option<Instant>,
}

impl Patience {
    /// For an answer that is believed after `bound`.
    pub fn new(bound: Duration) -> Self {
        Self { bound, since: None }
    }

    /// Counts an answer. Returns how long it has been the same since it was first given.
    pub fn waited(&mut self) -> Duration {
        self.since.get_or_insert_with(Instant::now).elapsed()
    }

    /// Counts an answer. Returns whether it is to be believed now.
    pub fn is_over(&mut self) -> bool {
        self.waited() >= self.bound
    }

    /// Another answer was given.
    pub fn reset(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_classified_by_status_code_and_message() {
        use ErrorClass::{Credentials, Permanent, Transient, Unsettled};
        let in_use = "Attachment point /dev/sdp is already in use";
        for (status, code, message, expected) in [
            (503, "", "", Transient),
            (429, "", "", Transient),
            (400, "Throttling", "Rate exceeded", Transient),
            (400, "RequestLimitExceeded", "", Transient),
            (200, "InternalError", "", Transient),
            (200, "ServiceUnavailable", "", Transient),
            (409, "OperationAborted", "", Transient),
            (403, "ExpiredToken", "", Credentials),
            (401, "AuthFailure", "", Credentials),
            (
                400,
                "ValidationError",
                "No active Lifecycle Action found with i-1",
                Unsettled,
            ),
            (400, "ValidationError", "1 validation error detected", Permanent),
            (400, "InvalidVolume.NotFound", "", Unsettled),
            (400, "InvalidSnapshot.InUse", "", Unsettled),
            (400, "InvalidAMIID.NotFound", "", Unsettled),
            (400, "VolumeInUse", "", Unsettled),
            (400, "IncorrectState", "", Unsettled),
            (400, "InvalidParameterValue", in_use, Unsettled),
            (400, "InvalidParameterValue", "Value (x) is invalid", Permanent),
            (400, "InvalidVolume.ZoneMismatch", "", Permanent),
            (403, "AccessDenied", "", Permanent),
            (403, "UnauthorizedOperation", "", Permanent),
            (404, "NoSuchUpload", "", Permanent),
            (301, "PermanentRedirect", "", Permanent),
        ] {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            assert_eq!(ErrorClass::of(status, code, message), expected, "{code} {message}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answer_is_believed_after_its_bound_without_another_between() {
        let mut patience = Patience::new(NOT_FOUND);
        assert!(!patience.is_over());
        tokio::time::advance(NOT_FOUND / 2).await;
        assert!(!patience.is_over());
        patience.reset();
        assert!(!patience.is_over());
        tokio::time::advance(NOT_FOUND).await;
        assert!(patience.is_over());
    }
}
