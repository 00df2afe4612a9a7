//! Durations and sizes as the configuration writes them.

use std::time::Duration;

/// Milliseconds of each unit, largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Bytes of each unit, largest first.
pub const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// A duration as it would be written in the configuration, rounded down to milliseconds.
pub fn show_duration(d: Duration) -> String {
    let mut millis = u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, each) in UNITS {
        if millis >= each {
            parts.push(format!("{}{unit}", millis / each));
            millis %= each;
        }
    }
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.concat()
    }
}

/// A size as it would be written in the configuration.
pub fn show_size(bytes: u64) -> String {
    let whole = |(name, each): &&(&str, u64)| name.contains('i') && bytes >= *each && bytes.is_multiple_of(*each);
    match SIZES.iter().find(whole) {
        Some((unit, each)) => format!("{}{unit}", bytes / each),
        None => format!("{bytes}"),
    }
}
