//! The problems of a configuration, each with its remedy.

use std::fmt;

use toml::de::DeValue;

use crate::excerpt::{excerpt, quoted, show};
use crate::line_index::LineIndex;

/// All problems of one configuration, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) problems: Vec<ConfigProblem>,
}

/// One mistake in a file. Displayed as ``FILE:LINE: key `KEY`: FOUND; REMEDY``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigProblem {
    pub(crate) file: String,
    /// Line in the file, from 1; `None` when the file itself is the problem.
    pub(crate) line: Option<usize>,
    /// Full name of the key, such as `collator.ports[1]`.
    pub(crate) key: Option<String>,
    pub(crate) found: String,
    pub(crate) remedy: String,
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
        !self.problems.iter().any(|p| p.line.is_none() && p.found == DENIED)
    }

    /// One problem of the file as a whole.
    pub(crate) fn file(file: &str, line: Option<usize>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problems: vec![ConfigProblem {
                file: file.to_owned(),
                line,
                key: None,
                found: found.into(),
                remedy: remedy.into(),
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
            let twice = (error.message() == "duplicate key").then(|| error.span()).flatten();
            let (key, found, remedy) = match twice.and_then(|span| text.get(span)) {
                Some(key) => (Some(excerpt(key)), "written twice".to_owned(), "remove one of them"),
                None => (
                    None,
                    format!("not valid TOML: {}", error.message()),
                    "correct this line",
                ),
            };
            problems.push(ConfigProblem {
                file: file.to_owned(),
                line,
                key,
                found,
                remedy: remedy.to_owned(),
            });
        }
        problems.sort_by_key(|p| p.line);
        Self { problems }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        match self.problems.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "\n… and {more} more"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "key `{key}`: ")?;
        }
        write!(f, "{}; {}", self.found, self.remedy)
    }
}
