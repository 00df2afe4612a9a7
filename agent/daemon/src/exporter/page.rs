//! Parser of exposition text, chunk by chunk, to an [`ExporterPage`].
//!
//! Only the lines that are needed are kept and parsed.

mod metrics;

pub use self::metrics::whole;
use self::metrics::{BLOCK_HEIGHT, COLLATIONS_SENT, NODE, read};
use super::line::SampleLine;
use super::line_splitter::{LONGEST, LineSplitter};
use super::{ExporterError, ExporterPage};
use agent_core::event::{Chain, ScrapeError};

/// Most lines that are kept of one metric. A page has at most three of those that are needed.
const MOST: u8 = 16;

/// What the metrics of the relay chain's subsystems begin with, whatever the prefix.
const RELAY_SIDE: &[u8] = b"polkadot_parachain_";

/// Collects what is needed of a page, chunk by chunk.
pub(crate) struct PageReader<'a> {
    splitter: LineSplitter,
    found: NeededLines<'a>,
    /// Bytes fed so far.
    pub(super) bytes: usize,
}

/// What is needed of the lines so far.
struct NeededLines<'a> {
    chain: Chain,
    prefix: &'a str,
    /// The needed lines.
    lines: Vec<String>,
    /// How many of them are of each metric: of [`NODE`], and [`COLLATIONS_SENT`].
    kept: [u8; NODE.len() + 1],
    /// The first line that is not a comment, by which exposition text is recognized.
    first: Option<String>,
    /// The lines of the block height have ended: another follows.
    heights_ended: bool,
    /// There is a metric of this prefix's node, or of the relay chain's subsystems.
    is_node: bool,
    genesis: GenesisHash,
    /// A `…_block_height` of another prefix.
    other: Option<String>,
}

impl<'a> PageReader<'a> {
    pub(crate) fn new(chain: Chain, prefix: &'a str) -> Self {
        let found = NeededLines {
            chain,
            prefix,
            lines: Vec::new(),
            kept: [0; NODE.len() + 1],
            first: None,
            heights_ended: false,
            is_node: false,
            genesis: GenesisHash::Missing,
            other: None,
        };
        Self {
            splitter: LineSplitter::default(),
            found,
            bytes: 0,
        }
    }

    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len();
        self.splitter.feed(chunk, |line| self.found.note(line));
    }

    /// The page, or why it is none.
    pub(crate) fn finish(self) -> Result<ExporterPage, ExporterError> {
        if !self.splitter.is_whole() {
            // A number cut short is another number.
            return Err(failed(ScrapeError::Unparsable, "the page ends within a line"));
        }
        Ok(ExporterPage {
            bytes: self.bytes,
            ..self.found.finish()?
        })
    }

    /// The page as far as it was read; `None` when its heights are not among that.
    pub(crate) fn finish_early(self) -> Option<ExporterPage> {
        let page = self.found.heights_ended.then(|| self.found.finish())?.ok()?;
        Some(ExporterPage {
            bytes: self.bytes,
            ..page
        })
    }
}

impl NeededLines<'_> {
    fn finish(self) -> Result<ExporterPage, ExporterError> {
        let Self { prefix, other, .. } = self;
        let genesis = match self.genesis {
            GenesisHash::Found(genesis) => Some(genesis),
            GenesisHash::Missing | GenesisHash::Ambiguous => None,
        };
        let (page, has_height) = read(prefix, &self.lines);
        if has_height {
            return Ok(ExporterPage { genesis, ..page });
        }
        if let Some(other) = other {
            let detail = format!("no {prefix}_block_height but {other}_block_height: set prefix = \"{other}\"");
            return Err(failed(ScrapeError::MetricMissing, detail));
        }
        if self.chain == Chain::Relaychain && self.is_node && self.kept[BLOCK_HEIGHT] == 0 {
            return Ok(page.without_chain());
        }
        if self.first.is_none_or(|line| SampleLine::parse(&line).is_some()) {
            let detail = format!("no {prefix}_block_height on the page: another program's exporter?");
            return Err(failed(ScrapeError::MetricMissing, detail));
        }
        Err(failed(ScrapeError::Unparsable, "the answer is no exposition text"))
    }

    fn note(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let name = memchr::memchr2(b'{', b' ', line).map(|end| &line[..end]);
        let node = name
            .and_then(|name| name.strip_prefix(self.prefix.as_bytes()))
            .and_then(|name| name.strip_prefix(b"_"));
        let needed = node.and_then(|node| NODE.iter().position(|needed| needed.as_bytes() == node));
        self.heights_ended |= self.kept[BLOCK_HEIGHT] > 0 && needed != Some(BLOCK_HEIGHT);
        if line.is_empty() || line[0] == b'#' {
            return;
        }
        if self.first.is_none() {
            self.first = Some(text(&line[..line.len().min(LONGEST)]));
        }
        let Some(name) = name.filter(|_| line.len() <= LONGEST) else {
            return;
        };
        let is_libp2p = node.is_some_and(|name| name.starts_with(b"sub_libp2p_"));
        self.is_node |= needed.is_some() || is_libp2p || name.starts_with(RELAY_SIDE);
        let needed = needed.or_else(|| (name == COLLATIONS_SENT.as_bytes()).then_some(NODE.len()));
        if let Some(metric) = needed {
            if self.kept[metric] < MOST {
                self.kept[metric] += 1;
                self.lines.push(text(line));
            }
        } else if is_libp2p {
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
