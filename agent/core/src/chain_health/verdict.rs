//! What can be said about a chain, and what it is judged by.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// What the evidence says about one chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Verdict {
    /// No usable sample, or the newest is too old.
    #[default]
    Unknown,
    /// The container is young and the exporter has not answered since it started.
    Starting,
    /// Behind its target and progressing.
    Syncing,
    /// At its target, with peers, and progressing.
    Synced,
    /// The parachain stands still while the relay chain is syncing.
    WaitingForRelay,
    /// At its target, with peers, and without new blocks.
    Quiet,
    /// No peers for the whole window.
    Isolated,
    /// Behind its target (or a relay chain with peers) and no progress for the whole window.
    Stalled,
}

/// The windows of one judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    pub lag_blocks: u64,
    pub stall_after: Duration,
    pub isolated_after: Duration,
    /// A sample older than this is stale, unless scrapes are rarer than a third of it.
    pub stale_after: Duration,
    /// The time between two scrapes further apart than this was not observed.
    pub gap_after: Duration,
    /// How many times its window weak evidence can postpone a verdict.
    pub activity_extension: u32,
    /// Inbound traffic of a major-syncing node that counts as activity, bytes per second.
    pub activity_bytes: u64,
    /// How long a node at its target may make no block before that is said. At least `stall_after`.
    pub idle_after: Duration,
    /// The chain was declared to make blocks on demand, or rarely: that it makes none while no higher block is known is no fault.
    pub may_rest: bool,
    /// How long a chain that has persisted nothing yet, or does not know its target, may show no work at all.
    pub unpersisted_after: Duration,
}

/// Evidence from outside the chain that applies to one scrape.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with a name of its own"
)]
pub struct Context {
    /// The relay chain is syncing and moving: the parachain has to wait for it.
    pub relay_syncing: bool,
    /// The relay chain is known to stand still: a parachain without blocks is then no wonder.
    pub relay_still: bool,
    /// The host's own network is known to be down: neither being alone nor standing still says anything
    /// about the node.
    pub network_down: bool,
    /// The container is at work: weak evidence, it postpones a verdict, never for ever.
    pub busy: bool,
    /// It uses the processor, or moves data from and to its disk at any speed: evidence that a silent process lives.
    pub uses_cpu: bool,
    pub moves_disk: bool,
    /// Every other chain has an exporter, and none of them answers.
    pub others_silent: bool,
    /// The chain is known to finalize blocks, whatever this node does: its relay chain, or a reference, does.
    pub finalizes: bool,
    /// What the references of this chain say.
    pub opinion: Opinion,
}

/// A second opinion about one chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Opinion {
    /// None is configured, they disagree, or none is to be relied on now.
    #[default]
    Unknown,
    /// The chain makes blocks that this node does not have.
    Ahead,
    /// The chain stands where this node stands.
    Level,
}
