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
    /// The present one, or the one whose end is yet to be judged; `None` where its begin was not seen, or something explains it.
    lasted: Option<Duration>,
}

impl Absences {
    /// What outlasts a process: an absence that a restart ended shows nothing, and a new process knows no target at first.
    pub(super) fn renewed(self) -> Self {
        Self { lasted: None, ..self }
    }

    pub(super) fn begin(&mut self) {
        self.lasted = Some(Duration::ZERO);
    }

    pub(super) fn lasts(&mut self, passed: Duration) {
        if let Some(lasted) = &mut self.lasted {
            *lasted += passed;
        }
    }

    /// Judges a return, with peers for `steady_for`; `at_target`: they have nothing that the node lacks.
    pub(super) fn end(&mut self, steady_for: Duration, at_target: bool) {
        if !at_target {
            self.forget();
        } else if steady_for >= ANNOUNCED_AFTER {
            self.harmless = self.harmless.max(self.lasted.take().unwrap_or_default());
        }
        if steady_for >= FORGOTTEN_AFTER {
            self.harmless = Duration::ZERO;
        }
    }

    /// The chain went on without the node, or the absence was not seen whole.
    pub(super) fn forget(&mut self) {
        self.lasted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn absence_seen_whole_that_cost_nothing_is_remembered() {
        let mut absences = Absences::default();
        absences.begin();
        absences.lasts(4 * MINUTE);
        absences.end(MINUTE, true);
        assert_eq!(absences.harmless, 4 * MINUTE);
        assert_eq!(absences.renewed().harmless, 4 * MINUTE);
        absences.end(FORGOTTEN_AFTER, true);
        assert_eq!(absences.harmless, Duration::ZERO);
    }

    #[test]
    fn absence_that_a_restart_ended_or_that_cost_blocks_shows_nothing() {
        let mut absences = Absences::default();
        absences.begin();
        absences.lasts(4 * MINUTE);
        let mut renewed = absences.renewed();
        renewed.lasts(MINUTE);
        renewed.end(MINUTE, true);
        assert_eq!(renewed.harmless, Duration::ZERO);
        absences.end(Duration::from_secs(5), false);
        absences.end(MINUTE, true);
        assert_eq!(absences.harmless, Duration::ZERO);
    }
}
