//! The agent's published state after each event: the only source of clients' answers, `/metrics` and the status page.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;

use crate::chain_health::SyncEvidence;
use crate::event::Chain;
use crate::machine::{Cause, Health, UpdateResult};
use crate::status::{ScrapeStatus, Status};

#[derive(Debug, Clone)]
pub struct AgentSnapshot {
    pub status: Status,
    /// Present problems with their severity, the worst first; the status has their text.
    pub problems: Vec<(Cause, Health)>,
    /// Whether the collator's container runs; `None` while unknown.
    pub running: Option<bool>,
    /// What each chain's exporter reports about its node.
    pub nodes: BTreeMap<Chain, NodeInfo>,
    /// Whether each chain is in sync, credibly enough to keep its data.
    pub sync: BTreeMap<Chain, SyncEvidence>,
    pub counters: CounterTotals,
    pub started: Timestamp,
    pub at: Instant,
}

impl AgentSnapshot {
    /// What is known at this moment when nothing is but `status`.
    pub fn of(status: Status, started: Timestamp, at: Instant) -> Self {
        Self {
            status,
            problems: Vec::new(),
            running: None,
            nodes: BTreeMap::new(),
            sync: BTreeMap::new(),
            counters: CounterTotals::default(),
            started,
            at,
        }
    }
}

/// The node behind one exporter; what the page lacks is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeInfo {
    pub chain_id: Option<String>,
    /// 64 hex digits.
    pub genesis: Option<String>,
    pub version: Option<String>,
    /// `node_roles`: 1 is a full node, 4 an authority.
    pub roles: Option<u64>,
}

/// What the agent counted and measured since it started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CounterTotals {
    /// Runs of the container that followed another one, by what ended that.
    pub restarts: BTreeMap<Cause, u64>,
    /// From the last end of the container to its running again, seconds.
    pub restart_seconds: Option<f64>,
    pub incidents: BTreeMap<Cause, u64>,
    pub updates: BTreeMap<UpdateResult, u64>,
    pub scrapes: BTreeMap<(Chain, ScrapeStatus), u64>,
    pub scrape_seconds: BTreeMap<Chain, f64>,
}
