//! What is wrong with a configuration, worded so that the reader can mend it.

use std::fmt;

use super::document::line_starts;
use super::values::excerpt;

/// Everything that is wrong with one configuration, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

/// One thing to mend. Displayed as ``FILE:LINE: key `KEY`: FOUND; REMEDY``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    /// Line in the file, from 1; `None` when the file itself is the problem.
    pub line: Option<usize>,
    /// Full name of the key, such as `collator.ports[1]`.
    pub key: Option<String>,
    /// What stands there.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

/// A value that cannot be used. Displayed as `FOUND; REMEDY`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found}; {remedy}")]
pub struct Invalid {
    pub found: String,
    pub remedy: String,
}

/// Most problems that are printed: a file that is no configuration at all has one on every line.
const SHOWN: usize = 50;

impl Invalid {
    pub(super) fn new(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// What is found of a file that is there and not for this user.
pub(super) const DENIED: &str = "permission denied";

impl ConfigError {
    /// Whether the file itself is to be mended, and not the right to read it.
    pub fn is_about_the_content(&self) -> bool {
        !self.problems.iter().any(|p| p.line.is_none() && p.found == DENIED)
    }

    /// One problem of the file as a whole.
    pub(super) fn file(file: &str, line: Option<usize>, invalid: Invalid) -> Self {
        let Invalid { found, remedy } = invalid;
        Self {
            problems: vec![Problem {
                file: file.to_owned(),
                line,
                key: None,
                found,
                remedy,
            }],
        }
    }

    /// The places where a text is no TOML, one to a line.
    pub(super) fn syntax(text: &str, file: &str, errors: &[toml::de::Error]) -> Self {
        let starts = line_starts(text);
        let mut problems: Vec<Problem> = Vec::new();
        for error in errors {
            let line = error
                .span()
                .map(|span| starts.partition_point(|start| *start <= span.start));
            // One slip makes the parser stumble more than once: the first says what happened.
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
            problems.push(Problem {
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

impl fmt::Display for Problem {
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
