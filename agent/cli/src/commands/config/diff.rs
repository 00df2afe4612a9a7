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
use crate::output::{print, print_json};

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
        return print_json(out, &document);
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
            let (old, new) = values(change);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {:<28}  {old} → {new}", change.key);
        }
    }
    text
}

/// Both values for people; of two long lists, the part that differs.
fn values(change: &Change) -> (String, String) {
    let list = |value: &Option<String>| serde_json::from_str::<Vec<String>>(value.as_deref()?).ok();
    if let (Some(old), Some(new)) = (list(&change.old), list(&change.new)) {
        let same = |pair: &(&String, &String)| pair.0 == pair.1;
        let first = old.iter().zip(&new).take_while(same).count();
        let rest = old[first..].iter().rev().zip(new[first..].iter().rev());
        let after = rest.take_while(same).count();
        // With the argument before it, which may be the flag of a value.
        let from = first.saturating_sub(1);
        return (excerpt(&old, from, after), excerpt(&new, from, after));
    }
    let value = |value: &Option<String>| match value.as_deref() {
        None => "none".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(text) => printable(text),
    };
    (value(&change.old), value(&change.new))
}

/// The list without what lies before `from` and without the `after` items at its end.
fn excerpt(list: &[String], from: usize, after: usize) -> String {
    let items = list[from..list.len() - after]
        .iter()
        .map(|item| printable(&format!("{item:?}")));
    let dots = |is_left_out: bool| is_left_out.then(|| "…".to_owned());
    let items = dots(from > 0).into_iter().chain(items).chain(dots(after > 0));
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, old: Option<&str>, new: Option<&str>, needs: Needs) -> Change {
        Change {
            key: key.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            needs,
        }
    }

    #[test]
    fn changes_are_told_by_what_they_need() {
        let changes = [
            change("collator.image", Some("a:1"), Some("a:2"), Needs::Container),
            change("notify.webhook", None, Some("…"), Needs::Reload),
        ];
        let text = "a reload brings into force:\n  notify.webhook                none → …\n\
                    replaces the collator's container:\n  collator.image                a:1 → a:2\n";
        assert_eq!(describe(&changes), text);
        assert_eq!(describe(&[]), "nothing is changed\n");
    }

    #[test]
    fn of_a_list_the_part_that_differs_is_shown() {
        let shown = |old: &str, new: &str| {
            let (old, new) = values(&change("collator.command", Some(old), Some(new), Needs::Container));
            format!("{old} → {new}")
        };
        let args = |name: &str| format!(r#"["--chain", "x", "--name", "{name}", "--", "--sync"]"#);
        assert_eq!(
            shown(&args("a"), &args("b")),
            r#"[…, "--name", "a", …] → […, "--name", "b", …]"#
        );
        assert_eq!(shown(r#"["a"]"#, r#"["a", "b"]"#), r#"["a"] → ["a", "b"]"#);
        assert_eq!(shown("[]", r#"["a"]"#), r#"[] → ["a"]"#);
        assert_eq!(shown(r#"["a", "a"]"#, r#"["a"]"#), r#"["a", "a"] → ["a"]"#);
        // Secrets that differ.
        assert_eq!(shown(r#"["a", "b"]"#, r#"["a", "b"]"#), r#"[…, "b"] → […, "b"]"#);
    }
}
