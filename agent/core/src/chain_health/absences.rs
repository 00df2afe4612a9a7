//! Absences of all peers of an idle chain's node, which miss nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Observed time with peers after which they have announced what they have.
const ANNOUNCED_AFTER: Duration = Duration::from_secs(30);
/// Observed time with peers after which earlier absences say nothing any more.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// What the returns of the peers showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Absences {
    /// The longest one after which the node lacked no block.
    pub(super) harmless: Duration,
    /// The present one, or the one whose end is yet to be judged. It outlasts the process: a restart ends none.
    lasted: Duration,
}

impl Absences {
    pub(super) fn lasts(&mut self, passed: Duration) {
        self.lasted += passed;
    }

    /// Judges a return, with peers for `steady_for`; `at_target`: they have nothing that the node lacks.
    pub(super) fn end(&mut self, steady_for: Duration, at_target: bool) {
        if !at_target {
            self.cost_blocks();
        } else if steady_for >= ANNOUNCED_AFTER {
            self.harmless = self.harmless.max(std::mem::take(&mut self.lasted));
        }
        if steady_for >= FORGOTTEN_AFTER {
            self.harmless = Duration::ZERO;
        }
    }

    /// The chain went on without the node.
    pub(super) fn cost_blocks(&mut self) {
        self.lasted = Duration::ZERO;
    }
}
