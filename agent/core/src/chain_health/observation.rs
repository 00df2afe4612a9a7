//! Samples and failed scrapes become evidence: which windows run on, and which start anew.

use std::time::Duration;

use super::{BLINK, ChainTracker, Context, ExcusableDuration, InSync, Windows, distance};
use crate::event::{Chain, Sample, ScrapeError, Time};

/// How long a chain has to be near its target before it counts as having caught up.
const NEAR_FOR: Duration = Duration::from_mins(1);

impl ChainTracker {
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
            // Failed scrapes in between count as observation; but one answer after a long silence is weak evidence.
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
            let passed = if context.network_down {
                passed
            } else {
                passed.saturating_sub(self.unanswered_offline)
            };
            self.count(passed, &sample, behind, excused, windows, context);
        }
        self.follow_distance(now, distance, windows);
        (self.unanswered, self.unanswered_offline) = (Duration::ZERO, Duration::ZERO);
        self.answered = true;
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
        self.in_sync = InSync::default();
        self.last_error = Some(error);
        if error.is_silence() {
            match &mut self.silent {
                Some(silent) => silent.count(looked, context.busy),
                None => self.silent = Some(ExcusableDuration::default()),
            }
        } else {
            self.answered = true;
            self.silent = None;
        }
    }

    /// Observed time since the previous scrape.
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
