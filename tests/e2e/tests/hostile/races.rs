//! Each command while the attacker exchanges what it opens, many rounds.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::attacker::Attacker;
use crate::commands::{COMMANDS, Privileged};
use crate::host::{ALL_ROUNDS, Host, run};
use crate::namespace::own_namespaces;

const ROUNDS: usize = 200;
/// On a machine that is busy otherwise.
const FEWEST: usize = 40;

/// Runs a command again and again; it may fail, but has to end, and must touch nothing outside.
#[expect(
    clippy::print_stderr,
    reason = "how often the attack was felt, for the reader of a failure"
)]
fn race(host: &Host, command: &Privileged) -> Result<()> {
    command.prepare()?;
    let calm = run(command.args)?;
    ensure!(calm.is_calm(command), "{calm:?}");
    // Each place by itself, since most attacks on one are seen before another is opened; then all of them at a time.
    let mut attackers = command
        .places
        .iter()
        .map(|place| Attacker::begin(&[place]))
        .collect::<Result<Vec<_>>>()?;
    attackers.push(Attacker::begin(command.places)?);
    let (end, mut done) = (Instant::now() + ALL_ROUNDS, 0);
    for round in 0..ROUNDS {
        if Instant::now() > end {
            ensure!(round >= FEWEST, "only {round} rounds");
            break;
        }
        let attacker = &attackers[round % attackers.len()];
        command.prepare()?;
        attacker.prepare_home()?;
        attacker.go_on()?;
        let finished = run(command.args);
        attacker.pause()?;
        let finished = finished.with_context(|| format!("round {round}"))?;
        done += usize::from(finished.is_calm(command));
        host.assert_untouched()
            .with_context(|| format!("round {round}: {}", finished.said))?;
    }
    eprintln!("{}: {done} rounds ended as without an attack", command.name);
    Ok(())
}

fn race_all(chosen: impl Fn(&str) -> bool) -> Result<()> {
    let host = Host::new()?;
    for command in COMMANDS.iter().filter(|command| chosen(command.name)) {
        race(&host, command).context(command.name)?;
    }
    host.end()
}

#[test]
fn raced_prepare_check_and_status_touch_nothing_outside() -> Result<()> {
    own_namespaces!();
    race_all(|name| ["prepare", "check", "status"].contains(&name))
}

#[test]
fn raced_identity_commands_touch_nothing_outside() -> Result<()> {
    own_namespaces!();
    race_all(|name| name.starts_with("identity"))
}

#[test]
fn raced_clean_snapshots_have_nothing_from_outside() -> Result<()> {
    own_namespaces!();
    race_all(|name| name.starts_with("create") && !name.contains("live"))
}

#[test]
fn raced_live_snapshots_have_nothing_from_outside() -> Result<()> {
    own_namespaces!();
    race_all(|name| name.starts_with("create live"))
}

#[test]
fn raced_restores_write_nothing_outside() -> Result<()> {
    own_namespaces!();
    race_all(|name| ["restore", "restore keeping the old"].contains(&name))
}

#[test]
fn raced_interrupted_restores_move_nothing_outside() -> Result<()> {
    own_namespaces!();
    race_all(|name| name == "abandon" || name.ends_with("ing") || name == "restore going on" || name.ends_with("up"))
}

#[test]
fn raced_bakes_remove_and_read_nothing_outside() -> Result<()> {
    own_namespaces!();
    race_all(|name| name.starts_with("bake"))
}
