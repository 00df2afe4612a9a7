//! One chain's samples become evidence, and evidence over time becomes a [`Verdict`].
//!
//! Pure: no clock, no I/O. Time is *observed* time: it passes only between two looks at the exporter that
//! lie close enough together, so a suspended host or a stopped agent never looks like a stall.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Chain, Sample, ScrapeError, Time, named};

named! {
    /// What the evidence says about one chain.
    Verdict {
        /// No usable sample, or the newest is too old.
        Unknown = "unknown",
        /// The container is young and the exporter has not answered since it started.
        Starting = "starting",
        /// Behind its target and progressing.
        Syncing = "syncing",
        /// At its target, with peers, and progressing.
        Synced = "synced",
        /// The parachain stands still while the relay chain is syncing.
        WaitingForRelay = "waiting_for_relay",
        /// At its target with peers, and nobody makes blocks.
        Quiet = "quiet",
        /// No peers for the whole window.
        Isolated = "isolated",
        /// Behind its target (or a relay chain with peers) and no progress for the whole window.
        Stalled = "stalled",
    }
}

/// The windows of one judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub lag_blocks: u64,
    pub stall_after: Duration,
    pub isolated_after: Duration,
    /// A sample older than this says nothing about now.
    pub stale_after: Duration,
    /// Two looks further apart than this were not an observation of the time between them.
    pub gap_after: Duration,
    /// How many times `stall_after` weak evidence can postpone a stall.
    pub activity_extension: u32,
    /// Inbound traffic of a major-syncing node that counts as activity, bytes per second.
    pub activity_bytes: u64,
}

/// What the other parts of the evidence say while one sample is counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// The relay chain is syncing and moving: the parachain has to wait for it.
    pub excused: bool,
    /// The host's own network is known to be down: being alone says nothing about the node.
    pub network_down: bool,
    /// Weak evidence that the node is at work (its container is busy), or that nobody can know better
    /// (the relay chain's exporter is silent): it postpones a stall, never for ever.
    pub doubt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Point {
    at: Time,
    best: Option<u64>,
    target: Option<u64>,
    bytes_in: Option<u64>,
}

/// How many points of the recent past are kept, evenly spread over `stall_after`.
const POINTS: u32 = 30;
/// Speed is averaged over this much of the recent past.
const SPEED_OVER: Duration = Duration::from_mins(1);
/// A best this far below the highest is another database, not a reorganisation.
const NEW_DATABASE: u64 = 256;
/// How long a chain has to be near its target before it counts as having caught up.
const NEAR_FOR: Duration = Duration::from_mins(1);
/// Distance that grows for this long although blocks arrive is falling behind.
const FALLING_AFTER: Duration = Duration::from_mins(10);

/// The evidence about one chain since its process started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    chain: Chain,
    sample: Option<Sample>,
    sampled_at: Option<Time>,
    /// The exporter answered since the container started.
    answered: bool,
    /// First of an unbroken row of looks that met silence.
    silent_since: Option<Time>,
    last_error: Option<ScrapeError>,
    best_high: Option<u64>,
    finalized_high: Option<u64>,
    progressed_at: Option<Time>,
    /// Progress was seen since the windows last started anew.
    moved: bool,
    /// Observed time without progress.
    still: Duration,
    /// Observed time without progress while behind (a relay chain: while it had peers), not excused.
    stuck: Duration,
    /// Observed time near the target since it was last behind.
    near: Duration,
    /// Observed time with no peers.
    alone: Duration,
    points: VecDeque<Point>,
    was_synced: bool,
    /// Since when, and from which distance, a chain that was synced is getting further behind.
    falling: Option<(Time, u64)>,
}

impl Tracker {
    pub fn new(chain: Chain) -> Self {
        Self {
            chain,
            sample: None,
            sampled_at: None,
            answered: false,
            silent_since: None,
            last_error: None,
            best_high: None,
            finalized_high: None,
            progressed_at: None,
            moved: false,
            still: Duration::ZERO,
            stuck: Duration::ZERO,
            near: Duration::ZERO,
            alone: Duration::ZERO,
            points: VecDeque::new(),
            was_synced: false,
            falling: None,
        }
    }

    /// Counts one sample; returns whether it shows progress.
    pub fn observe(&mut self, now: Time, sample: Sample, windows: &Windows, context: Context) -> bool {
        let process_changed = matches!(
            (self.sample.as_ref().and_then(|s| s.process_start), sample.process_start),
            (Some(before), Some(after)) if before != after
        );
        if process_changed {
            *self = Self {
                was_synced: self.was_synced,
                ..Self::new(self.chain)
            };
        }
        let passed = self
            .sampled_at
            .map(|at| now.since(at))
            .filter(|d| *d <= windows.gap_after)
            .unwrap_or_default();
        let first = self.sample.is_none();
        let progress = self.take_heights(&sample) && !first;
        if progress {
            (self.still, self.stuck, self.alone) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
            self.progressed_at = Some(now);
            self.moved = true;
        } else {
            self.still += passed;
        }
        let distance = distance(&sample);
        let behind = distance.map(|d| d > windows.lag_blocks);
        let has_peers = sample.peers.map(|p| p > 0);
        self.near = if behind == Some(false) {
            self.near + passed
        } else {
            Duration::ZERO
        };
        if !progress {
            self.count_alone(passed, has_peers, context);
            self.count_stuck(passed, has_peers, behind, context);
        }
        self.follow_distance(now, distance, windows.lag_blocks, progress);
        if self
            .points
            .back()
            .is_none_or(|p| now.since(p.at) >= windows.stall_after / POINTS)
        {
            if self.points.len() > POINTS as usize {
                self.points.pop_front();
            }
            let Sample {
                best, target, bytes_in, ..
            } = sample;
            self.points.push_back(Point {
                at: now,
                best,
                target,
                bytes_in,
            });
        }
        self.answered = true;
        self.silent_since = None;
        self.last_error = None;
        self.sample = Some(sample);
        self.sampled_at = Some(now);
        progress
    }

    /// Counts a scrape that gave no sample.
    pub fn miss(&mut self, now: Time, error: ScrapeError) {
        self.last_error = Some(error);
        if error.is_silence() {
            self.silent_since.get_or_insert(now);
        } else {
            self.answered = true;
            self.silent_since = None;
        }
    }

    /// Nobody watched until now: every window starts anew.
    pub fn forget_windows(&mut self) {
        (self.still, self.stuck) = (Duration::ZERO, Duration::ZERO);
        (self.near, self.alone) = (Duration::ZERO, Duration::ZERO);
        self.moved = false;
        self.silent_since = None;
        self.sampled_at = None;
        self.falling = None;
        self.points.clear();
    }

    /// What the evidence says at `now`.
    pub fn verdict(&self, now: Time, windows: &Windows, context: Context) -> Verdict {
        let fresh = self.sampled_at.is_some_and(|at| now.since(at) <= windows.stale_after);
        let Some(sample) = self.sample.as_ref().filter(|s| fresh && s.best.is_some()) else {
            return Verdict::Unknown;
        };
        if self.alone >= windows.isolated_after {
            return Verdict::Isolated;
        }
        if self.stuck >= self.patience(windows, context.doubt) {
            return Verdict::Stalled;
        }
        let moving = self.progressing(windows.stall_after);
        let behind = distance(sample).map(|d| d > windows.lag_blocks);
        match (behind, sample.peers) {
            (_, Some(0)) if !moving => Verdict::Unknown,
            _ if !moving && context.excused => Verdict::WaitingForRelay,
            (Some(true), _) | (None, Some(0)) => Verdict::Syncing,
            (Some(false), Some(1..)) if moving => Verdict::Synced,
            (Some(false), Some(1..)) if self.still >= windows.stall_after => Verdict::Quiet,
            _ => Verdict::Unknown,
        }
    }

    /// How long this chain may be stuck before that is a stall.
    pub fn patience(&self, windows: &Windows, doubt: bool) -> Duration {
        if doubt || self.is_active(windows) {
            windows.stall_after * windows.activity_extension.max(1)
        } else {
            windows.stall_after
        }
    }

    /// Whether traffic suggests that the node is at work although its heights stand still: weak evidence.
    fn is_active(&self, windows: &Windows) -> bool {
        let Some(sample) = self.sample.as_ref().filter(|s| s.major_syncing != Some(false)) else {
            return false;
        };
        let (Some(first), Some(at), Some(bytes)) = (self.points.front(), self.sampled_at, sample.bytes_in) else {
            return false;
        };
        let seconds = at.since(first.at).as_secs();
        let received = first.bytes_in.map(|b| bytes.saturating_sub(b)).unwrap_or_default();
        seconds >= 30 && received / seconds >= windows.activity_bytes
    }

    /// Whether blocks arrived within the last `window` of observed time.
    pub fn progressing(&self, window: Duration) -> bool {
        self.moved && self.still < window
    }

    /// Observed time that the chain has been stuck: without progress although it should make some.
    pub fn stuck(&self) -> Duration {
        self.stuck
    }

    /// Observed time without a single peer.
    pub fn alone(&self) -> Duration {
        self.alone
    }

    /// How long an exporter that had answered has met us with silence.
    pub fn silent(&self, now: Time) -> Option<Duration> {
        self.silent_since.map(|since| now.since(since))
    }

    /// Whether the exporter answered since the container started.
    pub fn answered(&self) -> bool {
        self.answered
    }

    /// Whether the last look gave no sample, and why.
    pub fn last_error(&self) -> Option<ScrapeError> {
        self.last_error
    }

    /// The newest sample, however old.
    pub fn sample(&self) -> Option<&Sample> {
        self.sample.as_ref()
    }

    /// When the newest sample was taken.
    pub fn sampled_at(&self) -> Option<Time> {
        self.sampled_at
    }

    /// When best, finalized or the import counter last rose.
    pub fn progressed_at(&self) -> Option<Time> {
        self.progressed_at
    }

    /// Highest best since the process started, blocks.
    pub fn best_high(&self) -> Option<u64> {
        self.best_high
    }

    /// Highest finalized since the process started, blocks.
    pub fn finalized_high(&self) -> Option<u64> {
        self.finalized_high
    }

    /// Blocks to the target; `None` while it is not known (no peers, no metric).
    pub fn behind(&self) -> Option<u64> {
        self.sample.as_ref().and_then(distance)
    }

    /// It was synced, and for ten minutes the distance grew although blocks arrived.
    pub fn falling_behind(&self, now: Time) -> bool {
        let Some((since, from)) = self.falling else {
            return false;
        };
        now.since(since) >= FALLING_AFTER && self.behind().is_some_and(|d| d > from)
    }

    /// Blocks a second over the last minute, and seconds until the target is met at that speed.
    pub fn speed(&self) -> (Option<f64>, Option<u64>) {
        let (Some(sample), Some(now)) = (&self.sample, self.sampled_at) else {
            return (None, None);
        };
        let Some(then) = self.points.iter().find(|p| now.since(p.at) <= SPEED_OVER) else {
            return (None, None);
        };
        let seconds = now.since(then.at).as_secs_f64();
        let (Some(best), Some(best_then)) = (sample.best, then.best) else {
            return (None, None);
        };
        if seconds < 1.0 {
            return (None, None);
        }
        let per_second = |a: u64, b: u64| precise(a.saturating_sub(b)) / seconds;
        let rate = per_second(best, best_then);
        let target_rate = match (sample.target, then.target) {
            (Some(target), Some(target_then)) => per_second(target, target_then),
            _ => 0.0,
        };
        let closing = rate - target_rate;
        let eta = distance(sample)
            .filter(|_| closing > 0.001)
            .and_then(|d| Duration::try_from_secs_f64(precise(d) / closing).ok())
            .map(|d| d.as_secs());
        (Some(rate), eta)
    }

    /// Notes the sample's heights; returns whether any of them rose above what was known.
    fn take_heights(&mut self, sample: &Sample) -> bool {
        let imported_before = self.sample.as_ref().and_then(|s| s.imported_total);
        let imported = matches!((imported_before, sample.imported_total), (Some(b), Some(n)) if n > b);
        let rose = |high: &mut Option<u64>, height: Option<u64>| match (*high, height) {
            (_, None) => false,
            (Some(before), Some(now)) if now <= before => {
                if now + NEW_DATABASE < before {
                    *high = Some(now);
                }
                false
            }
            (before, Some(now)) => {
                *high = Some(now);
                before.is_some()
            }
        };
        let best = rose(&mut self.best_high, sample.best);
        let finalized = rose(&mut self.finalized_high, sample.finalized);
        imported || best || finalized
    }

    fn count_alone(&mut self, passed: Duration, has_peers: Option<bool>, context: Context) {
        self.alone = match has_peers {
            Some(false) if !context.network_down => self.alone + passed,
            _ => Duration::ZERO,
        };
    }

    /// With no peers nothing is known about the distance: that time neither counts nor clears.
    fn count_stuck(&mut self, passed: Duration, has_peers: Option<bool>, behind: Option<bool>, context: Context) {
        if context.excused {
            self.stuck = Duration::ZERO;
        } else if has_peers != Some(false) {
            let relay_with_peers = self.chain == Chain::Relaychain && has_peers == Some(true);
            if behind == Some(true) || relay_with_peers {
                self.stuck += passed;
            } else if self.near >= NEAR_FOR {
                self.stuck = Duration::ZERO;
            }
        }
    }

    fn follow_distance(&mut self, now: Time, distance: Option<u64>, lag: u64, progress: bool) {
        let Some(distance) = distance else { return };
        if distance <= lag {
            self.was_synced |= self.progressed_at.is_some();
            self.falling = None;
        } else if self.was_synced {
            let closer = self.falling.is_some_and(|(_, from)| distance < from);
            if self.falling.is_none() || (closer && progress) {
                self.falling = Some((now, distance));
            }
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

#[expect(clippy::cast_precision_loss, reason = "heights stay far below 2^52")]
fn precise(blocks: u64) -> f64 {
    blocks as f64
}
