//! Secrets that are known by their shape, wherever they stand in a line.

use std::borrow::Cow;

use super::{GONE, names_value};

/// Schemes of URLs whose path is no secret.
const OPEN_SCHEMES: [&str; 3] = ["file", "s3", "unix"];
/// Paths that are shown.
const OPEN_PATHS: [&str; 2] = ["/", "/metrics"];
/// Words of the shortest mnemonic, and the lengths that the words of BIP 39 have.
const MNEMONIC_WORDS: usize = 12;
const MNEMONIC_LENGTHS: std::ops::RangeInclusive<usize> = 3..=8;
/// Characters between two words of a mnemonic, as in `1. word, 2. word` and `["word", "word"]`.
const MNEMONIC_GAP: usize = 6;
/// What tokens of well-known services begin with, and how long the whole is at least.
const TOKENS: [(&str, usize); 9] = [
    ("AKIA", 20),
    ("ASIA", 20),
    ("eyJ", 30),
    ("ghp_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("sk_live_", 20),
];
/// What stands before credentials in a header, in any case.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// Redacts one shape.
type Shape = fn(&str) -> String;

/// A line without the secrets of any shape. A shape that cannot be in it costs no copy: an exporter's page is large.
pub(super) fn redact(line: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(line);
    let has_token = |line: &str| TOKENS.iter().any(|(prefix, _)| line.contains(prefix));
    let has_scheme = |line: &str| {
        let lower = line.to_ascii_lowercase();
        SCHEMES.iter().any(|scheme| lower.contains(scheme))
    };
    let shapes: [(bool, Shape); 4] = [
        (line.contains("://"), urls),
        (line.contains("0x"), seeds),
        (line.len() >= MNEMONIC_WORDS * MNEMONIC_LENGTHS.start(), mnemonics),
        (has_token(line) || has_scheme(line), tokens),
    ];
    for (_, shape) in shapes.iter().filter(|(may_be_there, _)| *may_be_there) {
        clean = Cow::Owned(shape(&clean));
    }
    clean
}

/// Leaves scheme, host and port of every URL.
fn urls(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
        let scheme = &before[before[..at].trim_end_matches(in_scheme).len()..at];
        let end = url.find(|c: char| c.is_whitespace() || "\"'<>`\\".contains(c));
        let (url, after) = url.split_at(end.unwrap_or(url.len()));
        rest = after;
        if OPEN_SCHEMES.contains(&scheme) {
            out.push_str(url);
            continue;
        }
        let (authority, path) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str(GONE);
                out.push('@');
                host
            }
            // A password with a slash in it looks like a port.
            None if !has_plain_port(authority) => GONE,
            None => authority,
        };
        out.push_str(host);
        if path.is_empty() || OPEN_PATHS.contains(&path) {
            out.push_str(path);
        } else {
            out.push('/');
            out.push_str(GONE);
        }
    }
    out.push_str(rest);
    out
}

fn has_plain_port(authority: &str) -> bool {
    let port = match authority.rsplit_once(':') {
        Some((_, port)) if !authority.ends_with(']') => port,
        _ => return true,
    };
    let port = port.trim_end_matches(|c: char| c.is_ascii_punctuation());
    port.bytes().all(|b| b.is_ascii_digit())
}

/// `0x` and 64 or more hexadecimal digits.
fn seeds(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("0x") {
        let (before, digits) = rest.split_at(at + 2);
        let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
        out.push_str(before);
        out.push_str(if end >= 64 { GONE } else { &digits[..end] });
        rest = &digits[end..];
    }
    out.push_str(rest);
    out
}

/// Twelve and more short words in a row, all small or all large. Prose has punctuation, capitals and shorter words.
fn mnemonics(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut at, mut kept) = (0, 0);
    while let Some((begin, mut end)) = next_word(line, at) {
        let mut words = 1;
        while let Some((next, next_end)) = next_word(line, end)
            && is_gap(&line[end..next])
            && !names_value(&line[next..next_end], &line[next_end..])
        {
            (end, words) = (next_end, words + 1);
        }
        if words >= MNEMONIC_WORDS {
            out.push_str(&line[kept..begin]);
            out.push_str(GONE);
            kept = end;
        }
        at = end;
    }
    out.push_str(&line[kept..]);
    out
}

/// The next word from `at` on that could be one of BIP 39.
fn next_word(line: &str, mut at: usize) -> Option<(usize, usize)> {
    let is_inside = |c: char| c.is_alphanumeric() || c == '_';
    loop {
        let begin = at + line[at..].find(is_inside)?;
        let length = line[begin..].find(|c| !is_inside(c)).unwrap_or(line.len() - begin);
        let word = &line[begin..begin + length];
        let is_plain = word.bytes().all(|b| b.is_ascii_lowercase()) || word.bytes().all(|b| b.is_ascii_uppercase());
        if is_plain && MNEMONIC_LENGTHS.contains(&word.len()) {
            return Some((begin, begin + length));
        }
        at = begin + length;
    }
}

fn is_gap(text: &str) -> bool {
    text.len() <= MNEMONIC_GAP && text.chars().all(|c| c.is_ascii_digit() || " \t,.)\"'\\".contains(c))
}

/// Tokens of well-known services, and what follows `Bearer` or `Basic`.
fn tokens(line: &str) -> String {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "_-.+/=~".contains(c);
    let mut out = String::with_capacity(line.len());
    let (mut rest, mut announced) = (line, false);
    while let Some(begin) = rest.find(is_inside) {
        let (before, word) = rest.split_at(begin);
        let (word, after) = word.split_at(word.find(|c| !is_inside(c)).unwrap_or(word.len()));
        out.push_str(before);
        let is_token = TOKENS
            .iter()
            .any(|(prefix, length)| word.starts_with(prefix) && word.len() >= *length);
        let is_credential = announced && before == " " && word.len() >= 8 && !names_value(word, after);
        out.push_str(if is_token || is_credential { GONE } else { word });
        announced = SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_scheme_host_and_port() {
        for (from, to) in [
            ("wss://rpc.example:443/v3/0a1b2c3d", "wss://rpc.example:443/[redacted]"),
            (
                "at https://u:p@h/x?key=1#f now",
                "at https://[redacted]@h/[redacted] now",
            ),
            (
                "http://127.0.0.1:7001/metrics http://h/",
                "http://127.0.0.1:7001/metrics http://h/",
            ),
            ("https://h?key=1", "https://h/[redacted]"),
            ("https://u:p/w@h/x", "https://[redacted]/[redacted]"),
            (
                "http://[::1]:9944/k http://[::1]",
                "http://[::1]:9944/[redacted] http://[::1]",
            ),
            (
                "s3://backups/chain.tar.zst file:///etc/x",
                "s3://backups/chain.tar.zst file:///etc/x",
            ),
            ("POSTGRES://u:p@db/x", "POSTGRES://[redacted]@db/[redacted]"),
            ("“https://h/x” …s3://b/c é://d", "“https://h/[redacted] …s3://b/c é://d"),
        ] {
            assert_eq!(redact(from), to);
        }
    }

    #[test]
    fn mnemonics_of_every_length_and_form_are_recognised() {
        let words = "bottom drive obey lake curtain smoke basket hold race lonely fit walk bottom drive obey lake \
                     curtain smoke basket hold race lonely fit walk";
        let words: Vec<_> = words.split(' ').collect();
        for count in [12, 15, 18, 21, 24] {
            let some = &words[..count];
            let numbered: Vec<_> = some
                .iter()
                .enumerate()
                .map(|(i, word)| format!("{}. {word}", i + 1))
                .collect();
            for form in [
                some.join(" "),
                some.join(", "),
                some.join(" ").to_uppercase(),
                format!("{some:?}"),
                numbered.join(" "),
            ] {
                let clean = redact(&format!("Imported {form}! OK")).into_owned();
                let shown = some.iter().find(|word| clean.to_lowercase().contains(*word));
                assert!(shown.is_none() && clean.ends_with("! OK"), "{form}: {clean}");
            }
        }
    }

    #[test]
    fn prose_and_log_lines_are_no_mnemonics() {
        for line in [
            "2026-11-29 20:00:00 [Parachain] 💤 Idle (12 peers), best: #42 (0xab12…cd34), finalized #40, ⬇ 1kiB/s",
            "the exporters did not answer for the whole window although the container runs, see the log of it",
            "Essential task `txpool-background` failed. Shutting down service.",
        ] {
            assert_eq!(redact(line), line);
        }
    }

    #[test]
    fn well_known_tokens_are_recognised() {
        for secret in [
            "AKIAIOSFODNN7EXAMPLE",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            "ghp_0123456789abcdefghij0123456789abcdef",
        ] {
            assert_eq!(redact(&format!("got '{secret}'")), "got '[redacted]'");
        }
        assert_eq!(redact("sent bearer abcdef0123 to x"), "sent bearer [redacted] to x");
        assert_eq!(redact("basic facts"), "basic facts");
    }
}
