//! One row of the table: a pattern and what it means.

use serde::Deserialize;

use crate::cause::Cause;

/// Exit codes of a process that ended by an error of its own: an error that it returned, a Rust panic, an abort.
const FAILURES: [i64; 3] = [1, 101, 134];

/// A log line to recognise, and its meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Parts that stand in one line, in this order.
    pub pattern: Vec<String>,
    /// What the line shows; `None` only for a survivable one.
    pub says: Option<Cause>,
    /// Whether a node lives on after this line: such a line is never the cause of an end.
    #[serde(default)]
    pub survivable: bool,
    /// Exit codes with which the line is the cause of the end.
    #[serde(default = "failures")]
    pub exit_codes: Vec<i64>,
    /// What a person has to do, as an imperative without a full stop.
    pub remedy: Option<String>,
    /// Where the text comes from: a crate with its file, or a report.
    #[serde(default)]
    pub source: String,
    /// A line that the pattern matches.
    #[serde(default)]
    pub example: String,
}

fn failures() -> Vec<i64> {
    FAILURES.to_vec()
}

impl Signature {
    /// The exit codes of a row that names none.
    pub const DEFAULT_EXIT_CODES: &[i64] = &FAILURES;

    pub fn matches(&self, line: &str) -> bool {
        !self.pattern.is_empty()
            && (self.pattern.iter())
                .try_fold(line, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..]))
                .is_some()
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
