//! Objects of S3, or of what speaks like it: a part of one read, and one written in parts.

use std::env;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::ETAG;
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode};
use tokio::sync::Mutex;
use url::{Position, Url};

use super::api::element;
use super::credentials::Role;
use super::imds::Imds;
use super::sigv4::{Signer, amz_date, hash};
use agent_net::backoff;
use agent_net::http::{self, RequestError};

/// The head of an answer, after all of the request was sent.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Size of the largest answer that is read as text, bytes.
const LARGEST: usize = 64 << 10;
const ATTEMPTS: u32 = 5;
/// Doubles with each attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// One bucket, and what asks it.
#[derive(Debug)]
pub struct Bucket {
    base: Url,
    region: String,
    role: Mutex<Role>,
}

/// What signs, from the environment or from the instance's role.
struct Keys {
    access: String,
    secret: String,
    token: Option<String>,
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoObject {
    #[error("{0}")]
    Passing(String),
    /// The upload of that id is over.
    #[error("{0}")]
    NoUpload(String),
    #[error("{0}")]
    Refused(String),
}

impl Bucket {
    /// A bucket by its name. `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` and `AWS_REGION` hold as for other tools; without a
    /// region, the instance's own is asked for at `imds`.
    pub async fn open(name: &str, imds: &str) -> Result<Self, NoObject> {
        let mut imds = Imds::new(imds);
        let region = if let Some(region) = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")) {
            region
        } else {
            let region = imds.get("meta-data/placement/region").await;
            let region = region.map_err(|e| NoObject::Passing(format!("which region? set AWS_REGION ({e})")))?;
            region.ok_or_else(|| NoObject::Refused("which region? set AWS_REGION".to_owned()))?
        };
        let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
        let base = match endpoint {
            Some(endpoint) => format!("{}/{name}/", endpoint.trim_end_matches('/')),
            // A dot in the name is no part of the certificate's.
            None if name.contains('.') => format!("https://s3.{region}.amazonaws.com/{name}/"),
            None => format!("https://{name}.s3.{region}.amazonaws.com/"),
        };
        let base = Url::parse(&base).map_err(|e| NoObject::Refused(format!("{base}: {e}")))?;
        Ok(Self {
            base,
            region,
            role: Mutex::new(Role::new(imds)),
        })
    }

    /// The bytes of an object from `at`. `None` when it has no more; its body is still to be read.
    pub async fn get(&self, key: &str, at: u64) -> Result<Option<Response>, NoObject> {
        let range = format!("bytes={at}-");
        let answer = self
            .ask(Method::GET, key, "", &[("range", &range)], Bytes::new())
            .await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => Ok(Some(answer)),
            StatusCode::OK if at == 0 => Ok(Some(answer)),
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(None),
            _ => Err(self.failed("GetObject", answer).await),
        }
    }

    /// Begins an upload. Returns its id.
    pub async fn begin(&self, key: &str) -> Result<String, NoObject> {
        let xml = self
            .text("CreateMultipartUpload", Method::POST, key, "uploads=", Bytes::new())
            .await?;
        element(&xml.0, "UploadId")
            .ok_or_else(|| NoObject::Passing("CreateMultipartUpload: no id in the answer".to_owned()))
    }

    /// Sends one part. Returns its entity tag.
    pub async fn put(&self, key: &str, upload: &str, number: u32, part: Bytes) -> Result<String, NoObject> {
        let query = format!("partNumber={number}&uploadId={}", encode(upload, false));
        let (_, tag) = self.text("UploadPart", Method::PUT, key, &query, part).await?;
        tag.ok_or_else(|| NoObject::Passing("UploadPart: no entity tag in the answer".to_owned()))
    }

    /// Ends an upload: from here on, the object is there. `tags` are those of its parts.
    pub async fn end(&self, key: &str, upload: &str, tags: &[String]) -> Result<(), NoObject> {
        let parts = tags
            .iter()
            .enumerate()
            .map(|(at, tag)| format!("<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", at + 1));
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</CompleteMultipartUpload>",
            parts.collect::<String>()
        );
        let query = format!("uploadId={}", encode(upload, false));
        let (xml, _) = self
            .text("CompleteMultipartUpload", Method::POST, key, &query, body.into())
            .await?;
        // It may fail after it began to answer that all is well.
        match element(&xml, "Code") {
            Some(code) if xml.contains("<Error>") => Err(NoObject::Passing(format!("CompleteMultipartUpload: {code}"))),
            _ => Ok(()),
        }
    }

    /// The answer as text, and its entity tag. Tries again what may pass.
    async fn text(
        &self,
        call: &str,
        method: Method,
        key: &str,
        query: &str,
        body: Bytes,
    ) -> Result<(String, Option<String>), NoObject> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failed = match self.ask(method.clone(), key, query, &[], body.clone()).await {
                Ok(answer) if answer.status().is_success() => {
                    let tag = answer
                        .headers()
                        .get(ETAG)
                        .and_then(|tag| tag.to_str().ok())
                        .map(str::to_owned);
                    match http::text(answer, LARGEST).await {
                        Ok(text) => return Ok((text, tag)),
                        Err(broken) => NoObject::Passing(format!("{call}: {broken}")),
                    }
                }
                Ok(answer) => self.failed(call, answer).await,
                Err(failed) => failed,
            };
            if attempt == ATTEMPTS || !matches!(failed, NoObject::Passing(_)) {
                return Err(failed);
            }
            tokio::time::sleep(backoff::jitter(PAUSE * 2u32.pow(attempt))).await;
        }
    }

    async fn ask(
        &self,
        method: Method,
        key: &str,
        query: &str,
        more: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response, NoObject> {
        let keys = self.keys().await?;
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), encode(key, true)));
        url.set_query((!query.is_empty()).then_some(query));
        let (date, sum) = (amz_date(Timestamp::now()), hash(&body));
        let mut headers = vec![
            ("host", &url[Position::BeforeHost..Position::AfterPort]),
            ("x-amz-content-sha256", sum.as_str()),
            ("x-amz-date", date.as_str()),
        ];
        headers.extend(keys.token.as_deref().map(|token| ("x-amz-security-token", token)));
        let signer = Signer {
            access_key: &keys.access,
            secret_key: &keys.secret,
            region: &self.region,
            service: "s3",
        };
        let authorization = signer.sign(method.as_str(), (url.path(), query), &headers, &sum, &date);
        let mut sent: Vec<_> = headers[1..].iter().chain(more).copied().collect();
        sent.push(("authorization", &authorization));
        let length = body.len().to_string();
        if method != Method::GET {
            sent.push(("content-length", &length));
        }
        let lost = |error: RequestError| NoObject::Passing(format!("S3: {error}"));
        let client = http::once(&url, None, Policy::none()).await.map_err(lost)?;
        let request = client.request(method, url.clone());
        let request = sent
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = tokio::time::timeout(TIMEOUT, request.body(body).send()).await;
        let answer = answer.map_err(|_| NoObject::Passing("S3 does not answer".to_owned()))?;
        answer.map_err(|error| lost(error.into()))
    }

    async fn keys(&self) -> Result<Keys, NoObject> {
        if let (Some(access), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            let token = variable("AWS_SESSION_TOKEN");
            return Ok(Keys { access, secret, token });
        }
        let role = self.role.lock().await.credentials().await;
        let role = role.map_err(|e| NoObject::Passing(format!("no credentials for S3: {e}")))?;
        Ok(Keys {
            access: role.access_key_id,
            secret: role.secret_access_key,
            token: Some(role.token),
        })
    }

    async fn failed(&self, call: &str, answer: Response) -> NoObject {
        let status = answer.status();
        let xml = http::text(answer, LARGEST).await.unwrap_or_default();
        let code = element(&xml, "Code").unwrap_or_default();
        let said = format!(
            "{call}: {status} {code} {}",
            element(&xml, "Message").unwrap_or_default()
        );
        let said = said.trim_end().to_owned();
        match code.as_str() {
            "NoSuchUpload" => NoObject::NoUpload(said),
            "ExpiredToken" => {
                self.role.lock().await.forget();
                NoObject::Passing(said)
            }
            "SlowDown" | "RequestTimeout" => NoObject::Passing(said),
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => NoObject::Passing(said),
            _ => NoObject::Refused(said),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// As signatures want it: everything but letters, digits and `-._~`, and perhaps slashes, as `%XX`.
fn encode(text: &str, slashes: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (slashes && byte == b'/');
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
