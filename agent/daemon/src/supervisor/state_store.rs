//! The core's state on disk, and whether the last save succeeded.

use std::path::PathBuf;
use std::time::Duration;

use agent_core::event::{Event, Time};
use agent_core::machine::State;
use tokio::time::timeout;
use tracing::warn;

use crate::state;
use agent_runtime::disk::{self, Disk, DiskError};

/// How long an action waits for the state to be saved: a fault is answered within its window and 5 s. A save that takes longer
/// is done all the same.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct StateStore {
    dir: PathBuf,
    /// Why the state could not be saved the last time.
    unsaved: Option<String>,
}

impl StateStore {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, unsaved: None }
    }

    /// Why the state could not be saved the last time.
    pub(super) fn unsaved(&self) -> Option<&str> {
        self.unsaved.as_deref()
    }

    /// Saves the state, within [`PATIENCE`]. Returns an event for the core when the result differs from the last one.
    ///
    /// Where that fails, what was to be saved is in force all the same, in memory: a restart that is due is no less due
    /// because its budget is not on disk. An agent that is killed then forgets it, and no more.
    pub(super) async fn save(&mut self, now: Time, state: &State) -> Option<Event> {
        let (dir, state) = (self.dir.clone(), state.clone());
        let saved = disk::run(Disk::State, move || state::save(&dir, now, &state));
        let saved = timeout(PATIENCE, saved).await;
        let unsaved = match saved.unwrap_or(Err(DiskError::Stalled(Disk::State))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = unsaved.as_ref().filter(|_| self.unsaved.is_none()) {
            warn!(error, "failed to save the state");
        }
        let changed = self.unsaved != unsaved;
        self.unsaved.clone_from(&unsaved);
        changed.then_some(Event::StateUnsaved(unsaved))
    }
}
