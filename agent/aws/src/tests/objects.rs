//! Requests to a bucket, and retries.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::net::TcpListener;

use super::fake::Fake;
use super::signature::is_signed;
use crate::s3::S3Bucket;
use crate::s3::endpoint::Settings;

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A store that sends scripted responses and records the requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    answers: Arc<Mutex<Vec<Response>>>,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
    /// Responses to HEAD, in order; then 404.
    pub(super) heads: Arc<Mutex<Vec<Response>>>,
}

impl Store {
    pub(super) fn methods(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .map(|asked| asked.method.clone())
            .collect()
    }
}

async fn answer(State(store): State<Store>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    store.asked.lock().unwrap().push(Asked {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body,
    });
    let answers = if parts.method == Method::HEAD {
        store.heads
    } else {
        store.answers
    };
    let mut answers = answers.lock().unwrap();
    if parts.method == Method::HEAD && answers.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    answers.remove(0)
}

pub(super) fn error(status: u16, code: &str) -> Response {
    let xml = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>so it is</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), xml).into_response()
}

fn etag(body: &'static str) -> Response {
    ([("etag", "\"one\"")], body).into_response()
}

/// A bucket of a store with these responses, used with the instance's role.
pub(super) async fn bucket(imds: &Fake, answers: Vec<Response>) -> (S3Bucket, Store) {
    bucket_with(imds, answers, &[]).await
}

/// The same, with variables of the environment.
pub(super) async fn bucket_with(imds: &Fake, answers: Vec<Response>, vars: &[(&str, &str)]) -> (S3Bucket, Store) {
    let vars = vars
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let store = Store::default();
    *store.answers.lock().unwrap() = answers;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(store.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let vars = [("AWS_ENDPOINT_URL_S3".to_owned(), endpoint)].into_iter().chain(vars);
    let mut bucket = S3Bucket::connect(Settings::read(vars, true), "bucket", &imds.base)
        .await
        .unwrap();
    bucket.pause = Duration::from_millis(1);
    (bucket, store)
}

#[tokio::test]
async fn every_request_of_an_upload_is_signed() {
    let imds = Fake::instance().await;
    let begun = "<InitiateMultipartUploadResult><UploadId>an id</UploadId></InitiateMultipartUploadResult>";
    let ended = "<CompleteMultipartUploadResult><ETag>all</ETag></CompleteMultipartUploadResult>";
    let answers = vec![begun.into_response(), etag(""), ended.into_response()];
    let (bucket, store) = bucket(&imds, answers).await;
    let id = bucket.begin_upload("a chain%.zst").await.unwrap();
    let tag = bucket
        .upload_part("a chain%.zst", &id, 0, Bytes::from_static(b"part"))
        .await
        .unwrap();
    bucket.complete_upload("a chain%.zst", &id, &[tag], 4).await.unwrap();
    let asked = store.asked.lock().unwrap();
    let targets = [
        "POST /bucket/a%20chain%25.zst?uploads=",
        "PUT /bucket/a%20chain%25.zst?partNumber=1&uploadId=an%20id",
        "HEAD /bucket/a%20chain%25.zst",
        "POST /bucket/a%20chain%25.zst?uploadId=an%20id",
    ];
    assert_eq!(asked.len(), targets.len());
    for (asked, target) in asked.iter().zip(targets) {
        // A blank may be encoded in two ways; the signature covers %20.
        let query = asked.target.replace('+', "%20");
        assert_eq!(format!("{} {query}", asked.method), target);
        assert_eq!(asked.headers["x-amz-security-token"], "session==");
        assert!(
            is_signed("secret/key", &asked.method, &query, &asked.headers, &asked.body),
            "{target}"
        );
    }
    let end = String::from_utf8(asked[3].body.to_vec()).unwrap();
    assert!(
        end.contains("<PartNumber>1</PartNumber>") && end.contains("one"),
        "{end}"
    );
}

#[tokio::test]
async fn transient_error_is_retried_with_new_credentials_when_expired() {
    let imds = Fake::instance().await;
    let answers = vec![
        error(503, "SlowDown"),
        error(400, "RequestTimeout"),
        error(400, "ExpiredToken"),
        etag(""),
    ];
    let (bucket, store) = bucket(&imds, answers).await;
    let id = "an id".to_owned();
    let sent = bucket.upload_part("key", &id, 6, Bytes::from_static(b"part")).await;
    assert!(sent.unwrap().contains("\"one\""));
    assert_eq!(store.asked.lock().unwrap().len(), 4);
    let of_role = |path: &&String| path.ends_with("credentials/collator");
    assert_eq!(imds.script(|s| s.asked.iter().filter(of_role).count()), 2);
}

#[tokio::test]
async fn permanent_error_names_call_and_code_without_retry() {
    let imds = Fake::instance().await;
    let answers = vec![error(404, "NoSuchUpload"), error(403, "AccessDenied")];
    let (bucket, store) = bucket(&imds, answers).await;
    let id = "an id".to_owned();
    let over = bucket.upload_part("key", &id, 0, Bytes::new()).await.unwrap_err();
    assert!(over.is_no_upload(), "{over}");
    let denied = bucket.begin_upload("key").await.unwrap_err().to_string();
    let expected =
        "allow s3:PutObject and s3:GetObject on the bucket's objects to these credentials (CreateMultipartUpload: 403 ";
    assert!(denied.starts_with(expected), "{denied}");
    assert_eq!(store.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn object_is_read_from_an_offset_and_its_end_is_none() {
    let imds = Fake::instance().await;
    let rest = (
        StatusCode::PARTIAL_CONTENT,
        [("content-range", "bytes 2-4/5"), ("etag", "\"one\"")],
        "345",
    );
    let answers = vec![
        etag("12345"),
        rest.into_response(),
        error(416, "InvalidRange"),
        error(404, "NoSuchKey"),
    ];
    let (bucket, store) = bucket(&imds, answers).await;
    for (at, expected) in [(0, "12345"), (2, "345")] {
        let object = bucket.get("key", at).await.unwrap().unwrap();
        assert_eq!(object.tag.as_deref(), Some("\"one\""));
        let body: Vec<_> = object.body.try_collect().await.unwrap();
        assert_eq!(body.concat(), expected.as_bytes());
    }
    assert!(bucket.get("key", 5).await.unwrap().is_none());
    let Err(missing) = bucket.get("key", 0).await else {
        panic!("it is not there");
    };
    assert_eq!(missing.to_string(), "GetObject: 404 Not Found NoSuchKey so it is");
    let asked = store.asked.lock().unwrap();
    assert!(asked[0].headers.get("range").is_none());
    assert_eq!(asked[1].headers["range"], "bytes=2-");
}

#[tokio::test]
async fn instance_without_role_names_the_remedy() {
    let imds = Fake::instance().await;
    imds.remove("meta-data/iam/security-credentials/");
    let (bucket, _) = bucket(&imds, Vec::new()).await;
    let error = bucket.begin_upload("key").await.unwrap_err().to_string();
    assert!(error.contains("no credentials for S3: the instance"), "{error}");
    assert!(error.contains("has no role: give it an instance profile"), "{error}");
}
