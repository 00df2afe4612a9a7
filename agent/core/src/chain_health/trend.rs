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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// By which the distance grows; negative while it shrinks.
    pub distance: f64,
    pub best: f64,
    pub target: f64,
    /// As `distance`, over the second half of the window.
    pub distance_lately: f64,
}

impl Trend {
    pub(super) fn note(&mut self, now: Time, sample: &Sample, window: Duration) {
        let (Some(best), Some(target), Some(1..)) = (sample.best, sample.target, sample.peers) else {
            return;
        };
        if self.points.back().is_some_and(|p| now.since(p.at) < window / POINTS) {
            return;
        }
        // One point may lie beyond the window, so that the others fill it.
        while self.points.get(1).is_some_and(|p| now.since(p.at) >= window) {
            self.points.pop_front();
        }
        self.points.push_back(Point { at: now, best, target });
    }

    pub(super) fn forget(&mut self) {
        self.points.clear();
    }

    /// The slopes over `window`; `None` while less than that was observed.
    pub(crate) fn slope(&self, window: Duration) -> Option<Slope> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        if self.points.len() < 4 || last.at.since(first.at) + window / POINTS < window {
            return None;
        }
        let fit = |skipped: usize, height: fn(&Point) -> f64| {
            let points = self.points.iter().skip(skipped);
            slope(
                &points
                    .map(|p| (p.at.since(first.at).as_secs_f64(), height(p)))
                    .collect::<Vec<_>>(),
            )
        };
        let distance = |p: &Point| precise(p.target.saturating_sub(p.best));
        Some(Slope {
            distance: fit(0, distance)?,
            best: fit(0, |p| precise(p.best))?,
            target: fit(0, |p| precise(p.target))?,
            distance_lately: fit(self.points.len() / 2, distance)?,
        })
    }
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let n = precise(points.len() as u64);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let variance: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance)
}

#[expect(clippy::cast_precision_loss, reason = "heights stay far below 2^52")]
fn precise(blocks: u64) -> f64 {
    blocks as f64
}
