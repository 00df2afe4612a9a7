//! What is said on the terminal: the notes, and what to do next.

use std::io::Write;

use agent_docker::takeover_name;
use agent_files::printable;

use super::destination::Destination;
use super::draft::{Draft, Note};

pub(super) fn notes(err: &mut dyn Write, notes: &[Note]) -> anyhow::Result<()> {
    let (urgent, others): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note.is_urgent);
    for (mark, notes) in [("!", urgent), ("-", others)] {
        for note in notes {
            writeln!(err, "{mark} {}", printable(&note.text))?;
        }
    }
    Ok(())
}

/// Only names of variables: their values may be secrets.
pub(super) fn next_steps(err: &mut dyn Write, draft: &Draft, destination: &Destination) -> anyhow::Result<()> {
    if !draft.env.is_empty() {
        let names: Vec<_> = draft.env.keys().map(String::as_str).collect();
        writeln!(
            err,
            "- variables carried over, their values not shown: {}",
            printable(&names.join(", "))
        )?;
    }
    let Some(file) = destination.file() else { return Ok(()) };
    writeln!(err, "{} written. Next: {}", file.display(), next(draft))?;
    if draft.notes.iter().any(|note| note.is_urgent) {
        writeln!(
            err,
            "What is marked ! has to be done before the agent starts the collator."
        )?;
    }
    Ok(())
}

fn next(draft: &Draft) -> String {
    match &draft.existing {
        Some(name) => format!("t0rn-agent check, then t0rn-agent takeover {}", takeover_name(name)),
        None => "t0rn-agent check".to_owned(),
    }
}
