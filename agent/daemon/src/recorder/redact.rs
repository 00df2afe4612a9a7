//! Redaction of secrets in every text that leaves the agent.
//!
//! What is known to be safe is shown, of variables, arguments and URLs; elsewhere, names and shapes decide. Errs on the
//! side of redacting too much: a seed looks like a block hash.

mod arguments;
mod forms;
mod names;
mod shapes;

use std::borrow::Cow;

use serde_json::Value;

use self::arguments::Argument;
pub use self::arguments::{image_secrets, secrets as named, url_secrets};
pub use self::forms::with_forms;
use self::names::{SPACED, is_safe_label, is_safe_variable, is_secret, mentions_secret};

const GONE: &str = "[redacted]";

/// Shortest known secret that is searched.
const KNOWN_MIN: usize = 4;

/// Lines of an armoured key that are left out at most: one without an end must not hide all that follows.
const KEY_LINES: u32 = 64;

/// Redacts line by line; remembers whether it is within an armoured key.
#[derive(Debug, Clone, Default)]
pub struct LineRedactor {
    /// Lines that may still belong to the key.
    in_key: u32,
}

impl LineRedactor {
    /// A line, with its newline where it has one; `known` are the caller's own secrets. Unchanged lines are not copied.
    pub fn line<'a>(&mut self, line: &'a str, known: &[String]) -> Cow<'a, str> {
        // An armoured key is redacted as a whole.
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        let ends = line.contains("-----END");
        let was_in_key = self.in_key > 0;
        self.in_key = match (begins, ends) {
            (_, true) => 0,
            (true, false) if !was_in_key => KEY_LINES,
            _ => self.in_key.saturating_sub(1),
        };
        if begins && !was_in_key {
            return format!("{GONE}\n").into();
        }
        if was_in_key || ends {
            return "".into();
        }
        let mut clean = Cow::Borrowed(line);
        for secret in known.iter().filter(|secret| secret.len() >= KNOWN_MIN) {
            if clean.contains(secret.as_str()) {
                clean = Cow::Owned(clean.replace(secret, GONE));
            }
        }
        let shaped = shapes::redact(&clean);
        // Skips most lines early: an exporter's page is large.
        let named = match shaped {
            shaped if mentions_secret(&shaped) => assignments(&shaped),
            Cow::Owned(shaped) => shaped,
            Cow::Borrowed(_) => return clean,
        };
        if named == line { line.into() } else { named.into() }
    }

    /// One of several texts in their order, without a newline that came by redaction.
    fn item(&mut self, text: &str, known: &[String]) -> String {
        let mut clean = self.text(text, known);
        if clean.ends_with('\n') && !text.ends_with('\n') {
            clean.pop();
        }
        clean
    }

    /// All lines of a text.
    pub fn text(&mut self, text: &str, known: &[String]) -> String {
        let mut whole = Cow::Borrowed(text);
        for secret in known.iter().filter(|secret| secret.contains('\n')) {
            if whole.contains(secret.as_str()) {
                whole = Cow::Owned(whole.replace(secret, GONE));
            }
        }
        let mut out = String::with_capacity(whole.len());
        for line in whole.split_inclusive('\n') {
            out.push_str(&self.line(line, known));
        }
        out
    }
}

/// Redacts a text line by line; `known` are the caller's own secrets.
pub fn text(text: &str, known: &[String]) -> String {
    LineRedactor::default().text(text, known)
}

/// Redacts lines in their order, each of which stays one.
pub fn lines(lines: &mut [String], known: &[String]) {
    let mut redactor = LineRedactor::default();
    for line in lines {
        *line = redactor.item(line, known);
    }
}

/// Redacts lines of JSON; each stays JSON, and unchanged without secrets.
pub fn json_lines(lines: &str, known: &[String]) -> String {
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

/// Redacts a JSON document: by the names of its fields, and by what is safe of a container's variables, arguments and
/// labels.
pub fn json(value: &mut Value, known: &[String]) {
    match value {
        Value::String(s) => *s = text(s, known),
        Value::Array(items) if is_command(items) => command(items, known),
        Value::Array(items) => {
            // A list of lines, maybe.
            let mut redactor = LineRedactor::default();
            for item in items {
                match item {
                    Value::String(s) => *s = redactor.item(s, known),
                    other => json(other, known),
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                field_of(name, field, known);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn field_of(name: &str, field: &mut Value, known: &[String]) {
    let lower = name.to_ascii_lowercase();
    let is_text = field.is_string() || field.is_number();
    match (lower.as_str(), field) {
        ("env", Value::Array(items)) => items.iter_mut().for_each(|item| variable(item, known)),
        // As the configuration has it.
        ("env", Value::Object(variables)) => {
            for (name, value) in variables {
                if is_safe_variable(name) {
                    json(value, known);
                } else {
                    *value = GONE.into();
                }
            }
        }
        ("cmd" | "args" | "entrypoint" | "command", Value::Array(items)) => command(items, known),
        ("labels", Value::Object(labels)) => {
            for (name, label) in labels {
                if is_safe_label(name) {
                    json(label, known);
                } else {
                    *label = GONE.into();
                }
            }
        }
        (_, field) if is_text && is_secret(name) => *field = GONE.into(),
        (_, field) => json(field, known),
    }
}

/// The value of a variable of the container as it may be shown.
pub fn variable_value(name: &str, value: &str, known: &[String]) -> String {
    if is_safe_variable(name) {
        text(value, known)
    } else {
        GONE.to_owned()
    }
}

/// The arguments of the container as they may be shown.
pub fn command_words(words: &[String], known: &[String]) -> Vec<String> {
    let mut items: Vec<Value> = words.iter().map(|word| word.as_str().into()).collect();
    command(&mut items, known);
    let shown = items.iter().map(|item| item.as_str().unwrap_or(GONE).to_owned());
    shown.collect()
}

/// `NAME=value`, as Docker has it.
fn variable(item: &mut Value, known: &[String]) {
    match item {
        Value::String(s) => {
            *s = match s.split_once('=') {
                Some((name, value)) => format!("{name}={}", variable_value(name, value, known)),
                None => text(s, known),
            }
        }
        other => json(other, known),
    }
}

/// Whether a list looks like arguments, whatever its name.
fn is_command(items: &[Value]) -> bool {
    let is_flag = |item: &Value| {
        let word = item.as_str().unwrap_or_default();
        word.len() > 2 && word.starts_with("--") && !word.contains(char::is_whitespace)
    };
    items.iter().any(is_flag) && items.iter().all(Value::is_string)
}

fn command(items: &mut [Value], known: &[String]) {
    let words: Vec<String> = items
        .iter()
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect();
    let judged = arguments::judge(words.iter().map(String::as_str));
    for (argument, item) in judged.into_iter().zip(items) {
        match (argument, &mut *item) {
            (Argument::Hidden { shown, .. }, Value::String(word)) => *word = format!("{shown}{GONE}"),
            (_, item) => json(item, known),
        }
    }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_quote(c: char) -> bool {
    c == '"' || c == '\'' || c == '\\'
}

/// `name=value`, `name: value`, `"name": "value"`, `--name value`, for names that are secret.
fn assignments(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(in_name) {
        let length = rest[start..].find(|c| !in_name(c)).unwrap_or(rest.len() - start);
        let (before, after) = rest.split_at(start + length);
        let mut name = &before[start..];
        out.push_str(before);
        rest = after;
        while is_secret(name)
            && let Some((lead, length)) = value_after(name, rest)
        {
            let (secret, behind) = rest[lead..].split_at(length);
            out.push_str(&rest[..lead]);
            out.push_str(if secret.is_empty() { "" } else { GONE });
            // The value may be the name of another: `key: token: …`, `auth: --node-key …`.
            let bare = secret.trim_end_matches(|c| is_quote(c) || c == ':' || c == '=');
            name = &bare[bare.trim_end_matches(in_name).len()..];
            rest = if is_secret(name) {
                &rest[lead + bare.len()..]
            } else {
                behind
            };
        }
    }
    out.push_str(rest);
    out
}

/// Whether a word names the secret behind it, so that it has to stay until that is redacted.
fn names_value(word: &str, after: &str) -> bool {
    is_secret(word) && value_after(word, after).is_some()
}

/// Where the value of a name begins in the text behind it, and how long it is; `None` where none follows.
fn value_after(name: &str, after: &str) -> Option<(usize, usize)> {
    let separator = after.trim_start_matches(is_quote).trim_start_matches([' ', '\t']);
    let value = match separator.chars().next() {
        Some('=' | ':') => separator[1..].trim_start_matches([' ', '\t']),
        // In a list of arguments the value is the next item.
        Some(',') if name.starts_with("--") => separator[1..].trim_start_matches([' ', '\t']),
        // A name in quotes before a bare word is prose: a complaint about the flag.
        Some(first) if after.starts_with(is_quote) && !is_quote(first) => return None,
        Some(_) if name.starts_with("--") && separator.len() < after.len() => separator,
        _ => return None,
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
    Some((after.len() - unquoted.len(), end.unwrap_or(unquoted.len())))
}

#[cfg(test)]
mod tests;
