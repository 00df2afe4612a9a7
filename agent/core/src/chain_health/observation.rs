//! Samples and failed scrapes become evidence: which windows run on, and which start anew.

use std::time::Duration;

use super::connectivity::Sight;
use super::{
    BLINK, ChainTracker, Context, ExcusableDuration, FALLING_OVER, FALLING_SHARE, FAR, InSync, Opinion, RUNAWAY_OVER,
    STATE_TRAFFIC, Slope, Windows, distance, has_no_target,
};
use crate::event::{Chain, Sample, ScrapeError, Time};
use crate::informant::Informant;

/// How long the use of the processor alone excuses the silence of a node that has answered before.
const CPU_EXCUSES: Duration = Duration::from_mins(10);

impl ChainTracker {
    /// Counts one sample; returns whether it shows progress.
    pub fn observe(&mut self, now: Time, sample: Sample, windows: &Windows, context: Context) -> bool {
        if matches!((self.process_start, sample.process_start), (Some(before), Some(after)) if before != after) {
            *self = self.renewed();
        }
        let looked = self.look(now, windows);
        if !looked.is_zero() {
            self.spacing = looked;
        }
        let passed = match self.sampled_at {
            // Failed scrapes in between count as observation; but one answer after a long silence is weak evidence.
            Some(_) => (self.unanswered + looked).min(windows.gap_after.max(windows.stall_after / 2)),
            None => Duration::ZERO,
        };
        let rise = self.heights.take(&sample, passed);
        let progress = rise.best;
        let before = self.sample.as_ref();
        self.target_rose_at_zero |= before.is_some_and(|before| raises_target_at_zero(before, &sample));
        let distance = distance(&sample);
        if !self.heights.is_sunk() {
            let in_a_row = self.sampled_at.is_some() && self.last_error.is_none();
            let sight = Sight {
                before: self
                    .sample
                    .as_ref()
                    .filter(|_| in_a_row)
                    .and_then(|before| before.peers),
                now: sample.peers,
                at_target: distance.is_none_or(|distance| distance <= windows.lag_blocks)
                    && sample.major_syncing != Some(true)
                    && sample.best > Some(0),
                network_down: context.network_down,
            };
            let gone_after = self.peers.isolation_window(windows.isolated_after);
            self.peers.note(sight, passed, gone_after);
            self.peers.note_block(progress);
        }
        if progress {
            self.still = Duration::ZERO;
            self.peers.forget();
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
        self.sync_rate.note(now, &sample, windows);
        self.target_rate = self.sync_rate.target_rate();
        self.follow_target(passed, &sample, windows);
        if sample.peers != Some(0) {
            self.lacks_target = has_no_target(&sample);
        }
        let moving = self.progressing(windows.stall_after);
        let at_head = self.synced_in_run || sample.major_syncing == Some(false);
        // A first sync finalizes nothing before it is at the head, and some chains never do.
        let may_finalize = sample.finalized > Some(0) || (self.synced_in_run && context.finalizes);
        let expected = moving && at_head && may_finalize && !context.relay_syncing;
        self.finality.note(passed, sample.finalized, rise.finalized, expected);
        self.in_sync.observe(passed, &sample, windows.lag_blocks);
        if !progress {
            let behind = distance.map(|d| d > windows.lag_blocks);
            let downloads = sample.major_syncing != Some(false) || sample.best == Some(0);
            let traffic = self.sync_rate.traffic(self.progressed_at).filter(|_| downloads);
            self.downloaded_state |= sample.best == Some(0) && traffic >= Some(STATE_TRAFFIC);
            // Imported forks, known blocks and finality are no progress of best: weak evidence.
            let works =
                context.busy || rise.imported || rise.finalized || (context.moves_disk && self.is_unpersisted());
            let excused = works || traffic.is_some_and(|rate| rate >= windows.activity_bytes);
            let passed = if context.network_down {
                passed
            } else {
                passed.saturating_sub(self.unanswered_offline)
            };
            self.count(passed, &sample, behind, excused, windows, context);
        }
        self.follow_trend(now, &sample, distance, progress, windows);
        (self.unanswered, self.unanswered_offline, self.blind_for) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        self.answered = true;
        self.without_heights = false;
        self.silent = None;
        self.last_error = None;
        self.process_start = sample.process_start.or(self.process_start);
        self.sample = Some(sample);
        self.sampled_at = Some(now);
        progress
    }

    /// Counts a scrape that gave no sample.
    pub fn miss(&mut self, now: Time, error: ScrapeError, windows: &Windows, context: Context) {
        let looked = self.look(now, windows);
        self.unanswered += looked;
        if context.network_down {
            self.unanswered_offline += looked;
        }
        if !error.is_silence() || !context.others_silent {
            self.blind_for += looked;
        }
        if !error.is_silence() {
            self.without_heights = error == ScrapeError::MetricMissing && self.sample.is_none();
        }
        self.peers.miss(self.unanswered);
        self.in_sync = InSync::default();
        self.last_error = Some(error);
        if error.is_silence() {
            match &mut self.silent {
                Some(silent) => {
                    // A loop that does not end uses the processor as well; a database that opens may do so for long.
                    let computes = context.uses_cpu && (!self.answered || silent.total() < CPU_EXCUSES);
                    silent.count(looked, computes || context.moves_disk);
                }
                None => self.silent = Some(ExcusableDuration::default()),
            }
        } else {
            self.answered = true;
            self.silent = None;
        }
    }

    /// Counts a line of the informant; a share that rises is progress of a phase that shows no block.
    pub fn note_informant(&mut self, now: Time, informant: &Informant) {
        let progress = informant.progress();
        let before = self.reported.replace((now, progress)).map(|(_, before)| before);
        let advances = before.is_some_and(|before| {
            let more = progress.percent > before.percent || progress.downloaded_bytes > before.downloaded_bytes;
            before.phase != progress.phase || more
        });
        if progress.phase.persists_nothing() && advances {
            self.stuck = ExcusableDuration::default();
        }
    }

    /// Observed time since the previous scrape.
    fn look(&mut self, now: Time, windows: &Windows) -> Duration {
        let passed = self.looked_at.map(|at| now.since(at)).unwrap_or_default();
        if passed > windows.gap_after {
            self.forget_windows();
        }
        // Windows that were forgotten begin with this scrape.
        let watched = self.looked_at.replace(now).is_some();
        if watched { passed } else { Duration::ZERO }
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
        let syncing = sample.major_syncing == Some(true);
        let at_target = behind == Some(false) && !syncing && sample.best > Some(0);
        let passed = self.peers.count(sample.peers, passed, at_target, windows);
        if context.network_down {
            self.offline += passed;
            self.online = Duration::ZERO;
            if self.offline > windows.stall_after / BLINK {
                (self.peers.isolated_for, self.stuck) = (Duration::ZERO, ExcusableDuration::default());
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
            self.peers.isolated_for += passed;
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
        let known = sample.peers.is_some() && sample.best.is_some();
        let relay_with_peers = self.chain == Chain::Relaychain && known && !windows.may_rest;
        let without_target = syncing && behind == Some(false);
        match context.opinion {
            // The whole chain stands: whatever the peers announce, a restart cures nothing.
            Opinion::Level => self.stuck = ExcusableDuration::default(),
            Opinion::Ahead => self.stuck.count(passed, excused),
            Opinion::Unknown if behind == Some(true) || relay_with_peers || without_target => {
                self.stuck.count(passed, excused);
            }
            Opinion::Unknown if self.is_near_for_long(windows) => self.stuck = ExcusableDuration::default(),
            Opinion::Unknown => {}
        }
    }

    /// Counts time near a credible target: one that peers vouch for, and that is not the node's own height while it
    /// says that it is syncing.
    fn follow_target(&mut self, passed: Duration, sample: &Sample, windows: &Windows) {
        let lag = self.lag(windows);
        let credible = |distance: u64| distance <= lag && sample.best > Some(0) && !has_no_target(sample);
        match distance(sample) {
            Some(distance) if credible(distance) => self.near_target_for += passed,
            Some(_) => self.near_target_for = Duration::ZERO,
            // Unknown: it neither counts nor clears.
            None => {}
        }
        self.synced_in_run |= self.is_near_for_long(windows);
    }

    /// Judges how the distance changes. It is compared when best rises: while best stands, every distance grows, and a
    /// standstill is another condition.
    fn follow_trend(&mut self, now: Time, sample: &Sample, distance: Option<u64>, rose: bool, windows: &Windows) {
        let is_new = rose && self.trend.note(now, sample, FALLING_OVER);
        let is_new_for_long = rose && self.long_trend.note(now, sample, RUNAWAY_OVER);
        let Some(distance) = distance else { return };
        if self.synced_in_run && self.progressed_at.is_some() {
            (self.was_synced, self.synced_best) = (true, self.heights.best);
        }
        if self.still >= windows.stall_after || distance <= self.lag(windows) {
            // It stands still, or it has caught up.
            (self.falling_behind, self.drifts, self.runaway) = (false, false, None);
            return;
        }
        let least = f64::from(u32::try_from(windows.lag_blocks).unwrap_or(u32::MAX));
        if distance <= FAR {
            self.drifts = false;
        } else if is_new_for_long && self.was_synced {
            let lost = |slope: &Slope| slope.distance.min(slope.distance_lately) * RUNAWAY_OVER.as_secs_f64();
            let slope = self.long_trend.slope(RUNAWAY_OVER);
            let grows = slope.is_some_and(|slope| slope.best > 0.0 && lost(&slope) >= least);
            let begins = self.long_trend.is_longest() && self.long_trend.is_dense();
            self.drifts = grows && (self.drifts || begins);
        }
        if is_new_for_long && !self.was_synced {
            let runs_away = |slope: &Slope| slope.best > 0.0 && slope.distance.min(slope.distance_lately) >= 0.0;
            self.runaway = self.long_trend.slope(RUNAWAY_OVER).filter(runs_away);
        }
        if !is_new || !self.was_synced {
            return;
        }
        if let Some(slope) = self.trend.slope(FALLING_OVER) {
            let lost = slope.distance * FALLING_OVER.as_secs_f64();
            // A target that leapt and comes closer again is none.
            let begins = slope.distance >= slope.target * FALLING_SHARE && lost >= least && self.trend.is_longest();
            self.falling_behind = slope.distance_lately > 0.0 && (begins || (self.falling_behind && lost > 0.0));
        }
    }
}

/// Whether the target rose from a height above zero while best was zero: only a full sync does that.
fn raises_target_at_zero(before: &Sample, now: &Sample) -> bool {
    before.best == Some(0) && now.best == Some(0) && before.target > Some(0) && now.target > before.target
}
