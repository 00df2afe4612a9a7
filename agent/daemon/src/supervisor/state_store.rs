//! The core's state on disk, and whether the last save succeeded.

use std::path::PathBuf;

use agent_core::event::{Event, Time};
use agent_core::machine::State;
use tracing::warn;

use crate::state;
use agent_runtime::disk::{self, Disk};

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

    /// Saves the state, within 5 s. Returns an event for the core when the result differs from the last one.
    ///
    /// Where that fails, what was to be saved is in force all the same, in memory: a restart that is due is no less due
    /// because its budget is not on disk. An agent that is killed then forgets it, and no more.
    pub(super) async fn save(&mut self, now: Time, state: &State) -> Option<Event> {
        let (dir, state) = (self.dir.clone(), state.clone());
        let unsaved = match disk::run(Disk::State, move || state::save(&dir, now, &state)).await {
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
