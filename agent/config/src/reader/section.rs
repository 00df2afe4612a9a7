//! Reads the keys of one table.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::{DocumentReader, KnownKey};
use crate::error::ValueError;
use crate::excerpt::excerpt;
use crate::shape::{Presence, Reader, Shape};

/// One table of the document. An absent table reads as an empty one.
pub(crate) struct SectionReader<'d, 'a> {
    pub(super) document: &'d mut DocumentReader<'a>,
    pub(super) path: String,
    pub(super) table: Option<&'a DeTable<'a>>,
}

impl<'a> SectionReader<'_, 'a> {
    /// The table of that name within this one.
    pub(crate) fn into_section(mut self, name: &str) -> Self {
        let path = self.full(name);
        let table = match self.value(name, Shape::Table, Presence::Optional) {
            Some(DeValue::Table(table)) => Some(table),
            Some(other) => {
                let remedy = format!("write `[{path}]` above its keys");
                self.document
                    .problem(&path, ValueError::value(other, "is no table", remedy));
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

    /// The value of `key`. `None` when it is absent or not usable.
    fn read<T>(
        &mut self,
        key: &str,
        presence: Presence,
        reader: Reader<impl FnOnce(&DeValue<'a>) -> Result<T, ValueError>>,
    ) -> Option<T> {
        let value = self.value(key, reader.shape, presence)?;
        self.usable(key, (reader.parse)(value))
    }

    /// The value of `key`, `default` when it is absent or not usable.
    pub(crate) fn read_or<T>(
        &mut self,
        key: &str,
        default: T,
        reader: Reader<impl FnOnce(&DeValue<'a>) -> Result<T, ValueError>>,
    ) -> T {
        self.read(key, Presence::Optional, reader).unwrap_or(default)
    }

    /// The same for a key that has no default.
    pub(crate) fn require<T>(
        &mut self,
        key: &str,
        remedy: &str,
        reader: Reader<impl FnOnce(&DeValue<'a>) -> Result<T, ValueError>>,
    ) -> Option<T> {
        let value = self.read(key, Presence::Required, reader);
        self.missing(key, remedy);
        value
    }

    /// The same for a key that may be absent where another key, read before, is true.
    pub(crate) fn require_unless<T>(
        &mut self,
        (other, is_true): (&'static str, bool),
        key: &str,
        remedy: &str,
        reader: Reader<impl FnOnce(&DeValue<'a>) -> Result<T, ValueError>>,
    ) -> Option<T> {
        let value = self.read(key, Presence::RequiredUnless(other), reader);
        if !is_true {
            self.missing(key, remedy);
        }
        value
    }

    /// Adds a problem when the key is absent.
    fn missing(&mut self, key: &str, remedy: &str) {
        let full = self.full(key);
        if !self.document.has(&full) {
            self.document.problem(&full, ValueError::new("missing", remedy));
        }
    }

    fn usable<T>(&mut self, key: &str, result: Result<T, ValueError>) -> Option<T> {
        result
            .map_err(|error| self.document.problem(&self.full(key), error))
            .ok()
    }

    /// The list at `key`, without the unusable elements.
    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        reader: Reader<impl Fn(&DeValue<'a>) -> Result<T, ValueError>>,
    ) -> Option<Vec<T>> {
        self.list_of(key, Shape::list(reader.shape), reader.parse)
    }

    fn list_of<T>(
        &mut self,
        key: &str,
        shape: Shape,
        parse: impl Fn(&DeValue<'a>) -> Result<T, ValueError>,
    ) -> Option<Vec<T>> {
        let items = self.elements(key, shape, "is no list", "write it as [\"…\", \"…\"]")?;
        let mut all = Vec::with_capacity(items.len());
        for (path, item) in items {
            match parse(item) {
                Ok(value) => all.push(value),
                Err(error) => self.document.problem(&path, error),
            }
        }
        Some(all)
    }

    /// The same; one element may stand there without a list.
    pub(crate) fn one_or_list<T>(
        &mut self,
        key: &str,
        reader: Reader<impl Fn(&DeValue<'a>) -> Result<T, ValueError>>,
    ) -> Option<Vec<T>> {
        let shape = Shape::OneOrList(reader.shape.into());
        match self.value(key, shape.clone(), Presence::Optional)? {
            DeValue::Array(_) => self.list_of(key, shape, reader.parse),
            one => {
                let one = (reader.parse)(one);
                self.usable(key, one).map(|one| vec![one])
            }
        }
    }

    /// The table at `key`, whose keys are the user's own.
    pub(crate) fn entries<T>(
        &mut self,
        key: &str,
        reader: Reader<impl Fn(&str, &DeValue<'a>) -> Result<T, ValueError>>,
    ) -> Option<BTreeMap<String, T>> {
        let full = self.full(key);
        let value = self.value(key, reader.shape, Presence::Optional)?;
        let DeValue::Table(table) = value else {
            let error = ValueError::value(value, "is no table", "write it as { KEY = \"value\" }");
            self.document.problem(&full, error);
            return None;
        };
        let mut all = BTreeMap::new();
        for (name, value) in table {
            match (reader.parse)(name.get_ref(), value.get_ref()) {
                Ok(value) => {
                    all.insert(name.get_ref().to_string(), value);
                }
                Err(error) => {
                    let line = self.document.line_index.line_of(name.span().start);
                    let key = format!("{full}.{}", excerpt(name.get_ref()));
                    self.document.problem_at(line, &key, error);
                }
            }
        }
        Some(all)
    }

    /// The elements of the list at `key`, each with its name and a line of its own.
    pub(super) fn elements(
        &mut self,
        key: &str,
        shape: Shape,
        what: &str,
        remedy: &str,
    ) -> Option<Vec<(String, &'a DeValue<'a>)>> {
        let full = self.full(key);
        let value = self.value(key, shape, Presence::Optional)?;
        let DeValue::Array(items) = value else {
            let error = match value {
                // Arguments in one text may hold a password.
                DeValue::String(_) => ValueError::new(format!("a text {what}"), remedy),
                other => ValueError::value(other, what, remedy),
            };
            self.document.problem(&full, error);
            return None;
        };
        let mut all = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let path = format!("{full}[{i}]");
            let line = self.document.line_index.line_of(item.span().start);
            self.document.lines.insert(path.clone(), line);
            all.push((path, item.get_ref()));
        }
        Some(all)
    }

    fn value(&mut self, key: &str, shape: Shape, presence: Presence) -> Option<&'a DeValue<'a>> {
        let full = self.full(key);
        let known = KnownKey { shape, presence };
        self.document.known.insert(full.clone(), known);
        let (name, value) = self.table?.get_key_value(key)?;
        let line = self.document.line_index.line_of(name.span().start);
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
