//! How long something has lasted when weak evidence may excuse part of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Observed time that a condition has lasted, and how much of it nothing excused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcusableDuration {
    total: Duration,
    #[serde(rename = "plain")]
    unexcused: Duration,
}

impl ExcusableDuration {
    pub(super) fn count(&mut self, passed: Duration, excused: bool) {
        self.total += passed;
        if !excused {
            self.unexcused += passed;
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

    pub fn fills(self, window: Duration, extension: u32) -> bool {
        let (lasted, window) = self.effective(window, extension);
        lasted >= window
    }

    /// All of it, excused or not.
    pub fn total(self) -> Duration {
        self.total
    }
}
