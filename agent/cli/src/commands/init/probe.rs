//! Asks the exporters of a running container for their prefix and their chain.

use std::collections::BTreeSet;
use std::time::Duration;

use agent_config::{ExporterConfig, Idle};
use agent_core::event::{Chain, ScrapeError};
use agent_daemon::exporter::{ExporterClient, ExporterPage};
use agent_docker::ExistingContainer;

use super::draft::{Draft, DraftChain};

/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Most that is read of a page to find its prefix, bytes.
const PAGE: usize = 4 << 20;

/// Asks every exporter that the container publishes already; one of the relay chain's side that does not answer is left out
/// where the node has its relay chain from elsewhere.
pub(super) async fn probe(draft: &mut Draft, container: &ExistingContainer) {
    let was_published: BTreeSet<u16> = container.ports.iter().filter_map(|port| port.host).collect();
    let node = draft.node();
    let mut kept = Vec::new();
    for mut chain in std::mem::take(&mut draft.chains) {
        let port = chain.metrics.parse::<url::Url>().ok().and_then(|url| url.port());
        let is_reachable = draft.network == "host" || port.is_some_and(|port| was_published.contains(&port));
        if !is_reachable {
            draft.note(format!(
                "{}: the exporter was not asked, since it is not published yet",
                chain.chain.into_str()
            ));
            kept.push(chain);
            continue;
        }
        match ask(&chain).await {
            Ok((prefix, page)) => {
                chain.comment = about(&page).or(chain.comment);
                chain.prefix = prefix;
            }
            Err(_) if chain.chain == Chain::Relaychain && node.is_by_rpc() && !kept.is_empty() => {
                draft.note("the relay chain comes by RPC and its side has no exporter: the parachain alone is watched");
                continue;
            }
            Err(reason) => draft.note(format!("{}: {reason}", chain.chain.into_str())),
        }
        kept.push(chain);
    }
    draft.chains = kept;
}

/// The page with its prefix, or why there is none.
async fn ask(chain: &DraftChain) -> anyhow::Result<(String, ExporterPage)> {
    let error = match client(chain, &chain.prefix)?.scrape().await {
        Ok(page) => return Ok((chain.prefix.clone(), page)),
        Err(error) => error,
    };
    let found = match error.kind {
        ScrapeError::MetricMissing => prefix(chain).await,
        _ => None,
    };
    let prefix = found.ok_or(error)?;
    let page = client(chain, &prefix)?.scrape().await?;
    Ok((prefix, page))
}

fn client(chain: &DraftChain, prefix: &str) -> anyhow::Result<ExporterClient> {
    let config = ExporterConfig {
        metrics: chain.metrics.clone(),
        prefix: prefix.to_owned(),
        references: Vec::new(),
        idle: Idle::default(),
    };
    Ok(ExporterClient::new(chain.chain, &config, TIMEOUT)?)
}

/// What stands before `_block_height` on the page.
async fn prefix(chain: &DraftChain) -> Option<String> {
    let page = client(chain, &chain.prefix).ok()?.raw_page(PAGE).await.ok()?;
    let mut lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.find_map(|line| {
        let name = line.split(['{', ' ']).next()?;
        name.strip_suffix("_block_height").map(str::to_owned)
    })
}

fn about(page: &ExporterPage) -> Option<String> {
    if page.by_rpc {
        return Some(
            "The relay chain comes by RPC: this side has no heights, and the parachain alone is judged.".to_owned(),
        );
    }
    let chain = page.chain_id.as_ref()?;
    let version = page
        .node_version
        .as_ref()
        .map(|version| format!(", node {version}"))
        .unwrap_or_default();
    Some(format!("It says: chain {chain}{version}."))
}
