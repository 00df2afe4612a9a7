//! Lists that a compose file writes in several ways: arguments, and variables of the environment.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;

use super::ComposeFile;
use super::variables::assignments;
use super::yaml::Yaml;

/// A command as a list, or as one text that is split as a shell does.
pub(super) fn arguments(value: &Yaml) -> anyhow::Result<Vec<String>> {
    match value {
        Yaml::Text(text) => shlex::split(text).context("a command has a quotation mark without its second"),
        value => Ok(value.texts()),
    }
}

/// `env_file` first, then `environment`, which goes before it.
pub(super) fn environment(file: &ComposeFile, service: &Yaml) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    let files = match service.get("env_file") {
        Some(Yaml::List(files)) => files.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    for entry in files {
        let name = entry.get("path").unwrap_or(entry).text().unwrap_or_default();
        let is_optional = entry.get("required").and_then(Yaml::text) == Some("false");
        match fs::read_to_string(file.path(name)) {
            Ok(text) => all.extend(assignments(&text)),
            Err(_) if is_optional => {}
            Err(error) => return Err(error).with_context(|| format!("env_file {name} cannot be read")),
        }
    }
    match service.get("environment") {
        Some(Yaml::Map(entries)) => {
            all.extend(
                entries
                    .iter()
                    .filter_map(|(name, value)| variable(file, name, value.text())),
            );
        }
        Some(list) => all.extend(list.texts().iter().filter_map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .map_or((pair.as_str(), None), |(name, value)| (name, Some(value)));
            variable(file, name, value)
        })),
        None => {}
    }
    Ok(all)
}

/// A variable without a value is handed on from the environment of compose.
fn variable(file: &ComposeFile, name: &str, value: Option<&str>) -> Option<(String, String)> {
    let value = value.or_else(|| file.variables.get(name))?;
    Some((name.to_owned(), value.to_owned()))
}
