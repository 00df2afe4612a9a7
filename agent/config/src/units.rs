//! Durations and sizes as people write them.

use std::time::Duration;

use agent_core::units::{SIZES, UNITS};

use super::problem::Invalid;
use super::values::quoted;

const DURATION: &str = "write a number and a unit (ms, s, m, h, d), such as \"30s\" or \"1h30m\"";
const SIZE: &str = "write a number and a unit (KiB, MiB, GiB, TiB), such as \"2GiB\"";

/// Reads a duration such as `500ms`, `30s`, `5m` or `1h30m`.
///
/// Whole numbers with the units ms, s, m, h and d. Errors name what was found and how to write it.
pub fn parse_duration(text: &str) -> Result<Duration, Invalid> {
    if text.starts_with('-') {
        return Err(Invalid::new(
            format!("{} is negative", quoted(text)),
            "write a positive duration",
        ));
    }
    let invalid = || Invalid::new(format!("{} is no duration", quoted(text)), DURATION);
    let mut millis = 0u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, each) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        // Digits alone fail to parse only when there are none or too many.
        if number.is_empty() {
            return Err(invalid());
        }
        let sum = number
            .parse()
            .ok()
            .and_then(|n: u64| n.checked_mul(*each))
            .and_then(|n| millis.checked_add(n));
        millis = sum.ok_or_else(|| {
            Invalid::new(
                format!("{} is longer than time itself", quoted(text)),
                "write a shorter duration",
            )
        })?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

/// Reads a size such as `2GiB`, `50MiB` or `1024` (bytes).
///
/// A whole number with one of the units B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (powers of
/// 1000). Errors name what was found and how to write it.
pub fn parse_size(text: &str) -> Result<u64, Invalid> {
    if text.starts_with('-') {
        return Err(Invalid::new(
            format!("{} is negative", quoted(text)),
            "write a positive size",
        ));
    }
    let invalid = || Invalid::new(format!("{} is no size", quoted(text)), SIZE);
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(invalid());
    }
    let unit = unit.trim_start();
    let each = match unit {
        "" => 1,
        _ => SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?.1,
    };
    let bytes = number.parse().ok().and_then(|n: u64| n.checked_mul(each));
    bytes.ok_or_else(|| {
        Invalid::new(
            format!("{} is more than there is", quoted(text)),
            "write a smaller size",
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use proptest::prelude::*;

    use super::*;
    use agent_core::units::{show_duration, show_size};

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("6h", 21_600_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "5",
            "5 m",
            "1.5h",
            "5x",
            "5M",
            "5sec",
            "-5s",
            "99999999999999999999d",
            "5m-1s",
            "٣s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("1024", 1024),
            ("2GiB", 2 << 30),
            ("50 MiB", 50 << 20),
            ("32KiB", 32 << 10),
            ("1kB", 1000),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "GiB", "2G", "2gib", "1.5GiB", "-1", "99999999TiB", "2GiB2"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_reads_back_as_it_was_shown(millis in 0..u64::MAX / 2) {
            let d = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(d)).unwrap(), d);
        }

        #[test]
        fn every_size_reads_back_as_it_was_shown(n in 0..1u64 << 20, shift in 0..40u32) {
            prop_assert_eq!(parse_size(&show_size(n << shift)).unwrap(), n << shift);
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,40}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
