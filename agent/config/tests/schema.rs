//! The published schema: made of the readers, and a judge that agrees with them.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::fs;
use std::path::{Path, PathBuf};

use agent_config::Config;
use jsonschema::Validator;
use serde_json::Value;

/// Problems that only all keys together have, or a duration's or size's value, or the text before it is TOML.
const BEYOND: [&str; 19] = [
    "is too short",
    "is too long",
    "is too small",
    "not valid TOML",
    "written twice",
    "although network is",
    "published twice",
    "mounted twice",
    "are both",
    "which is the system's",
    "both chains have the exporter",
    "is this node's own exporter",
    "is longer than scrape_interval",
    "is less than twice scrape_interval",
    "is longer than backoff_max",
    "is also metrics.listen",
    "names no chat_id",
    "the example has not all parts",
    "the same pattern stands in a row before",
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn validator() -> Validator {
    jsonschema::validator_for(&agent_config::schema()).unwrap()
}

/// What the schema says against a text; nothing when it accepts it.
fn refusals(validator: &Validator, text: &str) -> Vec<String> {
    match toml::from_str::<Value>(text) {
        Ok(value) => validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// Every TOML file below a directory, with its name.
fn toml_files(dir: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(toml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            all.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    all
}

/// The TOML blocks of the documents.
fn documented() -> Vec<(String, String)> {
    let documents = fs::read_dir(top().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all = Vec::new();
    for path in documents.chain([top().join("README.md")]).filter(|path| path.is_file()) {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = text.split("```toml\n").skip(1);
        all.extend(blocks.map(|block| {
            (
                path.display().to_string(),
                block.split("```").next().unwrap().to_owned(),
            )
        }));
    }
    all
}

#[test]
fn published_schema_is_that_of_the_readers() {
    let generated = format!("{:#}\n", agent_config::schema());
    let remedy = "cargo run --package agent-config --example schema > dist/agent.schema.json";
    assert!(
        agent_config::SCHEMA == generated,
        "dist/agent.schema.json is old: {remedy}"
    );
}

#[test]
fn shipped_configuration_is_accepted() {
    let validator = validator();
    let mut all = toml_files(&top().join("dist/examples"));
    all.extend(toml_files(&top().join("dist/debian")));
    all.extend(toml_files(&top().join("tests/e2e/fixtures")));
    all.extend(documented());
    all.push(("config default".to_owned(), agent_config::DEFAULT.to_owned()));
    assert!(all.len() > 15, "{}", all.len());
    for (file, text) in all {
        // The package's leaves the image to the operator, on a line to uncomment.
        let text = text.replace("\n#image = ", "\nimage = ");
        Config::parse(&text, &file).unwrap();
        assert_eq!(refusals(&validator, &text), [""; 0], "{file}:\n{text}");
    }
}

#[test]
fn text_that_the_agent_accepts_is_accepted() {
    let validator = validator();
    let mut accepted = 0;
    for entry in fs::read_dir(top().join("fuzz/corpus/agent_toml")).unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path()) else {
            continue;
        };
        for text in [format!("collator.image = \"org/node:v1\"\n{text}"), text] {
            if Config::parse(&text, "agent.toml").is_ok() {
                accepted += 1;
                assert_eq!(refusals(&validator, &text), [""; 0], "{text}");
            }
        }
    }
    assert!(accepted > 0);
}

#[test]
fn unusual_value_that_the_agent_accepts_is_accepted() {
    let validator = validator();
    let digest = "0123456789abcdef".repeat(4);
    let images = [
        "localhost/a",
        "[::1]:5000/a:1",
        "a.b:80/c__d/e--f.g",
        "registry.example/a/b@sha256:DIGEST",
        "a:5000/b",
    ];
    let images = images.map(|image| ("collator.image", format!("'{}'", image.replace("DIGEST", &digest))));
    let values = [
        (
            "health.stall_after",
            "[' 5 m ', '1.5 hours', '2h 30min', 'PT20M', '30m20m', '1 hour', '00:05:00', '+90s']",
        ),
        ("collator.memory", "['6 MiB', '7GB', 8000000]"),
        ("collator.ports", "[['[::1]:1:2/udp'], ['0.0.0.0:65535:065535'], []]"),
        ("collator.cap_add", "[['CAP_NET_RAW', 'SYS_NICE']]"),
        ("data.path", "['/srv//a/./b/', '/srv/..a', '/srv/ä b']"),
        (
            "chains.parachain.metrics",
            "['HTTP://h/a@b', 'http://[::1]:9615/metrics?a=b@c']",
        ),
        (
            "chains.parachain.reference",
            "['https://h', ['https://h/?key=a@b', 'http://h:1']]",
        ),
        ("notify.webhook", "['', 'https://h/a#b@c']"),
        ("metrics.listen", "['', '[::]:9733', '0.0.0.0:0']"),
        ("ec2.enabled", "[true, 'true', 'auto']"),
        ("update.repositories", "[['a', '127.0.0.1:5000/a/b']]"),
    ];
    let values = values.map(|(key, list)| {
        match toml::from_str::<toml::Table>(&format!("list = {list}"))
            .unwrap()
            .remove("list")
        {
            Some(toml::Value::Array(list)) => list
                .into_iter()
                .map(|value| (key, value.to_string()))
                .collect::<Vec<_>>(),
            _ => panic!("{list}"),
        }
    });
    for (key, value) in values.into_iter().flatten().chain(images) {
        let image = if key == "collator.image" {
            ""
        } else {
            "collator.image = 'a'"
        };
        let text = format!("{image}\n{key} = {value}\n");
        Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(refusals(&validator, &text), [""; 0], "{text}");
    }
}

#[test]
fn broken_configuration_is_refused_where_one_value_shows_it() {
    let validator = validator();
    let mut refused = 0;
    for case in include_str!("broken.txt").split_terminator("\n====\n") {
        let (text, messages) = case.trim_start().split_once("\n----\n").unwrap();
        let is_about_the_image = text.contains("[collator") || messages.contains("collator.image");
        let image = if is_about_the_image {
            ""
        } else {
            "\n[collator]\nimage = \"a:1\"\n"
        };
        let text = format!("{text}{image}");
        let is_beyond = |line: &str| BEYOND.iter().any(|phrase| line.contains(phrase));
        let expected = !messages.lines().all(is_beyond);
        let found = refusals(&validator, &text);
        assert_eq!(
            !found.is_empty(),
            expected,
            "{found:?} for\n{text}\nwhich has\n{messages}"
        );
        refused += usize::from(expected);
    }
    assert!(refused > 60, "{refused}");
}
