//! What each key accepts, as data: the readers record it, and the schema and the manual page are made of it.

use std::time::Duration;

use agent_core::units::{show_duration, show_size};

use crate::error::ValueError;

/// A function that reads one value, and what it accepts.
pub(crate) struct Reader<F> {
    pub(crate) parse: F,
    pub(crate) shape: Shape,
}

/// The parser of a text, and a regular expression (ECMA 262) that accepts all that it accepts.
pub(crate) struct Text<T> {
    pub(crate) parse: fn(&str) -> Result<T, ValueError>,
    pub(crate) pattern: &'static str,
}

/// The values that a key accepts, as far as one value can be judged alone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Boolean,
    Integer {
        min: i128,
        max: i128,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    Size {
        min: u64,
        max: u64,
    },
    Text {
        pattern: &'static str,
    },
    Choice(Vec<String>),
    /// `true`, `false`, or one of these.
    BooleanOr(Vec<String>),
    /// `""`, or the other.
    EmptyOr(Box<Shape>),
    /// A list of so many.
    List {
        each: Box<Shape>,
        min: usize,
        max: Option<usize>,
    },
    OneOrList(Box<Shape>),
    /// A table whose keys are the user's own.
    Entries {
        name: &'static str,
        each: Box<Shape>,
    },
    Table,
    /// `[[name]]`
    Tables,
}

/// Whether a key may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Optional,
    Required,
    /// Required where the other key of the same table is not `true`.
    RequiredUnless(&'static str),
}

impl Shape {
    pub(crate) fn list(each: Shape) -> Self {
        Self::List {
            each: each.into(),
            min: 0,
            max: None,
        }
    }

    /// The accepted values as a sentence without its full stop.
    pub(crate) fn sentence(&self) -> String {
        let or = |words: &[String]| {
            let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            quoted.join(" or ")
        };
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { min, max } => format!("A whole number from {min} to {max}"),
            Self::Duration { min, max } => {
                format!("A duration from {} to {}", show_duration(*min), show_duration(*max))
            }
            Self::Size { min, max } => format!("A size from {} to {}", show_size(*min), show_size(*max)),
            Self::Text { .. } => "A string".to_owned(),
            Self::Choice(words) => or(words),
            Self::BooleanOr(words) => format!("true or false or {}", or(words)),
            Self::EmptyOr(other) => format!("{} or \"\"", other.sentence()),
            Self::List { each, .. } => match **each {
                Self::Integer { .. } => "A list of whole numbers".to_owned(),
                _ => "A list of strings".to_owned(),
            },
            Self::OneOrList(_) => "A string, or a list of strings".to_owned(),
            Self::Entries { .. } => "A table of strings".to_owned(),
            Self::Table | Self::Tables => String::new(),
        }
    }
}
