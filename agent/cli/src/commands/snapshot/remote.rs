//! Snapshots behind a URL: read from where it is asked for, and again from where the line broke.

use std::io::{self, Read};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use reqwest::header::{CONTENT_RANGE, ETAG, RANGE};
use reqwest::{Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};
use url::{Host, Url};

use agent_aws::S3Bucket;
use agent_chaindata::snapshot::SnapshotSource;
use agent_net::backoff;
use agent_net::http::{self, RequestError};

/// From asking to the head of the answer.
const ANSWER: Duration = Duration::from_mins(1);
/// Between two pieces of the body.
const STALL: Duration = Duration::from_mins(1);
/// In a row, without a byte between them.
const RETRIES: usize = 5;
/// The first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));
/// Pieces that wait for their reader.
const WAITING: usize = 8;

/// A snapshot behind `http:`, `https:` or `s3:`.
#[derive(Debug)]
pub(crate) struct Remote {
    from: Location,
    /// Does what does not block, while the readers block.
    runtime: Handle,
}

impl Remote {
    /// `imds` is where an instance learns its region and credentials, which only `s3:` needs. To be called, and used, while a
    /// runtime is at work.
    pub(crate) fn new(url: &str, imds: &str) -> anyhow::Result<Self> {
        let from = if let Some((bucket, key)) = s3(url)? {
            let (bucket, key, imds) = (bucket.to_owned(), key.to_owned(), imds.to_owned());
            Location::S3 { bucket, key, imds }
        } else {
            // Not repeated: it may hold a password.
            let url = Url::parse(url).context("what is given with :// is no URL")?;
            if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
                bail!(
                    "{}: give an address that begins with https://, http:// or s3://",
                    shown(&url)
                );
            }
            Location::Web(url)
        };
        let runtime = Handle::current();
        Ok(Self { from, runtime })
    }

    pub(crate) fn is_meant(words: &str) -> bool {
        words.contains("://")
    }

    /// Whether anyone on the way can change what it sends: plain HTTP to another host.
    pub(crate) fn can_be_changed(&self) -> bool {
        let Location::Web(url) = &self.from else {
            return false;
        };
        let is_here = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            host => host == Some(Host::Domain("localhost")),
        };
        url.scheme() == "http" && !is_here
    }
}

impl SnapshotSource for Remote {
    fn name(&self) -> String {
        match &self.from {
            Location::S3 { bucket, key, .. } => format!("s3://{bucket}/{key}"),
            Location::Web(url) => shown(url),
        }
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        let (pieces, mut reader) = mpsc::channel(WAITING);
        let mut pump = Pump {
            from: self.from.clone(),
            at,
            tag: None,
        };
        // What is wrong from the beginning is an error of opening.
        let (pump, answer) = self.runtime.block_on(async move {
            let answer = pump.ask().await;
            answer.map(|answer| (pump, answer))
        })?;
        self.runtime.spawn(pump.run(answer, pieces));
        let pieces = stream::poll_fn(move |task| reader.poll_recv(task));
        Ok(Box::new(SyncIoBridge::new_with_handle(
            StreamReader::new(pieces),
            self.runtime.clone(),
        )))
    }
}

#[derive(Debug, Clone)]
enum Location {
    Web(Url),
    S3 { bucket: String, key: String, imds: String },
}

/// An address without what may be a secret: user, password, query.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Refused only where there can be none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

/// Bucket and key of `s3://BUCKET/KEY`, as they are: a key may have spaces and percent signs. `None` for other places.
pub(super) fn s3(words: &str) -> anyhow::Result<Option<(&str, &str)>> {
    let Some(place) = words.strip_prefix("s3://") else {
        return Ok(None);
    };
    match place.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Some((bucket, key))),
        _ => bail!("{words}: give s3://BUCKET/KEY"),
    }
}

/// What is sent from here on.
struct Download {
    /// Which version it is of.
    tag: Option<String>,
    /// Bytes at its beginning that were not asked for.
    ahead: u64,
    body: BoxStream<'static, io::Result<Bytes>>,
}

struct Pump {
    from: Location,
    at: u64,
    /// Which version of it is read.
    tag: Option<String>,
}

impl Pump {
    /// The answer from here on. `None` at the end.
    async fn ask(&mut self) -> io::Result<Option<Download>> {
        let answer = tokio::time::timeout(ANSWER, self.ask_once()).await;
        let answer = answer.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
        let Some(answer) = answer else {
            return Ok(None);
        };
        if self.tag.is_some() && self.tag != answer.tag {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it was replaced while it was read",
            ));
        }
        self.tag.clone_from(&answer.tag);
        Ok(Some(answer))
    }

    async fn ask_once(&self) -> io::Result<Option<Download>> {
        let (url, at) = match &self.from {
            Location::S3 { bucket, key, imds } => {
                let bucket = S3Bucket::open(bucket, imds, true).await.map_err(io::Error::other)?;
                let object = bucket.get(key, self.at).await.map_err(io::Error::other)?;
                return Ok(object.map(|object| Download {
                    tag: object.tag,
                    ahead: 0,
                    body: object.body.map(|piece| piece.map_err(io::Error::other)).boxed(),
                }));
            }
            Location::Web(url) => (url, self.at),
        };
        // It may lead to https.
        let trusts = (url.scheme() == "http").then(http::authorities);
        let client = http::download(url, trusts).await.map_err(io::Error::other)?;
        let request = client.get(url.clone());
        let request = if at == 0 {
            request
        } else {
            request.header(RANGE, format!("bytes={at}-"))
        };
        let answer = request.send().await;
        let answer = answer.map_err(|error| io::Error::other(RequestError::from(error)))?;
        let ahead = match answer.status() {
            StatusCode::OK => at,
            StatusCode::PARTIAL_CONTENT if begins_at(&answer, at) => 0,
            StatusCode::PARTIAL_CONTENT => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the server sends another part than it was asked for",
                ));
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(None),
            status if status.is_redirection() => return Err(io::Error::other(format!("{status} to nowhere"))),
            status => return Err(io::Error::other(format!("the server says {status}"))),
        };
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.map(str::to_owned);
        let broken = |error| io::Error::other(http::innermost(&error));
        let body = answer.bytes_stream().map(move |piece| piece.map_err(broken)).boxed();
        Ok(Some(Download { tag, ahead, body }))
    }

    /// Hands on what comes, and asks again when it breaks off.
    async fn run(mut self, mut answer: Option<Download>, pieces: mpsc::Sender<io::Result<Bytes>>) {
        let pauses = || backoff::pauses(PAUSE.0, PAUSE.1).take(RETRIES);
        let mut left = pauses();
        loop {
            let Some(begun) = answer else {
                return;
            };
            let before = self.at;
            let Err(mut error) = self.pass(begun, &pieces).await else {
                return;
            };
            if self.at > before {
                left = pauses();
            }
            answer = loop {
                let pause = left.next().filter(|_| error.kind() != io::ErrorKind::InvalidData);
                let Some(pause) = pause else {
                    let _ = pieces.send(Err(error)).await;
                    return;
                };
                tokio::time::sleep(pause).await;
                match self.ask().await {
                    Ok(answer) => break answer,
                    Err(failed) => error = failed,
                }
            };
        }
    }

    /// The whole body, but what is ahead.
    async fn pass(&mut self, answer: Download, to: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
        let Download {
            mut ahead, mut body, ..
        } = answer;
        loop {
            let piece = tokio::time::timeout(STALL, body.next()).await;
            let piece = piece.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the server sends nothing more"))?;
            let Some(piece) = piece.transpose()? else {
                return Ok(());
            };
            let skip = ahead.min(piece.len() as u64);
            ahead -= skip;
            let piece = piece.slice(usize::try_from(skip).unwrap_or_default()..);
            let length = piece.len() as u64;
            if length > 0 && to.send(Ok(piece)).await.is_err() {
                // The reader is gone.
                return Ok(());
            }
            self.at += length;
        }
    }
}

/// Whether the part that is sent begins with the byte `at`, as far as the server says where it begins.
fn begins_at(answer: &Response, at: u64) -> bool {
    let range = answer
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    let range = range.and_then(|range| range.strip_prefix("bytes "));
    let begin = range.and_then(|range| range.split_once('-'));
    begin.is_none_or(|(begin, _)| begin.parse() == Ok(at))
}
