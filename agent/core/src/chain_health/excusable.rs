//! How long something has lasted when weak evidence may excuse part of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Observed time that a condition has lasted, and how much of it nothing excused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcusableDuration {
    total: Duration,
    #[serde(rename = "plain")]
    unexcused: Duration,
    /// The newest part of that, since something last excused it.
    #[serde(default)]
    unbroken: Duration,
}

impl ExcusableDuration {
    pub(super) fn count(&mut self, passed: Duration, excused: bool) {
        self.total += passed;
        if excused {
            self.unbroken = Duration::ZERO;
        } else {
            self.unexcused += passed;
            self.unbroken += passed;
        }
    }

    /// The same where any excuse makes what was not excused before it count no more.
    #[must_use]
    pub(super) fn since_excused(self) -> Self {
        Self {
            unexcused: self.unbroken,
            ..self
        }
    }

    /// What has to be compared: a time, and the window that it has to fill. Excused time does not count
    /// towards `window`, yet nothing is excused for longer than `extension` windows.
    pub fn effective(self, window: Duration, extension: u32) -> (Duration, Duration) {
        let extension = extension.max(1);
        if self.unexcused.saturating_mul(extension) >= self.total {
            (self.unexcused, window)
        } else {
            (self.total, window.saturating_mul(extension))
        }
    }

    /// All of it, excused or not.
    pub fn total(self) -> Duration {
        self.total
    }
}
