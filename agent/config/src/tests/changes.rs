#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::collections::BTreeSet;

use super::*;
use crate::reader::DocumentReader;

const OTHER: &str = include_str!("other.toml");

fn parse(text: &str) -> Config {
    Config::parse(text, "agent.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn default() -> Config {
    parse(crate::DEFAULT)
}

/// The names of all keys that are read, those within a list of tables or a user's table as one.
fn known() -> BTreeSet<String> {
    let (root, _) = toml::de::DeTable::parse_recoverable(OTHER);
    let mut document = DocumentReader::new(OTHER, "other.toml", root.get_ref());
    crate::sections::config(&mut document);
    let keys = document.known().keys();
    // A section is no key, and every other name has a dot or is a list of tables.
    let is_key = |key: &&String| {
        let section = format!("{key}.");
        let is_section = document.known().keys().any(|other| other.starts_with(&section));
        !is_section && !key.contains('[')
    };
    keys.filter(is_key).cloned().collect()
}

#[test]
fn every_key_of_the_configuration_is_compared_and_classified() {
    let changed: BTreeSet<String> = default().changes(&parse(OTHER)).into_iter().map(|c| c.key).collect();
    let mut expected = known();
    // Shown as the `max_idle` that it means, and by the names of the variables.
    assert!(expected.remove("chains.parachain.block_time") && expected.remove("chains.relaychain.block_time"));
    assert!(expected.remove("collator.env") && expected.insert("collator.env.OTHER".to_owned()));
    assert_eq!(changed, expected);
}

#[test]
fn equal_configurations_have_no_changes() {
    for text in [crate::DEFAULT, OTHER] {
        assert_eq!(parse(text).changes(&parse(text)), []);
    }
    let written_otherwise = crate::DEFAULT.replace("stall_after = \"5m\"", "stall_after = \"300s\"");
    assert_eq!(default().changes(&parse(&written_otherwise)), []);
}

#[test]
fn reload_takes_over_exactly_the_keys_that_need_no_more() {
    let (old, new) = (default(), parse(OTHER));
    let reloaded = old.reloaded(&new);
    let taken = old.changes(&reloaded);
    assert!(taken.iter().all(|change| change.needs == Needs::Reload), "{taken:?}");
    let left = reloaded.changes(&new);
    assert!(left.iter().all(|change| change.needs > Needs::Reload), "{left:?}");
    assert_eq!(taken.len() + left.len(), old.changes(&new).len());
}

#[test]
fn change_has_the_value_before_and_after_as_it_would_be_written() {
    let text = crate::DEFAULT.replace("stall_after = \"5m\"", "stall_after = \"90s\"");
    let change = Change {
        key: "health.stall_after".to_owned(),
        old: Some("5m".to_owned()),
        new: Some("1m30s".to_owned()),
        needs: Needs::Reload,
    };
    assert_eq!(default().changes(&parse(&text)), [change]);
}

#[test]
fn removed_chain_and_variable_are_changes_to_nothing() {
    let with = "[collator]\nimage = \"a:1\"\nenv = { A = \"1\" }\n[chains.parachain]\n[chains.relaychain]\n";
    let without = "[collator]\nimage = \"a:1\"\n[chains.parachain]\n";
    let changes = parse(with).changes(&parse(without));
    let keys: Vec<_> = changes.iter().map(|c| (c.key.as_str(), c.new.as_deref())).collect();
    assert_eq!(keys[0], ("collator.env.A", None));
    assert!(keys.contains(&("chains.relaychain.metrics", None)), "{keys:?}");
}

#[test]
fn webhook_and_references_are_not_shown() {
    let (old, mut new) = (parse(OTHER), parse(OTHER));
    new.notify.webhook = Some("https://other.example.com/s3cr3t2".to_owned());
    let changes = old.changes(&new);
    let shown = Some("…".to_owned());
    assert_eq!((&changes[0].old, &changes[0].new), (&shown, &shown));
    let all = format!("{:?}", default().changes(&old));
    assert!(!all.contains("s3cr3t"), "{all}");
}

#[test]
fn document_names_what_each_key_needs() {
    let document = include_str!("../../../../docs/configuration.md");
    let named = |heading: &str| -> Vec<&str> {
        let row = document
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {heading}")));
        row.unwrap().split('`').skip(1).step_by(2).collect()
    };
    let rows = [
        (Needs::Reload, named("a reload |")),
        (Needs::Agent, named("a restart of the agent")),
        (Needs::Container, named("another container")),
    ];
    for Change { key, needs, .. } in default().changes(&parse(OTHER)) {
        let by_chain = key.replace("parachain", "*").replace("relaychain", "*");
        let section = format!("{}.*", key.split('.').next().unwrap());
        let row = |name: &str| {
            rows.iter()
                .find(|(_, keys)| keys.contains(&name))
                .map(|(needs, _)| *needs)
        };
        assert_eq!(row(&by_chain).or_else(|| row(&section)), Some(needs), "{key}");
    }
}
