//! What a restart would cost a chain, and how long its standstill is borne for that.

use std::time::Duration;

use super::{ChainTracker, ExcusableDuration, Opinion, Windows, distance};
use crate::informant::{SyncPhase, SyncProgress};

/// How many times longer work counts while the log names a phase that shows no block.
const HIDDEN_EXTENSION: u32 = 4;
/// How many times [`Windows::unpersisted_after`] work that shows postpones a verdict.
const UNPERSISTED_EXTENSION: u32 = 6;
/// A line of the node's log says nothing about its synchronisation after this.
const REPORT_HOLDS: Duration = Duration::from_mins(3);

impl ChainTracker {
    /// How long the standstill has lasted, and the window that it has to fill.
    pub(crate) fn standstill(&self, windows: &Windows, opinion: Opinion) -> (Duration, Duration) {
        // A reference that moves on is a target.
        let no_target = self.lacks_target && opinion != Opinion::Ahead;
        let moves_no_height = || {
            let progress = self.sync_progress();
            progress.is_some_and(|progress| progress.phase.moves_no_height())
        };
        let (stuck, window, extension): (ExcusableDuration, _, _) = if self.is_unpersisted() || no_target {
            // Peers that serve a state pause for minutes, again and again: only a pause of a whole window counts.
            let window = windows.unpersisted_after.max(windows.stall_after);
            (self.stuck.since_excused(), window, UNPERSISTED_EXTENSION)
        } else if moves_no_height() {
            let extension = windows.activity_extension.saturating_mul(HIDDEN_EXTENSION);
            (self.stuck, windows.stall_after, extension)
        } else {
            (self.stuck, windows.stall_after, windows.activity_extension)
        };
        stuck.effective(window, extension)
    }

    /// Whether a restart throws away everything synced so far: a warp or state sync keeps nothing until its end.
    pub fn is_unpersisted(&self) -> bool {
        let Some(sample) = self
            .sample
            .as_ref()
            .filter(|s| s.best == Some(0) && self.heights.best == Some(0))
        else {
            return false;
        };
        match self.sync_progress() {
            // A node that knows no target beyond its own height says that it is idle.
            Some(progress) if progress.phase != SyncPhase::Idle || distance(sample) != Some(0) => {
                progress.phase.persists_nothing()
            }
            // Blocks that one peer announces and that are rejected again and again are no warp sync.
            _ => self.downloaded_state || !self.target_rose_at_zero || sample.peers > Some(1),
        }
    }

    /// The phase of the synchronisation by the node's own log, if that is recent.
    pub fn sync_progress(&self) -> Option<SyncProgress> {
        let (at, progress) = self.reported?;
        let newest = self.looked_at.max(self.sampled_at).unwrap_or(at);
        (newest.since(at) <= REPORT_HOLDS).then_some(progress)
    }

    /// That phase where no height shows its progress.
    pub fn hidden_progress(&self) -> Option<SyncProgress> {
        let hidden = |phase: SyncPhase| phase.persists_nothing() || phase.moves_no_height();
        self.sync_progress().filter(|progress| hidden(progress.phase))
    }
}
