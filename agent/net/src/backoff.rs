//! Pauses between attempts.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Endless pauses that double from `first` to `cap`. Each is between half of that and all of it, so that many agents do
/// not retry in step.
pub fn pauses(first: Duration, cap: Duration) -> ExponentialBackoff {
    // The library's jitter adds up to as much again.
    let pauses = ExponentialBuilder::new()
        .with_min_delay(first / 2)
        .with_max_delay(cap / 2);
    pauses.with_jitter().without_max_times().build()
}

/// One such pause.
pub fn jitter(wait: Duration) -> Duration {
    pauses(wait, wait).next().unwrap_or(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_their_cap_with_jitter_below() {
        let seconds = Duration::from_secs;
        for _ in 0..100 {
            let expected = [1, 2, 4, 8, 10, 10].map(seconds);
            for (pause, most) in pauses(seconds(1), seconds(10)).zip(expected) {
                assert!(pause >= most / 2 && pause <= most, "{pause:?} of {most:?}");
            }
            let wait = jitter(seconds(30));
            assert!(wait >= seconds(15) && wait <= seconds(30), "{wait:?}");
        }
    }
}
