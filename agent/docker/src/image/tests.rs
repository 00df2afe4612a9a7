#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

#[test]
fn what_the_registry_says_decides_the_remedy() {
    let kind = |text: &str, status| match classify(text.to_owned(), status) {
        ImageFault::Unauthorized(_) => "login",
        ImageFault::NotFound(_) => "reference",
        ImageFault::Registry(_) => "network",
        ImageFault::Digest(_) => "digest",
        ImageFault::Invalid(_) => "grammar",
        _ => "other",
    };
    for (text, status, expected) in [
        (
            "Head \"http://r/v2/n/manifests/1\": no basic auth credentials",
            Some(500),
            "login",
        ),
        ("unauthorized: authentication required", Some(401), "login"),
        (
            "manifest for r/n:9 not found: manifest unknown: manifest unknown",
            Some(404),
            "reference",
        ),
        (
            "pull access denied for n, repository does not exist or may require 'docker login'",
            Some(404),
            "reference",
        ),
        (
            "Get \"http://r/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            Some(500),
            "network",
        ),
        (
            "Get \"https://r/v2/\": net/http: TLS handshake timeout",
            Some(500),
            "network",
        ),
        (
            "Get \"https://r/v2/\": dial tcp: lookup r: no such host",
            Some(500),
            "network",
        ),
        (
            "read tcp 10.0.0.1:5->10.0.0.2:443: read: connection reset by peer",
            None,
            "network",
        ),
        ("manifest verification failed for digest sha256:ab", Some(500), "digest"),
        (
            "invalid reference format: repository name must be lowercase",
            Some(400),
            "grammar",
        ),
        ("write /var/lib/docker/tmp/x: no space left on device", None, "other"),
    ] {
        assert_eq!(kind(text, status), expected, "{text}");
    }
}

fn image(id: &str, digests: &[&str]) -> ImageInspect {
    ImageInspect {
        id: Some(id.to_owned()),
        repo_digests: Some(digests.iter().map(|digest| (*digest).to_owned()).collect()),
        ..ImageInspect::default()
    }
}

#[test]
fn an_image_is_pinned_to_its_own_repositorys_digest_or_else_to_its_id() {
    let both = image("sha256:id", &["other/node@sha256:aa", "org/node@sha256:bb"]);
    assert_eq!(
        pin(&ImageReference::parse("docker.io/org/node:v1"), &both).unwrap(),
        "org/node@sha256:bb"
    );
    assert_eq!(pin(&ImageReference::parse("built/here:1"), &both).unwrap(), "sha256:id");
}

#[test]
fn another_digest_than_the_pinned_one_is_refused() {
    let pulled = image("sha256:id", &["org/node@sha256:aa"]);
    assert_eq!(
        pin(&ImageReference::parse("org/node@sha256:aa"), &pulled).unwrap(),
        "org/node@sha256:aa"
    );
    let fault = pin(&ImageReference::parse("org/node@sha256:bb"), &pulled).unwrap_err();
    assert!(
        matches!(&fault, ImageFault::Digest(reason) if reason.contains("sha256:bb")),
        "{fault}"
    );
}

#[test]
fn progress_counts_layers_and_bytes() {
    let mut progress = Progress::default();
    for line in [
        r#"{"status":"Pulling from org/node","id":"v1"}"#,
        r#"{"status":"Already exists","id":"a"}"#,
        r#"{"status":"Pulling fs layer","id":"b"}"#,
        r#"{"status":"Downloading","progressDetail":{"current":10,"total":40},"id":"b"}"#,
        r#"{"status":"Downloading","progressDetail":{"current":30,"total":40},"id":"b"}"#,
        r#"{"status":"Extracting","progressDetail":{"current":1,"total":40},"id":"b"}"#,
        r#"{"status":"Digest: sha256:cc"}"#,
    ] {
        progress.take(serde_json::from_str(line).unwrap());
    }
    assert_eq!(progress.totals(), (1, 2, 30, 40));
    progress.take(serde_json::from_str(r#"{"status":"Pull complete","id":"b"}"#).unwrap());
    assert_eq!(progress.totals(), (2, 2, 40, 40));
}
