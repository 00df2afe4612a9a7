//! Finality: how long it has stood still while best moved, and the height of a standstill that was reported.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::heights::NEW_DATABASE;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finality {
    /// Observed time for which finality has stood still although best moved.
    pub(crate) still: Duration,
    /// The standstill that is a condition. It outlasts the process and the agent: only a higher block ends it.
    pub(crate) stall: Option<FinalityStall>,
}

/// Finality that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FinalityStall {
    height: u64,
    /// Observed time in all.
    pub(crate) lasted: Duration,
}

impl Finality {
    /// What outlasts a process.
    pub(super) fn renewed(&self) -> Self {
        Self {
            still: Duration::ZERO,
            ..self.clone()
        }
    }

    /// Notes the finalized height of a sample, `passed` after the one before. `rose` above the highest so far;
    /// `expected` to rise: best moves at the head of the chain.
    pub(super) fn note(&mut self, passed: Duration, finalized: Option<u64>, rose: bool, expected: bool) {
        let ended = |stall: &mut FinalityStall| {
            let is_another = |height: u64| height > stall.height || height.saturating_add(NEW_DATABASE) < stall.height;
            finalized.is_some_and(is_another)
        };
        self.stall.take_if(ended);
        if rose {
            self.still = Duration::ZERO;
        } else if expected && finalized.is_some() {
            self.still += passed;
            if let Some(stall) = &mut self.stall {
                stall.lasted += passed;
            }
        }
    }

    /// Makes a standstill of `window` at `height` a condition.
    pub(crate) fn judge(&mut self, window: Duration, height: Option<u64>) {
        if self.stall.is_none() && self.still >= window {
            self.stall = height.map(|height| FinalityStall {
                height,
                lasted: self.still,
            });
        }
    }

    pub(super) fn forget_window(&mut self) {
        self.still = Duration::ZERO;
    }
}
