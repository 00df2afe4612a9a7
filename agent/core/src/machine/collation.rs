//! Whether this collator still builds blocks while its chain makes some.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Sample, Time};

/// The longest time that one block of the chain counts for: on a quiet chain no collator has a turn.
const BLOCK_COUNTS: Duration = Duration::from_mins(1);

/// What is known of the blocks built here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Collation {
    /// It has built a block at some time, so it is a collator and not just a node.
    collates: bool,
    /// Blocks that this process has built.
    built: Option<u64>,
    /// Highest best of the parachain, and when that was seen.
    best: Option<(u64, Time)>,
    /// How long the chain has gone on since the last block built here.
    without: Duration,
    /// That was too long, and none was built since.
    lacking: bool,
}

impl Collation {
    /// Counts one sample of the parachain. `synced` says that a block could be built on it here; `limit` is
    /// how long there may be none.
    pub(super) fn observe(&mut self, now: Time, sample: &Sample, synced: bool, limit: Option<Duration>) {
        let risen = match (self.best, sample.best) {
            (Some((before, at)), Some(best)) if best > before => {
                self.best = Some((best, now));
                Some(now.since(at))
            }
            (None, Some(best)) => {
                self.best = Some((best, now));
                None
            }
            _ => None,
        };
        // Absent on a page is neither built nor not built.
        let Some(built) = sample.built_total else { return };
        let before = self.built.replace(built);
        if built > before.unwrap_or(0) {
            (self.collates, self.lacking, self.without) = (true, false, Duration::ZERO);
        } else if before.is_some_and(|before| built < before) {
            // Another process, which has not had its turn yet.
            self.without = Duration::ZERO;
        } else if let Some(passed) = risen.filter(|_| synced && self.collates) {
            self.without += passed.min(BLOCK_COUNTS);
        }
        self.lacking = limit.is_some_and(|limit| self.lacking || self.without >= limit);
    }

    /// Whether it has built no block for too long. Only a block takes that back.
    pub(super) fn is_lacking(&self) -> bool {
        self.lacking
    }

    /// Another run began: its counter begins at zero.
    pub(super) fn begin_run(&mut self) {
        self.built = None;
        self.forget_window();
    }

    pub(super) fn forget_window(&mut self) {
        self.best = None;
        self.without = Duration::ZERO;
    }

    /// An operator says that things have changed: it may be no collator any more.
    pub(super) fn reset(&mut self) {
        *self = Self {
            built: self.built,
            ..Self::default()
        };
    }
}
