//! `incidents`: what the agent did, from its files.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use agent_daemon::recorder::incident::{self, Incident, IncidentError};
use agent_daemon::recorder::incidents_dir;
use agent_daemon::state::remedy;

use crate::escapes::EscapeFilter;
use crate::globals::GlobalArgs;
use crate::output::{print, write};

pub(crate) const EXAMPLES: &str = "\
Examples:
  t0rn-agent incidents
  t0rn-agent incidents show 20261122T225000Z-stalled
  t0rn-agent incidents list --json | jq '.[] | select(.helped == false)'";

#[derive(Debug, Args)]
pub(crate) struct IncidentsArgs {
    /// For programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<IncidentsCommand>,
}

#[derive(Debug, Subcommand)]
enum IncidentsCommand {
    /// All that are kept, newest first
    List,
    /// One of them, as text to paste into a bug report
    Show {
        #[arg(value_name = "ID")]
        id: String,
    },
}

pub(crate) fn execute(args: &IncidentsArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let (dir, incidents) = read_incidents(globals)?;
    match (&args.command, args.json) {
        (None | Some(IncidentsCommand::List), true) => print_json(&incidents, out),
        (None | Some(IncidentsCommand::List), false) => {
            let state_dir = dir.parent().unwrap_or(&dir);
            if matches!(state_dir.try_exists(), Ok(false)) {
                let state_dir = state_dir.display();
                let text =
                    format!("no incidents: {state_dir} is not there, so no agent has run with it (agent.state_dir)\n");
                print(out, &text)
            } else {
                print(out, &list(&incidents))
            }
        }
        (Some(IncidentsCommand::Show { id }), false) => {
            // The lines of the container's log are whatever the container writes.
            write(
                out,
                &EscapeFilter::default().strip(incident::show(&dir, id)?.as_bytes()),
            )
        }
        (Some(IncidentsCommand::Show { id }), true) => {
            let found = incidents.iter().find(|i| i.id == *id);
            print_json(found.ok_or_else(|| IncidentError::NotFound(id.clone()))?, out)
        }
    }
}

fn list(incidents: &[Incident]) -> String {
    if incidents.is_empty() {
        return "no incidents\n".to_owned();
    }
    let lines = incidents.iter().map(|i| {
        let helped = match i.helped {
            Some(true) => "helped",
            Some(false) => "did not help",
            None => "not known yet",
        };
        format!("{:<40}  {:<10}  {helped}\n", i.id, i.action)
    });
    lines.collect()
}

fn print_json(value: &(impl serde::Serialize + ?Sized), out: &mut dyn Write) -> anyhow::Result<()> {
    print(out, &(serde_json::to_string_pretty(value)? + "\n"))
}

/// The directory of incidents and what is in it. An unreadable incident is told on standard error.
pub(super) fn read_incidents(globals: &GlobalArgs) -> anyhow::Result<(PathBuf, Vec<Incident>)> {
    let dir = incidents_dir(&globals.state_dir());
    let listed = incident::list(&dir).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => "use sudo",
            _ => remedy(&error, &dir),
        };
        let words = format!("cannot read {}; {remedy}", dir.display());
        anyhow::Error::new(error).context(words)
    })?;
    let mut incidents = Vec::new();
    for incident in listed {
        match incident {
            Ok(incident) => incidents.push(incident),
            Err(error) => writeln!(io::stderr().lock(), "t0rn-agent: {error}")?,
        }
    }
    Ok((dir, incidents))
}
