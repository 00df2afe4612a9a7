//! Heights from the metrics page of a node or of another agent.

use agent_core::event::{Chain, Reading, ReferenceError};
use agent_net::http;
use reqwest::{Client, Response};

use super::{ReadingError, ReferenceClient, failed};
use crate::exporter::line::SampleLine;
use crate::exporter::line_splitter::{LONGEST, LineSplitter};
use crate::exporter::{MOST_READ, whole};

const AGENT_BEST: &str = "t0rn_agent_chain_best_height";
const AGENT_FINALIZED: &str = "t0rn_agent_chain_finalized_height";
/// Of a node's page, after its prefix.
const NODE_HEIGHT: &str = "_block_height";

impl ReferenceClient {
    /// Heights on the page, which is read no further than to both of them.
    pub(super) async fn read_metrics(&self, client: &Client) -> Result<Reading, ReadingError> {
        let (mut lines, mut heights) = (LineSplitter::default(), Heights::new(self.chain));
        let read = async |mut response: Response| {
            let mut bytes = 0;
            let broken = |e: reqwest::Error| {
                let detail = format!("the page broke off: {}", http::innermost(&e));
                failed(ReferenceError::Unreachable, detail)
            };
            while let Some(chunk) = response.chunk().await.map_err(broken)? {
                lines.feed(&chunk, |line| heights.note(line));
                bytes += chunk.len();
                if heights.are_complete() || bytes > MOST_READ {
                    break;
                }
            }
            Ok(heights)
        };
        let heights = self.exchange(client.get(self.url.clone()), read).await?;
        match heights.reading {
            Reading { best: None, .. } => Err(failed(
                ReferenceError::Unparsable,
                "the page has no height of a node or of an agent",
            )),
            reading => Ok(reading),
        }
    }
}

/// Collects the heights of one chain. Of repeated samples the first counts.
pub(crate) struct Heights {
    chain: Chain,
    pub(crate) reading: Reading,
    /// Metric and chain of a node's page: another chain on the same page does not count.
    node: Option<(String, Option<String>)>,
}

impl Heights {
    pub(crate) fn new(chain: Chain) -> Self {
        Self {
            chain,
            reading: Reading::default(),
            node: None,
        }
    }

    fn are_complete(&self) -> bool {
        self.reading.best.is_some() && self.reading.finalized.is_some()
    }

    pub(crate) fn note(&mut self, line: &[u8]) {
        let is_height = |name: &[u8]| {
            name.ends_with(NODE_HEIGHT.as_bytes()) || [AGENT_BEST, AGENT_FINALIZED].map(str::as_bytes).contains(&name)
        };
        let name = memchr::memchr2(b'{', b' ', line).map(|end| &line[..end]);
        if !name.is_some_and(is_height) || line.len() > LONGEST {
            return;
        }
        let Some(sample) = SampleLine::parse(&String::from_utf8_lossy(line)) else {
            return;
        };
        let is_best = match sample.name.as_str() {
            AGENT_BEST | AGENT_FINALIZED => {
                if sample.label("chain").as_deref() != Some(self.chain.into_str()) {
                    return;
                }
                sample.name == AGENT_BEST
            }
            _ => match sample.label("status").as_deref() {
                Some(status @ ("best" | "finalized")) => {
                    let series = (sample.name.clone(), sample.label("chain"));
                    if *self.node.get_or_insert_with(|| series.clone()) != series {
                        return;
                    }
                    status == "best"
                }
                _ => return,
            },
        };
        let slot = if is_best {
            &mut self.reading.best
        } else {
            &mut self.reading.finalized
        };
        *slot = slot.or_else(|| whole(sample.value));
    }
}
