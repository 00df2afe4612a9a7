//! One chain's samples become evidence, and evidence over time becomes a [`Verdict`].
//!
//! Pure: no clock, no I/O. Time is *observed* time: it passes only between two looks at the exporter that
//! lie close enough together, so a suspended host or a stopped agent never looks like a stall.

mod excusable;
mod heights;
mod in_sync;
mod sync_rate;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::event::{Chain, Sample, ScrapeError, Time};
pub use excusable::ExcusableDuration;
use heights::Heights;
use in_sync::InSync;
pub use in_sync::{SyncDeficiency, SyncEvidence};
use sync_rate::SyncRate;

/// What the evidence says about one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Verdict {
    /// No usable sample, or the newest is too old.
    Unknown,
    /// The container is young and the exporter has not answered since it started.
    Starting,
    /// Behind its target and progressing.
    Syncing,
    /// At its target, with peers, and progressing.
    Synced,
    /// The parachain stands still while the relay chain is syncing.
    WaitingForRelay,
    /// At its target with peers, and nobody makes blocks.
    Quiet,
    /// No peers for the whole window.
    Isolated,
    /// Behind its target (or a relay chain with peers) and no progress for the whole window.
    Stalled,
}

/// The windows of one judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub lag_blocks: u64,
    pub stall_after: Duration,
    pub isolated_after: Duration,
    /// A sample older than this says nothing about now, unless looks are rarer than a third of it.
    pub stale_after: Duration,
    /// Two looks further apart than this were not an observation of the time between them.
    pub gap_after: Duration,
    /// How many times its window weak evidence can postpone a verdict.
    pub activity_extension: u32,
    /// Inbound traffic of a major-syncing node that counts as activity, bytes per second.
    pub activity_bytes: u64,
}

/// What the other parts of the evidence say while one look is counted.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with a name of its own"
)]
pub struct Context {
    /// The relay chain is syncing and moving: the parachain has to wait for it.
    pub relay_syncing: bool,
    /// The relay chain is known to stand still: a parachain without blocks is then no wonder.
    pub relay_still: bool,
    /// The host's own network is known to be down: neither being alone nor standing still says anything
    /// about the node.
    pub network_down: bool,
    /// The container is at work: weak evidence, it postpones a verdict, never for ever.
    pub busy: bool,
}

/// What lasts for less than this part of a window is a blink: it is no part of the window, and does not start it anew.
pub const BLINK: u32 = 4;
/// How long a chain has to be near its target before it counts as having caught up.
const NEAR_FOR: Duration = Duration::from_mins(1);
/// Distance that grows for this long although blocks arrive is falling behind.
const FALLING_AFTER: Duration = Duration::from_mins(10);

/// The evidence about one chain since its process started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainTracker {
    chain: Chain,
    sample: Option<Sample>,
    sampled_at: Option<Time>,
    /// The last look, answered or not, and how long after the one before.
    looked_at: Option<Time>,
    spacing: Duration,
    /// Observed time since the newest sample.
    unanswered: Duration,
    /// The exporter answered since the container started.
    answered: bool,
    last_error: Option<ScrapeError>,
    /// Unbroken row of looks that met silence.
    silent: Option<ExcusableDuration>,
    /// The newest value of each that was told: a page may lack them at times.
    process_start: Option<u64>,
    heights: Heights,
    progressed_at: Option<Time>,
    /// Progress was seen since the windows last started anew.
    moved: bool,
    /// Observed time without progress.
    still: Duration,
    /// Observed time since it last stood still for a whole window.
    #[serde(rename = "lively")]
    progressing_for: Duration,
    /// Observed time without progress while behind (a relay chain: while it had peers), not excused.
    stuck: ExcusableDuration,
    /// Observed time near the target since it was last behind.
    #[serde(rename = "near")]
    near_target_for: Duration,
    /// Observed time with no peers, and the part of it in which the host's own network was not known to be down.
    #[serde(rename = "alone")]
    no_peers_for: Duration,
    #[serde(rename = "deserted")]
    isolated_for: Duration,
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
            sample: None,
            sampled_at: None,
            looked_at: None,
            spacing: Duration::ZERO,
            unanswered: Duration::ZERO,
            answered: false,
            last_error: None,
            silent: None,
            process_start: None,
            heights: Heights::default(),
            progressed_at: None,
            moved: false,
            still: Duration::ZERO,
            progressing_for: Duration::ZERO,
            stuck: ExcusableDuration::default(),
            near_target_for: Duration::ZERO,
            no_peers_for: Duration::ZERO,
            isolated_for: Duration::ZERO,
            connected_for: Duration::ZERO,
            offline: Duration::ZERO,
            online: Duration::ZERO,
            waiting: Duration::ZERO,
            sync_rate: SyncRate::default(),
            in_sync: InSync::default(),
            was_synced: false,
            falling: None,
        }
    }

    /// Counts one sample; returns whether it shows progress.
    pub fn observe(&mut self, now: Time, sample: Sample, windows: &Windows, context: Context) -> bool {
        if matches!((self.process_start, sample.process_start), (Some(before), Some(after)) if before != after) {
            *self = Self {
                was_synced: self.was_synced,
                ..Self::new(self.chain)
            };
        }
        let looked = self.look(now, windows);
        let passed = match self.sampled_at {
            // Failed looks in between were watching too; yet one answer after a long silence proves little.
            Some(_) => (self.unanswered + looked).min(windows.gap_after.max(windows.stall_after / 2)),
            None => Duration::ZERO,
        };
        let progress = self.heights.take(&sample, passed);
        let distance = distance(&sample);
        if progress {
            self.still = Duration::ZERO;
            self.forget_alone();
            self.stuck = ExcusableDuration::default();
            self.progressed_at = Some(now);
            self.moved = true;
        } else if sample.best.is_some() {
            self.still += passed;
        }
        self.progressing_for = if self.still >= windows.stall_after {
            Duration::ZERO
        } else {
            self.progressing_for + passed
        };
        let behind = distance.map(|d| d > windows.lag_blocks);
        self.near_target_for = match behind {
            Some(false) => self.near_target_for + passed,
            _ => Duration::ZERO,
        };
        self.in_sync.observe(passed, &sample, windows.lag_blocks);
        self.sync_rate.note(now, &sample, windows);
        if !progress {
            let excused = context.busy || self.sync_rate.is_active(&sample, self.progressed_at, windows);
            self.count(passed, &sample, behind, excused, windows, context);
        }
        self.follow_distance(now, distance, windows);
        self.unanswered = Duration::ZERO;
        self.answered = true;
        self.silent = None;
        self.last_error = None;
        self.process_start = sample.process_start.or(self.process_start);
        self.sample = Some(sample);
        self.sampled_at = Some(now);
        progress
    }

    /// Counts a scrape that gave no sample.
    pub fn miss(&mut self, now: Time, error: ScrapeError, windows: &Windows, busy: bool) {
        let looked = self.look(now, windows);
        self.unanswered += looked;
        self.in_sync = InSync::default();
        self.last_error = Some(error);
        if error.is_silence() {
            match &mut self.silent {
                Some(silent) => silent.count(looked, busy),
                None => self.silent = Some(ExcusableDuration::default()),
            }
        } else {
            self.answered = true;
            self.silent = None;
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
        self.unanswered = Duration::ZERO;
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
            // Without a target the node's own word has to do; with 0 peers that is worth nothing.
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

    /// Observed time since it last stood still for a whole window.
    pub fn progressing_for(&self) -> Duration {
        self.progressing_for
    }

    /// Observed time without progress although there should be some.
    pub fn stuck(&self) -> ExcusableDuration {
        self.stuck
    }

    /// Observed time without a single peer.
    pub fn no_peers_for(&self) -> Duration {
        self.no_peers_for
    }

    /// The part of it in which the host's own network was not known to be down.
    pub fn isolated_for(&self) -> Duration {
        self.isolated_for
    }

    /// Observed time that the exporter has met us with silence; `None` when it has not.
    pub fn silent(&self) -> Option<ExcusableDuration> {
        self.silent
    }

    /// Observed time since the newest sample, over looks that gave none.
    pub fn unanswered(&self) -> Duration {
        self.unanswered
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
        self.heights.best
    }

    /// Highest finalized since the process started, blocks.
    pub fn finalized_high(&self) -> Option<u64> {
        self.heights.finalized
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

    /// Observed time since the look before this one.
    fn look(&mut self, now: Time, windows: &Windows) -> Duration {
        let passed = self.looked_at.map(|at| now.since(at)).unwrap_or_default();
        if passed > windows.gap_after {
            self.forget_windows();
        }
        let watched = self.looked_at.replace(now).is_some();
        if watched {
            self.spacing = passed;
            passed
        } else {
            Duration::ZERO
        }
    }

    /// Counts time without progress towards being alone and being stuck.
    fn count(
        &mut self,
        passed: Duration,
        sample: &Sample,
        behind: Option<bool>,
        excused: bool,
        windows: &Windows,
        context: Context,
    ) {
        let mut passed = passed;
        match sample.peers {
            Some(0) => {
                self.connected_for = Duration::ZERO;
                self.no_peers_for += passed;
            }
            // A blink without peers was part of the time.
            Some(_) if self.no_peers_for <= windows.stall_after / BLINK => {
                passed += self.no_peers_for;
                self.forget_alone();
            }
            // A peer that comes and goes is no company.
            Some(_) => {
                self.connected_for += passed;
                if self.connected_for >= windows.isolated_after / BLINK {
                    self.forget_alone();
                }
            }
            None => {}
        }
        if context.network_down {
            self.offline += passed;
            self.online = Duration::ZERO;
            if self.offline > windows.stall_after / BLINK {
                (self.isolated_for, self.stuck) = (Duration::ZERO, ExcusableDuration::default());
            }
            return;
        }
        self.online += passed;
        if self.online >= windows.stall_after / BLINK {
            // A network that comes and goes is none.
            self.offline = Duration::ZERO;
        }
        if sample.peers == Some(0) {
            // The distance is unknown now: for being stuck this time neither counts nor clears.
            self.isolated_for += passed;
            return;
        }
        if context.relay_syncing {
            self.waiting += passed;
            if self.waiting > windows.stall_after / BLINK {
                self.stuck = ExcusableDuration::default();
            }
            return;
        }
        self.waiting = Duration::ZERO;
        let relay_with_peers = self.chain == Chain::Relaychain && sample.peers.is_some() && sample.best.is_some();
        if behind == Some(true) || relay_with_peers {
            self.stuck.count(passed, excused);
        } else if self.near_target_for >= NEAR_FOR {
            self.stuck = ExcusableDuration::default();
        }
    }

    fn follow_distance(&mut self, now: Time, distance: Option<u64>, windows: &Windows) {
        let Some(distance) = distance else { return };
        if distance <= windows.lag_blocks {
            self.was_synced |= self.progressed_at.is_some();
            self.falling = None;
        } else if !self.progressing(windows.stall_after) {
            // It stands still, which is another matter.
            self.falling = None;
        } else if self.was_synced && self.falling.is_none_or(|(_, from)| distance < from) {
            self.falling = Some((now, distance));
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
