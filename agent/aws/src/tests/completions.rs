//! Completions of uploads: errors after a status of success, lost answers, checksums, and buckets elsewhere.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use std::io;

use super::fake::Fake;
use super::objects::{Store, bucket, bucket_with, error};
use crate::s3::{S3Bucket, S3Error};

const ENDED: &str = "<CompleteMultipartUploadResult><ETag>all</ETag></CompleteMultipartUploadResult>";
const SIZE: u64 = 12;
/// MD5 of `part`, as an entity tag, and of that: the tag of an object with this one part.
const PART: &str = "\"f4c9385f1902f7334b00b9b4ecd164de\"";
const WHOLE: &str = "\"1819d1a8700e59901a48215b8577ac07-1\"";

async fn complete(bucket: &S3Bucket) -> Result<(), S3Error> {
    let upload = "an id".to_owned();
    bucket.complete_upload("key", &upload, &[PART.to_owned()], SIZE).await
}

/// A success whose body breaks off.
fn broken() -> Response {
    let pieces = [Ok("<CompleteMulti"), Err(io::Error::other("reset"))];
    Body::from_stream(stream::iter(pieces)).into_response()
}

fn head(size: u64, tag: &str) -> Response {
    ([("content-length", size.to_string()), ("etag", tag.to_owned())], "").into_response()
}

/// Completions in the store so far.
fn completions(store: &Store) -> usize {
    store.methods().iter().filter(|method| *method == "POST").count()
}

#[tokio::test]
async fn completion_that_fails_after_status_200_is_retried() {
    for code in ["InternalError", "SlowDown", "ServiceUnavailable"] {
        let imds = Fake::instance().await;
        let (bucket, store) = bucket(&imds, vec![error(200, code), ENDED.into_response()]).await;
        complete(&bucket).await.unwrap();
        assert_eq!(completions(&store), 2, "{code}");
    }
    let imds = Fake::instance().await;
    let (bucket, store) = bucket(&imds, vec![error(200, "MalformedXML")]).await;
    let named = complete(&bucket).await.unwrap_err().to_string();
    assert!(named.contains("MalformedXML"), "{named}");
    assert_eq!(completions(&store), 1);
}

#[tokio::test]
async fn completion_whose_answer_is_lost_is_looked_up() {
    for (before, after) in [
        // Nothing was there, or something else; the tag of an object that is encrypted with KMS is no digest.
        (StatusCode::NOT_FOUND.into_response(), head(SIZE, "\"with KMS-1\"")),
        (StatusCode::FORBIDDEN.into_response(), head(SIZE, "\"with KMS-1\"")),
        (head(7, "\"old\""), head(SIZE, "\"new\"")),
        // An attempt of an earlier run was carried out.
        (head(SIZE, WHOLE), head(SIZE, WHOLE)),
    ] {
        let imds = Fake::instance().await;
        let (bucket, store) = bucket(&imds, vec![broken(), error(404, "NoSuchUpload")]).await;
        store.heads.lock().unwrap().extend([before, after]);
        complete(&bucket).await.unwrap();
        assert_eq!(store.methods(), ["HEAD", "POST", "POST", "HEAD"]);
    }
}

#[tokio::test]
async fn completion_that_every_attempt_loses_is_looked_up_too() {
    let imds = Fake::instance().await;
    let (bucket, store) = bucket(&imds, (0..5).map(|_| broken()).collect()).await;
    store
        .heads
        .lock()
        .unwrap()
        .extend([StatusCode::NOT_FOUND.into_response(), head(SIZE, "\"new\"")]);
    complete(&bucket).await.unwrap();
    assert_eq!(completions(&store), 5);
}

#[tokio::test]
async fn another_object_at_the_key_is_no_completion() {
    for (before, after) in [
        (head(SIZE, "\"old\""), head(SIZE, "\"old\"")),
        (head(SIZE, "\"old\""), head(SIZE - 1, "\"new\"")),
        (
            StatusCode::NOT_FOUND.into_response(),
            StatusCode::NOT_FOUND.into_response(),
        ),
        (
            StatusCode::NOT_FOUND.into_response(),
            StatusCode::FORBIDDEN.into_response(),
        ),
        // What was there before is unknown.
        (StatusCode::BAD_REQUEST.into_response(), head(SIZE, "\"old\"")),
    ] {
        let imds = Fake::instance().await;
        let (bucket, store) = bucket(&imds, vec![broken(), error(404, "NoSuchUpload")]).await;
        store.heads.lock().unwrap().extend([before, after]);
        let error = complete(&bucket).await.unwrap_err();
        assert!(error.is_no_upload(), "{error}");
    }
}

#[tokio::test]
async fn refused_completion_is_not_looked_up() {
    let imds = Fake::instance().await;
    let (bucket, store) = bucket(&imds, vec![error(403, "AccessDenied")]).await;
    complete(&bucket).await.unwrap_err();
    assert_eq!(store.methods(), ["HEAD", "POST"]);
}

#[tokio::test]
async fn parts_carry_checksums_that_object_lock_demands() {
    let imds = Fake::instance().await;
    let begun = "<InitiateMultipartUploadResult><UploadId>an id</UploadId></InitiateMultipartUploadResult>";
    // SHA-256 of "part".
    let digest = "N6aAEzvQk0L5NK+43Sx9nhtiTaXzXjo4rbED43wFXtE=";
    let part = || ([("etag", PART), ("x-amz-checksum-sha256", digest)], "").into_response();
    for (vars, sent) in [
        (vec![], true),
        (vec![("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_REQUIRED")], false),
    ] {
        let answers = vec![begun.into_response(), part(), ENDED.into_response()];
        let (bucket, store) = bucket_with(&imds, answers, &vars).await;
        assert_eq!(bucket.checksum().is_some(), sent);
        let id = bucket.begin_upload("key").await.unwrap();
        let tag = bucket
            .upload_part("key", &id, 0, Bytes::from_static(b"part"))
            .await
            .unwrap();
        bucket.complete_upload("key", &id, &[tag], 4).await.unwrap();
        let asked = store.asked.lock().unwrap();
        let header = |at: usize, name: &str| {
            let asked: &super::objects::Asked = &asked[at];
            asked.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            header(0, "x-amz-checksum-algorithm").as_deref(),
            sent.then_some("SHA256")
        );
        assert_eq!(header(1, "x-amz-checksum-sha256").as_deref(), sent.then_some(digest));
        let end = String::from_utf8(asked[3].body.to_vec()).unwrap();
        assert_eq!(
            end.contains(&format!("<ChecksumSHA256>{digest}</ChecksumSHA256>")),
            sent,
            "{end}"
        );
    }
}

#[tokio::test]
async fn upload_is_encrypted_as_the_environment_says() {
    let imds = Fake::instance().await;
    let begun = "<InitiateMultipartUploadResult><UploadId>an id</UploadId></InitiateMultipartUploadResult>";
    let vars = [
        ("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms"),
        ("AWS_SSE_KMS_KEY_ID", "alias/backup"),
    ];
    let (bucket, store) = bucket_with(&imds, vec![begun.into_response()], &vars).await;
    bucket.begin_upload("key").await.unwrap();
    let asked = store.asked.lock().unwrap();
    assert_eq!(asked[0].headers["x-amz-server-side-encryption"], "aws:kms");
    assert_eq!(
        asked[0].headers["x-amz-server-side-encryption-aws-kms-key-id"],
        "alias/backup"
    );
}

#[tokio::test]
async fn bucket_in_another_region_is_named_with_the_remedy() {
    let imds = Fake::instance().await;
    let moved = |status: u16| {
        let mut answer = error(status, "PermanentRedirect");
        answer
            .headers_mut()
            .insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        answer
    };
    let (bucket, _) = bucket(&imds, vec![moved(301), moved(301)]).await;
    for text in [
        bucket.begin_upload("key").await.unwrap_err().to_string(),
        bucket.get("key", 0).await.err().unwrap().to_string(),
    ] {
        assert!(
            text.starts_with("set AWS_REGION=eu-west-1, where the bucket is ("),
            "{text}"
        );
    }
}
