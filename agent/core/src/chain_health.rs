//! One chain's samples become evidence, and evidence over time becomes a [`Verdict`].
//!
//! Pure: no clock, no I/O. Time is *observed* time: it passes only between two scrapes of the exporter that
//! lie close enough together, so a suspended host or a stopped agent is never taken for a stall.

mod excusable;
mod heights;
mod in_sync;
mod observation;
mod sync_rate;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Chain, Sample, ScrapeError, Time};
pub use excusable::ExcusableDuration;
use heights::Heights;
use in_sync::InSync;
pub use in_sync::{SyncDeficiency, SyncEvidence};
use sync_rate::SyncRate;
pub use verdict::{Context, Verdict, Windows};

/// What lasts for less than this part of a window is a blink: it is no part of the window, and does not start it anew.
pub const BLINK: u32 = 4;
/// Distance that grows for this long although blocks arrive is falling behind.
const FALLING_AFTER: Duration = Duration::from_mins(10);

/// The evidence about one chain since its process started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChainTracker {
    chain: Chain,
    sample: Option<Sample>,
    sampled_at: Option<Time>,
    /// The last scrape, answered or not, and the time since the one before it.
    looked_at: Option<Time>,
    spacing: Duration,
    /// Observed time since the newest sample.
    pub(crate) unanswered: Duration,
    /// The part of it in which the host's own network was known to be down.
    #[serde(default)]
    unanswered_offline: Duration,
    /// The exporter answered since the container started.
    pub(crate) answered: bool,
    last_error: Option<ScrapeError>,
    /// Uninterrupted scrapes without any answer.
    pub(crate) silent: Option<ExcusableDuration>,
    /// The newest value of each: a page may lack one at times.
    process_start: Option<u64>,
    pub(crate) heights: Heights,
    progressed_at: Option<Time>,
    /// Progress was seen since the windows last started anew.
    moved: bool,
    /// Observed time without progress.
    still: Duration,
    /// Observed time since it last stood still for a whole window.
    #[serde(rename = "lively")]
    pub(crate) progressing_for: Duration,
    /// Observed time without progress while behind (a relay chain: while it had peers), not excused.
    stuck: ExcusableDuration,
    /// Observed time near the target since it was last behind.
    #[serde(rename = "near")]
    near_target_for: Duration,
    /// Observed time with no peers, and the part of it in which the host's own network was not known to be down.
    #[serde(rename = "alone")]
    no_peers_for: Duration,
    #[serde(rename = "deserted")]
    pub(crate) isolated_for: Duration,
    /// Observed time with peers since it was last alone.
    #[serde(rename = "company")]
    connected_for: Duration,
    /// Observed time that the host's network has been down, and up since; and that the relay chain has been syncing.
    offline: Duration,
    online: Duration,
    waiting: Duration,
    #[serde(rename = "pace")]
    sync_rate: SyncRate,
    #[serde(default)]
    in_sync: InSync,
    was_synced: bool,
    /// Since when, and from which distance, a chain that was synced is getting further behind.
    falling: Option<(Time, u64)>,
}

impl ChainTracker {
    pub fn new(chain: Chain) -> Self {
        Self {
            chain,
            ..Self::default()
        }
    }

    /// Nobody watched until now: every window starts anew.
    pub fn forget_windows(&mut self) {
        (self.still, self.near_target_for) = (Duration::ZERO, Duration::ZERO);
        self.in_sync = InSync::default();
        self.heights.forget_windows();
        (self.offline, self.waiting) = (Duration::ZERO, Duration::ZERO);
        self.forget_alone();
        self.stuck = ExcusableDuration::default();
        (self.unanswered, self.unanswered_offline) = (Duration::ZERO, Duration::ZERO);
        self.moved = false;
        self.silent = None;
        self.sampled_at = None;
        self.looked_at = None;
        self.falling = None;
        self.sync_rate = SyncRate::default();
    }

    fn forget_alone(&mut self) {
        (self.no_peers_for, self.isolated_for, self.connected_for) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    }

    /// Whether a window of any fault has begun.
    pub fn is_in_trouble(&self) -> bool {
        self.silent.is_some() || self.stuck != ExcusableDuration::default() || self.no_peers_for > Duration::ZERO
    }

    /// Silence so far proves nothing: Docker itself did not answer either.
    pub fn forget_silence(&mut self) {
        self.silent = None;
    }

    /// What the evidence says at `now`.
    pub fn verdict(&self, now: Time, windows: &Windows, context: Context) -> Verdict {
        let recent = windows
            .stale_after
            .max((self.spacing.saturating_mul(3)).min(windows.gap_after));
        let fresh = self.sampled_at.is_some_and(|at| now.since(at) <= recent);
        let Some(sample) = self.sample.as_ref().filter(|_| fresh) else {
            return Verdict::Unknown;
        };
        if sample.peers == Some(0) && self.no_peers_for >= windows.isolated_after {
            return Verdict::Isolated;
        }
        if self.stuck.fills(windows.stall_after, windows.activity_extension) {
            return Verdict::Stalled;
        }
        if sample.best.is_none() {
            return Verdict::Unknown;
        }
        let moving = self.progressing(windows.stall_after);
        let behind = match distance(sample) {
            Some(distance) => Some(distance > windows.lag_blocks),
            // Without a target `major_syncing` decides; with 0 peers it is meaningless.
            None if sample.peers != Some(0) => sample.major_syncing,
            None => None,
        };
        match (behind, sample.peers) {
            (_, Some(0)) if moving => Verdict::Syncing,
            (_, Some(0)) => Verdict::Unknown,
            _ if !moving && context.relay_syncing => Verdict::WaitingForRelay,
            (Some(true), _) => Verdict::Syncing,
            (Some(false), Some(_)) if moving => Verdict::Synced,
            (Some(false), Some(_)) if self.still >= windows.stall_after && !context.relay_still => Verdict::Quiet,
            _ => Verdict::Unknown,
        }
    }

    /// Whether blocks arrived within the last `window` of observed time.
    pub fn progressing(&self, window: Duration) -> bool {
        self.moved && self.still < window
    }

    /// Observed time without progress although there should be some.
    pub fn stuck(&self) -> ExcusableDuration {
        self.stuck
    }

    /// Observed time without a single peer.
    pub fn no_peers_for(&self) -> Duration {
        self.no_peers_for
    }

    /// Why the last scrape gave no sample; `None` when it gave one.
    pub fn last_error(&self) -> Option<ScrapeError> {
        self.last_error
    }

    /// The newest sample, however old.
    pub fn sample(&self) -> Option<&Sample> {
        self.sample.as_ref()
    }

    pub fn sampled_at(&self) -> Option<Time> {
        self.sampled_at
    }

    /// When best, finalized or the import counter last rose.
    pub fn progressed_at(&self) -> Option<Time> {
        self.progressed_at
    }

    /// Whether it is in sync, and for how long.
    pub fn sync_evidence(&self, windows: &Windows) -> SyncEvidence {
        let deficiency = match (&self.sample, self.last_error) {
            (Some(sample), None) => SyncDeficiency::of(sample, windows.lag_blocks),
            _ => Some(SyncDeficiency::NoAnswer),
        };
        self.in_sync.evidence(deficiency)
    }

    /// Blocks to the target; `None` while it is not known (no peers, no metric).
    pub fn behind(&self) -> Option<u64> {
        self.sample.as_ref().and_then(distance)
    }

    /// It was synced, and for ten minutes the distance grew although blocks arrived.
    pub fn falling_behind(&self, now: Time) -> bool {
        let falls = |(since, from)| now.since(since) >= FALLING_AFTER && self.behind().is_some_and(|d| d > from);
        self.falling.is_some_and(falls)
    }

    /// Blocks a second over the last minute, and seconds until the target is met at that speed.
    pub fn speed(&self) -> (Option<f64>, Option<u64>) {
        match (&self.sample, self.sampled_at) {
            (Some(sample), Some(at)) => self.sync_rate.speed(at, sample, distance(sample)),
            _ => (None, None),
        }
    }
}

/// Blocks from best to target. Meaningless without peers: then the exporter reports target = best.
fn distance(sample: &Sample) -> Option<u64> {
    match (sample.best, sample.target, sample.peers) {
        (_, _, Some(0)) => None,
        (Some(best), Some(target), _) => Some(target.saturating_sub(best)),
        _ => None,
    }
}
