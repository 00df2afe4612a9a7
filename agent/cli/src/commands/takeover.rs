//! `takeover`: puts the agent's collator in the place of a container that runs already, and `--undo` that one back.

mod advance;
mod examine;
mod plan;
mod progress;
mod record;
mod session;
mod undo;
mod unit;

use std::io::{self, IsTerminal as _, Write};

use anyhow::bail;
use clap::Args;

use agent_chaindata::lock::lock_data_dir;

use self::session::{KEPT_SUFFIX, Session};
use crate::error::UsageError;
use crate::globals::GlobalArgs;
use crate::output::{ask, print};

pub(crate) const EXAMPLES: &str = "\
Needs root where systemd runs the agent. The configuration has to describe the container: its data
directory, image and keys. The agent makes its own container first. Then the old one is stopped cleanly,
kept as NAME-before-t0rn-agent, which Docker does not start by itself, and the agent's is started on the
same data. A call that was interrupted goes on when it is repeated, in either direction.

Exit codes: 0 blocks arrive, 1 failed or none has arrived within 10 min, 2 usage or configuration.

Examples:
  t0rn-agent takeover my-collator
  t0rn-agent takeover my-collator --yes
  t0rn-agent takeover my-collator --undo";

#[derive(Debug, Args)]
pub(crate) struct TakeoverArgs {
    /// The container that runs now
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Stop the agent and its collator, and start the container again as it was
    #[arg(long)]
    undo: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also when checks fail, or when image, keys or arguments differ
    #[arg(long, conflicts_with = "undo")]
    force: bool,
}

/// Returns 0 when the collator in its new place makes progress (with `--undo`: when it runs), 1 when none was seen in time.
pub(crate) async fn execute(args: &TakeoverArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = globals.load_agent_config()?;
    let _lock = lock_data_dir(&config.agent.state_dir, &config.data.path)?;
    let session = Session::new(&args.name, config, globals)?;
    if args.undo {
        session.require_undoable().await?;
        let question = format!(
            "The agent's collator is stopped, and {} started again as it was. Go on?",
            args.name
        );
        confirm(args.yes, &question)?;
        undo::undo(&session, out).await?;
        return Ok(0);
    }
    session.require_ready(args.force).await?;
    let question = format!(
        "{} is stopped and kept as {}, and {} takes its place on {}. Go on?",
        args.name,
        session.kept_name(),
        session.config.collator.container,
        session.config.data.path.display()
    );
    confirm(args.yes, &question)?;
    advance::take_over(&session, out).await?;
    let seen = progress::watch(&session, out).await?;
    let predecessor = session.find().await?.predecessor;
    if let Some(project) = predecessor.and_then(|found| found.compose_project) {
        let text = format!(
            "{} is still of the compose project {project}, and docker compose up starts it again: take its service out of the file\n",
            session.kept_name()
        );
        print(out, &text)?;
    }
    print(out, &format!("to go back: t0rn-agent takeover {} --undo\n", args.name))?;
    Ok(u8::from(!seen))
}

/// Asks on a terminal.
fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(UsageError::Unusable("give --yes: there is no terminal to ask on".to_owned()).into());
    }
    let answer = ask(&format!("{question} [y/N] "))?.unwrap_or_default();
    if !matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was changed");
    }
    Ok(())
}

/// The name of a container, as Docker allows it.
fn parse_name(text: &str) -> Result<String, crate::error::ArgumentError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let is_name = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_allowed);
    let remedy = if let Some(name) = text.strip_suffix(KEPT_SUFFIX) {
        format!("give the name that it had: {name}")
    } else if is_name {
        return Ok(text.to_owned());
    } else {
        "give the name of a container, as docker ps shows it".to_owned()
    };
    Err(crate::error::ArgumentError(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers_and_not_those_of_kept_containers() {
        for name in ["node", "t0rn_collator-1", "a.b"] {
            assert_eq!(parse_name(name).ok().as_deref(), Some(name));
        }
        for name in ["", "-node", "a/b", "a b", "node-before-t0rn-agent"] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
