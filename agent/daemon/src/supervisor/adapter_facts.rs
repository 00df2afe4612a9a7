//! Facts of the adapters for display only.

use std::collections::BTreeMap;

use agent_core::disk_forecast::Forecast;
use agent_core::event::{Chain, Time};
use agent_core::published::NodeInfo;
use agent_core::status;
use agent_docker::Detail;

use crate::exporter::{CollationCounts, ExporterPage};
use crate::host::UnknownFacts;

/// Facts of the adapters that the core does not need for its decisions.
#[derive(Debug, Default)]
pub(super) struct AdapterFacts {
    pub(super) detail: Option<Detail>,
    pub(super) nodes: BTreeMap<Chain, NodeInfo>,
    pub(super) bake: Option<status::BakeStatus>,
    /// Blocks built here, and when the count last rose.
    pub(super) built: Option<(u64, Time)>,
    pub(super) collation: CollationCounts,
    pub(super) disk: Forecast,
    /// Why facts of the host are unknown.
    pub(super) unknown: UnknownFacts,
    /// When each chain's newest page was read.
    pub(super) read_at: BTreeMap<Chain, Time>,
    pub(super) last_incident: Option<status::LastIncident>,
    /// What of the configuration is not in force.
    pub(super) configuration: status::ConfigurationStatus,
    /// The instance's id, on EC2.
    pub(super) instance: Option<String>,
    /// Why notices cannot be read.
    pub(super) notices_unseen: Option<String>,
    /// Why the lifecycle hook cannot be answered.
    pub(super) hook_unanswered: Option<String>,
}

impl AdapterFacts {
    /// Records a page's facts beside its sample.
    pub(super) fn note_page(&mut self, now: Time, chain: Chain, page: &ExporterPage) {
        self.read_at.insert(chain, now);
        let node = self.nodes.entry(chain).or_default();
        for (known, found) in [
            (&mut node.chain_id, &page.chain_id),
            (&mut node.genesis, &page.genesis),
            (&mut node.version, &page.node_version),
        ] {
            if found.is_some() && known != found {
                known.clone_from(found);
            }
        }
        node.roles = page.node_roles.or(node.roles);
        let CollationCounts { built, sent } = page.collation;
        let known = &mut self.collation;
        known.sent = sent.or(known.sent);
        if let Some(built) = built {
            if self.built.is_some_and(|(before, _)| built > before) || (self.built.is_none() && built > 0) {
                self.built = Some((built, now));
            }
            known.built = Some(built);
        }
    }
}
