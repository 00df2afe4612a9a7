//! Parser of exposition text, chunk by chunk, to an [`ExporterPage`].
//!
//! Only the lines that are needed are kept and parsed.

mod metrics;

pub use self::metrics::whole;
use self::metrics::{COLLATIONS_SENT, NODE, read};
use super::line::SampleLine;
use super::{ExporterError, ExporterPage};
use agent_core::event::ScrapeError;

/// Longest line that is looked at, bytes. A needed line has about 100.
const LONGEST: usize = 1024;

/// Most lines that are kept. A page has about 20 that are needed.
const MOST: usize = 256;

/// Collects what is needed of a page, chunk by chunk.
pub(super) struct PageReader<'a> {
    prefix: &'a str,
    /// The needed lines.
    lines: Vec<String>,
    /// A line whose end is yet to come, unless it is too long already.
    partial: Vec<u8>,
    too_long: bool,
    /// The first line that is not a comment, by which exposition text is recognized.
    first: Option<String>,
    genesis: GenesisHash,
    /// A `…_block_height` of another prefix.
    other: Option<String>,
    /// Bytes fed so far.
    pub(super) bytes: usize,
}

impl<'a> PageReader<'a> {
    pub(super) fn new(prefix: &'a str) -> Self {
        let (lines, partial) = (Vec::new(), Vec::new());
        Self {
            prefix,
            lines,
            partial,
            too_long: false,
            first: None,
            genesis: GenesisHash::Missing,
            other: None,
            bytes: 0,
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len();
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if self.partial.is_empty() && !self.too_long {
                self.line(line);
            } else {
                self.keep(line);
                let whole = std::mem::take(&mut self.partial);
                if !self.too_long {
                    self.line(&whole);
                }
                self.partial = whole;
                self.partial.clear();
                self.too_long = false;
            }
        }
        self.keep(rest);
    }

    /// The page, or why it is none.
    pub(super) fn finish(self) -> Result<ExporterPage, ExporterError> {
        let Self {
            prefix,
            lines,
            partial,
            too_long,
            first,
            genesis,
            other,
            bytes,
        } = self;
        let genesis = match genesis {
            GenesisHash::Found(genesis) => Some(genesis),
            GenesisHash::Missing | GenesisHash::Ambiguous => None,
        };
        if !partial.is_empty() || too_long {
            // A number cut short is another number.
            return Err(failed(ScrapeError::Unparsable, "the page ends within a line"));
        }
        if lines.len() > MOST {
            let detail = format!("the page has its metrics more than {MOST} times");
            return Err(failed(ScrapeError::Unparsable, detail));
        }
        let looks_right = first.is_none_or(|line| SampleLine::parse(&line).is_some());
        match (read(prefix, &lines), other) {
            (Some(page), _) => Ok(ExporterPage { genesis, bytes, ..page }),
            (None, Some(other)) => {
                let detail = format!("no {prefix}_block_height but {other}_block_height: set prefix = \"{other}\"");
                Err(failed(ScrapeError::MetricMissing, detail))
            }
            (None, None) if looks_right => {
                let detail = format!("no {prefix}_block_height on the page: another program's exporter?");
                Err(failed(ScrapeError::MetricMissing, detail))
            }
            (None, None) => Err(failed(ScrapeError::Unparsable, "the answer is no exposition text")),
        }
    }

    /// Adds to the line whose end is yet to come.
    fn keep(&mut self, part: &[u8]) {
        if self.too_long || self.partial.len() + part.len() > LONGEST {
            self.too_long = true;
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(part);
        }
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line[0] == b'#' {
            return;
        }
        if self.first.is_none() {
            self.first = Some(text(&line[..line.len().min(LONGEST)]));
        }
        let end = memchr::memchr2(b'{', b' ', line);
        let Some(name) = end.map(|end| &line[..end]).filter(|_| line.len() <= LONGEST) else {
            return;
        };
        let node = name
            .strip_prefix(self.prefix.as_bytes())
            .and_then(|name| name.strip_prefix(b"_"));
        let is_of_node = node.is_some_and(|name| NODE.iter().any(|needed| needed.as_bytes() == name));
        if is_of_node || name == COLLATIONS_SENT.as_bytes() {
            // One more than can be used, so that the excess is seen.
            if self.lines.len() <= MOST {
                self.lines.push(text(line));
            }
        } else if node.is_some_and(|n| n.starts_with(b"sub_libp2p_")) {
            self.genesis.note(line);
        } else if let Some(other) = name.strip_suffix(b"_block_height") {
            self.other.get_or_insert_with(|| text(other));
        }
    }
}

/// The chain's first block, as protocol names tell it: `/<genesis>/block-announces/1`.
enum GenesisHash {
    Missing,
    Found(String),
    /// Who to believe?
    Ambiguous,
}

impl GenesisHash {
    fn note(&mut self, line: &[u8]) {
        let Some(end) = memchr::memmem::find(line, b"/block-announces/") else {
            return;
        };
        let Some(start) = memchr::memrchr(b'"', &line[..end]) else {
            return;
        };
        // A fork's name may follow it.
        let mut parts = line[start + 1..end].split(|b| *b == b'/');
        let (Some(b""), Some(hash)) = (parts.next(), parts.next()) else {
            return;
        };
        if hash.len() != 64 || !hash.iter().all(u8::is_ascii_hexdigit) {
            return;
        }
        let hash = String::from_utf8_lossy(hash).to_ascii_lowercase();
        match self {
            GenesisHash::Missing => *self = GenesisHash::Found(hash),
            GenesisHash::Found(known) if *known != hash => *self = GenesisHash::Ambiguous,
            GenesisHash::Found(_) | GenesisHash::Ambiguous => {}
        }
    }
}

fn failed(kind: ScrapeError, detail: impl Into<String>) -> ExporterError {
    let detail = detail.into();
    ExporterError { kind, detail }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests;
