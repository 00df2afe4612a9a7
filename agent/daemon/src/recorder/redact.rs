//! Redaction of secrets in texts that are pasted into bug reports.
//!
//! Errs on the side of redacting too much: a seed looks like a block hash.

use std::borrow::Cow;

use serde_json::Value;

const GONE: &str = "[redacted]";

/// Names (of flags, variables, fields) whose value is secret; compared in lower case, `-` as `_`.
const SECRET: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "mnemonic",
    "phrase",
    "suri",
    "seed",
    "authorization",
    "webhook",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "node_key",
];
/// Names whose value contains spaces.
const SPACED: [&str; 5] = ["phrase", "mnemonic", "authorization", "suri", "seed"];

/// Shortest value that is redacted everywhere; shorter ones are `true`, `info`, a port.
const KNOWN_MIN: usize = 8;

/// Values that are secret by their names in a command line and in variables, to be redacted everywhere: the node may log
/// them.
pub fn named<'a>(command: &'a [String], variables: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<String> {
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let next = command.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
    let inline = command.iter().filter_map(|word| word.split_once('='));
    let flags = next
        .chain(inline)
        .filter(|(name, _)| name.starts_with("--") && !name.contains('='));
    let secret = |(name, value): &(&str, &str)| is_secret(name) && value.len() >= KNOWN_MIN;
    let mut values: Vec<_> = variables
        .chain(flags)
        .filter(secret)
        .map(|(_, v)| v.to_owned())
        .collect();
    // One may be part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values
}

/// Redacts a text line by line; `known` are the caller's own secrets.
pub fn text(text: &str, known: &[String]) -> String {
    let mut text = Cow::Borrowed(text);
    for secret in known.iter().filter(|secret| secret.len() >= 4) {
        if text.contains(secret.as_str()) {
            text = Cow::Owned(text.replace(secret, GONE));
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        // An armoured key is redacted as a whole.
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        if begins && !in_key {
            out.push_str(GONE);
            out.push('\n');
        }
        in_key = (in_key || begins) && !line.contains("-----END");
        if !in_key && !begins && !line.contains("-----END") {
            let line = seeds(&urls(line));
            // Skips most lines early: an exporter's page is large.
            out.push_str(&if mentions_secret(&line) {
                assignments(&line)
            } else {
                line
            });
        }
    }
    out
}

/// Redacts lines of JSON; each stays JSON, and unchanged without secrets.
pub(super) fn json_lines(lines: &str, known: &[String]) -> String {
    let mut out = String::with_capacity(lines.len());
    for line in lines.split_inclusive('\n') {
        match serde_json::from_str::<Value>(line) {
            Ok(value) => {
                let mut clean = value.clone();
                json(&mut clean, known);
                let clean = (clean != value).then(|| clean.to_string() + "\n");
                out.push_str(clean.as_deref().unwrap_or(line));
            }
            Err(_) => out.push_str(&text(line, known)),
        }
    }
    out
}

/// Redacts a JSON document: by the names of its fields, by `NAME=value`, and by flags before their value in a list of
/// arguments.
pub(super) fn json(value: &mut Value, known: &[String]) {
    match value {
        Value::String(s) => *s = text(s, known),
        Value::Array(items) => {
            let mut flag = false;
            for item in items {
                if let (true, Value::String(s)) = (flag, &mut *item) {
                    GONE.clone_into(s);
                    flag = false;
                    continue;
                }
                flag = item
                    .as_str()
                    .is_some_and(|s| s.starts_with("--") && !s.contains('=') && is_secret(s));
                json(item, known);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if is_secret(name) && (field.is_string() || field.is_number()) {
                    *field = GONE.into();
                } else {
                    json(field, known);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    // The path of a secret is not secret.
    let place = name.ends_with("_file") || name.ends_with("_path");
    !place && mentions_secret(&name)
}

fn mentions_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('-', "_");
    SECRET.iter().any(|word| text.contains(word))
}

/// `scheme://user:password@host`, and whatever follows the host of a webhook.
fn urls(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let end = url
            .find(|c: char| c.is_whitespace() || "\"'<>`\\".contains(c))
            .unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        let (authority, path) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str(GONE);
                out.push('@');
                host
            }
            None => authority,
        };
        out.push_str(host);
        let whole = format!("{host}{path}").to_ascii_lowercase();
        if path.len() > 1 && (whole.contains("hook") || whole.starts_with("api.telegram.org/")) {
            out.push('/');
            out.push_str(GONE);
        } else {
            out.push_str(path);
        }
        rest = after;
    }
    out.push_str(rest);
    out
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

/// `name=value`, `name: value`, `"name": "value"`, `--name value`, for names that are secret.
fn assignments(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    while let Some(start) = rest.find(in_name) {
        let length = rest[start..].find(|c| !in_name(c)).unwrap_or(rest.len() - start);
        let (before, after) = rest.split_at(start + length);
        let name = &before[start..];
        out.push_str(before);
        rest = after;
        if !is_secret(name) {
            continue;
        }
        let is_quote = |c: char| c == '"' || c == '\'' || c == '\\';
        let separator = after.trim_start_matches(is_quote).trim_start_matches([' ', '\t']);
        let value = match separator.chars().next() {
            Some('=' | ':') => separator[1..].trim_start_matches([' ', '\t']),
            // In a list of arguments the value is the next item.
            Some(',') if name.starts_with("--") => separator[1..].trim_start_matches([' ', '\t']),
            Some(_) if name.starts_with("--") && separator.len() < after.len() => separator,
            _ => continue,
        };
        let unquoted = value.trim_start_matches(is_quote);
        let quoted = unquoted.len() < value.len();
        let spaced = quoted || SPACED.iter().any(|word| name.to_ascii_lowercase().contains(word));
        let end = if unquoted.starts_with(GONE) {
            Some(GONE.len())
        } else {
            let ends = |c: char| c.is_whitespace() || ",;&)}]".contains(c);
            unquoted.find(|c: char| is_quote(c) || c == '\n' || (!spaced && ends(c)))
        };
        let (secret, behind) = unquoted.split_at(end.unwrap_or(unquoted.len()));
        out.push_str(&after[..after.len() - unquoted.len()]);
        out.push_str(if secret.is_empty() { "" } else { GONE });
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
