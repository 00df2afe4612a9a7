//! TOML values to typed ones, each within its bounds.

use std::fmt::Display;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use agent_core::units::{show_duration, show_size};
use toml::de::DeValue;

use crate::error::ValueError;
use crate::shape::{Reader, Shape, Text};
use crate::units::{parse_duration, parse_size};

/// A duration from `min` to `max`.
pub(crate) fn duration(min: Duration, max: Duration) -> Reader<impl Fn(&DeValue) -> Result<Duration, ValueError>> {
    let parse = move |value: &DeValue| {
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
    };
    let shape = Shape::Duration { min, max };
    Reader { parse, shape }
}

/// A size from `min` to `max` bytes.
pub(crate) fn size(min: u64, max: u64) -> Reader<impl Fn(&DeValue) -> Result<u64, ValueError>> {
    let parse = move |value: &DeValue| {
        let bytes = match value {
            DeValue::String(text) => parse_size(text)?,
            DeValue::Integer(_) => whole_number(value, 0, u64::MAX)?,
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
    };
    let shape = Shape::Size { min, max };
    Reader { parse, shape }
}

/// An integer from `min` to `max`.
pub(crate) fn integer<T: Integer>(min: T, max: T) -> Reader<impl Fn(&DeValue) -> Result<T, ValueError>> {
    let shape = Shape::Integer {
        min: min.into(),
        max: max.into(),
    };
    let parse = move |value: &DeValue| whole_number(value, min, max);
    Reader { parse, shape }
}

/// A type of integers that values are read as.
pub(crate) trait Integer: Copy + PartialOrd + Display + TryFrom<i128> + Into<i128> {}

impl<T: Copy + PartialOrd + Display + TryFrom<i128> + Into<i128>> Integer for T {}

fn whole_number<T: Integer>(value: &DeValue, min: T, max: T) -> Result<T, ValueError> {
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

pub(crate) fn boolean() -> Reader<impl Fn(&DeValue) -> Result<bool, ValueError>> {
    let parse = |value: &DeValue| {
        let boolean = value.as_bool();
        boolean.ok_or_else(|| ValueError::value(value, "is no boolean", "write true or false"))
    };
    let shape = Shape::Boolean;
    Reader { parse, shape }
}

/// A text of that format.
pub(crate) fn string<T>(format: &Text<T>) -> Reader<impl Fn(&DeValue) -> Result<T, ValueError> + use<T>> {
    let read = format.parse;
    let parse = move |value: &DeValue| match value {
        DeValue::String(text) => read(text),
        other => Err(ValueError::value(other, "is no string", "write it in quotes")),
    };
    let shape = Shape::Text {
        pattern: format.pattern,
    };
    Reader { parse, shape }
}

/// The same; `""` is `None`.
pub(crate) fn optional<T, F>(reader: Reader<F>) -> Reader<impl Fn(&DeValue) -> Result<Option<T>, ValueError>>
where
    F: Fn(&DeValue) -> Result<T, ValueError>,
{
    let parse = move |value: &DeValue| match value.as_str() {
        Some("") => Ok(None),
        _ => (reader.parse)(value).map(Some),
    };
    let shape = Shape::EmptyOr(reader.shape.into());
    Reader { parse, shape }
}

/// The same for a key that has no default.
pub(crate) fn some<T, F>(reader: Reader<F>) -> Reader<impl Fn(&DeValue) -> Result<Option<T>, ValueError>>
where
    F: Fn(&DeValue) -> Result<T, ValueError>,
{
    Reader {
        parse: move |value: &DeValue| (reader.parse)(value).map(Some),
        shape: reader.shape,
    }
}

/// One of the words of `choices`.
pub(crate) fn choice<T: Copy>(choices: &[(&str, T)]) -> Reader<impl Fn(&DeValue) -> Result<T, ValueError>> {
    let shape = Shape::Choice(choices.iter().map(|(word, _)| (*word).to_owned()).collect());
    let parse = move |value: &DeValue| {
        let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let remedy = format!("write {}", words.join(" or "));
            ValueError::value(value, "is not among the choices", remedy)
        })
    };
    Reader { parse, shape }
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
