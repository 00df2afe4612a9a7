//! Answers that need no agent: from its files, or from nothing at all.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::{Cli, STATE_DIR, print};
use agent_daemon::recorder::incident::{self, Incident, IncidentError};

impl Cli {
    pub(super) fn list_incidents(&self, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
        let incidents = self.incidents()?.1;
        if json {
            return print(out, &(serde_json::to_string_pretty(&incidents)? + "\n"));
        }
        let mut lines: Vec<_> = incidents
            .iter()
            .map(|i| {
                let helped = match i.helped {
                    Some(true) => "helped",
                    Some(false) => "did not help",
                    None => "not known yet",
                };
                format!("{:<40}  {:<10}  {helped}\n", i.id, i.action)
            })
            .collect();
        if lines.is_empty() {
            lines.push("no incidents\n".to_owned());
        }
        print(out, &lines.concat())
    }

    pub(super) fn show_incident(&self, id: &str, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
        let (dir, incidents) = self.incidents()?;
        if !json {
            return print(out, &incident::show(&dir, id)?);
        }
        let found = incidents.iter().find(|i| i.id == id);
        let found = found.ok_or_else(|| IncidentError::NotFound(id.to_owned()))?;
        print(out, &(serde_json::to_string_pretty(found)? + "\n"))
    }

    /// The folder of incidents and what is in it. A folder that may not be read is an error: it must not
    /// look like an empty one.
    fn incidents(&self) -> anyhow::Result<(PathBuf, Vec<Incident>)> {
        let state_dir = self.load().map_or_else(
            |error| {
                self.warn_of(&error, STATE_DIR);
                PathBuf::from(STATE_DIR)
            },
            |config| config.agent.state_dir,
        );
        let dir = state_dir.join("incidents");
        match fs::read_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let remedy = if error.kind() == io::ErrorKind::PermissionDenied {
                    "; use sudo"
                } else {
                    ""
                };
                Err(error).with_context(|| format!("cannot read {}{remedy}", dir.display()))
            }
            _ => Ok((dir.clone(), incident::list(&dir))),
        }
    }
}
