//! A store of objects that speaks as much of S3 as an upload in parts and a read from the middle need, and that fails on
//! demand.

use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use axum::http::{HeaderValue, Response};
use futures_util::{StreamExt as _, stream};

use crate::credentials::CredentialRecorder;
use crate::http_server::{self, Request, answer, broken, redirect};

/// What is stored, and what goes wrong.
#[derive(Debug, Default)]
pub struct Store {
    pub objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<u32, Vec<u8>>,
    /// The upload is completed.
    is_over: bool,
    /// Numbers of the parts that arrived, in their order.
    pub sent: Vec<u32>,
    /// Ids of the uploads that they were for.
    pub ids: Vec<String>,
    /// Parts above this number are refused.
    pub refuse_above: Option<u32>,
    /// An answer breaks off after so many bytes.
    pub break_after: Option<usize>,
    /// An answer stops after so many bytes, without an end.
    pub hang_after: Option<usize>,
    /// First bytes of the reads that were asked for.
    pub reads: Vec<usize>,
    /// Parts without a checksum are refused, as by a bucket with Object Lock.
    pub demands_checksums: bool,
    /// What becomes of the next completions.
    pub completions: Vec<Completion>,
    /// Where everybody is sent instead.
    pub moved_to: Option<String>,
}

/// What becomes of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// An error after a status of success.
    Fails,
    /// It is carried out, and its answer breaks off.
    Lost,
    /// It is carried out, and the upload is over.
    Done,
}

/// Serves a [`Store`] until the process ends.
#[derive(Debug)]
pub struct S3Server {
    pub url: String,
    store: Arc<Mutex<Store>>,
}

impl S3Server {
    /// # Errors
    /// No free port.
    pub fn start() -> Result<Self> {
        Self::recorded("store", Ipv4Addr::LOCALHOST, &CredentialRecorder::default())
    }

    /// As [`Self::start`], on that address; what it is sent as credentials is recorded for `service`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn recorded(service: &'static str, address: Ipv4Addr, recorder: &CredentialRecorder) -> Result<Self> {
        let store = Arc::new(Mutex::new(Store::default()));
        let (shared, recorder) = (Arc::clone(&store), recorder.clone());
        let address = http_server::start_at(address, None, move |request| {
            recorder.record(service, &request);
            let mut store = shared.lock().unwrap_or_else(PoisonError::into_inner);
            ready(store.answer(&request))
        })?;
        Ok(Self {
            url: format!("http://{address}"),
            store,
        })
    }

    /// The store, to look at or to change.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn answer(&mut self, request: &Request) -> http_server::Answer {
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
        let signed = request
            .header("authorization")
            .is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 Credential="));
        if let Some(elsewhere) = &self.moved_to {
            return redirect(307, &format!("{elsewhere}{path}"));
        }
        let refused = |code: &str| answer(403, format!("<Error><Code>{code}</Code></Error>"));
        match request.method.as_str() {
            "GET" => self.read(request, path),
            "HEAD" => self.head(path),
            _ if !signed => refused("AccessDenied"),
            "POST" if query.starts_with("uploads") => {
                self.parts.clear();
                self.is_over = false;
                answer(200, "<R><UploadId>an upload</UploadId></R>")
            }
            "PUT" => {
                let number = query.trim_start_matches("partNumber=").split('&').next();
                let number = number.unwrap_or_default().parse().map_err(io::Error::other)?;
                if self.refuse_above.is_some_and(|most| number > most) {
                    return refused("AccessDenied");
                }
                if self.demands_checksums && request.header("x-amz-checksum-sha256").is_none() {
                    return answer(400, "<Error><Code>InvalidRequest</Code></Error>");
                }
                self.is_over = false;
                self.parts.insert(number, request.body.to_vec());
                self.sent.push(number);
                let id = query.split('&').find_map(|pair| pair.strip_prefix("uploadId="));
                self.ids.push(id.unwrap_or_default().to_owned());
                answer(200, "").map(tagged)
            }
            "POST" if self.is_over => answer(404, "<Error><Code>NoSuchUpload</Code></Error>"),
            "POST" => {
                let completion = if self.completions.is_empty() {
                    Completion::Done
                } else {
                    self.completions.remove(0)
                };
                if completion == Completion::Fails {
                    return answer(200, "<Error><Code>InternalError</Code></Error>");
                }
                self.is_over = true;
                let object = self.parts.values().flatten().copied().collect();
                self.objects.insert(path.to_owned(), object);
                if completion == Completion::Lost {
                    return answer(200, broken(b"<R>".to_vec()));
                }
                answer(200, "<R><ETag>one</ETag></R>")
            }
            _ => answer(405, ""),
        }
    }

    fn head(&self, path: &str) -> http_server::Answer {
        let Some(object) = self.objects.get(path) else {
            return answer(404, "");
        };
        let mut response = answer(200, "")?;
        response.headers_mut().insert(CONTENT_LENGTH, object.len().into());
        Ok(tagged(response))
    }

    /// An object from where the request's range begins, as far as it is to go.
    fn read(&mut self, request: &Request, path: &str) -> http_server::Answer {
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
        let from = range.map_or(Ok(0), |range| range.trim_end_matches('-').parse());
        let from = from.map_err(io::Error::other)?;
        self.reads.push(from);
        let Some(rest) = self.objects.get(path).and_then(|object| object.get(from..)) else {
            return answer(404, "");
        };
        let most = self.break_after.or(self.hang_after).unwrap_or(usize::MAX);
        let sent = rest[..most.min(rest.len())].to_vec();
        let whole = sent.len() == rest.len();
        let body = if self.hang_after.is_some() {
            // Until the other side goes.
            let part = stream::iter([io::Result::Ok(sent)]);
            Body::from_stream(part.chain(stream::pending()))
        } else if whole {
            sent.into()
        } else {
            broken(sent)
        };
        let mut response = answer(206, body)?;
        let total = from + rest.len();
        let range = format!("bytes {from}-{}/{total}", total.saturating_sub(1));
        let range = range.try_into().map_err(io::Error::other)?;
        response.headers_mut().insert(CONTENT_RANGE, range);
        response.headers_mut().insert(CONTENT_LENGTH, rest.len().into());
        Ok(tagged(response))
    }
}

fn tagged(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(ETAG, HeaderValue::from_static("\"one\""));
    response
}
