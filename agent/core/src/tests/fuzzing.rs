//! Properties of what the core reads, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken property should panic"
)]

use crate::event::{Chain, Event, Exit};
use crate::exit_diagnosis::{Signatures, damage, tells_of_damage};
use crate::informant::{Informant, by_chain};
use crate::status::{MAX_CHARS, Status, clean};
use crate::trace::{Record, parse_line, write_action, write_clock, write_line};

/// A line of a trace: what is written of it is read as the same.
pub fn trace_line(data: &[u8]) {
    let Ok((time, record)) = parse_line(data) else { return };
    let mut text = Vec::new();
    match &record {
        Record::Event(event) => write_line(&mut text, time, event).unwrap(),
        Record::Clock { unix_ms } => write_clock(&mut text, time, *unix_ms).unwrap(),
        Record::Action { action, cause, helped } => write_action(&mut text, time, action, cause, *helped).unwrap(),
    }
    assert_eq!(text.iter().position(|b| *b == b'\n'), Some(text.len() - 1));
    let (again, read) = parse_line(&text).unwrap();
    assert_eq!(again, time);
    // A float may lose its last digit.
    if !matches!(record, Record::Event(Event::Host(_) | Event::Activity(_))) {
        assert_eq!(read, record);
    }
}

/// Lines of a node's log: the informant's values are within their bounds, with and without colours.
pub fn log_lines(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &lines {
        let read = Informant::parse(line);
        if let Some(informant) = &read {
            let progress = informant.progress();
            assert!(progress.percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
            assert!(informant.bytes_in_per_second.is_none_or(|rate| rate >= 0.0));
            assert!(!progress.to_string().contains(char::is_control));
        }
        if !line.contains('\x1b') {
            assert_eq!(Informant::parse(&format!("\x1b[1m{line}\x1b[0m")), read);
        }
        tells_of_damage(line);
        assert!(!clean(line).contains(char::is_control));
    }
    let known = by_chain(&lines, &[Chain::Parachain, Chain::Relaychain]).count();
    assert!(known <= lines.len());
    damage(&lines);
    let signatures = Signatures::default();
    for code in [None, Some(1), Some(101), Some(134), Some(137)] {
        let exit = Exit {
            code,
            oom: false,
            log: lines.clone(),
        };
        signatures.diagnose(&exit, code.is_none());
    }
}

/// A status as an agent's socket answers it: both forms are within their bound, and the JSON is read again.
pub fn status_json(data: &[u8]) {
    let Ok(status) = serde_json::from_slice::<Status>(data) else {
        return;
    };
    for colour in [false, true] {
        assert!(status.render(colour).chars().filter(|c| *c != '\x1b').count() <= 2 * MAX_CHARS);
    }
    assert!(status.render(false).chars().count() <= MAX_CHARS);
    let json = status.to_json();
    assert!(json.chars().count() <= MAX_CHARS);
    assert!(serde_json::from_str::<Status>(&json).is_ok());
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may read its fixtures")]
#[path = "../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("trace_line", trace_line);
    corpus::replay("log_lines", log_lines);
    corpus::replay("status_json", status_json);
}
