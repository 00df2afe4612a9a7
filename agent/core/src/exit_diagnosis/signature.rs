//! One row of the table: a pattern and what it means.

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use super::prefix::without_prefix;
use crate::cause::Cause;

/// Exit codes of a process that ended by an error of its own: an error that it returned, a Rust panic, an abort.
const FAILURES: [i64; 3] = [1, 101, 134];

/// A log line to recognise, and its meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Parts that stand in one line, in this order.
    pub pattern: Vec<String>,
    /// What the line shows; `None` only for a survivable one.
    pub says: Option<Cause>,
    /// Whether a node lives on after this line: such a line is never the cause of an end.
    pub survivable: bool,
    /// Exit codes with which the line is the cause of the end.
    pub exit_codes: Vec<i64>,
    /// What a person has to do, as an imperative without a full stop.
    pub remedy: Option<String>,
    /// Where the text comes from: a crate with its file, or a report.
    pub source: String,
    /// A line that the pattern matches; the built-in rows have theirs in the tests.
    pub example: String,
}

impl Signature {
    /// The exit codes of a row that names none.
    pub const DEFAULT_EXIT_CODES: &[i64] = &FAILURES;

    /// The row of a TOML table; `None` when a key is unknown or a value of another kind.
    pub(super) fn read(table: &DeTable) -> Option<Self> {
        let texts = |value: &DeValue| -> Option<Vec<String>> {
            let parts = value.as_array()?.iter();
            parts.map(|part| part.get_ref().as_str().map(str::to_owned)).collect()
        };
        let codes = |value: &DeValue| -> Option<Vec<i64>> {
            let codes = value.as_array()?.iter();
            codes
                .map(|code| code.get_ref().as_integer()?.as_str().parse().ok())
                .collect()
        };
        let mut row = Self {
            exit_codes: FAILURES.to_vec(),
            ..Self::default()
        };
        for (key, value) in table {
            let value = value.get_ref();
            match key.get_ref().as_ref() {
                "pattern" => row.pattern = texts(value)?,
                "says" => row.says = Some(value.as_str()?.parse().ok()?),
                "survivable" => row.survivable = value.as_bool()?,
                "exit_codes" => row.exit_codes = codes(value)?,
                "remedy" => row.remedy = Some(value.as_str()?.to_owned()),
                "source" => value.as_str()?.clone_into(&mut row.source),
                "example" => value.as_str()?.clone_into(&mut row.example),
                _ => return None,
            }
        }
        Some(row)
    }

    /// Whether the line has all parts. An error that the program returned is a line of its own: one that a running node logs
    /// has the same words behind its date.
    pub fn matches(&self, line: &str) -> bool {
        let line = match self.pattern.first() {
            None => return false,
            Some(first) if is_returned_error(first) => {
                let line = without_prefix(line);
                if !line.starts_with(first) {
                    return false;
                }
                line
            }
            Some(_) => line,
        };
        let mut parts = self.pattern.iter();
        let rest = parts.try_fold(line, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..]));
        rest.is_some()
    }

    /// What a process died of that wrote this line; `None` for a survivable line.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.says.filter(|_| !self.survivable)
    }

    /// Whether the line can be the cause of an end with `code`; one that Docker does not know can be any.
    pub(super) fn counts_with(&self, code: Option<i64>) -> bool {
        code.is_none_or(|code| self.exit_codes.contains(&code))
    }
}

/// Whether a part is the heading of an error with which a program or its command line ends.
pub(super) fn is_returned_error(part: &str) -> bool {
    part.starts_with("Error:") || part.starts_with("error:")
}
