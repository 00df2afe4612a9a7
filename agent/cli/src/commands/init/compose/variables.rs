//! Variables in a compose file: `$NAME`, `${NAME:-default}` and their like, from the environment and `.env`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};

/// Deepest nesting of defaults.
const DEEPEST: usize = 16;

/// Values of variables, and the names that had none.
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    pub(super) missing: BTreeSet<String>,
}

impl Variables {
    /// `environment` goes before the text of `.env`.
    pub(super) fn new(environment: impl IntoIterator<Item = (String, String)>, dot_env: &str) -> Self {
        let mut values: BTreeMap<_, _> = assignments(dot_env).collect();
        values.extend(environment);
        Self {
            values,
            missing: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(super) fn fill(&mut self, text: &str) -> anyhow::Result<String> {
        self.fill_nested(text, 0)
    }

    fn fill_nested(&mut self, text: &str, depth: usize) -> anyhow::Result<String> {
        if depth > DEEPEST {
            bail!("variables are nested more than {DEEPEST} levels deep");
        }
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('$') {
            out += &rest[..at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let end = closing(after).context("a ${ has no }")?;
                out += &self.expression(&after[..end], depth)?;
                rest = &after[end + 1..];
            } else {
                let end = name_length(rest);
                out += &if end == 0 {
                    "$".to_owned()
                } else {
                    self.value(&rest[..end])
                };
                rest = &rest[end..];
            }
        }
        Ok(out + rest)
    }

    fn value(&mut self, name: &str) -> String {
        let value = self.values.get(name).cloned();
        value.unwrap_or_else(|| {
            self.missing.insert(name.to_owned());
            String::new()
        })
    }

    /// What stands in `${…}`.
    fn expression(&mut self, text: &str, depth: usize) -> anyhow::Result<String> {
        let (name, rest) = text.split_at(name_length(text));
        let value = self.get(name).map(str::to_owned);
        let (operator, word) = match rest.strip_prefix(':') {
            Some(rest) => (rest.chars().next(), rest),
            None => (rest.chars().next(), rest),
        };
        let is_set = value
            .as_ref()
            .is_some_and(|value| !rest.starts_with(':') || !value.is_empty());
        let word = word.get(1..).unwrap_or_default();
        match operator {
            None if !name.is_empty() && rest.is_empty() => Ok(self.value(name)),
            Some('-' | '?') if is_set => Ok(value.unwrap_or_default()),
            Some('-') => self.fill_nested(word, depth + 1),
            Some('+') if is_set => self.fill_nested(word, depth + 1),
            Some('+') => Ok(String::new()),
            Some('?') => bail!("the variable {name} is required: set it in the environment or in .env"),
            _ => bail!("${{{text}}} is no variable"),
        }
    }
}

/// `NAME=VALUE` line by line, as in `.env` and files of `env_file`.
pub(super) fn assignments(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let value = value.trim();
        let quoted = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        let bare = || value.split(" #").next().unwrap_or_default().trim_end();
        Some((name.trim().to_owned(), quoted.unwrap_or_else(bare).to_owned()))
    })
}

fn name_length(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Place of the brace that closes what was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn variables_are_filled_in_as_by_compose() {
        let dot_env = "# a comment\nTAG=v1\nexport NAME=\"a b\"\nEMPTY=\nPORT=1 # of the node\n";
        let mut variables = Variables::new([("TAG".to_owned(), "v2".to_owned())], dot_env);
        for (text, filled) in [
            ("org/node:$TAG", "org/node:v2"),
            ("${NAME}-${PORT}", "a b-1"),
            ("${EMPTY:-x}${EMPTY-y}${NONE-z}", "xz"),
            ("${NONE:-${OTHER:-deep}}", "deep"),
            ("${TAG:+set}${NONE:+set}", "set"),
            ("${TAG:?needed}", "v2"),
            ("a$$b $", "a$b $"),
            ("é$TAG", "év2"),
        ] {
            assert_eq!(variables.fill(text).unwrap(), filled, "{text}");
        }
        assert!(variables.missing.is_empty(), "{:?}", variables.missing);
        assert_eq!(variables.fill("<$GONE>").unwrap(), "<>");
        assert_eq!(variables.missing, BTreeSet::from(["GONE".to_owned()]));
        for text in ["${NONE:?needed}", "${NAME", "${}", "${NAME!x}"] {
            assert!(variables.fill(text).is_err(), "{text}");
        }
    }
}
