//! The core's state on disk, and whether the last save succeeded.

use std::path::PathBuf;

use agent_core::event::{Event, Time};
use agent_core::machine::State;
use tracing::warn;

use crate::state;

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

    /// Saves the state. Returns an event for the core when the result differs from the last one.
    pub(super) async fn save(&mut self, now: Time, state: &State) -> Option<Event> {
        let (dir, state) = (self.dir.clone(), state.clone());
        let saved = tokio::task::spawn_blocking(move || state::save(&dir, now, &state)).await;
        let unsaved = match saved {
            Ok(Err(error)) => Some(error.to_string()),
            _ => None,
        };
        if let Some(error) = unsaved.as_ref().filter(|_| self.unsaved.is_none()) {
            warn!(error, "failed to save the state");
        }
        let changed = self.unsaved != unsaved;
        self.unsaved.clone_from(&unsaved);
        changed.then_some(Event::StateUnsaved(unsaved))
    }
}
