//! Numbers and strings as people read them.

use jiff::Timestamp;

use crate::units::rounded_duration;

/// `text` on one line and safe for a terminal: no control characters, escape sequences or characters that
/// reorder or hide others; runs of white space become one space.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                chars.next_if(|c| matches!(c, '@'..='~'));
            }
            c if c.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Columns that `c` takes on a terminal, rather too many than too few: everything beyond the alphabets is
/// taken as wide, but for the punctuation that we write ourselves.
fn columns(c: char) -> usize {
    if c < '\u{1100}' || matches!(c, '\u{2010}'..='\u{2027}') {
        1
    } else {
        2
    }
}

/// Columns that `text` takes on a terminal, at least its number of characters.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// `text` cut to at most `max` columns; a cut is shown by `…`.
pub(super) fn shorten(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += columns(c);
        if used > max {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    if max > 0 {
        out.push('…');
    }
    out
}

/// `text` in at most `lines` lines of at most `max` columns, broken between words where that is possible.
pub(super) fn wrap(text: &str, max: usize, lines: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && out.len() + 1 < lines && width(rest) > max {
        let mut used = 0;
        let fits = rest
            .char_indices()
            .find(|(_, c)| {
                used += columns(*c);
                used > max
            })
            .map_or(rest.len(), |(i, _)| i);
        // A space right behind the last character that fits breaks there too.
        let end = if rest[fits..].starts_with(' ') {
            fits
        } else {
            rest[..fits].rfind(' ').filter(|end| *end > 0).unwrap_or(fits)
        };
        if end == 0 {
            break;
        }
        out.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() && lines > 0 {
        out.push(shorten(rest, max));
    }
    out
}

/// Time from `earlier` to `now`; nothing when a clock step makes it negative.
pub(super) fn between(earlier: Timestamp, now: Timestamp) -> String {
    rounded_duration(u64::try_from(now.as_second().saturating_sub(earlier.as_second())).unwrap_or(0))
}

/// `2026-11-22 22:50 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `18,234,567`; beyond a million million `1.8e19`, which no height reaches.
pub(super) fn count(n: u64) -> String {
    if n >= 1_000_000_000_000 {
        #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
        return format!("{:.1e}", n as f64);
    }
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + 4);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_absurd_ones_short() {
        let seen = [0, 999, 1_000, 18_234_567, u64::MAX].map(count);
        assert_eq!(seen, ["0", "999", "1,000", "18,234,567", "1.8e19"]);
    }

    #[test]
    fn cleaning_leaves_nothing_a_terminal_acts_on() {
        assert_eq!(
            clean(" a\x1b[31;1mred\x1b[0m\r\n\tb\x07\u{9b}2J\u{202e}c\0 "),
            "ared b2Jc"
        );
        assert_eq!(clean("\x1b[38;5;1"), "");
        assert_eq!(clean("\x1b]0;title\x07"), "]0;title");
    }

    #[test]
    fn shortening_counts_wide_characters_twice() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdef", 5), "abcd…");
        assert_eq!(shorten("💤💤💤", 5), "💤💤…");
        assert_eq!(shorten("abc", 0), "");
    }

    #[test]
    fn wrapping_breaks_between_words_and_marks_what_is_lost() {
        assert_eq!(wrap("one two three", 7, 9), ["one two", "three"]);
        assert_eq!(wrap("one two three", 7, 1), ["one tw…"]);
        assert_eq!(wrap("abcdefghij", 4, 9), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4, 9), Vec::<String>::new());
        assert_eq!(wrap("💤", 1, 9), ["…"]);
    }

    #[test]
    fn a_clock_step_is_no_negative_time() {
        let [a, b] = [10, 70].map(|s| Timestamp::from_second(s).unwrap_or_default());
        assert_eq!((between(a, b), between(b, a)), ("1m".to_owned(), "0s".to_owned()));
    }
}
