//! The documentation of every key: its text and default from the printed default, its bounds from its reader.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::DEFAULT;
use crate::reader::{DocumentReader, KnownKey};
use crate::sections;
use crate::shape::{Presence, Shape};

/// One table of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Such as `chains.parachain`.
    pub name: String,
    /// Whether there may be several: `[[name]]`.
    pub is_list: bool,
    /// What the table is for; empty where its name says it.
    pub text: String,
    pub keys: Vec<Key>,
}

/// One key of a table.
#[derive(Debug, Clone)]
pub struct Key {
    pub name: String,
    pub text: String,
    /// The default, or an example, as TOML.
    pub value: String,
    /// Whether `value` is what an absent key means.
    pub has_default: bool,
    /// Which values are accepted, as a sentence.
    pub accepts: String,
    pub(crate) shape: Shape,
    pub(crate) presence: Presence,
}

impl Key {
    /// Whether a configuration, or a table of a list, needs the key.
    pub fn is_required(&self) -> bool {
        self.presence == Presence::Required
    }
}

/// What stands above the first table of the printed default: the notation of values.
pub fn notation() -> String {
    let lines = DEFAULT.lines().map_while(|line| line.strip_prefix("# "));
    lines.collect::<Vec<_>>().join(" ")
}

/// All tables and keys, in the order of the printed default.
pub fn sections() -> Vec<Section> {
    let known = known_keys();
    let mut sections: Vec<Section> = Vec::new();
    let mut text = Vec::new();
    for line in DEFAULT.lines() {
        let bare = uncommented_line(line);
        if let Some(comment) = line.strip_prefix("# ") {
            text.push(comment);
        } else if let Some(header) = bare.strip_prefix('[') {
            sections.push(Section {
                name: header.trim_matches(['[', ']']).to_owned(),
                is_list: header.starts_with('['),
                text: text.join(" "),
                keys: Vec::new(),
            });
            text.clear();
        } else if let (Some((name, value)), Some(section)) = (bare.split_once(" = "), sections.last_mut()) {
            section
                .keys
                .extend(key(section, &known, name, value, bare == line, &mut text));
        } else {
            text.clear();
        }
    }
    share_texts(&mut sections);
    sections
}

/// The key of that line. The comment above several keys is that of each of them.
fn key(
    section: &Section,
    known: &BTreeMap<String, KnownKey>,
    name: &str,
    value: &str,
    is_set: bool,
    text: &mut Vec<&str>,
) -> Option<Key> {
    let element = if section.is_list { "[0]" } else { "" };
    let known = known.get(&format!("{}{element}.{name}", section.name))?;
    let above = std::mem::take(text).join(" ");
    let text = match section.keys.last() {
        Some(previous) if above.is_empty() => previous.text.clone(),
        _ => above,
    };
    Some(Key {
        name: name.to_owned(),
        text,
        value: value.to_owned(),
        has_default: is_set && known.presence == Presence::Optional,
        accepts: known.shape.sentence(),
        shape: known.shape.clone(),
        presence: known.presence,
    })
}

/// Gives the keys of a table without comments those of the table before it that has the same parent.
fn share_texts(sections: &mut [Section]) {
    for i in 1..sections.len() {
        let (before, rest) = sections.split_at_mut(i);
        let (Some(documented), Some(section)) = (before.last(), rest.first_mut()) else {
            continue;
        };
        if parent(&documented.name).is_none() || parent(&documented.name) != parent(&section.name) {
            continue;
        }
        for key in &mut section.keys {
            if let Some(same) = documented.keys.iter().find(|same| same.name == key.name) {
                key.text.clone_from(&same.text);
            }
        }
    }
}

fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(parent, _)| parent)
}

fn known_keys() -> BTreeMap<String, KnownKey> {
    let text = uncommented(DEFAULT);
    let (root, _) = DeTable::parse_recoverable(&text);
    let mut document = DocumentReader::new(&text, "agent.toml", root.get_ref());
    sections::config(&mut document);
    document.known().clone()
}

/// The text with its `#key = …` lines made into keys.
pub(crate) fn uncommented(text: &str) -> String {
    text.lines()
        .map(|line| uncommented_line(line).to_owned() + "\n")
        .collect()
}

fn uncommented_line(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    }
}
