//! TOML values to typed ones, each within its bounds.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::problem::Invalid;
use super::units::{parse_duration, parse_size};
use agent_core::units::{show_duration, show_size};

/// A duration from `min` to `max`.
pub(super) fn duration(min: Duration, max: Duration) -> impl Fn(&DeValue) -> Result<Duration, Invalid> {
    move |value| {
        let DeValue::String(text) = value else {
            let remedy = "write a number and a unit in quotes, such as \"30s\"";
            return Err(Invalid::new(format!("{} is no duration", show(value)), remedy));
        };
        let d = parse_duration(text)?;
        let range = || format!("write {} to {}", show_duration(min), show_duration(max));
        match d {
            d if d < min => Err(Invalid::new(format!("{} is too short", show(value)), range())),
            d if d > max => Err(Invalid::new(format!("{} is too long", show(value)), range())),
            d => Ok(d),
        }
    }
}

/// A size from `min` to `max` bytes.
pub(super) fn size(min: u64, max: u64) -> impl Fn(&DeValue) -> Result<u64, Invalid> {
    move |value| {
        let bytes = match value {
            DeValue::String(text) => parse_size(text)?,
            DeValue::Integer(_) => integer(0, u64::MAX)(value)?,
            _ => {
                let remedy = "write a number and a unit in quotes, such as \"2GiB\"";
                return Err(Invalid::new(format!("{} is no size", show(value)), remedy));
            }
        };
        let range = || format!("write {} to {}", show_size(min), show_size(max));
        match bytes {
            b if b < min => Err(Invalid::new(format!("{} is too small", show(value)), range())),
            b if b > max => Err(Invalid::new(format!("{} is too large", show(value)), range())),
            b => Ok(b),
        }
    }
}

/// An integer from `min` to `max`.
pub(super) fn integer<T>(min: T, max: T) -> impl Fn(&DeValue) -> Result<T, Invalid>
where
    T: Copy + PartialOrd + std::fmt::Display + TryFrom<i128>,
{
    move |value| {
        let remedy = format!("write a whole number from {min} to {max}");
        let DeValue::Integer(digits) = value else {
            return Err(Invalid::new(format!("{} is no whole number", show(value)), remedy));
        };
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number
            .and_then(|n| T::try_from(n).ok())
            .filter(|n| (min..=max).contains(n));
        number.ok_or_else(|| Invalid::new(format!("{} is out of range", show(value)), remedy))
    }
}

pub(super) fn boolean(value: &DeValue) -> Result<bool, Invalid> {
    value
        .as_bool()
        .ok_or_else(|| Invalid::new(format!("{} is no boolean", show(value)), "write true or false"))
}

/// A string as `parse` reads it.
pub(super) fn string<T>(parse: impl Fn(&str) -> Result<T, Invalid>) -> impl Fn(&DeValue) -> Result<T, Invalid> {
    move |value| match value {
        DeValue::String(text) => parse(text),
        other => Err(Invalid::new(
            format!("{} is no string", show(other)),
            "write it in quotes",
        )),
    }
}

/// The same, where `""` is the way to say that there is none.
pub(super) fn optional<T>(
    parse: impl Fn(&DeValue) -> Result<T, Invalid>,
) -> impl Fn(&DeValue) -> Result<Option<T>, Invalid> {
    move |value| match value.as_str() {
        Some("") => Ok(None),
        _ => parse(value).map(Some),
    }
}

/// One of the words of `choices`.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&DeValue) -> Result<T, Invalid> {
    move |value| {
        let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            Invalid::new(
                format!("{} is not among the choices", show(value)),
                format!("write {}", words.join(" or ")),
            )
        })
    }
}

/// A string that can be handed to a process: an argument, or the value of an environment variable.
pub(super) fn argument(text: &str) -> Result<String, Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new("a zero byte inside a string", "remove the \\u0000"));
    }
    Ok(text.to_owned())
}

/// An absolute path, without `..`, cleaned of doubled and trailing slashes.
pub(super) fn path(text: &str) -> Result<PathBuf, Invalid> {
    let invalid = |what: &str, remedy: &str| Err(Invalid::new(format!("{} {what}", quoted(text)), remedy));
    let path = Path::new(text);
    if text.is_empty() {
        return invalid("is no path", "write an absolute path");
    }
    if !path.is_absolute() {
        return invalid("is a relative path", "write it from the root, beginning with /");
    }
    if path.components().any(|c| c == Component::ParentDir) {
        return invalid("contains ..", "write the path without it");
    }
    if text.contains(char::is_control) {
        return invalid("contains a control character", "write a plain path");
    }
    if text.len() > 4095 {
        return invalid("is too long for a path", "write at most 4095 bytes");
    }
    let clean: PathBuf = path.components().collect();
    if clean == Path::new("/") {
        return invalid("is the root directory", "name a directory or file below it");
    }
    Ok(clean)
}

/// A path that is one side of a bind mount.
pub(super) fn bind(text: &str) -> Result<PathBuf, Invalid> {
    if text.contains(':') {
        let remedy = "use a path without one: Docker separates the two sides of a mount with it";
        return Err(Invalid::new(format!("{} contains a colon", quoted(text)), remedy));
    }
    path(text)
}

/// The path of a unix socket.
pub(super) fn socket(text: &str) -> Result<PathBuf, Invalid> {
    // sockaddr_un has room for 108 bytes, one of them the final zero.
    if text.len() > 107 {
        let found = format!("{} has {} bytes", quoted(text), text.len());
        return Err(Invalid::new(
            found,
            "shorten it: the path of a unix socket has at most 107",
        ));
    }
    path(text)
}

/// The value as it stands there, short enough for one line.
pub(super) fn show(value: &DeValue) -> String {
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

/// `text` in quotes, short enough for one line and without control characters.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", excerpt(text))
}

/// `text`, short enough for one line and without control characters.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    // Only what would break the line is worth escaping.
    short.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\")
}
