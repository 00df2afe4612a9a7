#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod composed;
mod engine;
mod exporters;
mod lookups;
mod shapes;
mod written;

use agent_config::Config;

use super::draft::Draft;
use super::render::render;

/// The configuration of a draft, which has to be valid, with its text.
fn parsed(draft: &Draft) -> (Config, String) {
    let text = render(draft);
    let config = Config::parse(&text, "draft").unwrap_or_else(|error| panic!("{error}\n{text}"));
    (config, text)
}

/// All notes, one a line; urgent ones begin with `!`.
fn notes(draft: &Draft) -> String {
    let mark = |is_urgent| if is_urgent { "! " } else { "- " };
    let lines: Vec<_> = draft
        .notes
        .iter()
        .map(|note| format!("{}{}", mark(note.is_urgent), note.text))
        .collect();
    lines.join("\n")
}
