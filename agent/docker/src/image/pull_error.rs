//! Why a pull failed: which step, and what the registry, the network or the disk said there.
//!
//! Texts are those of moby (`distribution/pull_v2.go`), containerd (`core/remotes/docker`, `core/content`,
//! `core/unpack`), the codes of the distribution specification as `distribution/registry/api/errcode` prints them, and
//! Go's `net` and `net/http`.

use crate::ImageFault;
use crate::error::layers::{begins, has, layers};

/// Steps of a pull that leave the registry alone; everything else is a conversation with it.
const STORE: [&str; 3] = [
    "failed to get reader from content store",
    "content digest sha256",
    "failed to read config content",
];
const UNPACK: [&str; 5] = [
    "failed to register layer",
    "failed to unpack image",
    "apply layer error for",
    "failed to extract layer",
    "failed to prepare extraction snapshot",
];

/// Content that is not what its digest says, in moby's words.
const OTHER_MANIFEST: &str = "manifest verification failed for digest";
const DAMAGED: [&str; 2] = [
    "filesystem layer verification failed for digest",
    "image config verification failed for digest",
];
/// The same in containerd's words, behind `failed commit on ref "KIND-sha256:…"`.
const REFUSED_COMMIT: [&str; 2] = ["unexpected commit digest", "unexpected commit size"];
const MANIFEST_REFS: [&str; 2] = ["failed commit on ref \"manifest-", "failed commit on ref \"index-"];

/// The kernel's words for a file system without room.
const NO_ROOM: [&str; 2] = ["no space left on device", "disk quota exceeded"];

/// How a connection ends that broke half way.
const RESETS: [&str; 4] = ["EOF", "unexpected EOF", "connection reset by peer", "broken pipe"];

/// The fault that `reason` stands for; `status` is the HTTP status of Docker's own answer.
pub(crate) fn classify(reason: String, status: Option<u16>) -> ImageFault {
    let parts = layers(&reason);
    let refused_commit = begins(&parts, &REFUSED_COMMIT);
    if has(&parts, &NO_ROOM) {
        ImageFault::DiskFull { reason, store: None }
    } else if begins(&parts, &[OTHER_MANIFEST]) || (refused_commit && begins(&parts, &MANIFEST_REFS)) {
        ImageFault::Digest(reason)
    } else if refused_commit || begins(&parts, &DAMAGED) {
        ImageFault::Damaged(reason)
    } else if begins(&parts, &STORE) {
        ImageFault::Store(reason)
    } else if begins(&parts, &UNPACK) {
        ImageFault::Unpack(reason)
    } else if begins(&parts, &["invalid reference format", "invalid tag format"]) {
        ImageFault::Invalid(reason)
    } else {
        // Docker's own answer is a 500 whatever happened on the way to the registry.
        let own = status.filter(|status| *status < 500).and_then(Answer::from_status);
        match Answer::of(&parts).or(own) {
            Some(Answer::Refused) => ImageFault::Unauthorized(reason),
            Some(Answer::Unknown) => ImageFault::NotFound(reason),
            Some(Answer::TooMany) => ImageFault::RateLimited(reason),
            Some(Answer::Failing) => ImageFault::Registry(reason),
            None if is_transport(&parts) => ImageFault::Registry(reason),
            None => ImageFault::Pull(reason),
        }
    }
}

/// What a registry answers instead of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Refused,
    Unknown,
    TooMany,
    /// The registry itself is in trouble.
    Failing,
}

impl Answer {
    /// The first layer that is an error code of the registry, or names the HTTP status of its answer.
    fn of(parts: &[&str]) -> Option<Self> {
        // Docker Hub does not say whether a repository is private or absent, and it cannot be known otherwise.
        if begins(parts, &["pull access denied"]) {
            return Some(Self::Unknown);
        }
        let known = parts.iter().find_map(|part| Self::from_code(part));
        known.or_else(|| parts.iter().find_map(|part| Self::from_status(http_status(part)?)))
    }

    fn from_code(part: &str) -> Option<Self> {
        match part {
            "toomanyrequests" => Some(Self::TooMany),
            // The last three: Docker or containerd themselves, without a login that the registry would take.
            "unauthorized" | "denied" | "no basic auth credentials" | "insufficient_scope" | "authorization failed" => {
                Some(Self::Refused)
            }
            "manifest unknown" | "name unknown" | "blob unknown" | "not found" => Some(Self::Unknown),
            _ => None,
        }
    }

    fn from_status(status: u16) -> Option<Self> {
        match status {
            401 | 403 => Some(Self::Refused),
            404 => Some(Self::Unknown),
            429 => Some(Self::TooMany),
            500..=599 => Some(Self::Failing),
            _ => None,
        }
    }
}

/// The status in `403 Forbidden` or `error parsing HTTP 403 response body`.
fn http_status(part: &str) -> Option<u16> {
    let part = part.strip_prefix("error parsing HTTP ").unwrap_or(part);
    let (status, rest) = part.split_at_checked(3)?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| status.parse().ok())?
}

/// Whether the conversation failed, not what was asked in it: a request of Go's HTTP client, or an operation on a
/// connection, stands among the layers.
fn is_transport(parts: &[&str]) -> bool {
    let request = ["Get", "Head", "Post"].map(|method| format!("{method} \"http"));
    let is_request = |part: &&str| request.iter().any(|begin| part.starts_with(begin.as_str()));
    let is_operation = |part: &&str| {
        let mut words = part.split(' ');
        matches!(words.next(), Some("dial" | "read" | "write" | "proxyconnect"))
            && matches!(words.next(), Some("tcp" | "tcp4" | "tcp6" | "udp"))
    };
    parts.iter().any(|part| is_request(part) || is_operation(part))
        || begins(parts, &["x509", "tls", "net/http", "context deadline exceeded"])
        || is_reset(parts)
}

fn is_reset(parts: &[&str]) -> bool {
    parts.last().is_some_and(|last| RESETS.contains(last))
}

/// Whether a connection broke half way, so that another attempt goes on where this one stopped.
pub(super) fn was_reset(reason: &str) -> bool {
    is_reset(&layers(reason))
}

/// What to do about a registry that cannot be reached.
pub(crate) fn network_remedy(reason: &str) -> &'static str {
    let parts = layers(reason);
    if parts.iter().any(|part| part.starts_with("proxyconnect ")) {
        "check HTTP_PROXY and HTTPS_PROXY of docker.service"
    } else if begins(&parts, &["lookup "]) || has(&parts, &["no such host"]) {
        "check the resolver of this host and the registry's name"
    } else if begins(&parts, &["x509", "tls"]) {
        "check the clock of this host, and the registry's certificate in /etc/docker/certs.d"
    } else if parts.iter().any(|part| http_status(part).is_some()) {
        "wait until the registry works again"
    } else {
        "check the network"
    }
}

#[cfg(test)]
mod tests;
