//! Whether the distance to the target grows: a fitted slope over a window, never two extremes.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Sample, Time};

/// Points per window.
const POINTS: u32 = 20;

/// Heights of one window, thinned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trend {
    points: VecDeque<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Point {
    at: Time,
    best: u64,
    target: u64,
}

/// Blocks per second over a whole window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// By which the distance grows; negative while it shrinks.
    pub distance: f64,
    /// As `distance`, over the second half of the window.
    pub distance_lately: f64,
    pub best: f64,
    pub target: f64,
}

impl Trend {
    /// Takes a sample when it is time for a point; returns whether it did.
    pub(super) fn note(&mut self, now: Time, sample: &Sample, window: Duration) -> bool {
        let (Some(best), Some(target), Some(1..)) = (sample.best, sample.target, sample.peers) else {
            return false;
        };
        if self.points.back().is_some_and(|p| now.since(p.at) < window / POINTS) {
            return false;
        }
        // What lies between two points so far apart was not compared.
        if self.points.back().is_some_and(|p| now.since(p.at) >= window / 2) {
            self.points.clear();
        }
        // One point may lie beyond the window, so that the others fill it.
        while self.points.get(1).is_some_and(|p| now.since(p.at) >= window) {
            self.points.pop_front();
        }
        self.points.push_back(Point { at: now, best, target });
        true
    }

    /// Whether the distance is now as long as it was at no time in the window.
    pub(super) fn is_longest(&self) -> bool {
        let distance = |p: &Point| p.target.saturating_sub(p.best);
        let longest = self.points.iter().map(distance).max();
        self.points.back().map(distance) == longest
    }

    /// Whether there are enough points for the last one to be no more than one of many.
    pub(super) fn is_dense(&self) -> bool {
        self.points.len() * 2 >= POINTS as usize
    }

    pub(super) fn forget(&mut self) {
        self.points.clear();
    }

    /// The slopes over `window`; `None` while less than that was observed.
    pub(super) fn slope(&self, window: Duration) -> Option<Slope> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        let lasts = last.at.since(first.at);
        if self.points.len() < 4 || lasts + window / POINTS < window {
            return None;
        }
        let points: Vec<Point> = self.points.iter().copied().collect();
        let mean = |from: u64, to: u64| (precise(to) - precise(from)) / lasts.as_secs_f64();
        Some(Slope {
            distance: median_slope(&points)?,
            distance_lately: median_slope(points.get(points.len() / 2..)?)?,
            best: mean(first.best, last.best),
            target: mean(first.target, last.target),
        })
    }
}

/// The median of the slopes of all pairs of points (Theil and Sen): a target that leaps for a moment does not count.
fn median_slope(points: &[Point]) -> Option<f64> {
    let distance = |p: &Point| precise(p.target.saturating_sub(p.best));
    let pairs = points
        .iter()
        .enumerate()
        .flat_map(|(n, a)| points.iter().skip(n + 1).map(move |b| (a, b)));
    let mut slopes: Vec<f64> = pairs
        .map(|(a, b)| (distance(b) - distance(a)) / b.at.since(a.at).as_secs_f64())
        .filter(|slope| slope.is_finite())
        .collect();
    slopes.sort_by(f64::total_cmp);
    // The lower one of two: the newest of four points makes half of the pairs.
    slopes.get(slopes.len().saturating_sub(1) / 2).copied()
}

#[expect(clippy::cast_precision_loss, reason = "heights stay far below 2^52")]
fn precise(blocks: u64) -> f64 {
    blocks as f64
}
