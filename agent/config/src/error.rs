//! The problems of a configuration, each with its remedy.

use std::fmt;

use serde_json::{Value, json};
use toml::de::DeValue;

use crate::excerpt::{excerpt, quoted, show};
use crate::line_index::LineIndex;

/// All problems of one configuration, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) file: String,
    pub(crate) problems: Vec<ConfigProblem>,
}

/// One mistake in a file. Displayed after the file as ``:LINE: key `KEY`: FOUND; REMEDY``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigProblem {
    /// Line in the file, from 1; `None` when the file itself is the problem.
    pub(crate) line: Option<usize>,
    /// Full name of the key, such as `collator.ports[1]`.
    pub(crate) key: Option<String>,
    pub(crate) error: ValueError,
}

/// A value that cannot be used. Displayed as `FOUND; REMEDY`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found}; {remedy}")]
pub struct ValueError {
    pub(crate) found: String,
    pub(crate) remedy: String,
}

/// Most problems that are printed: a file of another kind has one on every line.
const SHOWN: usize = 50;

/// What is found of a file that this user may not read.
pub(crate) const DENIED: &str = "permission denied";

impl ValueError {
    pub(crate) fn new(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    /// The text in quotes and what is wrong with it.
    pub(crate) fn text(text: &str, what: &str, remedy: impl Into<String>) -> Self {
        Self::new(format!("{} {what}", quoted(text)), remedy)
    }

    /// The value and what is wrong with it.
    pub(crate) fn value(value: &DeValue, what: &str, remedy: impl Into<String>) -> Self {
        Self::new(format!("{} {what}", show(value)), remedy)
    }
}

impl ConfigError {
    /// Whether the content is wrong, and not the permission to read it.
    pub fn is_about_the_content(&self) -> bool {
        !self
            .problems
            .iter()
            .any(|p| p.line.is_none() && p.error.found == DENIED)
    }

    /// The problems as a list of objects: `line` (from 1, or null), `key` (or null), `found` and `remedy`.
    pub fn to_json(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            let ValueError { found, remedy } = &problem.error;
            json!({ "line": problem.line, "key": problem.key, "found": found, "remedy": remedy })
        });
        problems.collect()
    }

    /// One problem of the file as a whole.
    pub(crate) fn file(file: &str, line: Option<usize>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            problems: vec![ConfigProblem {
                line,
                key: None,
                error: ValueError::new(found, remedy),
            }],
        }
    }

    /// The syntax errors of a text, one to a line.
    pub(crate) fn syntax(text: &str, file: &str, errors: &[toml::de::Error]) -> Self {
        let lines = LineIndex::new(text);
        let mut problems: Vec<ConfigProblem> = Vec::new();
        for error in errors {
            let line = error.span().map(|span| lines.line_of(span.start));
            // One mistake can cause several syntax errors on a line: the first names it.
            if problems.iter().any(|p| p.line == line) {
                continue;
            }
            let duplicate = (error.message() == "duplicate key").then(|| error.span()).flatten();
            let key = duplicate.and_then(|span| text.get(span)).map(excerpt);
            let error = match key {
                Some(_) => ValueError::new("written twice", "remove one of them"),
                None => ValueError::new(format!("not valid TOML: {}", error.message()), "correct this line"),
            };
            problems.push(ConfigProblem { line, key, error });
        }
        problems.sort_by_key(|p| p.line);
        Self {
            file: file.to_owned(),
            problems,
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(SHOWN).enumerate() {
            let separator = if i > 0 { "\n" } else { "" };
            write!(f, "{separator}{}{problem}", self.file)?;
        }
        match self.problems.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "\n… and {more} more"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "key `{key}`: ")?;
        }
        self.error.fmt(f)
    }
}
