//! Properties of what commands read, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken property should panic"
)]

use std::io::Cursor;

use agent_daemon::trace_reader::TraceReader;
use serde_json::Value;

use crate::commands::replay::{play, scrape_times};
use crate::commands::snapshot::Note;
use crate::escapes::EscapeFilter;

/// Text of others on a terminal: without control characters, and the same in any pieces.
pub fn terminal_text(data: &[u8]) {
    let [size, text @ ..] = data else { return };
    let whole = EscapeFilter::default().strip(text);
    let is_obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!String::from_utf8_lossy(&whole).contains(is_obeyed), "{whole:?}");
    let mut filter = EscapeFilter::default();
    let pieces = text.chunks(usize::from(*size).max(1));
    let pieces: Vec<u8> = pieces.flat_map(|piece| filter.strip(piece)).collect();
    assert_eq!(pieces, whole);
    let lines = |text: &[u8]| text.split(|b| *b == b'\n').count();
    assert_eq!(lines(&whole), lines(text));
    // What nobody obeys stays as it is.
    if !String::from_utf8_lossy(text).contains(is_obeyed) && std::str::from_utf8(text).is_ok() {
        assert_eq!(whole, text);
    }
}

/// A trace as `replay` plays it: for people without control characters, for programs as JSON, one object a line.
pub fn trace_replay(data: &[u8]) {
    for json in [false, true] {
        let lines = TraceReader::from_reader("trace".to_owned(), Box::new(Cursor::new(data.to_vec())));
        let mut out = Vec::new();
        let summary = play(lines, None, json, &mut out).unwrap();
        assert!(summary.skipped <= summary.lines);
        let out = String::from_utf8(out).unwrap();
        // Of JSON, only what serde_json leaves to the reader.
        let is_obeyed = |c: char| {
            if json {
                c < ' ' && c != '\n'
            } else {
                c.is_control() && c != '\n'
            }
        };
        assert!(!out.contains(is_obeyed), "{out:?}");
        for line in out.lines().filter(|_| json) {
            assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{line}");
        }
    }
}

/// Answers of a Prometheus server: scrapes in the order of their time, one for each step at most.
pub fn prometheus_answer(data: &[u8]) {
    let Some(times) = scrape_times(data) else { return };
    assert!(times.len() <= 16 && times.is_sorted());
}

/// The note of an upload: one that is accepted is written and read as the same.
pub fn upload_note(data: &[u8]) {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(Note::parse(&serde_json::to_vec(&note).unwrap()).unwrap(), note);
    }
}

#[cfg(test)]
#[path = "../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("terminal_text", terminal_text);
    corpus::replay("trace_replay", trace_replay);
    corpus::replay("prometheus_answer", prometheus_answer);
    corpus::replay("upload_note", upload_note);
}
