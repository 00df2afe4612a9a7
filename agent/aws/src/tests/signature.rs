//! Signature Version 4 of a request, verified as an API does.

use axum::http::HeaderMap;
use ring::{digest, hmac};

/// Whether `secret` signed this request; `target` is the path, and the query in the order of its names.
pub(super) fn is_signed(secret: &str, method: &str, target: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    let authorization = header("authorization");
    let part = |name: &str| authorization.split_once(name).unwrap().1.split(',').next().unwrap();
    let (_, scope) = part("Credential=").split_once('/').unwrap();
    let names = part("SignedHeaders=");
    let signed = names.split(';').map(|name| format!("{name}:{}\n", header(name)));
    let hash = |bytes: &[u8]| hex::encode(digest::digest(&digest::SHA256, bytes));
    let canonical = format!(
        "{method}\n{path}\n{query}\n{}\n{names}\n{}",
        signed.collect::<String>(),
        hash(body)
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        header("x-amz-date"),
        hash(canonical.as_bytes())
    );
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let first = format!("AWS4{secret}").into_bytes();
    let key = scope
        .split('/')
        .fold(first, |key, step| mac(&key, step).as_ref().to_vec());
    part("Signature=") == hex::encode(mac(&key, &text))
}

#[test]
fn published_test_suite_has_the_published_signatures() {
    for (method, kind, body, signature) in [
        (
            "GET",
            None,
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            Some("application/x-www-form-urlencoded"),
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("host", "example.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        let mut names = "host;x-amz-date".to_owned();
        if let Some(kind) = kind {
            headers.insert("content-type", kind.parse().unwrap());
            names.insert_str(0, "content-type;");
        }
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        );
        headers.insert("authorization", authorization.parse().unwrap());
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert!(is_signed(secret, method, "/", &headers, body.as_bytes()), "{method}");
        assert!(!is_signed(secret, method, "/x", &headers, body.as_bytes()), "{method}");
    }
}
