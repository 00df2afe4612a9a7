//! Values of the file as error messages quote them: short enough for one line, without control characters.

use toml::de::DeValue;

/// A TOML value; a list or a table by its type alone.
pub(crate) fn show(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(n) => excerpt(&n.to_string()),
        DeValue::Float(n) => excerpt(&n.to_string()),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => d.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// An excerpt of `text` in quotes, without the user and the password of a URL.
pub(crate) fn quoted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return format!("\"{}\"", excerpt(text));
    };
    let host = rest.find('/').unwrap_or(rest.len());
    let host = rest[..host].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let user = if host.len() < rest.len() { "…@" } else { "" };
    format!("\"{}\"", excerpt(&format!("{scheme}://{user}{host}")))
}

/// The first 80 characters of `text`.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    // Only what would break the line is worth escaping.
    short.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\")
}
