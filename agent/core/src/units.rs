//! Durations and sizes as text: exact as the configuration writes them, or rounded for people.

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

/// A duration for people, in at most two units: `42s`, `6m 46s`, `1h 29m`, `3d 4h`, `400d`; a second unit of zero is left out.
pub fn rounded_duration(seconds: u64) -> String {
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(units.len() - 1);
    let (n, unit) = units[first];
    match units.get(first + 1) {
        Some((minor, name)) if *minor > 0 && n < 100 => format!("{n}{unit} {minor}{name}"),
        _ => format!("{n}{unit}"),
    }
}

/// A size for people: `1.2 GiB`.
pub fn rounded_size(n: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = n as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" || value >= 100.0 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A number with its noun: `1 peer`, `2 peers`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{n} {}", noun_for(n, noun))
}

/// The noun as it stands behind a number: `peer` behind 1, or else `peers`.
pub fn noun_for(n: u64, noun: &str) -> String {
    format!("{noun}{}", if n == 1 { "" } else { "s" })
}

/// A size for people, rounded down to MiB where it has one.
pub fn show_mib(bytes: u64) -> String {
    if bytes < 1 << 20 {
        return rounded_size(bytes);
    }
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_duration_has_two_units_at_most() {
        let seen = [0, 42, 406, 5_340, 21_600, 273_600, 34_565_000].map(rounded_duration);
        assert_eq!(seen, ["0s", "42s", "6m 46s", "1h 29m", "6h", "3d 4h", "400d"]);
    }

    #[test]
    fn noun_behind_one_is_singular() {
        let seen = [0, 1, 2].map(|n| counted(n, "peer"));
        assert_eq!(seen, ["0 peers", "1 peer", "2 peers"]);
    }

    #[test]
    fn size_in_mib_always_has_a_unit() {
        let seen = [0, 4_096, 500_000, 1 << 20, (6 << 20) - 1, 300 << 30].map(show_mib);
        assert_eq!(seen, ["0 B", "4.0 KiB", "488 KiB", "1 MiB", "5 MiB", "307200 MiB"]);
    }

    #[test]
    fn rounded_size_has_a_binary_unit() {
        let seen = [0, 1_023, 6_396_313, 128_849_018_880, u64::MAX].map(rounded_size);
        assert_eq!(seen, ["0 B", "1023 B", "6.1 MiB", "120 GiB", "16.0 EiB"]);
    }
}
