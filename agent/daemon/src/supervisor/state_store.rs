//! The core's state on disk, and whether the last save succeeded.

use std::path::PathBuf;
use std::time::Duration;

use agent_core::event::{Event, Time};
use agent_core::machine::State;
use tracing::warn;

use crate::state;
use agent_runtime::disk::{self, Disk, DiskError};

/// How long the event loop waits for a disk, and so an action for the state to be saved: a fault is answered within its window
/// and 5 s. What takes longer is done all the same.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The same while the last save has had no answer: several of them in a row must not keep the status from being published.
const PATIENCE_STALLED: Duration = Duration::from_millis(500);

pub(super) struct StateStore {
    dir: PathBuf,
    /// Why the state could not be saved the last time.
    unsaved: Option<String>,
    /// The last save had no answer.
    stalled: bool,
    /// What the core knows of that.
    problem: Option<String>,
}

impl StateStore {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            unsaved: None,
            stalled: false,
            problem: None,
        }
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
        let patience = if self.stalled { PATIENCE_STALLED } else { PATIENCE };
        let saved = disk::run_within(patience, Disk::State, move || state::save(&dir, now, &state)).await;
        self.stalled = matches!(saved, Err(DiskError::Stalled(_)));
        // A disk that does not answer is a problem of its own.
        let (unsaved, problem) = match saved {
            Ok(Ok(())) => (None, None),
            Ok(Err(error)) => (Some(error.to_string()), Some(error.to_string())),
            Err(error) => (Some(error.to_string()), None),
        };
        if let Some(error) = unsaved.as_ref().filter(|_| self.unsaved.is_none()) {
            warn!(error, "failed to save the state");
        }
        self.unsaved = unsaved;
        (self.problem != problem).then(|| {
            self.problem.clone_from(&problem);
            Event::StateUnsaved(problem)
        })
    }
}

#[cfg(test)]
mod tests {
    use agent_core::machine::{Machine, Policy};
    use agent_runtime::Instant;
    use agent_runtime::simulation::{Fate, World};
    use jiff::Timestamp;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stalled_disk_holds_an_action_up_for_two_seconds() {
        let world = World::begin(Timestamp::UNIX_EPOCH);
        world.set_disks(|_, _| Fate::Stall);
        let machine = Machine::new(Policy::default(), Time(0));
        let mut store = StateStore::new(PathBuf::from("/nowhere"));
        let began = Instant::now();
        assert_eq!(
            store.save(Time(0), machine.state()).await,
            None,
            "the stall is an event itself"
        );
        assert_eq!(began.elapsed(), PATIENCE);
        store.save(Time(0), machine.state()).await;
        assert_eq!(
            began.elapsed(),
            PATIENCE + PATIENCE_STALLED,
            "the next ones wait for less"
        );
        assert!(store.unsaved().is_some_and(|why| why.contains("does not answer")));
    }
}
