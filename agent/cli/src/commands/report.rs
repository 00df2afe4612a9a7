//! `report`: one incident with everything that belongs to it, as an HTML file for a bug report.

mod chart;
mod html;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use agent_core::status::Status;
use agent_core::units::rounded_size;
use agent_daemon::recorder::incident::{self, Incident};
use agent_daemon::recorder::{redact_json, redact_json_lines, redacted};
use agent_daemon::supervisor::configured_secrets;

use self::html::Page;
use super::incidents::read_incidents;
use crate::globals::GlobalArgs;
use crate::output::{print, write};

pub(crate) const EXAMPLES: &str = "\
The file needs no script and loads nothing. Secrets are left out as in incidents; read it before you publish it.

Examples:
  t0rn-agent report
  t0rn-agent report 20261122T225000Z-stalled
  t0rn-agent report --output - > report.html";

/// Timeout of the agent, which answers from memory.
const AGENT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The incident, as `incidents` lists it [default: the newest; without any, how the collator is now]
    #[arg(value_name = "INCIDENT")]
    incident: Option<String>,
    /// The file to write, which must not exist; - is standard output [default: t0rn-agent-INCIDENT.html]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn execute(args: &ReportArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let (dir, incidents) = read_incidents(globals)?;
    let id = args.incident.clone().or_else(|| Some(incidents.first()?.id.clone()));
    let secrets = globals
        .load_config()
        .map_or_else(|_| Vec::new(), |config| configured_secrets(&config));
    let now = globals
        .client()
        .status(AGENT_TIMEOUT)
        .await
        .map_err(|error| error.to_string());

    let name = id.as_deref().unwrap_or("now");
    let mut page = Page::new(&format!("t0rn-agent report: {name}"));
    match &id {
        Some(id) => {
            let (incident, files) = incident::read(&dir, id)?;
            add_incident(&mut page, &incident, &files, &secrets);
        }
        None => page.text(&format!("No incident is kept in {}.", dir.display())),
    }
    add_present(&mut page, now.as_ref(), &secrets);
    add_configuration(&mut page, globals.config_path(), &secrets);

    let file = args
        .output
        .clone()
        .unwrap_or_else(|| format!("t0rn-agent-{name}.html").into());
    let text = page.finish();
    if file.as_os_str() == "-" {
        return write(out, text.as_bytes());
    }
    // Not over a file or a link that is there: this may run as root.
    let mut target = OpenOptions::new();
    let written = target.write(true).create_new(true).mode(0o644).open(&file);
    let written = written.and_then(|mut target| {
        // The half of a report would stand in the way of the next.
        let remove = |_: &_| drop(fs::remove_file(&file));
        target.write_all(text.as_bytes()).inspect_err(remove)
    });
    written.with_context(|| format!("cannot write {}; choose another file with --output", file.display()))?;
    print(
        out,
        &format!(
            "{}: {}, opens in any browser\n",
            file.display(),
            rounded_size(text.len() as u64)
        ),
    )
}

fn add_incident(page: &mut Page, incident: &Incident, files: &[(&'static str, String)], secrets: &[String]) {
    let content = |wanted: &str| {
        files
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, text)| text.as_str())
    };
    let helped = match incident.helped {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known yet",
    };
    page.pairs(&[
        ("incident", &incident.id),
        ("at", &incident.at),
        ("cause", &redacted(&incident.cause, secrets)),
        ("action", &redacted(&incident.action, secrets)),
        ("helped", helped),
        ("agent that wrote it", &incident.version),
    ]);
    page.heading("Evidence");
    page.list(incident.evidence.iter().map(|fact| redacted(fact, secrets)));
    if let Some(flight) = content("flight.jsonl") {
        page.heading("Heights before it");
        page.raw(&chart::heights(flight));
    }
    if let Some(status) = content("status.json") {
        page.heading("Status at that time");
        let clean = document(status, secrets);
        match serde_json::from_str::<Status>(&clean) {
            Ok(status) => page.preformatted(&status.render(false)),
            Err(_) => page.preformatted(&clean),
        }
    }
    if let Some(log) = content("container.log") {
        page.heading("Last lines of the container's log");
        page.preformatted(&redacted(log, secrets));
    }
    page.heading("Everything else of that time");
    for (name, text) in files.iter().filter(|(name, _)| *name != "container.log") {
        let clean = match Path::new(name).extension().and_then(|ending| ending.to_str()) {
            Some("json") => document(text, secrets),
            Some("jsonl") => redact_json_lines(text, secrets),
            _ => redacted(text, secrets),
        };
        page.details(name, &clean);
    }
}

fn add_present(page: &mut Page, status: Result<&Status, &String>, secrets: &[String]) {
    page.heading("Now");
    let mut versions = vec![("this command".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    match status {
        Ok(status) => {
            let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
            versions.push(("agent that runs".to_owned(), shown(&status.agent.version)));
            versions.push(("image".to_owned(), shown(&status.collator.image)));
            versions.push(("digest".to_owned(), shown(&status.collator.digest)));
            for (chain, of_chain) in &status.chains {
                versions.push((chain.into_str().to_owned(), shown(&of_chain.id)));
            }
            page.preformatted(&redacted(&status.render(false), secrets));
        }
        Err(error) => page.text(&format!("The agent does not answer: {}", redacted(error, secrets))),
    }
    let versions: Vec<_> = versions
        .iter()
        .map(|(name, version)| (name.as_str(), redacted(version, secrets)))
        .collect();
    page.pairs(
        &versions
            .iter()
            .map(|(name, version)| (*name, version.as_str()))
            .collect::<Vec<_>>(),
    );
}

fn add_configuration(page: &mut Page, path: &Path, secrets: &[String]) {
    page.heading("Configuration");
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return page.text(&format!("{}: {error}", path.display())),
    };
    // By what is known to be safe of a command line and of variables, which a text without its structure does not show.
    let value = toml::from_str::<Value>(&text);
    match value {
        Ok(mut value) => {
            redact_json(&mut value, secrets);
            page.preformatted(&format!("{value:#}"));
        }
        Err(_) => page.text("It is no TOML, and is left out: t0rn-agent config check says why."),
    }
}

/// A JSON document redacted; as text where it is none.
fn document(text: &str, secrets: &[String]) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value) => {
            redact_json(&mut value, secrets);
            format!("{value:#}\n")
        }
        Err(_) => redacted(text, secrets),
    }
}
