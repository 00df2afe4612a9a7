//! Pauses between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Between half of `wait` and all of it, so that many agents do not come back in step.
pub fn jitter(wait: Duration) -> Duration {
    let half = wait / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(RandomState::new().hash_one(0u8) % micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_below_their_cap() {
        let cap = Duration::from_secs(30);
        for _ in 0..100 {
            let wait = jitter(cap);
            assert!(wait >= cap / 2 && wait <= cap, "{wait:?}");
        }
    }
}
