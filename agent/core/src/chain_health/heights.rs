//! The highest blocks that were seen, and whether one sample rises above them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Sample;

/// A best this far below the highest is another database, not a reorganisation, once it has lasted: a page may
/// show 0 for a moment.
pub(super) const NEW_DATABASE: u64 = 64;
const NEW_DATABASE_AFTER: Duration = Duration::from_mins(1);

/// What rose with one sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rise {
    pub(super) best: bool,
    pub(super) finalized: bool,
    /// Blocks were imported, forks and known ones included.
    pub(super) imported: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heights {
    /// Highest best and finalized since the process started, blocks.
    pub(crate) best: Option<u64>,
    pub(crate) finalized: Option<u64>,
    /// The newest count of imported blocks: a page may lack it at times.
    imported: Option<u64>,
    /// Observed time that best has been far below the highest.
    sunk: Duration,
}

impl Heights {
    /// Notes a sample, `passed` after the one before; returns what rose.
    pub(super) fn take(&mut self, sample: &Sample, passed: Duration) -> Rise {
        let imported = matches!((self.imported, sample.imported_total), (Some(before), Some(now)) if now > before);
        self.imported = sample.imported_total.or(self.imported);

        let rise = Rise {
            imported,
            ..Rise::default()
        };
        let is_far_below = |(high, best): (u64, u64)| best.saturating_add(NEW_DATABASE) < high;
        if self.best.zip(sample.best).is_some_and(is_far_below) {
            self.sunk += passed;
            if self.sunk >= NEW_DATABASE_AFTER {
                (self.best, self.finalized, self.sunk) = (sample.best, sample.finalized, Duration::ZERO);
            }
            return rise;
        }
        self.sunk = Duration::ZERO;
        // Finality does not fall; where it did all the same, it goes on from there.
        if self.finalized.zip(sample.finalized).is_some_and(is_far_below) {
            self.finalized = sample.finalized;
        }
        let lift = |high: &mut Option<u64>, height: Option<u64>| {
            let before = *high;
            *high = before.max(height);
            before.is_some() && *high > before
        };
        let best = lift(&mut self.best, sample.best);
        let finalized = lift(&mut self.finalized, sample.finalized);
        Rise {
            best,
            finalized,
            ..rise
        }
    }

    /// Whether the newest best lies so far below the highest that the page, or the database, is another one.
    pub(super) fn is_sunk(&self) -> bool {
        self.sunk > Duration::ZERO
    }

    pub(super) fn forget_windows(&mut self) {
        self.sunk = Duration::ZERO;
    }
}
