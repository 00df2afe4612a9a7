//! TOML values to typed ones, each within its bounds.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use agent_core::units::{show_duration, show_size};
use toml::de::DeValue;

use crate::error::ValueError;
use crate::units::{parse_duration, parse_size};

/// A duration from `min` to `max`.
pub(crate) fn duration(min: Duration, max: Duration) -> impl Fn(&DeValue) -> Result<Duration, ValueError> {
    move |value| {
        let DeValue::String(text) = value else {
            let remedy = "write a number and a unit in quotes, such as \"30s\"";
            return Err(ValueError::value(value, "is no duration", remedy));
        };
        let range = || format!("write {} to {}", show_duration(min), show_duration(max));
        match parse_duration(text)? {
            d if d < min => Err(ValueError::value(value, "is too short", range())),
            d if d > max => Err(ValueError::value(value, "is too long", range())),
            d => Ok(d),
        }
    }
}

/// A size from `min` to `max` bytes.
pub(crate) fn size(min: u64, max: u64) -> impl Fn(&DeValue) -> Result<u64, ValueError> {
    move |value| {
        let bytes = match value {
            DeValue::String(text) => parse_size(text)?,
            DeValue::Integer(_) => integer(0, u64::MAX)(value)?,
            _ => {
                let remedy = "write a number and a unit in quotes, such as \"2GiB\"";
                return Err(ValueError::value(value, "is no size", remedy));
            }
        };
        let range = || format!("write {} to {}", show_size(min), show_size(max));
        match bytes {
            b if b < min => Err(ValueError::value(value, "is too small", range())),
            b if b > max => Err(ValueError::value(value, "is too large", range())),
            b => Ok(b),
        }
    }
}

/// An integer from `min` to `max`.
pub(crate) fn integer<T>(min: T, max: T) -> impl Fn(&DeValue) -> Result<T, ValueError>
where
    T: Copy + PartialOrd + std::fmt::Display + TryFrom<i128>,
{
    move |value| {
        let remedy = format!("write a whole number from {min} to {max}");
        let DeValue::Integer(digits) = value else {
            return Err(ValueError::value(value, "is no whole number", remedy));
        };
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number
            .and_then(|n| T::try_from(n).ok())
            .filter(|n| (min..=max).contains(n));
        number.ok_or_else(|| ValueError::value(value, "is out of range", remedy))
    }
}

pub(crate) fn boolean(value: &DeValue) -> Result<bool, ValueError> {
    let boolean = value.as_bool();
    boolean.ok_or_else(|| ValueError::value(value, "is no boolean", "write true or false"))
}

/// A string as `parse` reads it.
pub(crate) fn string<T>(parse: impl Fn(&str) -> Result<T, ValueError>) -> impl Fn(&DeValue) -> Result<T, ValueError> {
    move |value| match value {
        DeValue::String(text) => parse(text),
        other => Err(ValueError::value(other, "is no string", "write it in quotes")),
    }
}

/// The same; `""` is `None`.
pub(crate) fn optional<T>(
    parse: impl Fn(&DeValue) -> Result<T, ValueError>,
) -> impl Fn(&DeValue) -> Result<Option<T>, ValueError> {
    move |value| match value.as_str() {
        Some("") => Ok(None),
        _ => parse(value).map(Some),
    }
}

/// One of the words of `choices`.
pub(crate) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&DeValue) -> Result<T, ValueError> {
    move |value| {
        let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let remedy = format!("write {}", words.join(" or "));
            ValueError::value(value, "is not among the choices", remedy)
        })
    }
}

/// A command-line argument, or the value of an environment variable.
pub(crate) fn argument(text: &str) -> Result<String, ValueError> {
    if text.contains('\0') {
        return Err(ValueError::new("a zero byte inside a string", "remove the \\u0000"));
    }
    Ok(text.to_owned())
}

/// As [`path`], for a file with logins; not quoted, since a login may stand there in its place.
pub(crate) fn login_file(text: &str) -> Result<PathBuf, ValueError> {
    path(text).map_err(|_| {
        let remedy = "write the path of the file with the logins, from the root, and not a login";
        ValueError::new("a text that is no absolute path", remedy)
    })
}

/// An absolute path, without `..`, cleaned of doubled and trailing slashes.
pub(crate) fn path(text: &str) -> Result<PathBuf, ValueError> {
    let invalid = |what: &str, remedy: &str| Err(ValueError::text(text, what, remedy));
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
pub(crate) fn bind(text: &str) -> Result<PathBuf, ValueError> {
    if text.contains(':') {
        let remedy = "use a path without one: Docker separates the two sides of a mount with it";
        return Err(ValueError::text(text, "contains a colon", remedy));
    }
    path(text)
}

/// The path of a unix socket.
pub(crate) fn socket(text: &str) -> Result<PathBuf, ValueError> {
    // sockaddr_un has 108 bytes, one of them the final zero.
    if text.len() > 107 {
        let what = format!("has {} bytes", text.len());
        let remedy = "shorten it: the path of a unix socket has at most 107";
        return Err(ValueError::text(text, &what, remedy));
    }
    path(text)
}
