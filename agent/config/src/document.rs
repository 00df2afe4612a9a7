//! The TOML text as spanned tables, read key by key. Every key that is asked for is remembered, so that
//! what remains is unknown; every problem is collected with its line.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Invalid, Problem};
use super::values::{excerpt, show};

pub(super) struct Document<'a> {
    file: &'a str,
    /// Byte offset at which each line begins.
    line_starts: Vec<usize>,
    root: &'a DeTable<'a>,
    problems: Vec<Problem>,
    /// Full names of the keys that were asked for.
    known: BTreeSet<String>,
    /// Lines of those that are there.
    lines: BTreeMap<String, usize>,
}

/// One table of the document. A table that is not there reads as an empty one.
pub(super) struct Section<'d, 'a> {
    document: &'d mut Document<'a>,
    path: String,
    table: Option<&'a DeTable<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &str, file: &'a str, root: &'a DeTable<'a>) -> Self {
        Self {
            file,
            line_starts: line_starts(text),
            root,
            problems: Vec::new(),
            known: BTreeSet::new(),
            lines: BTreeMap::new(),
        }
    }

    /// The table of that name at the top level.
    pub(super) fn section(&mut self, name: &str) -> Section<'_, 'a> {
        let table = Some(self.root);
        Section {
            document: self,
            path: String::new(),
            table,
        }
        .into_section(name)
    }

    /// The tables of that name at the top level: `[[name]]`.
    pub(super) fn sections<T>(&mut self, name: &str, mut read: impl FnMut(Section<'_, 'a>) -> Option<T>) -> Vec<T> {
        let mut top = Section {
            path: String::new(),
            table: Some(self.root),
            document: self,
        };
        let Some(value) = top.value(name) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            let remedy = format!("write `[[{name}]]` above each of them");
            top.document.problem(
                name,
                Invalid::new(format!("{} is no list of tables", show(value)), remedy),
            );
            return Vec::new();
        };
        let mut all = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("{name}[{i}]");
            self.lines.insert(path.clone(), self.line_of(item.span().start));
            match item.get_ref() {
                DeValue::Table(table) => {
                    all.extend(read(Section {
                        document: &mut *self,
                        path,
                        table: Some(table),
                    }));
                }
                other => {
                    let found = format!("{} is no table", show(other));
                    self.problem(
                        &path,
                        Invalid::new(found, format!("write `[[{name}]]` above each of them")),
                    );
                }
            }
        }
        all
    }

    /// Notes what is wrong with the value of `key`.
    pub(super) fn problem(&mut self, key: &str, invalid: Invalid) {
        // A key that is not there is missed where its table begins, or else at the top.
        let mut path = key;
        let line = loop {
            match (self.lines.get(path), path.rfind('.')) {
                (Some(line), _) => break *line,
                (None, Some(dot)) => path = &path[..dot],
                (None, None) => break 1,
            }
        };
        self.problem_at(line, key, invalid);
    }

    /// Notes that values which are good by themselves do not go together: at the last of `keys` that is
    /// written down, and not when one of them is already known to be bad.
    pub(super) fn conflict(&mut self, keys: &[&str], invalid: Invalid) {
        let known_bad = |key: &&str| {
            self.problems
                .iter()
                .any(|p| p.key.as_deref().is_some_and(|bad| bad.starts_with(*key)))
        };
        if keys.iter().any(known_bad) {
            return;
        }
        let written = keys.iter().filter(|key| self.lines.contains_key(**key));
        if let Some(key) = written.max_by_key(|key| self.lines[**key]) {
            self.problem(key, invalid);
        }
    }

    /// Whether the key is written down.
    pub(super) fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Adds what nobody asked for, and gives all problems by line, or else `value`.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, ConfigError> {
        self.unknown_keys(self.root, "");
        self.problems.sort_by_key(|p| p.line);
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(ConfigError {
                problems: self.problems,
            }),
        }
    }

    fn unknown_keys(&mut self, table: &'a DeTable<'a>, prefix: &str) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = format!("{prefix}{name}");
            if !self.known.contains(&path) {
                let invalid = self.unknown(name, prefix);
                let line = self.line_of(key.span().start);
                self.problem_at(line, &format!("{prefix}{}", excerpt(name)), invalid);
                continue;
            }
            match value.get_ref() {
                DeValue::Table(inner) if self.is_read(&path) => {
                    self.unknown_keys(inner, &format!("{path}."));
                }
                DeValue::Array(items) => {
                    for (i, item) in items.iter().enumerate() {
                        let path = format!("{path}[{i}]");
                        if let DeValue::Table(inner) = item.get_ref()
                            && self.is_read(&path)
                        {
                            self.unknown_keys(inner, &format!("{path}."));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// A table that no key was asked of is one whose keys are the operator's own.
    fn is_read(&self, path: &str) -> bool {
        let inside = format!("{path}.");
        self.known
            .range(inside.clone()..)
            .next()
            .is_some_and(|key| key.starts_with(&inside))
    }

    fn unknown(&self, name: &str, prefix: &str) -> Invalid {
        let here = self
            .known
            .iter()
            .filter_map(|k| k.strip_prefix(prefix))
            .filter(|k| !k.contains(['.', '[']));
        let near = here
            // The comparison costs the product of both lengths, and a file may have 1 MiB.
            .filter(|_| name.len() <= 64)
            .map(|k| (strsim::levenshtein(name, k), k))
            .filter(|(d, k)| *d <= 1 + k.len() / 4)
            .min_by_key(|(d, _)| *d);
        if let Some((_, near)) = near {
            return Invalid::new(format!("unknown key (did you mean `{near}`?)"), "correct or remove it");
        }
        let suffix = format!(".{name}");
        if let Some(other) = self.known.iter().find(|k| k.ends_with(&suffix) && !k.contains('[')) {
            return Invalid::new(
                format!("unknown key here (did you mean `{other}`?)"),
                "move or remove it",
            );
        }
        Invalid::new(
            "unknown key",
            "remove it: `t0rn-agent config default` lists all that exist",
        )
    }

    fn problem_at(&mut self, line: usize, key: &str, Invalid { found, remedy }: Invalid) {
        let (file, key) = (self.file.to_owned(), Some(key.to_owned()));
        self.problems.push(Problem {
            file,
            line: Some(line),
            key,
            found,
            remedy,
        });
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> &BTreeSet<String> {
        &self.known
    }
}

impl<'a> Section<'_, 'a> {
    /// The table of that name within this one.
    pub(super) fn into_section(mut self, name: &str) -> Self {
        let path = self.full(name);
        let table = match self.value(name) {
            Some(DeValue::Table(table)) => Some(table),
            Some(other) => {
                let found = format!("{} is no table", show(other));
                self.document
                    .problem(&path, Invalid::new(found, format!("write `[{path}]` above its keys")));
                None
            }
            None => None,
        };
        Self {
            document: self.document,
            path,
            table,
        }
    }

    /// The value of `key` as `parse` reads it. `None` when it is not there or not usable.
    pub(super) fn read<T>(&mut self, key: &str, parse: impl FnOnce(&DeValue<'a>) -> Result<T, Invalid>) -> Option<T> {
        match parse(self.value(key)?) {
            Ok(value) => Some(value),
            Err(invalid) => {
                let full = self.full(key);
                self.document.problem(&full, invalid);
                None
            }
        }
    }

    /// The same for a key that has no default.
    pub(super) fn require<T>(
        &mut self,
        key: &str,
        remedy: &str,
        parse: impl FnOnce(&DeValue<'a>) -> Result<T, Invalid>,
    ) -> Option<T> {
        let full = self.full(key);
        let value = self.read(key, parse);
        if !self.document.lines.contains_key(&full) {
            self.document.problem(&full, Invalid::new("missing", remedy));
        }
        value
    }

    /// The list at `key`, each element as `parse` reads it; unusable elements are left out.
    pub(super) fn list<T>(&mut self, key: &str, parse: impl Fn(&DeValue<'a>) -> Result<T, Invalid>) -> Option<Vec<T>> {
        let full = self.full(key);
        let value = self.value(key)?;
        let DeValue::Array(items) = value else {
            let invalid = Invalid::new(format!("{} is no list", show(value)), "write it as [\"…\", \"…\"]");
            self.document.problem(&full, invalid);
            return None;
        };
        let mut all = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            // Its own line: lists are long, one element to a line.
            let (path, line) = (format!("{full}[{i}]"), self.document.line_of(item.span().start));
            self.document.lines.insert(path.clone(), line);
            match parse(item.get_ref()) {
                Ok(value) => all.push(value),
                Err(invalid) => self.document.problem(&path, invalid),
            }
        }
        Some(all)
    }

    /// The table at `key`, whose keys are the operator's own.
    pub(super) fn entries<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str, &DeValue<'a>) -> Result<T, Invalid>,
    ) -> Option<BTreeMap<String, T>> {
        let full = self.full(key);
        let value = self.value(key)?;
        let DeValue::Table(table) = value else {
            let invalid = Invalid::new(
                format!("{} is no table", show(value)),
                "write it as { KEY = \"value\" }",
            );
            self.document.problem(&full, invalid);
            return None;
        };
        let mut all = BTreeMap::new();
        for (name, value) in table {
            match parse(name.get_ref(), value.get_ref()) {
                Ok(value) => {
                    all.insert(name.get_ref().to_string(), value);
                }
                Err(invalid) => {
                    let line = self.document.line_of(name.span().start);
                    self.document
                        .problem_at(line, &format!("{full}.{}", excerpt(name.get_ref())), invalid);
                }
            }
        }
        Some(all)
    }

    fn value(&mut self, key: &str) -> Option<&'a DeValue<'a>> {
        let full = self.full(key);
        self.document.known.insert(full.clone());
        let (name, value) = self.table?.get_key_value(key)?;
        let line = self.document.line_of(name.span().start);
        self.document.lines.insert(full, line);
        Some(value.get_ref())
    }

    fn full(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

/// Byte offsets at which the lines of `text` begin.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(i, _)| i + 1))
        .collect()
}
