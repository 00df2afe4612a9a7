//! Scrapes one chain's Prometheus exporter into a [`Sample`].
//!
//! The page is parsed as it arrives and only needed lines are kept, so that memory stays bounded whatever a broken or
//! hostile exporter sends.

mod connection;
pub(crate) mod line;
pub(crate) mod line_splitter;
mod page;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::Duration;

use hyper::{StatusCode, header};
use url::Url;

use agent_core::event::{Chain, Sample, ScrapeError};
use agent_net::http;
use agent_runtime::Instant;

use self::connection::Answer;
pub(crate) use self::page::PageReader;
pub use self::page::whole;

/// Most that is read of a page, bytes. A full page of a node has 120 to 270 kB, and some grow to megabytes by label values
/// that others choose; the needed lines come first.
pub(crate) const MOST_READ: usize = 16 << 20;

/// Client of one chain's exporter.
#[derive(Debug)]
pub struct ExporterClient {
    chain: Chain,
    url: Url,
    prefix: String,
    timeout: Duration,
}

/// The result of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExporterPage {
    pub sample: Sample,
    /// Id of the chain specification that the node runs: label `chain` of `block_height`.
    pub chain_id: Option<String>,
    pub collation: CollationCounts,
    /// Version of the node's program: label `version` of `build_info`.
    pub node_version: Option<String>,
    /// Hash of the chain's first block, 64 hex digits, from the names of its own protocols (`block-announces`).
    /// `None` when there are none, or they name two.
    pub genesis: Option<String>,
    /// `node_roles`: 1 is a full node, 4 an authority.
    pub node_roles: Option<u64>,
    /// The exporter has no chain of its own, so that the page has no heights: `--relay-chain-rpc-urls`.
    pub by_rpc: bool,
    /// Size of the page, or of what was read of it.
    pub bytes: usize,
    /// From the request to the end of the page.
    pub elapsed: Duration,
}

impl ExporterPage {
    /// Without what is said of a chain by an exporter that has none. Its connections serve single collations: their
    /// number does not matter.
    fn without_chain(self) -> Self {
        let Sample {
            bytes_in,
            process_start,
            ..
        } = self.sample;
        Self {
            sample: Sample {
                bytes_in,
                process_start,
                ..Sample::default()
            },
            by_rpc: true,
            ..self
        }
    }
}

/// Counts of the collator's blocks and collations; totals since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CollationCounts {
    /// Parachain exporter, `proposer_block_constructed_count`: blocks built here, included or not.
    pub built: Option<u64>,
    /// Relay exporter, `collations_sent_total`.
    pub sent: Option<u64>,
}

/// A failed scrape. The text names the exporter, the failure and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ExporterError {
    pub kind: ScrapeError,
    pub detail: String,
}

impl ExporterClient {
    /// An exporter as configured. `timeout` is for one scrape as a whole, from connecting to the last byte.
    ///
    /// # Errors
    /// The URL cannot be parsed, which the configuration rules out.
    pub fn new(
        chain: Chain,
        config: &agent_config::ExporterConfig,
        timeout: Duration,
    ) -> Result<Self, url::ParseError> {
        Ok(Self {
            chain,
            url: config.metrics.parse()?,
            prefix: config.prefix.clone(),
            timeout,
        })
    }

    /// Reads the page once. Ends within the timeout, or at [`MOST_READ`] bytes; with heights among what was read by then
    /// that is a page.
    pub async fn scrape(&self) -> Result<ExporterPage, ExporterError> {
        let started = Instant::now();
        let mut reader = PageReader::new(self.chain, &self.prefix);
        let page = match tokio::time::timeout(self.timeout, self.read(&mut reader)).await {
            Ok(Ok(true)) => reader.finish().map_err(|e| self.error(e.kind, &e.detail)),
            Ok(Ok(false)) => reader.finish_early().ok_or_else(|| self.too_large()),
            Ok(Err(error)) => Err(error),
            Err(_) => reader.finish_early().ok_or_else(|| self.timed_out()),
        };
        Ok(ExporterPage {
            elapsed: started.elapsed(),
            ..page?
        })
    }

    /// Reads the page; returns whether that was all of it.
    async fn read(&self, reader: &mut PageReader<'_>) -> Result<bool, ExporterError> {
        let mut answer = self.get().await?;
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.broken(&e))? {
            reader.feed(chunk.as_ref());
            if reader.bytes > MOST_READ {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The page as text, for humans: at most its first `cap` bytes, whole lines, with a comment at
    /// the end when there was more. Ends within the timeout.
    pub async fn raw_page(&self, cap: usize) -> Result<String, ExporterError> {
        self.in_time(self.read_raw(cap)).await
    }

    async fn read_raw(&self, cap: usize) -> Result<String, ExporterError> {
        let mut answer = self.get().await?;
        let mut bytes = Vec::new();
        let mut cut = false;
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.broken(&e))? {
            let chunk = chunk.as_ref();
            let room = cap.saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            cut = chunk.len() > room;
            if cut {
                let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
                bytes.truncate(whole);
                break;
            }
        }
        let mut text = String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        if cut {
            let _ = writeln!(text, "# cut here: the page is larger than {cap} bytes");
        }
        Ok(text)
    }

    async fn get(&self) -> Result<Answer, ExporterError> {
        let answer = connection::get(&self.url).await;
        let answer = answer.map_err(|e| self.unanswered(&*e))?;
        let status = answer.response.status();
        if status != StatusCode::OK {
            let detail = format!("answered {status}: check chains.{}.metrics", self.chain.into_str());
            return Err(self.error(ScrapeError::HttpStatus, &detail));
        }
        if let Some(encoding) = answer.response.headers().get(header::CONTENT_ENCODING) {
            let detail = format!("answered in the encoding {encoding:?}, which was not requested");
            return Err(self.error(ScrapeError::Unparsable, &detail));
        }
        Ok(answer)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, ExporterError>>) -> Result<T, ExporterError> {
        let done = tokio::time::timeout(self.timeout, work).await;
        done.unwrap_or_else(|_| Err(self.timed_out()))
    }

    /// No response, or one that is not HTTP.
    fn unanswered(&self, error: &(dyn Error + 'static)) -> ExporterError {
        let innermost = http::innermost(error);
        // Garbage is still a response.
        if http::is_garbage(error) {
            let detail = format!("the answer is no HTTP ({innermost}): another program has that port");
            return self.error(ScrapeError::Unparsable, &detail);
        }
        if http::io_kind(error) == Some(ErrorKind::ConnectionRefused) {
            return self.error(ScrapeError::Refused, "connection refused: nothing listens there");
        }
        self.error(ScrapeError::Unreachable, &format!("no connection: {innermost}"))
    }

    /// A response that ended early.
    fn broken(&self, error: &hyper::Error) -> ExporterError {
        let detail = format!("the page broke off: {}", http::innermost(error));
        self.error(ScrapeError::Unparsable, &detail)
    }

    fn timed_out(&self) -> ExporterError {
        let limit = agent_config::show_duration(self.timeout);
        self.error(
            ScrapeError::Timeout,
            &format!("no complete answer within {limit} (health.scrape_timeout)"),
        )
    }

    fn too_large(&self) -> ExporterError {
        let (prefix, limit) = (&self.prefix, agent_config::show_size(MOST_READ as u64));
        let detail = format!("no {prefix}_block_height in the first {limit} of the page: another program's exporter?");
        self.error(ScrapeError::TooLarge, &detail)
    }

    fn error(&self, kind: ScrapeError, detail: &str) -> ExporterError {
        ExporterError {
            kind,
            detail: format!("{}: {detail}", self.url),
        }
    }
}
