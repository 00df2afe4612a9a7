//! The recent past of one chain: its speed, and whether its traffic suggests that it is at work.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Windows;
use crate::event::{Sample, Time};

/// Speed is averaged over this much of the recent past.
const SPEED_OVER: Duration = Duration::from_mins(1);
/// Traffic is averaged over at least this much: a burst of blocks that are then rejected is no work.
const TRAFFIC_OVER: Duration = Duration::from_secs(30);
/// Points are this far apart at least.
const APART: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SyncRate {
    points: VecDeque<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Point {
    at: Time,
    best: Option<u64>,
    target: Option<u64>,
    bytes_in: Option<u64>,
}

impl SyncRate {
    pub(super) fn note(&mut self, now: Time, sample: &Sample, windows: &Windows) {
        if self.points.back().is_some_and(|p| now.since(p.at) < APART) {
            return;
        }
        // One point may lie further back, so that rare samples have one to compare with.
        let keep = SPEED_OVER.max(windows.gap_after);
        while self.points.len() > 1 && self.points.get(1).is_some_and(|p| now.since(p.at) >= keep) {
            self.points.pop_front();
        }
        let Sample {
            best, target, bytes_in, ..
        } = *sample;
        self.points.push_back(Point {
            at: now,
            best,
            target,
            bytes_in,
        });
    }

    /// Inbound bytes per second since the last progress (at `progressed_at`): what arrived before has borne its fruit.
    pub(super) fn traffic(&self, progressed_at: Option<Time>) -> Option<u64> {
        let later = |p: &&Point| progressed_at.is_none_or(|t| p.at >= t);
        let known = || {
            self.points
                .iter()
                .rev()
                .filter(later)
                .filter_map(|p| Some((p.at, p.bytes_in?)))
        };
        let (at, bytes) = known().next()?;
        let old_enough = |(then, _): &(Time, u64)| at.since(*then) >= TRAFFIC_OVER;
        let (then, bytes_then) = known().find(old_enough).or_else(|| known().next_back())?;
        let received = bytes.checked_sub(bytes_then)?;
        received.checked_div(at.since(then).as_secs())
    }

    /// Blocks per second by which the target rises: the median of the last minute, so that a jump does not count.
    pub(super) fn target_rate(&self) -> Option<f64> {
        let pairs = self.points.iter().zip(self.points.iter().skip(1));
        let mut rates: Vec<f64> = pairs
            .filter_map(|(a, b)| {
                let blocks = b.target?.saturating_sub(a.target?);
                Some(precise(blocks) / b.at.since(a.at).as_secs_f64())
            })
            .collect();
        if rates.len() < 4 {
            return None;
        }
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied()
    }

    /// Blocks a second, and seconds until `distance` is covered at the speed at which it shrinks.
    pub(super) fn speed(&self, now: Time, sample: &Sample, distance: Option<u64>) -> (Option<f64>, Option<u64>) {
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
        let eta = distance
            .filter(|_| closing > 0.001)
            .and_then(|d| Duration::try_from_secs_f64(precise(d) / closing).ok())
            .map(|d| d.as_secs());
        (Some(rate), eta)
    }
}

#[expect(clippy::cast_precision_loss, reason = "heights stay far below 2^52")]
fn precise(blocks: u64) -> f64 {
    blocks as f64
}
