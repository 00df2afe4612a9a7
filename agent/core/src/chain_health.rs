//! One chain's samples become evidence, and evidence over time becomes a [`Verdict`].
//!
//! Pure: no clock, no I/O. Time is *observed* time: it passes only between two scrapes of the exporter that
//! lie close enough together, so a suspended host or a stopped agent is never taken for a stall.

mod absences;
mod connectivity;
mod excusable;
mod finality;
mod heights;
mod in_sync;
mod observation;
mod patience;
mod sync_rate;
#[cfg(test)]
mod tests;
mod trend;
mod verdict;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Chain, Sample, ScrapeError, Time};
use crate::informant::SyncProgress;
use connectivity::Connectivity;
pub use excusable::ExcusableDuration;
use finality::Finality;
use heights::Heights;
use in_sync::InSync;
pub use in_sync::{SyncDeficiency, SyncEvidence};
use sync_rate::SyncRate;
pub use trend::Slope;
use trend::Trend;
pub use verdict::{Context, Opinion, Verdict, Windows};

/// What lasts for less than this part of a window is a blink: it is no part of the window, and does not start it anew.
pub const BLINK: u32 = 4;
/// Distance that grows over this window although blocks arrive is falling behind.
const FALLING_OVER: Duration = Duration::from_mins(10);
/// A first sync whose distance does not shrink over this window does not end.
const RUNAWAY_OVER: Duration = Duration::from_hours(2);
/// Falling behind is losing at least this part of what the chain makes.
const FALLING_SHARE: f64 = 0.1;
/// A chain is near its target while it lags by no more than it grows in this time.
const LAG_TIME: Duration = Duration::from_mins(1);
/// A chain this many blocks behind is not at its head: ten minutes of a relay chain.
const FAR: u64 = 100;
/// How long a chain has to be near a credible target before it counts as in sync; at most `stall_after`.
const NEAR_FOR: Duration = Duration::from_mins(1);
/// Sustained inbound traffic above this is the download of a state, bytes per second.
const STATE_TRAFFIC: u64 = 128 << 10;

/// The evidence about one chain since its process started.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with a name of its own"
)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChainTracker {
    chain: Chain,
    sample: Option<Sample>,
    sampled_at: Option<Time>,
    /// The last scrape, answered or not.
    looked_at: Option<Time>,
    /// The time between the newest sample and the scrape before it.
    spacing: Duration,
    /// Observed time since the newest sample.
    pub(crate) unanswered: Duration,
    /// The part of it in which the host's own network was known to be down.
    #[serde(default)]
    unanswered_offline: Duration,
    /// The part of it in which not every other exporter was silent as well.
    #[serde(default)]
    pub(crate) blind_for: Duration,
    /// The exporter answered since the container started.
    pub(crate) answered: bool,
    last_error: Option<ScrapeError>,
    /// Its page was read in this run, and never had a height: a relay chain by RPC.
    #[serde(default)]
    pub(crate) without_heights: bool,
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
    #[serde(default)]
    pub(crate) peers: Connectivity,
    #[serde(default)]
    pub(crate) finality: Finality,
    /// Observed time that the host's network has been down, and up since; and that the relay chain has been syncing.
    offline: Duration,
    online: Duration,
    waiting: Duration,
    #[serde(rename = "pace")]
    sync_rate: SyncRate,
    #[serde(default)]
    in_sync: InSync,
    was_synced: bool,
    /// When there were peers last, it was syncing by its own account and knew no target beyond its own height.
    #[serde(default)]
    lacks_target: bool,
    /// It was in sync since the process started: near a credible target for [`NEAR_FOR`].
    #[serde(default)]
    synced_in_run: bool,
    /// Its best when it was last in sync and moved, in this run or an earlier one.
    #[serde(default)]
    synced_best: Option<u64>,
    /// The target rose while best was zero: this may be a full sync.
    #[serde(default)]
    target_rose_at_zero: bool,
    /// What the node's own log said last, and when.
    #[serde(default)]
    reported: Option<(Time, SyncProgress)>,
    /// The distance over the last ten minutes, and over two hours.
    #[serde(default)]
    trend: Trend,
    #[serde(default)]
    long_trend: Trend,
    /// Blocks per second by which the target rises.
    #[serde(default)]
    target_rate: Option<f64>,
    #[serde(default)]
    falling_behind: bool,
    /// The distance grew over two hours, too slowly for ten minutes to show it.
    #[serde(default)]
    drifts: bool,
    /// The slopes over two hours of a first sync that does not come closer to its target.
    #[serde(default)]
    runaway: Option<Slope>,
    /// Inbound traffic of a state was seen while best was zero.
    #[serde(default)]
    downloaded_state: bool,
}

impl ChainTracker {
    pub fn new(chain: Chain) -> Self {
        Self {
            chain,
            ..Self::default()
        }
    }

    /// The tracker of the next run: of this one it keeps what outlasts a process.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self {
            was_synced: self.was_synced,
            synced_best: self.synced_best,
            peers: self.peers.renewed(),
            finality: self.finality.renewed(),
            ..Self::new(self.chain)
        }
    }

    /// Nothing was observed until now: every window starts anew.
    pub fn forget_windows(&mut self) {
        (self.still, self.near_target_for) = (Duration::ZERO, Duration::ZERO);
        self.in_sync = InSync::default();
        self.heights.forget_windows();
        (self.offline, self.waiting) = (Duration::ZERO, Duration::ZERO);
        self.peers.forget();
        self.finality.forget_window();
        self.stuck = ExcusableDuration::default();
        (self.unanswered, self.unanswered_offline, self.blind_for) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        self.moved = false;
        self.silent = None;
        self.sampled_at = None;
        self.looked_at = None;
        self.target_rate = None;
        self.trend.forget();
        self.long_trend.forget();
        self.sync_rate = SyncRate::default();
    }

    /// Whether a window of any fault has begun.
    pub fn is_in_trouble(&self) -> bool {
        self.silent.is_some() || self.stuck != ExcusableDuration::default() || self.peers.none_for > Duration::ZERO
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
        let isolation = self.peers.isolation_window(windows.isolated_after);
        if sample.peers == Some(0) && self.peers.is_isolated_for(isolation) {
            return Verdict::Isolated;
        }
        let (stands_for, window) = self.standstill(windows, context.opinion);
        if stands_for >= window {
            return Verdict::Stalled;
        }
        if sample.best.is_none() {
            return Verdict::Unknown;
        }
        let moving = self.progressing(windows.stall_after);
        let behind = self.is_behind(windows, context);
        let quiet_for = |window| self.still >= window && self.peers.is_steady_for(window);
        // A node that was started into a halt was not seen in sync, unless it stood there before, or a reference vouches for it.
        let seen_in_sync = self.synced_best.is_some_and(|best| self.heights.best == Some(best));
        let was_in_sync = self.synced_in_run && (seen_in_sync || context.opinion == Opinion::Level);
        match (behind, sample.peers) {
            (_, Some(0)) if moving => Verdict::Syncing,
            (_, Some(0)) => Verdict::Unknown,
            _ if !moving && context.relay_syncing => Verdict::WaitingForRelay,
            (Some(true), _) => Verdict::Syncing,
            (Some(false), Some(_)) if moving && self.synced_in_run => Verdict::Synced,
            (Some(false), Some(_)) if moving => Verdict::Syncing,
            (Some(false), Some(_)) if was_in_sync && !context.relay_still && quiet_for(windows.idle_after) => {
                Verdict::Quiet
            }
            // An idle chain is as it was for the time that it may be idle.
            (Some(false), Some(_)) if self.synced_in_run && self.moved && self.still < windows.idle_after => {
                Verdict::Synced
            }
            _ => Verdict::Unknown,
        }
    }

    /// Whether the newest sample is of a chain that still has to catch up.
    pub(crate) fn is_behind(&self, windows: &Windows, context: Context) -> Option<bool> {
        let sample = self.sample.as_ref()?;
        match distance(sample) {
            _ if has_no_target(sample) => Some(true),
            Some(_) if context.opinion == Opinion::Ahead => Some(true),
            Some(distance) => Some(distance > self.lag(windows)),
            // Without a target `major_syncing` decides; with 0 peers it is meaningless.
            None if sample.peers != Some(0) => sample.major_syncing,
            None => None,
        }
    }

    /// Whether it lacks so many blocks that another chain has to wait for it. A chain that is about at its head imports each
    /// block with some delay.
    pub(crate) fn is_far_behind(&self, windows: &Windows, context: Context) -> bool {
        let lags = self.is_behind(windows, context) == Some(true);
        lags && self.behind().is_none_or(|distance| distance == 0 || distance > FAR)
    }

    /// Blocks by which a chain in sync may lag: a fast chain lags by many while it moves.
    fn lag(&self, windows: &Windows) -> u64 {
        let moving = self.progressing(windows.stall_after);
        let rate = self.target_rate.filter(|_| moving).unwrap_or_default();
        let blocks = Duration::try_from_secs_f64(rate * LAG_TIME.as_secs_f64()).map_or(0, |blocks| blocks.as_secs());
        windows.lag_blocks.max(blocks)
    }

    /// Whether it has been near a credible target for long enough to count as in sync.
    fn is_near_for_long(&self, windows: &Windows) -> bool {
        self.near_target_for >= NEAR_FOR.min(windows.stall_after)
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
        self.peers.none_for
    }

    /// Observed time since best last rose.
    pub fn still_for(&self) -> Duration {
        self.still
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

    /// When best last rose.
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

    /// It was in sync, and over ten minutes or two hours the distance grew although blocks arrived.
    pub fn is_falling_behind(&self) -> bool {
        self.falling_behind || self.drifts
    }

    /// The slopes over two hours of a first sync that does not come closer to its target; `None` for any other.
    pub fn runaway(&self) -> Option<Slope> {
        self.runaway
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

/// Whether the node is syncing by its own account and knows no target beyond its own height.
fn has_no_target(sample: &Sample) -> bool {
    sample.major_syncing == Some(true) && distance(sample) == Some(0)
}
