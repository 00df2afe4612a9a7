//! Objects of S3 or a compatible store: ranged reads and multipart uploads.
//!
//! Transient errors are retried here and not by `object_store`, whose attempts all carry the first one's signature and
//! credentials: here each is signed anew.

mod completion;
pub(crate) mod endpoint;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fmt};

use agent_net::{backoff, http};
use agent_runtime::disk::{self, Disk};
use backon::Retryable as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key};
use object_store::multipart::MultipartStore as _;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, PutPayload, RetryConfig};
use reqwest::StatusCode;
use tokio::sync::Mutex;

use self::endpoint::Settings;
use super::consistency::ErrorClass;
use super::credentials::{Role, RoleCredentials, is_ascii_graphic};
use super::imds::Imds;
use super::transport::{CLOCK, Connector, ErrorResponse};

const RETRIES: usize = 4;
/// The first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));

/// One bucket.
#[derive(Debug)]
pub struct S3Bucket {
    store: AmazonS3,
    role: Arc<RoleCredentials>,
    checksum: Option<String>,
    pub(super) pause: Duration,
}

/// The rest of an object.
pub struct Object {
    /// Entity tag of this version.
    pub tag: Option<String>,
    pub body: BoxStream<'static, Result<Bytes, S3Error>>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    #[error("{}", answered(.0, .1))]
    Answered(&'static str, ErrorResponse),
    #[error("{0}: {1}")]
    Lost(&'static str, String),
    #[error("{0}")]
    Invalid(String),
}

impl S3Bucket {
    /// Opens a bucket by its name. Configured by the usual environment variables (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL`, credentials, roles of containers, encryption); missing values come from the metadata service at
    /// `imds`. Without `checksums`, none is sent: for an upload that was begun without.
    pub async fn open(name: &str, imds: &str, checksums: bool) -> Result<Self, S3Error> {
        let vars =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::connect(Settings::read(vars, checksums), name, imds).await
    }

    pub(super) async fn connect(mut settings: Settings, name: &str, imds: &str) -> Result<Self, S3Error> {
        let base = settings.locate(name, imds).await?;
        let mut builder = settings.builder;
        let set = |builder: &AmazonS3Builder, key| builder.get_config_value(&key);
        for (name, key) in [
            ("AWS_ACCESS_KEY_ID", Key::AccessKeyId),
            ("AWS_SESSION_TOKEN", Key::Token),
        ] {
            if set(&builder, key).is_some_and(|value| !is_ascii_graphic(&value)) {
                return Err(blanks(name));
            }
        }
        let role = Arc::new(RoleCredentials(Mutex::new(Role::new(Imds::new(imds)))));
        let others = [
            Key::AccessKeyId,
            Key::SecretAccessKey,
            Key::WebIdentityTokenFile,
            Key::ContainerCredentialsRelativeUri,
            Key::ContainerCredentialsFullUri,
        ];
        if others.into_iter().all(|key| set(&builder, key).is_none()) {
            builder = builder.with_credentials(Arc::clone(&role) as _);
        }
        let retry = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        let checksum = set(&builder, Key::Checksum);
        let builder = builder.with_bucket_name(name).with_retry(retry);
        let builder = builder.with_http_connector(Connector(base));
        // Reads the certificate authorities from disk.
        let store = disk::run(Disk::System, move || builder.build()).await;
        let store = store.map_err(|error| S3Error::Invalid(error.to_string()))?;
        Ok(Self {
            store: store.map_err(|error| S3Error::Invalid(http::innermost(&error)))?,
            role,
            checksum,
            pause: PAUSE.0,
        })
    }

    /// The algorithm of the checksums that are sent with the parts of an upload.
    pub fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }

    /// The bytes of an object from `at` on; `None` past its end.
    pub async fn get(&self, key: &str, at: u64) -> Result<Option<Object>, S3Error> {
        const CALL: &str = "GetObject";
        let options = GetOptions {
            range: (at > 0).then_some(GetRange::Offset(at)),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&path(key)?, options).await;
        match found.map_err(|error| S3Error::of(CALL, &error)) {
            Ok(found) => Ok(Some(Object {
                tag: found.meta.e_tag.clone(),
                body: found
                    .into_stream()
                    .map(|piece| piece.map_err(|error| S3Error::of(CALL, &error)))
                    .boxed(),
            })),
            Err(S3Error::Answered(_, answer)) if answer.status == StatusCode::RANGE_NOT_SATISFIABLE => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins a multipart upload. Returns its id.
    pub async fn begin_upload(&self, key: &str) -> Result<String, S3Error> {
        let path = path(key)?;
        let begin = || self.store.create_multipart(&path);
        self.call("CreateMultipartUpload", begin).await
    }

    /// Uploads the part at `index`, from 0. Returns what [`Self::complete_upload`] has to know of it.
    pub async fn upload_part(&self, key: &str, upload: &String, index: usize, part: Bytes) -> Result<String, S3Error> {
        let (path, part) = (path(key)?, PutPayload::from(part));
        let put = || self.store.put_part(&path, upload, index, part.clone());
        Ok(self.call("UploadPart", put).await?.content_id)
    }

    /// Retries transient errors.
    async fn call<T, F>(&self, call: &'static str, request: impl Fn() -> F) -> Result<T, S3Error>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let attempt = || async {
            let done = request().await.map_err(|error| S3Error::of(call, &error));
            if done.as_ref().is_err_and(S3Error::is_of_credentials) {
                self.role.0.lock().await.invalidate();
            }
            done
        };
        let pauses = backoff::pauses(self.pause, PAUSE.1).take(RETRIES);
        attempt.retry(pauses).when(S3Error::is_transient).await
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("tag", &self.tag).finish_non_exhaustive()
    }
}

impl S3Error {
    fn of(call: &'static str, error: &object_store::Error) -> Self {
        let answer = http::causes(error).find_map(|cause| cause.downcast_ref::<ErrorResponse>());
        answer.map_or_else(
            || Self::Lost(call, http::innermost(error)),
            |answer| Self::Answered(call, answer.clone()),
        )
    }

    fn code(&self) -> &str {
        match self {
            Self::Answered(_, answer) => &answer.code,
            Self::Lost(..) | Self::Invalid(_) => "",
        }
    }

    /// Whether the upload no longer exists.
    pub fn is_no_upload(&self) -> bool {
        self.code() == "NoSuchUpload"
    }

    fn is_of_credentials(&self) -> bool {
        matches!(self, Self::Answered(_, answer) if answer.class() == ErrorClass::Credentials)
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Answered(_, answer) => matches!(answer.class(), ErrorClass::Transient | ErrorClass::Credentials),
            Self::Lost(..) => true,
            Self::Invalid(_) => false,
        }
    }
}

/// The text of an error response, with the remedy first where one is known: what S3 says may be long.
fn answered(call: &str, answer: &ErrorResponse) -> String {
    match remedy(answer) {
        Some(remedy) => format!("{remedy} ({call}: {answer})"),
        None => format!("{call}: {answer}"),
    }
}

/// The remedy for an error response, if one is known.
fn remedy(answer: &ErrorResponse) -> Option<Cow<'static, str>> {
    let is_elsewhere = answer.status.is_redirection() || answer.code == "AuthorizationHeaderMalformed";
    let remedy: Cow<'static, str> = match (answer.code.as_str(), &answer.region) {
        // S3 passes on what KMS said, in words alone.
        ("AccessDenied", _) if answer.message.contains("kms:") || answer.message.contains("ciphertext refers to") => {
            "allow kms:GenerateDataKey and kms:Decrypt on the bucket's KMS key to these credentials".into()
        }
        ("AccessDenied", _) => {
            "allow s3:PutObject and s3:GetObject on the bucket's objects to these credentials".into()
        }
        (code, _) if code.starts_with("KMS.") => {
            "see that the bucket's KMS key is enabled, in the region of the bucket".into()
        }
        _ if answer.is_of_another_time() => CLOCK.into(),
        // HEAD is answered without a code.
        (code, Some(region)) if is_elsewhere || (code.is_empty() && answer.status == StatusCode::BAD_REQUEST) => {
            format!("set AWS_REGION={region}, where the bucket is").into()
        }
        _ if is_elsewhere => "set AWS_REGION to the bucket's region".into(),
        _ => return None,
    };
    Some(remedy)
}

fn blanks(name: &str) -> S3Error {
    S3Error::Invalid(format!("{name}: it contains blanks or other invalid characters"))
}

/// The key, where `object_store` accepts it unchanged.
fn path(key: &str) -> Result<Path, S3Error> {
    let path = Path::parse(key).ok().filter(|path| path.as_ref() == key);
    let strange = || format!("{key:?}: give a key whose parts between slashes are neither empty nor . nor ..");
    path.ok_or_else(|| S3Error::Invalid(strange()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_remedy_first_then_call_status_and_code() {
        let said = |status: u16, code: &str, message: &str, more: &str| {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            let xml = format!("<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>");
            S3Error::Answered("UploadPart", ErrorResponse::read(status, &xml)).to_string()
        };
        let answered = |status: u16, code: &str, more: &str| said(status, code, "so &amp; so", more);
        assert_eq!(
            answered(403, "AccessDenied", ""),
            "allow s3:PutObject and s3:GetObject on the bucket's objects to these credentials \
             (UploadPart: 403 Forbidden AccessDenied so & so)"
        );
        assert_eq!(
            answered(404, "NoSuchBucket", ""),
            "UploadPart: 404 Not Found NoSuchBucket so & so"
        );
        let text = answered(301, "PermanentRedirect", "");
        assert!(text.starts_with("set AWS_REGION to the bucket's region ("), "{text}");
        // A refusal of KMS' bears the code of S3's own.
        for message in [
            "User: arn:aws:sts::111122223333:assumed-role/a/i-0 is not authorized to perform: kms:GenerateDataKey on \
             resource: arn:aws:kms:eu-central-1:111122223333:key/1 because no identity-based policy allows the \
             kms:GenerateDataKey action",
            "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you \
             are not allowed to access.",
        ] {
            let text = said(403, "AccessDenied", message, "");
            assert!(
                text.starts_with("allow kms:GenerateDataKey and kms:Decrypt on the bucket's KMS key"),
                "{text}"
            );
        }
        let text = answered(400, "KMS.DisabledException", "");
        assert!(text.starts_with("see that the bucket's KMS key is enabled"), "{text}");
        let text = answered(403, "RequestTimeTooSkewed", "");
        assert!(text.starts_with("set this host's clock"), "{text}");
        for (status, code, more) in [
            (400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            (
                301,
                "PermanentRedirect",
                "<Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint>",
            ),
            (
                301,
                "PermanentRedirect",
                "<Endpoint>b.s3-eu-west-1.amazonaws.com</Endpoint>",
            ),
            (
                301,
                "PermanentRedirect",
                "<Endpoint>s3.dualstack.eu-west-1.amazonaws.com</Endpoint>",
            ),
        ] {
            let text = answered(status, code, more);
            assert!(
                text.starts_with("set AWS_REGION=eu-west-1, where the bucket is (UploadPart: "),
                "{text}"
            );
        }
    }

    #[test]
    fn invalid_key_is_rejected() {
        for key in ["a//b", "/a", "a/", "../a", "a/./b", "a\nb"] {
            assert!(path(key).is_err(), "{key:?}");
        }
        assert!(path("chains/a chain%20{x}.tar.zst").is_ok());
    }
}
