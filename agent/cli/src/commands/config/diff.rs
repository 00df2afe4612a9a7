//! `config diff`: what another configuration changes against the one in force, and what that takes.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use agent_config::{Change, Config, Needs};
use agent_daemon::api::ClientError;
use agent_daemon::supervisor;
use agent_files::printable;

use crate::globals::{GlobalArgs, non_empty};
use crate::output::print;

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The new configuration [default: as for --config]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// For programs: one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct DiffDocument<'a> {
    schema: u32,
    /// `agent`, or the file that stands for it.
    compared_with: &'a str,
    changes: &'a [Change],
}

/// Compares with the configuration of the running agent; without one, FILE with that of `--config`.
pub(crate) async fn execute(args: &DiffArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = non_empty(args.file.as_deref()).unwrap_or_else(|| globals.config_path());
    let text = Config::read(path)?;
    let new = Config::parse(&text, &path.display().to_string())?;
    let (compared_with, changes) = match globals.client().compare_config(text).await {
        Ok(report) => ("agent".to_owned(), report.changes),
        Err(ClientError::Missing(_) | ClientError::Dead(_)) if path != globals.config_path() => {
            let old = globals.load_config()?;
            let file = globals.config_path().display().to_string();
            (file, supervisor::compare(&old, &new))
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        let document = DiffDocument {
            schema: 1,
            compared_with: &compared_with,
            changes: &changes,
        };
        return print(out, &(serde_json::to_string(&document)? + "\n"));
    }
    let with = match compared_with.as_str() {
        "agent" => "the running agent".to_owned(),
        file => format!("{file}, since no agent is running"),
    };
    let text = format!("{} compared with {with}:\n{}", path.display(), describe(&changes));
    print(out, &text)
}

/// The changes as text, by what they need.
pub(crate) fn describe(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing is changed\n".to_owned();
    }
    let mut text = String::new();
    for (needs, heading) in [
        (Needs::Reload, "a reload brings into force"),
        (Needs::Agent, "needs a restart of the agent; the collator runs on"),
        (Needs::Container, "replaces the collator's container"),
    ] {
        let these: Vec<&Change> = changes.iter().filter(|change| change.needs == needs).collect();
        if !these.is_empty() {
            let _ = writeln!(text, "{heading}:");
        }
        for change in these {
            let value = |value: &Option<String>| match value.as_deref() {
                None => "none".to_owned(),
                Some("") => "\"\"".to_owned(),
                Some(text) => printable(text),
            };
            let (old, new) = (value(&change.old), value(&change.new));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {:<28}  {old} → {new}", change.key);
        }
    }
    text
}
