//! All rows, and the search for the one that an exit is due to.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::prefix::without_prefix;
use super::{Diagnosis, Signature};
use crate::cause::Cause;
use crate::event::Exit;

/// Number of last lines that are examined; a panic's backtrace may follow the cause.
const LAST_LINES: usize = 200;
/// Informant lines of a healthy node after which an older line was survived. There is one every 5 s for each chain, and a
/// failed task ends the node within seconds.
const SURVIVED: usize = 4;
/// The same before an abort, which ends the process at once.
const SURVIVED_BEFORE_ABORT: usize = 2;
/// Exit code after SIGABRT.
const ABORTED: i64 = 134;

/// The table, as it is compiled in.
const TABLE: &str = include_str!("signatures.toml");

// A test holds it to be valid.
static BUILT_IN: LazyLock<Vec<Signature>> = LazyLock::new(|| parse(TABLE).unwrap_or_default());

/// The rows of a table; `None` when one is malformed. Read without serde, whose TOML side would be 0.2 MB of the program,
/// and row by row, since the tree of the whole table would be several times as large as the rows.
fn parse(text: &str) -> Option<Vec<Signature>> {
    let rows = text.split("\n[[signatures]]\n").skip(1);
    rows.map(|row| Signature::read(DeTable::parse(row).ok()?.get_ref()))
        .collect()
}

/// The built-in rows, preceded by the user's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signatures {
    own: Vec<Signature>,
}

impl Signatures {
    /// `own` are the user's rows. One with the pattern of a built-in row replaces it.
    pub fn new(own: Vec<Signature>) -> Self {
        Self { own }
    }

    /// The built-in rows.
    pub fn built_in() -> &'static [Signature] {
        &BUILT_IN
    }

    /// The rows in the order in which they are tried.
    pub fn rows(&self) -> impl Iterator<Item = &Signature> {
        let replaced = |row: &&Signature| !self.own.iter().any(|own| own.pattern == row.pattern);
        self.own.iter().chain(BUILT_IN.iter().filter(replaced))
    }

    /// The fault that this exit shows.
    ///
    /// The newest line that can be the cause of an end with this exit code decides. A clean exit is no fault, whatever
    /// the log says, and so is one by the signal of a requested stop (`asked`); a kill for memory is distinguished from
    /// damage by its code.
    pub fn diagnose(&self, exit: &Exit, asked: bool) -> Option<Diagnosis> {
        let stopped = asked && matches!(exit.code, None | Some(137 | 143));
        if exit.is_out_of_memory() || exit.code == Some(0) || stopped {
            return None;
        }
        let plain = |cause| Some(Diagnosis { cause, remedy: None });
        if let Some(126 | 127) = exit.code {
            return plain(Cause::MissingExecutable);
        }
        let lines = last_lines(&exit.log);
        if lines.is_empty() && exit.code == Some(2) {
            return plain(Cause::BadArguments);
        }
        let survived = match exit.code {
            Some(ABORTED) => SURVIVED_BEFORE_ABORT,
            _ => SURVIVED,
        };
        let mut healthy = 0;
        for line in lines.iter().rev() {
            if is_healthy(line) {
                healthy += 1;
                if healthy == survived {
                    break;
                }
            } else if let Some(row) = self.find(line, exit.code)
                && let Some(cause) = row.cause()
            {
                let remedy = row.remedy.clone();
                return Some(Diagnosis { cause, remedy });
            }
        }
        None
    }

    /// The row that gives a line its meaning for an end with this exit code.
    fn find(&self, line: &str, code: Option<i64>) -> Option<&Signature> {
        if is_below_error(line) {
            return None;
        }
        let line = with_prefix(line);
        self.rows()
            .find(|row| row.matches(&line) && (row.survivable || row.counts_with(code)))
    }

    /// What a line shows, whatever followed.
    pub(super) fn cause_of(&self, line: &str) -> Option<Cause> {
        let line = with_prefix(line);
        self.rows().find(|row| row.matches(&line))?.cause()
    }

    /// Whether a line names a peer on another chain.
    pub fn names_other_chain(&self, line: &str) -> bool {
        let row = self.rows().find(|row| row.matches(line));
        row.is_some_and(|row| row.says == Some(Cause::WrongChain))
    }
}

/// The end of a log that is examined.
pub(super) fn last_lines(log: &[String]) -> &[String] {
    &log[log.len().saturating_sub(LAST_LINES)..]
}

/// Whether it is the regular line of the informant about a chain, or one about an imported block (sc-informant lib.rs).
fn is_healthy(line: &str) -> bool {
    line.contains("best: #") || line.contains("Imported #") || line.contains("Idle (")
}

/// Whether the line's level says that nothing ended. The level stands after date, time and thread, and only in detailed
/// logs (sc-tracing, `logging/event_format.rs`).
fn is_below_error(line: &str) -> bool {
    let mut head = line.split_whitespace().take(4);
    head.any(|word| matches!(word, "WARN" | "INFO" | "DEBUG" | "TRACE"))
}

/// The line with `Error:` before it where it stands on the line above, as color-eyre writes it (polkadot#2410).
fn with_prefix(line: &str) -> Cow<'_, str> {
    let text = without_prefix(line);
    if text.starts_with("0: ") {
        Cow::Owned(format!("Error: {text}"))
    } else {
        Cow::Borrowed(line)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn compiled_in_table_is_valid() {
        assert!(super::parse(super::TABLE).is_some_and(|rows| rows.len() > 50));
    }
}
