//! Looks at the container beside the loop.

use std::time::Instant;

use super::{ACTIVITY_INTERVAL, Look, Supervisor};

impl Supervisor {
    /// Refreshes the details of the container for status; decisions do not wait for them.
    pub(super) fn look_at_container(&self) {
        let (docker, looks) = (self.docker.clone(), self.looks.clone());
        tokio::spawn(async move {
            if let Ok(inspection) = docker.inspect().await {
                // Nobody to tell when the agent stops.
                let _ = looks.send(Look::Detail(inspection.detail)).await;
            }
        });
    }

    /// Looks at what the container uses, only while its chains do not move.
    pub(super) fn look_at_activity(&mut self) {
        if self.active_since.elapsed() < ACTIVITY_INTERVAL || !self.machine.in_doubt() {
            return;
        }
        self.active_since = Instant::now();
        let (docker, looks) = (self.docker.clone(), self.looks.clone());
        tokio::spawn(async move {
            if let Ok(activity) = docker.activity().await {
                // Nobody to tell when the agent stops.
                let _ = looks.send(Look::Activity(activity)).await;
            }
        });
    }
}
