//! Exposition text, as it arrives, to a [`Page`].
//!
//! Only the lines that are needed are kept and parsed.

use super::line::Line;
use super::{Collation, Page};
use agent_core::event::{Sample, ScrapeError};

/// Longest line that is looked at, bytes. A needed line has about 100.
const LONGEST: usize = 1024;

/// Most lines that are kept. A page has about 20 that are needed.
const MOST: usize = 256;

/// Needed metrics, after the prefix and its underscore.
const NODE: [&str; 10] = [
    "block_height",
    "build_info",
    "import_queue_processed_total",
    "node_roles",
    "process_start_time_seconds",
    "proposer_block_constructed_count",
    "sub_libp2p_is_major_syncing",
    "sub_libp2p_network_bytes_total",
    "sub_libp2p_peers_count",
    "sync_peers",
];

/// Of the relay side's collator protocol, whose prefix is the same everywhere.
const COLLATIONS_SENT: &str = "polkadot_parachain_collations_sent_total";

/// Collects what is needed of a page, chunk by chunk.
pub(super) struct Reader<'a> {
    prefix: &'a str,
    /// The needed lines.
    lines: Vec<String>,
    /// A line whose end is yet to come, unless it is too long already.
    partial: Vec<u8>,
    too_long: bool,
    /// The first line that is no comment: it tells whether this is exposition text.
    first: Option<String>,
    genesis: Genesis,
    /// A `…_block_height` of another prefix.
    other: Option<String>,
    bytes: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(prefix: &'a str) -> Self {
        let (lines, partial) = (Vec::new(), Vec::new());
        Self {
            prefix,
            lines,
            partial,
            too_long: false,
            first: None,
            genesis: Genesis::Untold,
            other: None,
            bytes: 0,
        }
    }

    /// Bytes fed so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
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
    pub(super) fn finish(self) -> Result<Page, (ScrapeError, String)> {
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
            Genesis::Told(genesis) => Some(genesis),
            Genesis::Untold | Genesis::Two => None,
        };
        if !partial.is_empty() || too_long {
            // A number cut short is another number.
            return Err((ScrapeError::Unparsable, "the page ends within a line".to_owned()));
        }
        if lines.len() > MOST {
            let detail = format!("the page has its metrics more than {MOST} times");
            return Err((ScrapeError::Unparsable, detail));
        }
        let looks_right = first.is_none_or(|line| Line::parse(&line).is_some());
        match (read(prefix, &lines), other) {
            (Some(page), _) => Ok(Page { genesis, bytes, ..page }),
            (None, Some(other)) => {
                let detail = format!("no {prefix}_block_height but {other}_block_height: set prefix = \"{other}\"");
                Err((ScrapeError::MetricMissing, detail))
            }
            (None, None) if looks_right => {
                let detail = format!("no {prefix}_block_height on the page: another program's exporter?");
                Err((ScrapeError::MetricMissing, detail))
            }
            (None, None) => Err((ScrapeError::Unparsable, "the answer is no exposition text".to_owned())),
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
enum Genesis {
    Untold,
    Told(String),
    /// Who to believe?
    Two,
}

impl Genesis {
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
            Self::Untold => *self = Self::Told(hash),
            Self::Told(known) if *known != hash => *self = Self::Two,
            Self::Told(_) | Self::Two => {}
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// The needed lines as a page; `None` when there is no block height among them.
fn read(prefix: &str, lines: &[String]) -> Option<Page> {
    let (mut sample, mut collation, mut page) = (Sample::default(), Collation::default(), Page::default());
    let (mut peers_count, mut sync_peers) = (None, None);
    let mut has_height = false;
    for line in lines.iter().filter_map(|line| Line::parse(line)) {
        // It is shown on terminals.
        let label = |name: &str| line.label(name).map(|value| value.replace(char::is_control, "_"));
        let node_name = line.name.strip_prefix(prefix).and_then(|name| name.strip_prefix('_'));
        let slot = match node_name.unwrap_or_default() {
            _ if line.name == COLLATIONS_SENT => &mut collation.sent,
            "block_height" => {
                has_height = true;
                page.chain_id = page.chain_id.or_else(|| label("chain"));
                match line.label("status").as_deref() {
                    Some("best") => &mut sample.best,
                    Some("finalized") => &mut sample.finalized,
                    Some("sync_target") => &mut sample.target,
                    _ => continue,
                }
            }
            "build_info" => {
                page.node_version = page.node_version.or_else(|| label("version"));
                continue;
            }
            "sub_libp2p_is_major_syncing" => {
                sample.major_syncing = sample.major_syncing.or(match whole(line.value) {
                    Some(0) => Some(false),
                    Some(1) => Some(true),
                    _ => None,
                });
                continue;
            }
            "import_queue_processed_total" if line.label("result").as_deref() == Some("success") => {
                &mut sample.imported_total
            }
            "sub_libp2p_network_bytes_total" if line.label("direction").as_deref() == Some("in") => {
                &mut sample.bytes_in
            }
            "node_roles" => &mut page.node_roles,
            "process_start_time_seconds" => &mut sample.process_start,
            "proposer_block_constructed_count" => &mut collation.built,
            "sub_libp2p_peers_count" => &mut peers_count,
            "sync_peers" => &mut sync_peers,
            _ => continue,
        };
        // Said twice, the first word counts.
        *slot = slot.or_else(|| whole(line.value));
    }
    sample.peers = peers_count.or(sync_peers);
    sample.built_total = collation.built;
    has_height.then_some(Page {
        sample,
        collation,
        ..page
    })
}

/// The value as a count; `None` when it is none: not a number, negative, or beyond what a float can count.
fn whole(value: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0 to 2^53"
    )]
    (0.0..=EXACT).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use proptest::prelude::*;

    use super::*;

    /// Any text as an exporter writes it into a label.
    fn escaped(value: &str) -> String {
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    }

    #[test]
    fn the_genesis_is_told_by_the_chain_s_own_protocols_and_two_are_none() {
        let line =
            |hash: &str| format!("substrate_sub_libp2p_x{{protocol=\"/{hash}/block-announces/1\",chain=\"c\"}} 0\n");
        let genesis = |lines: String| {
            let text = format!("substrate_block_height{{status=\"best\",chain=\"c\"}} 1\n{lines}");
            read_in_chunks(text.as_bytes(), 7).unwrap().genesis
        };
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        assert_eq!(genesis(line(&one) + &line("sup") + &line(&one)), Some(one.clone()));
        assert_eq!(genesis(line(&format!("{one}/fork"))), Some(one.clone()));
        assert_eq!(genesis(line(&one) + &line(&two)), None);
        assert_eq!(genesis(line("sup")), None);
    }

    fn read_in_chunks(text: &[u8], size: usize) -> Result<Page, (ScrapeError, String)> {
        let mut reader = Reader::new("substrate");
        for chunk in text.chunks(size) {
            reader.feed(chunk);
        }
        reader.finish()
    }

    proptest! {
        #[test]
        fn what_a_node_writes_is_read_whatever_its_names_and_however_it_arrives(
            best in 0..1u64 << 53,
            target in 0..1u64 << 53,
            bytes_in in 0..1u64 << 53,
            chain in "[a-z0-9_]{1,20}",
            name in "\\PC{0,40}",
            size in 1..300usize,
            timestamp in proptest::option::of(0..2_000_000_000_000u64),
        ) {
            let (quoted, time) = (escaped(&name), timestamp.map_or(String::new(), |t| format!(" {t}")));
            let text = format!(
                "# HELP substrate_block_height Height\n\
                 # TYPE substrate_block_height gauge\n\
                 substrate_build_info{{name=\"{quoted}\",version=\"1.2\",chain=\"{chain}\"}} 1{time}\n\
                 substrate_block_height{{status=\"best\",node=\"{quoted}\",chain=\"{chain}\"}} {best}{time}\r\n\
                 substrate_block_height{{chain=\"{chain}\",status=\"sync_target\"}} {target}\n\
                 substrate_block_height_other{{status=\"best\"}} 1\n\
                 substrate_sub_libp2p_network_bytes_total{{direction=\"in\"}} {bytes_in}\n\
                 substrate_sync_peers 4\n"
            );
            let page = read_in_chunks(text.as_bytes(), size).unwrap();
            let sample = Sample {
                best: Some(best),
                target: Some(target),
                bytes_in: Some(bytes_in),
                peers: Some(4),
                ..Sample::default()
            };
            prop_assert_eq!(page.sample, sample);
            prop_assert_eq!(page.chain_id, Some(chain));
            prop_assert_eq!(page.node_version.as_deref(), Some("1.2"));
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_grow(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..200),
                    "substrate_block_height\\{status=\"best\"[,={}\"]{0,3}\\} [0-9naif.e+-]{1,8}\n".prop_map(String::into_bytes),
                    Just(b"substrate_sync_peers 1\n".repeat(100)),
                ],
                0..30,
            ),
            size in 1..500usize,
        ) {
            let mut reader = Reader::new("substrate");
            for chunk in parts.concat().chunks(size) {
                reader.feed(chunk);
                prop_assert!(reader.partial.len() <= LONGEST && reader.lines.len() <= MOST + 1);
            }
            let _ = reader.finish();
        }
    }

    fn best(value: &str) -> Option<u64> {
        let text = format!("substrate_block_height{{status=\"best\"}} {value}\n");
        read_in_chunks(text.as_bytes(), 7).unwrap().sample.best
    }

    #[test]
    fn what_cannot_be_a_height_is_unknown() {
        for value in ["NaN", "+Inf", "-Inf", "-1", "1e300", "9007199254740994"] {
            assert_eq!(best(value), None, "{value}");
        }
        assert_eq!((best("0"), best("1.5e3"), best("7.9")), (Some(0), Some(1500), Some(7)));
    }

    #[test]
    fn absent_metrics_are_unknown() {
        let page = read_in_chunks(b"substrate_block_height{status=\"finalized\"} 3\n", 9).unwrap();
        let sample = Sample {
            finalized: Some(3),
            ..Sample::default()
        };
        assert_eq!(
            page,
            Page {
                sample,
                bytes: page.bytes,
                ..Page::default()
            }
        );
    }

    #[test]
    fn connected_peers_come_before_sync_peers() {
        let text =
            "substrate_block_height{status=\"best\"} 1\nsubstrate_sync_peers 9\nsubstrate_sub_libp2p_peers_count 5\n";
        assert_eq!(read_in_chunks(text.as_bytes(), 4096).unwrap().sample.peers, Some(5));
    }

    #[test]
    fn only_imports_that_succeeded_count() {
        let text = "substrate_block_height{status=\"best\"} 1\n\
                    substrate_import_queue_processed_total{result=\"bad_block\"} 70\n\
                    substrate_import_queue_processed_total{result=\"success\"} 7\n";
        assert_eq!(
            read_in_chunks(text.as_bytes(), 4096).unwrap().sample.imported_total,
            Some(7)
        );
    }

    #[test]
    fn the_old_prefix_of_relay_chains_works_beside_their_collation_counters() {
        let mut reader = Reader::new("polkadot");
        reader.feed(
            b"polkadot_block_height{status=\"best\",chain=\"rococo\"} 12\n\
              polkadot_parachain_collations_sent_total{chain=\"rococo\"} 3\n",
        );
        let page = reader.finish().unwrap();
        assert_eq!((page.sample.best, page.collation.sent), (Some(12), Some(3)));
    }

    #[test]
    fn a_line_longer_than_the_cap_is_passed_over() {
        let long = format!("substrate_sync_peers{{x=\"{}\"}} 1\n", "a".repeat(LONGEST));
        let text = format!("{long}{long}substrate_block_height{{status=\"best\"}} 7\n{long}");
        for size in [1, 100, LONGEST, usize::MAX] {
            let page = read_in_chunks(text.as_bytes(), size).unwrap();
            assert_eq!((page.sample.best, page.sample.peers), (Some(7), None));
        }
    }

    #[test]
    fn a_page_that_repeats_its_metrics_without_end_is_refused() {
        let text = "substrate_block_height{status=\"best\"} 7\n".repeat(MOST + 1);
        assert_eq!(
            read_in_chunks(text.as_bytes(), 999).unwrap_err().0,
            ScrapeError::Unparsable
        );
    }
}
