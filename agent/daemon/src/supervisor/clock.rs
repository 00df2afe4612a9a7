//! The agent's own clock: monotonic, and continued over a restart of the agent.

use std::time::Duration;

use jiff::Timestamp;

use agent_core::event::Time;
use agent_runtime::{Instant, wall};

/// Maps between the agent's [`Time`], the machine's monotonic clock and the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct AgentClock {
    began: Instant,
    offset: Duration,
}

impl AgentClock {
    /// A clock that shows `start` now.
    pub(super) fn starting_at(start: Time) -> Self {
        Self {
            began: Instant::now(),
            offset: start.since(Time(0)),
        }
    }

    pub(super) fn now(&self) -> Time {
        Time(0) + self.offset + self.began.elapsed()
    }

    /// The monotonic instant of a time, which may lie ahead.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.began + time.since(Time(0) + self.offset)
    }

    /// The wall clock at a past or future time; for display only.
    pub(super) fn wall(&self, time: Time) -> Timestamp {
        let (now, wall) = (self.now(), wall::now());
        let shifted = if time > now {
            wall.checked_add(time.since(now))
        } else {
            wall.checked_sub(now.since(time))
        };
        shifted.unwrap_or(wall)
    }
}
