//! What the loop publishes after everything it learns: the one thing that clients, Prometheus and the
//! status page look at.

use std::time::Instant;

use crate::status::Status;

#[derive(Debug, Clone)]
pub struct Snapshot {
    pub status: Status,
    /// Whether the collator's container runs; `None` while nobody knows.
    pub running: Option<bool>,
    /// When it was published.
    pub at: Instant,
}

impl Snapshot {
    /// What is known at this moment when nothing is but `status`.
    pub fn of(status: Status) -> Self {
        Self {
            status,
            running: None,
            at: Instant::now(),
        }
    }
}
