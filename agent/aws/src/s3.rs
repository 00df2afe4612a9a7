//! Objects of S3 or a compatible store: ranged reads and multipart uploads.
//!
//! Transient errors are retried here and not by `object_store`, whose attempts all carry the first one's signature and
//! credentials: here each is signed anew.

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
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, PutPayload, RetryConfig};
use reqwest::{StatusCode, Url};
use tokio::sync::Mutex;

use super::consistency::ErrorClass;
use super::credentials::{Role, RoleCredentials, is_ascii_graphic};
use super::imds::Imds;
use super::transport::{Connector, ErrorResponse};

const RETRIES: usize = 4;
/// The first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));

/// One bucket.
#[derive(Debug)]
pub struct S3Bucket {
    store: AmazonS3,
    role: Arc<RoleCredentials>,
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
    #[error("{0}: {1}{remedy}", remedy = remedy(.1))]
    Answered(&'static str, ErrorResponse),
    #[error("{0}: {1}")]
    Lost(&'static str, String),
    #[error("{0}")]
    Invalid(String),
}

impl S3Bucket {
    /// Opens a bucket by its name. Configured by the usual environment variables (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL`, credentials, roles of containers); missing values come from the metadata service at `imds`.
    pub async fn open(name: &str, imds: &str) -> Result<Self, S3Error> {
        let set =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let builder = set
            .filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
            .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
            .fold(AmazonS3Builder::new(), |builder, (key, value)| {
                builder.with_config(key, value)
            });
        Self::connect(builder, name, imds).await
    }

    pub(super) async fn connect(mut builder: AmazonS3Builder, name: &str, imds: &str) -> Result<Self, S3Error> {
        let set = |builder: &AmazonS3Builder, key| builder.get_config_value(&key);
        let region = match set(&builder, Key::Region) {
            Some(region) => region,
            None => region_of(imds).await?,
        };
        let base = match set(&builder, Key::S3Endpoint).or_else(|| set(&builder, Key::Endpoint)) {
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            // The wildcard certificate covers no bucket names with dots.
            None if name.contains('.') => format!("https://s3.{region}.amazonaws.com/{name}"),
            None => {
                builder = builder.with_virtual_hosted_style_request(true);
                format!("https://{name}.s3.{region}.amazonaws.com")
            }
        };
        for (name, value) in [
            ("AWS_REGION", Some(region.clone())),
            ("AWS_ACCESS_KEY_ID", set(&builder, Key::AccessKeyId)),
            ("AWS_SESSION_TOKEN", set(&builder, Key::Token)),
        ] {
            if value.is_some_and(|value| !is_ascii_graphic(&value)) {
                return Err(S3Error::Invalid(format!(
                    "{name}: it contains blanks or other invalid characters"
                )));
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
        let builder = builder.with_bucket_name(name).with_region(region).with_retry(retry);
        let builder = builder.with_http_connector(Connector(address(&base)?));
        // Reads the certificate authorities from disk.
        let store = disk::run(Disk::System, move || builder.build()).await;
        let store = store.map_err(|error| S3Error::Invalid(error.to_string()))?;
        Ok(Self {
            store: store.map_err(|error| S3Error::Invalid(http::innermost(&error)))?,
            role,
            pause: PAUSE.0,
        })
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

    /// Uploads the part at `index`, from 0. Returns its entity tag.
    pub async fn upload_part(&self, key: &str, upload: &String, index: usize, part: Bytes) -> Result<String, S3Error> {
        let (path, part) = (path(key)?, PutPayload::from(part));
        let put = || self.store.put_part(&path, upload, index, part.clone());
        Ok(self.call("UploadPart", put).await?.content_id)
    }

    /// Completes an upload, which makes the object visible. `tags` are the entity tags of its parts.
    pub async fn complete_upload(&self, key: &str, upload: &String, tags: &[String]) -> Result<(), S3Error> {
        let path = path(key)?;
        let parts = || {
            tags.iter()
                .map(|tag| PartId {
                    content_id: tag.clone(),
                })
                .collect()
        };
        let end = || self.store.complete_multipart(&path, upload, parts());
        self.call("CompleteMultipartUpload", end).await.map(drop)
    }

    /// Retries transient errors.
    async fn call<T, F>(&self, call: &'static str, request: impl Fn() -> F) -> Result<T, S3Error>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let attempt = || async {
            let done = request().await.map_err(|error| S3Error::of(call, &error));
            if done.as_ref().is_err_and(|error| error.is_of_credentials()) {
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

/// The remedy for an error response, if one is known.
fn remedy(answer: &ErrorResponse) -> &'static str {
    match answer.code.as_str() {
        "AccessDenied" => "; allow s3:PutObject and s3:GetObject on it to these credentials",
        "AuthorizationHeaderMalformed" => "; set AWS_REGION to the bucket's region",
        "RequestTimeTooSkewed" => "; set this host's clock",
        _ if answer.status.is_redirection() => "; set AWS_REGION to the bucket's region",
        _ => "",
    }
}

async fn region_of(imds: &str) -> Result<String, S3Error> {
    let which = |why: String| S3Error::Invalid(format!("which region? set AWS_REGION{why}"));
    let region = Imds::new(imds).get("meta-data/placement/region").await;
    let region = region.map_err(|error| which(format!(" ({error})")))?;
    region.ok_or_else(|| which(String::new()))
}

/// The bucket's URL.
fn address(base: &str) -> Result<Url, S3Error> {
    let url = Url::parse(base)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()));
    let url = url.filter(|_| is_ascii_graphic(base) && base.parse::<::http::Uri>().is_ok());
    url.ok_or_else(|| {
        S3Error::Invalid(format!(
            "{base} is no address: check AWS_REGION and AWS_ENDPOINT_URL_S3"
        ))
    })
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
    fn error_names_call_status_code_and_remedy() {
        let answered = |status: u16, code: &str| {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            let xml = format!("<Error><Code>{code}</Code><Message>so &amp; so</Message></Error>");
            S3Error::Answered("UploadPart", ErrorResponse::read(status, &xml)).to_string()
        };
        let text = answered(403, "AccessDenied");
        let expected = "UploadPart: 403 Forbidden AccessDenied so & so; allow s3:PutObject";
        assert!(text.starts_with(expected), "{text}");
        let text = answered(301, "PermanentRedirect");
        assert!(text.ends_with("; set AWS_REGION to the bucket's region"), "{text}");
    }

    #[test]
    fn invalid_address_or_key_is_rejected() {
        for base in [
            "nothing",
            "ftp://host/b",
            "https://my bucket.s3.x.amazonaws.com",
            "http://h:99999/b",
            "http:///b",
        ] {
            assert!(address(base).is_err(), "{base}");
        }
        assert!(address("http://127.0.0.1:9000/bucket").is_ok());
        for key in ["a//b", "/a", "a/", "../a", "a/./b", "a\nb"] {
            assert!(path(key).is_err(), "{key:?}");
        }
        assert!(path("chains/a chain%20{x}.tar.zst").is_ok());
    }
}
