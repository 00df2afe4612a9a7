//! Finality as a height of its own: it may stand still while best moves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Observed time for which finality has stood still although best moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finality {
    still: Duration,
}

impl Finality {
    /// Counts a sample, `passed` after the one before. `moving`: best moves near the head of the chain.
    pub(super) fn observe(&mut self, passed: Duration, rose: bool, moving: bool) {
        if rose {
            self.still = Duration::ZERO;
        } else if moving {
            self.still += passed;
        }
    }

    pub(super) fn forget_window(&mut self) {
        self.still = Duration::ZERO;
    }

    /// How long finality has stood still while best moved.
    pub(crate) fn still_for(&self) -> Duration {
        self.still
    }
}
