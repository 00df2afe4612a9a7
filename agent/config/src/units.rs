//! Durations and sizes of the configuration as text.

use std::time::Duration;

use agent_core::units::SIZES;
use jiff::{Span, SpanRelativeTo};

use crate::error::ValueError;

const DURATION: &str = "write a number and a unit (ms, s, m, h, d), such as \"30s\" or \"1h30m\"";
const SIZE: &str = "write a number and a unit (KiB, MiB, GiB, TiB), such as \"2GiB\"";

/// Reads a duration such as `500ms`, `30s`, `1h30m`, `1.5 hours` or `PT2H`: a span of jiff with units up to weeks, and
/// the same units in any order and repeatedly. A day has 24 hours.
///
/// Errors name the text and the remedy.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    if text.starts_with('-') {
        return Err(ValueError::text(text, "is negative", "write a positive duration"));
    }
    let trimmed = text.trim();
    span(trimmed)
        .or_else(|| sum_of_spans(trimmed))
        .ok_or_else(|| ValueError::text(text, "is no duration", DURATION))
}

fn span(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

/// Units that are not in descending order, such as `30m1h`, which jiff refuses.
fn sum_of_spans(text: &str) -> Option<Duration> {
    let parts = text
        .as_bytes()
        .chunk_by(|a, b| !(a.is_ascii_alphabetic() && b.is_ascii_digit()));
    let durations = parts.map(|part| span(std::str::from_utf8(part).ok()?));
    durations.reduce(|sum, next| sum?.checked_add(next?))?
}

/// Reads a size such as `2GiB`, `50MiB` or `1024` (bytes).
///
/// A whole number with one of the units B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (powers of
/// 1000). Errors name the text and the remedy.
pub fn parse_size(text: &str) -> Result<u64, ValueError> {
    if text.starts_with('-') {
        return Err(ValueError::text(text, "is negative", "write a positive size"));
    }
    let invalid = || ValueError::text(text, "is no size", SIZE);
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(invalid());
    }
    let bytes_per_unit = match unit.trim_start() {
        "" => 1,
        unit => SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?.1,
    };
    let bytes = number.parse().ok().and_then(|n: u64| n.checked_mul(bytes_per_unit));
    bytes.ok_or_else(|| ValueError::text(text, "is more than there is", "write a smaller size"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use agent_core::units::{rounded_duration, show_duration, show_size};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn duration_in_every_notation_is_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("6h", 21_600_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
            ("1 hour", 3_600_000),
            ("1.5h", 5_400_000),
            ("2h 30min", 9_000_000),
            ("1w", 604_800_000),
            ("PT2H", 7_200_000),
            (" 5 m ", 300_000),
            ("30m1h30m", 7_200_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn invalid_duration_is_refused() {
        for text in [
            "",
            "s",
            "5",
            "h5",
            "5x",
            "5M",
            "-5s",
            "5s ago",
            "1mo",
            "1h-1m",
            "99999999999999999999d",
            "5m-1s",
            "٣s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn size_in_every_unit_is_read() {
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
    fn invalid_size_is_refused() {
        for text in ["", "GiB", "2G", "2gib", "1.5GiB", "-1", "99999999TiB", "2GiB2"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    /// The longest span of jiff: 19,998 years.
    const LONGEST_MILLIS: u64 = 7_304_484 * 86_400_000;

    proptest! {
        #[test]
        fn shown_duration_reads_back_the_same(millis in 0..=LONGEST_MILLIS) {
            let d = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(d)).unwrap(), d);
        }

        #[test]
        fn duration_for_people_is_read_as_what_it_says(seconds in 0..=LONGEST_MILLIS / 1000) {
            let read = parse_duration(&rounded_duration(seconds)).unwrap().as_secs();
            prop_assert!(read <= seconds && rounded_duration(read) == rounded_duration(seconds));
        }

        #[test]
        fn shown_size_reads_back_the_same(n in 0..1u64 << 20, shift in 0..40u32) {
            prop_assert_eq!(parse_size(&show_size(n << shift)).unwrap(), n << shift);
        }

        #[test]
        fn arbitrary_duration_or_size_never_panics(text in ".{0,40}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
