//! `reload`: has the agent read its configuration again and brings it into force.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use agent_config::{Change, Needs};
use agent_daemon::api::{AgentClient, ConfigReport};

use super::config::describe;
use crate::globals::GlobalArgs;
use crate::output::{ask, print, print_json};

pub(crate) const EXAMPLES: &str = "\
What restarts the agent or replaces the collator's container is done with --yes, or when you
agree to it on a terminal; otherwise it is named and waits. `config diff` shows it beforehand.
A configuration that is wrong changes nothing, and ends with exit code 2.

Examples:
  t0rn-agent reload
  t0rn-agent reload --yes";

const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_millis(250);
/// How long an agent that begins anew may be unreachable.
const MAX_UNREACHABLE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// All of it, also what restarts the agent or replaces the collator's container
    #[arg(long)]
    yes: bool,
    /// For programs: one line of JSON; nothing is asked
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ReloadDocument<'a> {
    schema: u32,
    /// Keys that were changed and are in force now, and those that wait for `--yes`.
    applied: Vec<&'a Change>,
    pending: Vec<&'a Change>,
}

impl<'a> ReloadDocument<'a> {
    fn of(report: &'a ConfigReport) -> Self {
        let is_applied = |change: &&Change| report.restarts || change.needs == Needs::Reload;
        let (applied, pending) = report.changes.iter().partition(is_applied);
        Self {
            schema: 1,
            applied,
            pending,
        }
    }
}

/// Fails when the configuration is wrong, or the agent cannot begin anew with it; the former one stays in force then.
pub(crate) async fn execute(args: &ReloadArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = globals.client();
    let report = client.reload(args.yes).await?;
    if args.json {
        if report.restarts {
            wait_for_new_life(&client).await?;
        }
        return print_json(out, &ReloadDocument::of(&report));
    }
    print(out, &describe(&report.changes))?;
    let gravest = report.changes.iter().map(|change| change.needs).max();
    match gravest {
        _ if report.restarts => {}
        None => return Ok(()),
        Some(Needs::Reload) => return print(out, "in force\n"),
        Some(needs) => {
            let what = match needs {
                Needs::Container => "replace the collator's container now?",
                _ => "restart the agent now? The collator runs on.",
            };
            if !asked(what)? {
                let text = "what a reload brings into force is in force; the rest waits for: t0rn-agent reload --yes\n";
                return print(out, text);
            }
            client.reload(true).await?;
        }
    }
    wait_for_new_life(&client).await?;
    print(
        out,
        match gravest {
            Some(Needs::Container) => "in force; how the container is replaced: t0rn-agent status --watch\n",
            _ => "in force\n",
        },
    )
}

/// Whether a person on the terminal agrees; false where there is none.
fn asked(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.as_deref(), Some("y" | "Y" | "yes")))
}

/// Waits until the agent answers that has begun since.
async fn wait_for_new_life(client: &AgentClient) -> anyhow::Result<()> {
    let asked = Instant::now();
    loop {
        sleep(INTERVAL).await;
        match client.status(STATUS_TIMEOUT).await {
            Ok(status) => {
                let uptime = status.agent.uptime_seconds.map(Duration::from_secs);
                let began_since = uptime.is_some_and(|uptime| uptime <= asked.elapsed());
                let refused = status.configuration.and_then(|configuration| configuration.error);
                match refused.filter(|_| began_since) {
                    Some(error) => bail!("{error}; the former configuration stays in force"),
                    None if began_since => return Ok(()),
                    None => {}
                }
            }
            Err(error) if !error.is_unreachable() || asked.elapsed() > MAX_UNREACHABLE => return Err(error.into()),
            Err(_) => {}
        }
        if asked.elapsed() > MAX_UNREACHABLE {
            bail!(
                "the agent has not begun anew within {} s: see t0rn-agent status",
                MAX_UNREACHABLE.as_secs()
            );
        }
    }
}
