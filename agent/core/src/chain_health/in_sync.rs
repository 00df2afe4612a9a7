//! Whether a chain is in sync, credibly enough to keep its data: near its target, with peers, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{distance, has_no_target};
use crate::event::Sample;

/// Why a chain is not in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncDeficiency {
    /// No exporter answers.
    NoAnswer,
    NoPeers,
    /// Best or target is not known.
    NoHeights,
    /// So many blocks behind its target.
    Behind(u64),
    /// A node that has just started knows no other target than its own height.
    NoBlock,
    /// It is syncing by its own account and knows no target beyond its own height.
    NoTarget,
}

impl SyncDeficiency {
    /// What `sample` lacks; `None` when it is of a chain in sync.
    pub(super) fn of(sample: &Sample, lag_blocks: u64) -> Option<Self> {
        match (sample.peers, sample.best, distance(sample)) {
            (None | Some(0), ..) => Some(Self::NoPeers),
            (_, None, _) | (.., None) => Some(Self::NoHeights),
            (.., Some(behind)) if behind > lag_blocks => Some(Self::Behind(behind)),
            (_, Some(0), _) => Some(Self::NoBlock),
            _ if has_no_target(sample) => Some(Self::NoTarget),
            _ => None,
        }
    }
}

/// What the samples say about a chain's sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncEvidence {
    pub deficiency: Option<SyncDeficiency>,
    /// Observed time in sync without a break.
    pub in_sync_for: Duration,
    /// Observed part of it since the target last rose.
    pub target_still_for: Duration,
}

/// Observed time in sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InSync {
    lasted: Option<Duration>,
    target: Option<u64>,
    target_still: Duration,
}

impl InSync {
    /// Counts a sample, `passed` after the one before.
    pub(super) fn observe(&mut self, passed: Duration, sample: &Sample, lag_blocks: u64) {
        if SyncDeficiency::of(sample, lag_blocks).is_some() {
            *self = Self::default();
            return;
        }
        let Some(lasted) = &mut self.lasted else {
            (self.lasted, self.target) = (Some(Duration::ZERO), sample.target);
            return;
        };
        *lasted += passed;
        if sample.target > self.target {
            (self.target, self.target_still) = (sample.target, Duration::ZERO);
        } else {
            self.target_still += passed;
        }
    }

    pub(super) fn evidence(&self, deficiency: Option<SyncDeficiency>) -> SyncEvidence {
        SyncEvidence {
            deficiency,
            in_sync_for: self.lasted.unwrap_or_default(),
            target_still_for: self.target_still,
        }
    }
}
