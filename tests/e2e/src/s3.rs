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
    /// Where everybody is sent instead.
    pub moved_to: Option<String>,
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
            _ if !signed => refused("AccessDenied"),
            "POST" if query.starts_with("uploads") => {
                self.parts.clear();
                answer(200, "<R><UploadId>an upload</UploadId></R>")
            }
            "PUT" => {
                let number = query.trim_start_matches("partNumber=").split('&').next();
                let number = number.unwrap_or_default().parse().map_err(io::Error::other)?;
                if self.refuse_above.is_some_and(|most| number > most) {
                    return refused("AccessDenied");
                }
                self.parts.insert(number, request.body.to_vec());
                self.sent.push(number);
                let id = query.split('&').find_map(|pair| pair.strip_prefix("uploadId="));
                self.ids.push(id.unwrap_or_default().to_owned());
                answer(200, "").map(tagged)
            }
            "POST" => {
                let object = self.parts.values().flatten().copied().collect();
                self.objects.insert(path.to_owned(), object);
                answer(200, "<R><ETag>one</ETag></R>")
            }
            _ => answer(405, ""),
        }
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
