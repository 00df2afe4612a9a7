//! Properties of configuration text and values, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(clippy::missing_panics_doc, reason = "a broken property should panic")]

use std::time::Duration;

use agent_core::machine::Policy;
use agent_core::units::{show_duration, show_size};

use crate::error::ValueError;
use crate::image_reference::{ImageReference, parse_image};
use crate::names::{
    capability, hook, host_name, http, listen, name, network, port, prefix, reference, user, variable, volume, webhook,
};
use crate::types::Config;
use crate::units::{parse_duration, parse_size};

/// A configuration file: accepted, or refused with file, line and remedy, one line for each problem.
pub fn agent_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    judge(text);
    // What the fuzzer makes has no image of its own.
    judge(&format!("collator.image = \"org/node:v1\"\n{text}"));
}

fn judge(text: &str) {
    match Config::parse(text, "agent.toml") {
        Ok(config) => {
            assert_eq!(Policy::from(&config).image, config.collator.image);
            assert_eq!(config.allow_image(&config.collator.image), Ok(()));
        }
        Err(error) => {
            let lines = text.split('\n').count();
            assert!(!error.problems.is_empty() && error.is_about_the_content());
            for problem in &error.problems {
                let shown = problem.to_string();
                assert!(!shown.contains(char::is_control), "{shown:?}");
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{shown}");
                assert!(problem.line.is_some() || problem.key.is_none(), "{shown}");
                assert!(
                    !problem.error.found.is_empty() && !problem.error.remedy.is_empty(),
                    "{shown}"
                );
            }
            assert!(error.to_string().starts_with("agent.toml:"));
        }
    }
}

/// Values in text: what is printed of one is read as the same, what is refused says why in one line.
pub fn values(data: &[u8]) {
    /// The longest span of jiff: 19,998 years.
    const LONGEST: Duration = Duration::from_hours(7_304_484 * 24);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(duration) = checked(parse_duration(text))
        && duration <= LONGEST
        && duration.subsec_nanos().is_multiple_of(1_000_000)
    {
        assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
    }
    if let Some(size) = checked(parse_size(text)) {
        assert_eq!(parse_size(&show_size(size)), Ok(size));
    }
    image(text);
    if let Some(name) = checked(host_name(text)) {
        assert_eq!(host_name(&name).as_ref(), Ok(&name));
        assert!(!name.contains(|c: char| c.is_ascii_uppercase() || c == ':'));
    }
    if let Some(url) = checked(reference(text)) {
        assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none());
        assert_eq!(reference(url.as_str()).as_ref(), Ok(&url));
    }
    if let Some(address) = checked(listen(text)) {
        assert_eq!(listen(&address.to_string()), Ok(address));
    }
    if let Some(user) = checked(user(text)) {
        assert!(user.uid != u32::MAX && user.gid != u32::MAX);
    }
    checked(port(text));
    let names = [capability, hook, http, name, network, prefix, volume, webhook];
    for accepted in names.into_iter().filter_map(|read| checked(read(text))) {
        assert!(!accepted.is_empty() || text.is_empty());
    }
    checked(variable(text));
}

fn image(text: &str) {
    let reference = ImageReference::parse(text);
    assert!(!reference.registry().is_empty() && text.starts_with(reference.repository.as_str()));
    let Some(image) = checked(parse_image(text)) else {
        return;
    };
    let reference = ImageReference::parse(&image);
    assert!(checked(parse_image(&reference.name())).is_some());
    assert_eq!(ImageReference::parse(&reference.name()).name(), reference.name());
    assert!(!reference.familiar().is_empty());
}

fn checked<T>(read: Result<T, ValueError>) -> Option<T> {
    let error = match read {
        Ok(value) => return Some(value),
        Err(error) => error.to_string(),
    };
    assert!(!error.contains(char::is_control), "{error:?}");
    None
}

#[cfg(test)]
#[path = "../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("agent_toml", agent_toml);
    corpus::replay("values", values);
}
