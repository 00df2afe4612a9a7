//! Redaction: a planted secret is in no output, whatever stands around it.

use serde_json::{Value, json};

use crate::recorder::{LineRedactor, redact_json_lines as json_lines, redact_lines, redacted};

const PLANTED: &str = "zq9-Planted-17";

/// Text around a secret that is known, and around one that is recognised.
pub fn redaction(data: &[u8]) {
    let [at, text @ ..] = data else { return };
    let text = String::from_utf8_lossy(text);
    // There, nothing says that it is one.
    if text.contains(PLANTED) {
        return;
    }
    let at = text.floor_char_boundary(usize::from(*at));
    let (before, after) = text.split_at(at);
    let known = [PLANTED.to_owned()];
    hidden(&redacted(&format!("{before}{PLANTED}{after}"), &known));

    // By its name, its flag or its place in a URL; it begins a word and ends one.
    for (begin, end) in [
        ("password=", " "),
        ("--node-key ", " "),
        ("\"client_secret\": \"", "\" "),
        ("https://user:", "@h.example/ "),
        ("wss://h.example/", " "),
    ] {
        hidden(&redacted(&format!("{before} {begin}{PLANTED}{end}{after}"), &[]));
    }

    let document = json!({ "event": "log", "lines": [before, format!("password={PLANTED}"), after], "env": [format!("A={text}{PLANTED}")] });
    let clean = json_lines(&document.to_string(), &[]);
    hidden(&clean);
    assert!(serde_json::from_str::<Value>(&clean).is_ok());
    if let Ok(document) = serde_json::from_str::<Value>(&text) {
        let clean = json_lines(&document.to_string(), &[]);
        assert!(serde_json::from_str::<Value>(&clean).is_ok());
    }

    // Line by line as at once; and a line stays one.
    let mut redactor = LineRedactor::default();
    let lines: String = text
        .split_inclusive('\n')
        .map(|line| redactor.line(line, &[]))
        .collect();
    assert_eq!(lines, redacted(&text, &[]));
    let mut items: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let count = items.len();
    redact_lines(&mut items, &[]);
    assert!(items.len() == count && items.iter().all(|item| !item.contains('\n')));
}

fn hidden(output: &str) {
    assert!(!output.contains(PLANTED), "{output:?}");
}
