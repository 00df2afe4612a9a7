//! Looks at the container beside the loop.

use std::time::Instant;

use tracing::info;

use super::{ACTIVITY_INTERVAL, Look, Supervisor};
use agent_core::event::HostFacts;

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

    /// Notes how full the disk is, and says when it was enlarged.
    pub(super) fn note_disk(&mut self, facts: &HostFacts) {
        if let Some(free) = facts.disk_free_bytes {
            self.facts.disk.note(self.clock.now(), free);
        }
        let sizes = self.machine.host().disk_total_bytes.zip(facts.disk_total_bytes);
        if let Some((before, now)) = sizes.filter(|(before, now)| now > before) {
            info!(before, now, "the file system of data.path has grown, bytes");
        }
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
