//! Reads the TOML text key by key. Every requested key is recorded, so that the remaining ones are unknown; every
//! problem is collected with its line.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::error::{ConfigError, ConfigProblem, ValueError};
use crate::excerpt::excerpt;
use crate::line_index::LineIndex;
use crate::shape::{Presence, Shape};

mod section;

pub(crate) use self::section::SectionReader;

/// A key that was asked for, present or not.
#[derive(Debug, Clone)]
pub(crate) struct KnownKey {
    pub(crate) shape: Shape,
    pub(crate) presence: Presence,
}

pub(crate) struct DocumentReader<'a> {
    file: &'a str,
    line_index: LineIndex,
    root: &'a DeTable<'a>,
    problems: Vec<ConfigProblem>,
    /// The requested keys by their full names.
    known: BTreeMap<String, KnownKey>,
    /// Lines of those that are present.
    lines: BTreeMap<String, usize>,
}

impl<'a> DocumentReader<'a> {
    pub(crate) fn new(text: &str, file: &'a str, root: &'a DeTable<'a>) -> Self {
        Self {
            file,
            line_index: LineIndex::new(text),
            root,
            problems: Vec::new(),
            known: BTreeMap::new(),
            lines: BTreeMap::new(),
        }
    }

    fn top(&mut self) -> SectionReader<'_, 'a> {
        SectionReader {
            path: String::new(),
            table: Some(self.root),
            document: self,
        }
    }

    /// The table of that name at the top level.
    pub(crate) fn section(&mut self, name: &str) -> SectionReader<'_, 'a> {
        self.top().into_section(name)
    }

    /// The tables of that name at the top level: `[[name]]`.
    pub(crate) fn sections<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(SectionReader<'_, 'a>) -> Option<T>,
    ) -> Vec<T> {
        let remedy = format!("write `[[{name}]]` above each of them");
        let mut all = Vec::new();
        for (path, item) in self
            .top()
            .elements(name, Shape::Tables, "is no list of tables", &remedy)
            .unwrap_or_default()
        {
            match item {
                DeValue::Table(table) => all.extend(read(SectionReader {
                    document: &mut *self,
                    path,
                    table: Some(table),
                })),
                other => self.problem(&path, ValueError::value(other, "is no table", &remedy)),
            }
        }
        all
    }

    /// Adds a problem with the value of `key`.
    pub(crate) fn problem(&mut self, key: &str, error: ValueError) {
        // A missing key has the line of its table, or else the first.
        let mut path = key;
        let line = loop {
            match (self.lines.get(path), path.rfind('.')) {
                (Some(line), _) => break *line,
                (None, Some(dot)) => path = &path[..dot],
                (None, None) => break 1,
            }
        };
        self.problem_at(line, key, error);
    }

    /// Adds the problem that values contradict each other, at the last of `keys` that is present; none when one of
    /// them has a problem already.
    pub(crate) fn conflict(&mut self, keys: &[&str], found: impl Into<String>, remedy: &str) {
        let known_bad = |key: &&str| {
            self.problems
                .iter()
                .any(|p| p.key.as_deref().is_some_and(|bad| bad.starts_with(*key)))
        };
        if keys.iter().any(known_bad) {
            return;
        }
        let present = keys.iter().filter(|key| self.has(key));
        if let Some(key) = present.max_by_key(|key| self.lines[**key]) {
            self.problem(key, ValueError::new(found, remedy));
        }
    }

    /// Whether the key is present.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Adds the unknown keys, and returns all problems by line, or else `value`.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T, ConfigError> {
        self.unknown_keys(self.root, "");
        if self.problems.is_empty() {
            return Ok(value);
        }
        self.problems.sort_by_key(|p| p.line);
        Err(ConfigError {
            file: self.file.to_owned(),
            problems: self.problems,
        })
    }

    fn unknown_keys(&mut self, table: &'a DeTable<'a>, prefix: &str) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = format!("{prefix}{name}");
            if self.known.contains_key(&path) {
                self.unknown_keys_within(value.get_ref(), &path);
            } else {
                let error = self.unknown(name, prefix);
                let line = self.line_index.line_of(key.span().start);
                self.problem_at(line, &format!("{prefix}{}", excerpt(name)), error);
            }
        }
    }

    fn unknown_keys_within(&mut self, value: &'a DeValue<'a>, path: &str) {
        match value {
            DeValue::Table(table) if self.is_read(path) => self.unknown_keys(table, &format!("{path}.")),
            DeValue::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.unknown_keys_within(item.get_ref(), &format!("{path}[{i}]"));
                }
            }
            _ => {}
        }
    }

    /// Whether keys of the table were requested: otherwise they are the user's own.
    fn is_read(&self, path: &str) -> bool {
        let inside = format!("{path}.");
        self.known
            .range(inside.clone()..)
            .next()
            .is_some_and(|(key, _)| key.starts_with(&inside))
    }

    fn unknown(&self, name: &str, prefix: &str) -> ValueError {
        let here = self
            .known
            .keys()
            .filter_map(|k| k.strip_prefix(prefix))
            .filter(|k| !k.contains(['.', '[']));
        let near = here
            // The comparison costs the product of both lengths, and a file may have 1 MiB.
            .filter(|_| name.len() <= 64)
            .map(|k| (strsim::levenshtein(name, k), k))
            .filter(|(d, k)| *d <= 1 + k.len() / 4)
            .min_by_key(|(d, _)| *d);
        if let Some((_, near)) = near {
            return ValueError::new(format!("unknown key (did you mean `{near}`?)"), "correct or remove it");
        }
        let suffix = format!(".{name}");
        if let Some(other) = self.known.keys().find(|k| k.ends_with(&suffix) && !k.contains('[')) {
            return ValueError::new(
                format!("unknown key here (did you mean `{other}`?)"),
                "move or remove it",
            );
        }
        ValueError::new(
            "unknown key",
            "remove it: `t0rn-agent config default` lists all that exist",
        )
    }

    fn problem_at(&mut self, line: usize, key: &str, error: ValueError) {
        self.problems.push(ConfigProblem {
            line: Some(line),
            key: Some(key.to_owned()),
            error,
        });
    }

    /// The requested keys by their full names.
    pub(crate) fn known(&self) -> &BTreeMap<String, KnownKey> {
        &self.known
    }
}
