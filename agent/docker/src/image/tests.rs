#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

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
