//! Properties of the engine's answers, logs and logins, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken property should panic"
)]

use std::sync::LazyLock;

use agent_config::{Config, ImageReference};
use agent_core::event::Container;
use agent_runtime::Instant;
use bollard::models::{ContainerInspectResponse, ContainerStatsResponse, CreateImageInfo, EventMessage, ImageInspect};

use crate::error::layers::layers;
use crate::events::translate_event;
use crate::foreign::inspected;
use crate::image::{self, Progress, auth, network_remedy};
use crate::inspection::InspectedContainer;
use crate::logs::{LINE, LogTail, TOTAL, stamped};
use crate::spec::Spec;
use crate::stats::{block_bytes, cpu_percent, usage};

static SPEC: LazyLock<Spec> = LazyLock::new(|| {
    let text = "[collator]\nimage = \"org/node:v1\"\ncontainer = \"collator\"\n[data]\npath = \"/data\"\n";
    Spec::new(&Config::parse(text, "agent.toml").unwrap()).unwrap()
});

/// An error that the engine passes on from a registry: its text is kept, and always has a remedy.
pub fn registry_error(data: &[u8]) {
    let Ok(reason) = std::str::from_utf8(data) else { return };
    let parts = layers(reason);
    assert!(parts.iter().all(|part| reason.contains(part)));
    assert!(!network_remedy(reason).is_empty());
    for status in [None, Some(404), Some(500)] {
        let fault = image::classify(reason.to_owned(), status);
        assert!(format!("{fault:?}").contains(&format!("{reason:?}")), "{fault:?}");
    }
}

/// Documents of the engine: inspections, events, statistics, progress of a pull.
pub fn engine_json(data: &[u8]) {
    if let Ok(answer) = serde_json::from_slice::<ContainerInspectResponse>(data) {
        let foreign = inspected::container(answer.clone(), ImageInspect::default(), None);
        assert!(foreign.ports.iter().all(|port| port.host != Some(0)));
        let found = InspectedContainer::new(answer, &SPEC);
        let (ours, id) = (found.ours, found.detail.id.clone());
        assert!(id.chars().count() <= 12);
        assert_eq!(found.container(Vec::new()) == Container::Foreign, !ours);
    }
    if let Ok(event) = serde_json::from_slice::<EventMessage>(data) {
        translate_event(&SPEC, None, event);
    }
    if let Ok(stats) = serde_json::from_slice::<ContainerStatsResponse>(data) {
        block_bytes(&stats, "read");
        let now = usage(stats, Instant::now());
        assert!(cpu_percent(now.as_ref(), now.as_ref()).is_none_or(|percent| percent >= 0.0));
    }
    if let Ok(found) = serde_json::from_slice::<ImageInspect>(data) {
        let _ = image::pin(&ImageReference::parse("org/node:v1"), &found);
    }
    let mut progress = Progress::default();
    for line in data.split(|b| *b == b'\n') {
        if let Ok(line) = serde_json::from_slice::<CreateImageInfo>(line) {
            progress.take(line);
        }
    }
    let (done, layers, ..) = progress.totals();
    assert!(done <= layers);
}

/// A log in any pieces, of which each begins with its stream: the same lines as at once, and no more than is kept.
pub fn log_records(data: &[u8]) {
    const KEEP: usize = 20;
    let mut tail = LogTail::new(KEEP);
    let mut streams = [Vec::new(), Vec::new()];
    for record in data.split(|b| *b == 0xff) {
        let (_, text) = stamped(record);
        assert!(record.ends_with(text));
        let [first, rest @ ..] = record else { continue };
        let source = usize::from(first % 2 == 1);
        tail.push(source, rest);
        streams[source].extend_from_slice(rest);
    }
    let lines = tail.finish();
    assert!(lines.len() <= KEEP && lines.iter().map(String::len).sum::<usize>() <= TOTAL);
    // Bytes that are no text grow when they are replaced.
    assert!(lines.iter().all(|line| line.len() <= LINE && !line.contains('\n')));
    if let [stream, other] = &streams
        && other.is_empty()
        && stream.len() <= LINE / 4
    {
        let whole = stream.strip_suffix(b"\n").unwrap_or(stream).split(|b| *b == b'\n');
        let whole = whole.map(|line| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned());
        let whole: Vec<_> = whole.collect();
        let expected = if stream.is_empty() {
            &[]
        } else {
            &whole[whole.len().saturating_sub(KEEP)..]
        };
        assert_eq!(lines, expected);
    }
}

/// A file of logins: what is sent to a registry is known as a secret, and an error shows nothing of the file.
pub fn registry_auth(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let login = auth::login(text, "host", "host");
    let secrets = auth::secrets_in(text);
    match login {
        Ok(Some(login)) => {
            for secret in [login.password, login.identitytoken].into_iter().flatten() {
                assert!(secret.is_empty() || secrets.contains(&secret), "{secret:?}");
            }
        }
        Ok(None) => {}
        Err(error) => assert!(!error.contains(char::is_control), "{error:?}"),
    }
    let name = auth::host(text);
    assert!(!name.contains('/') && auth::host(&name) == name);
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may read its fixtures")]
#[path = "../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("registry_error", registry_error);
    corpus::replay("engine_json", engine_json);
    corpus::replay("log_records", log_records);
    corpus::replay("registry_auth", registry_auth);
}
