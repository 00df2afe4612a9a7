//! When the disk will be full, from how its free space has gone lately.
//!
//! Pure: the time comes in as a parameter.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::Time;

/// Points are this far apart, and as many are kept as make six hours.
const APART: Duration = Duration::from_mins(5);
const KEPT: usize = 73;
/// Half an hour is the least that says anything: a compaction takes and gives back gigabytes in minutes.
const LEAST: usize = 7;
/// What lies further ahead is no forecast.
const HORIZON_SECONDS: f64 = 366.0 * 86_400.0;
/// A sync that lasts for longer than this takes space at a pace of its own.
const SYNC_SECONDS: u64 = 600;

/// The free space of the last hours.
#[derive(Debug, Default)]
pub struct Forecast {
    points: VecDeque<(Time, u64)>,
    /// How long the sync has yet to last in which the points were measured.
    sync_seconds: Option<u64>,
}

impl Forecast {
    /// Notes the free space, and how long the chains' sync has yet to last.
    pub fn note(&mut self, now: Time, free: u64, sync_seconds: Option<u64>) {
        let sync_seconds = sync_seconds.filter(|seconds| *seconds > SYNC_SECONDS);
        if self.sync_seconds.is_some() != sync_seconds.is_some() {
            self.points.clear();
        }
        self.sync_seconds = sync_seconds;
        if self.points.back().is_some_and(|(at, _)| now.since(*at) < APART) {
            return;
        }
        // Not measured for an hour, or a twentieth of the space was freed: the forecast starts anew here.
        let broken = |(at, before): &(Time, u64)| now.since(*at) > APART * 12 || free > before + before / 20;
        if self.points.back().is_some_and(broken) {
            self.points.clear();
        }
        if self.points.len() == KEPT {
            self.points.pop_front();
        }
        self.points.push_back((now, free));
    }

    /// Seconds until nothing is left if it goes on like this; `None` when that is not known, when the free space does
    /// not shrink, when it lasts for more than a year, or for longer than a sync that takes the space.
    pub fn full_in_seconds(&self) -> Option<u64> {
        let (&(began, _), &(now, free)) = (self.points.front()?, self.points.back()?);
        if self.points.len() < LEAST {
            return None;
        }
        // The slope of the line with the least squares, bytes per second.
        let points = || {
            self.points
                .iter()
                .map(|(at, free)| (at.since(began).as_secs_f64(), bytes(*free)))
        };
        let count = bytes(self.points.len() as u64);
        let mean = |sum: f64| sum / count;
        let (t, b) = (mean(points().map(|p| p.0).sum()), mean(points().map(|p| p.1).sum()));
        let slope =
            points().map(|p| (p.0 - t) * (p.1 - b)).sum::<f64>() / points().map(|p| (p.0 - t).powi(2)).sum::<f64>();
        let seconds = bytes(free) / -slope;
        let known = now > began && (0.0..=HORIZON_SECONDS).contains(&seconds);
        let seconds = known.then(|| Duration::from_secs_f64(seconds).as_secs())?;
        let fits = self.sync_seconds.is_some_and(|sync| sync < seconds);
        (!fits).then_some(seconds)
    }
}

#[expect(clippy::cast_precision_loss, reason = "disks stay below 2^52 bytes")]
fn bytes(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Free space at each minute, and what is forecast after the last.
    fn after(free: impl IntoIterator<Item = u64>) -> Option<u64> {
        let mut forecast = Forecast::default();
        for (minute, free) in free.into_iter().enumerate() {
            forecast.note(Time(60_000 * minute as u64), free, None);
        }
        forecast.full_in_seconds()
    }

    #[test]
    fn first_sync_that_fits_is_not_forecast_to_fill_the_disk() {
        // 10 GiB an hour of 100 GiB: 8 hours are left after two.
        let syncing = |left_at_first: u64, hours: u64| {
            let mut forecast = Forecast::default();
            for minute in 0..=hours * 60 {
                let left = (left_at_first * 3600).saturating_sub(60 * minute);
                forecast.note(Time(60_000 * minute), 100 * GIB - minute * GIB / 6, Some(left));
            }
            forecast
        };
        assert_eq!(syncing(7, 2).full_in_seconds(), None);
        let hours = syncing(11, 2).full_in_seconds().map(|seconds| seconds.div_ceil(3600));
        assert_eq!(hours, Some(8), "it does not fit");
        let mut over = syncing(7, 7);
        over.note(Time(7 * 3_600_000 + 60_000), 30 * GIB, None);
        assert_eq!(over.full_in_seconds(), None, "the pace of the sync is over");
    }

    #[test]
    fn a_steady_decline_is_drawn_out_to_its_end() {
        // 1 GiB an hour, 100 GiB at first, for two hours: 98 hours are left.
        let left = after((0..=120).map(|m| 100 * GIB - m * GIB / 60)).unwrap_or_default();
        assert!((left / 3600).abs_diff(98) <= 1, "{left}");
    }

    #[test]
    fn little_is_no_ground_for_a_forecast() {
        assert_eq!(after((0..25).map(|m| 100 * GIB - m * GIB)), None);
    }

    #[test]
    fn a_disk_that_does_not_shrink_is_never_full() {
        assert_eq!(after(vec![100 * GIB; 300]), None);
        assert_eq!(after((0..300).map(|m| 100 * GIB + m * GIB / 60)), None);
        assert_eq!(after((0..300).map(|m| 100 * GIB - m)), None, "a year is for ever");
    }

    #[test]
    fn room_that_was_made_begins_a_new_forecast() {
        let shrinking = (0..120).map(|m| 50 * GIB - m * GIB / 10);
        assert_eq!(after(shrinking.chain((0..20).map(|m| 100 * GIB - m * GIB / 10))), None);
    }

    #[test]
    fn twentieth_of_the_space_is_room_and_less_is_a_compaction() {
        // 10 GiB an hour; 80 GiB are left after two hours, when some are given back.
        let shrinking = || (0..120).map(|m| 100 * GIB - m * GIB / 6);
        let on = |back: u64| (0..20).map(move |m| (80 + back) * GIB - m * GIB / 6);
        assert_eq!(after(shrinking().chain(on(5))), None);
        assert!(after(shrinking().chain(on(3))).is_some());
    }

    #[test]
    fn memory_stays_bounded() {
        let mut forecast = Forecast::default();
        for minute in 0..100_000 {
            forecast.note(Time(60_000 * minute), 1000 * GIB - minute, None);
        }
        assert_eq!(forecast.points.len(), KEPT);
    }
}
