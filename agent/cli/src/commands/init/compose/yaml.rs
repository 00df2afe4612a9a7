//! YAML as a tree, with anchors and merge keys (`<<`) resolved.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};
use saphyr_parser::{Event, Parser, ScalarStyle};

/// Most nodes of a tree: aliases of aliases grow without a bound.
const MOST: usize = 100_000;
/// Deepest nesting.
const DEEPEST: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Null,
    Text(String),
    List(Vec<Yaml>),
    /// In the file's order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// The first document of a text.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut reader = Reader {
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            nodes: 0,
        };
        loop {
            match reader.next()? {
                Event::StreamEnd => bail!("there is nothing in it"),
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                first => return reader.node(first, 0),
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list, or a single text.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::List(items) => items.iter().filter_map(Self::text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.text() == Some("true")
    }

    /// Changes every text but the keys.
    pub(super) fn map_text(self, change: &mut impl FnMut(String) -> anyhow::Result<String>) -> anyhow::Result<Self> {
        Ok(match self {
            Self::Null => Self::Null,
            Self::Text(text) => Self::Text(change(text)?),
            Self::List(items) => Self::List(
                items
                    .into_iter()
                    .map(|item| item.map_text(change))
                    .collect::<anyhow::Result<_>>()?,
            ),
            Self::Map(entries) => {
                let changed = entries
                    .into_iter()
                    .map(|(key, value)| Ok((key, value.map_text(change)?)));
                Self::Map(changed.collect::<anyhow::Result<_>>()?)
            }
        })
    }

    fn size(&self) -> usize {
        1 + match self {
            Self::Null | Self::Text(_) => 0,
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Map(entries) => entries.iter().map(|(_, value)| value.size()).sum(),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Yaml>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> anyhow::Result<Event<'a>> {
        let event = self.parser.next_event().context("it ends too early")?;
        match event {
            Ok((event, _)) => Ok(event),
            Err(error) => bail!("line {}: {}", error.marker().line(), error.info()),
        }
    }

    fn node(&mut self, first: Event<'a>, depth: usize) -> anyhow::Result<Yaml> {
        ensure!(depth < DEEPEST, "it is nested more than {DEEPEST} levels deep");
        let (node, anchor) = match first {
            Event::Alias(anchor) => {
                let node = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .context("an alias stands within its own anchor")?;
                self.nodes += node.size();
                (node, 0)
            }
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            _ => bail!("it is not a YAML document"),
        };
        self.nodes += 1;
        ensure!(self.nodes < MOST, "it has more than {MOST} values");
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> anyhow::Result<Yaml> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Yaml::List(items)),
                first => items.push(self.node(first, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> anyhow::Result<Yaml> {
        let (mut entries, mut merged) = (Vec::new(), Vec::new());
        loop {
            let key = match self.next()? {
                Event::MappingEnd => break,
                first => self.node(first, depth + 1)?,
            };
            let first = self.next()?;
            let value = self.node(first, depth + 1)?;
            match (key, value) {
                (Yaml::Text(key), Yaml::List(maps)) if key == "<<" => merged.extend(maps),
                (Yaml::Text(key), map) if key == "<<" => merged.push(map),
                (Yaml::Text(key), value) => entries.push((key, value)),
                _ => bail!("a key is no text"),
            }
        }
        for (key, value) in merged.iter().flat_map(Yaml::entries) {
            if !entries.iter().any(|(known, _)| known == key) {
                entries.push((key.clone(), value.clone()));
            }
        }
        Ok(Yaml::Map(entries))
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Yaml {
    match text {
        "" | "~" | "null" if style == ScalarStyle::Plain => Yaml::Null,
        _ => Yaml::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let text = "x-node: &node\n  image: a\n  user: '1'\nservices:\n  one:\n    <<: *node\n    user: b\n    none:\n  two: *node\n";
        let tree = Yaml::parse(text).unwrap();
        let one = tree.get("services").unwrap().get("one").unwrap();
        assert_eq!(one.get("user").unwrap().text(), Some("b"));
        assert_eq!(
            (one.get("image").unwrap().text(), one.get("none")),
            (Some("a"), Some(&Yaml::Null))
        );
        assert_eq!(tree.get("services").unwrap().get("two"), tree.get("x-node"));
    }

    #[test]
    fn invalid_and_endless_documents_are_refused() {
        let nested = "[".repeat(100);
        let doubled = (1..30).map(|i| format!("a{i}: &a{i} [*a{}, *a{}]", i - 1, i - 1));
        let bomb = ["a0: &a0 [x, x]".to_owned()]
            .into_iter()
            .chain(doubled)
            .collect::<Vec<_>>()
            .join("\n");
        for text in ["", "a: [", "a: *b", "? [a]\n: b", nested.as_str(), bomb.as_str()] {
            assert!(Yaml::parse(text).is_err(), "{text:.40}");
        }
    }
}
