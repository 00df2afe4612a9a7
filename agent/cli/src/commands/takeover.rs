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

use anyhow::{Context as _, bail};
use clap::Args;

use agent_chaindata::lock::lock_data_dir;
use agent_docker::{ExistingContainer, KEPT_SUFFIX};

pub(crate) use self::record::describe_unfinished;
use self::session::Session;
use crate::commands::background::until_signal;
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
    /// Also when checks fail, or when image, keys or arguments differ; with --undo: also where an identity is required
    #[arg(long)]
    force: bool,
}

/// Returns 0 when the collator in its new place makes progress (with `--undo`: when it runs), 1 when none was seen in time.
pub(crate) async fn execute(args: &TakeoverArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = globals.load_agent_config()?;
    let _lock = lock_data_dir(&config.agent.state_dir, &config.data.path)?;
    let session = Session::new(&args.name, config, globals)?;
    if args.undo {
        session.require_undoable(args.force).await?;
        let question = format!(
            "The agent's collator is stopped, and {} started again as it was. Go on?",
            args.name
        );
        confirm(args.yes, &question)?;
        until_signal(Box::pin(undo::undo(&session, out)))
            .await
            .with_context(|| {
                let name = &args.name;
                format!(
                    "{name} is not back yet: repeat this command, or take it over again (t0rn-agent takeover {name})"
                )
            })?;
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
    until_signal(Box::pin(advance::take_over(&session, out)))
        .await
        .with_context(|| {
            let name = &args.name;
            format!("{name} is not taken over yet: repeat this command, or go back (t0rn-agent takeover {name} --undo)")
        })?;
    let watched = until_signal(Box::pin(progress::watch(&session, out))).await;
    let seen = watched.with_context(|| {
        let collator = &session.config.collator.container;
        format!("{collator} has taken its place, and no block was seen yet (t0rn-agent status)")
    })?;
    let predecessor = session.find().await?.predecessor;
    if let Some(text) = predecessor.as_ref().and_then(compose_hint) {
        say(out, &text);
    }
    say(out, &format!("to go back: t0rn-agent takeover {} --undo\n", args.name));
    Ok(u8::from(!seen))
}

/// What Docker Compose would do to a container of its own that was taken over: it knows it by its labels, under any name.
fn compose_hint(predecessor: &ExistingContainer) -> Option<String> {
    let (name, project) = (&predecessor.name, predecessor.compose_project.as_ref()?);
    let mut volumes = predecessor.mounts.iter().filter_map(|mount| mount.volume.as_deref());
    let (deletes, take_out) = match volumes.find(|volume| volume.starts_with(&format!("{project}_"))) {
        Some(volume) => (
            format!(", and docker compose down --volumes deletes {volume} with all that is in it"),
            "its service and that volume",
        ),
        None => (String::new(), "its service"),
    };
    Some(format!(
        "{name} is still of the compose project {project}: docker compose up starts it again, docker compose down removes \
         it{deletes}; take {take_out} out of the file\n"
    ))
}

/// Prints what was done. An output that cannot be written to, as when its reader has gone, ends nothing half-way.
fn say(out: &mut dyn Write, text: &str) {
    let _ = print(out, text);
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
    use agent_docker::ExistingMount;

    use super::*;

    #[test]
    fn compose_is_said_to_delete_a_volume_of_its_own_alone() {
        let mount = |volume: Option<&str>| ExistingMount {
            source: "/srv".into(),
            target: "/node".into(),
            read_only: false,
            volume: volume.map(str::to_owned),
        };
        let mut found = ExistingContainer {
            name: "node-before-t0rn-agent".to_owned(),
            mounts: vec![mount(None), mount(Some("elsewhere"))],
            ..ExistingContainer::default()
        };
        assert_eq!(compose_hint(&found), None);
        found.compose_project = Some("chain".to_owned());
        let said = compose_hint(&found).unwrap_or_default();
        assert!(said.contains("down removes it; take its service out"), "{said}");
        found.mounts.push(mount(Some("chain_data")));
        let said = compose_hint(&found).unwrap_or_default();
        assert!(
            said.contains("deletes chain_data with all") && said.contains("that volume out"),
            "{said}"
        );
    }

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
