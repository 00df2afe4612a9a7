//! The wall clock, which a person or a time service may set at any moment.

use jiff::Timestamp;

/// The wall clock's time.
pub fn now() -> Timestamp {
    #[cfg(feature = "simulation")]
    if let Some(simulated) = crate::simulation::wall() {
        return simulated;
    }
    Timestamp::now()
}

/// The wall clock's time, Unix milliseconds.
pub fn unix_ms() -> i64 {
    now().as_millisecond()
}
