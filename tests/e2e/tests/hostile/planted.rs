//! Each kind of plant in each place that a command opens: nothing is done outside, and a refusal names the file and the remedy.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::attacker::{PLANTS, Plant};
use crate::commands::{COMMANDS, Privileged};
use crate::host::{Finished, Host, USER, at, outside_at, own, remove, reset, run};
use crate::namespace::own_namespaces;

/// One of these stands in every refusal.
const REMEDIES: [&str; 14] = [
    "so remove",
    "move them to a safe place",
    "name the file itself",
    "give the name of a file",
    "remove it",
    "move it away",
    "move or remove",
    "in its place",
    "move the keys themselves",
    "put the data itself",
    "correct data.path",
    "name the directory itself",
    "is its volume mounted",
    "look at what is in it",
];

fn plant_each(chosen: impl Fn(&str) -> bool) -> Result<()> {
    let host = Host::new()?;
    for command in COMMANDS.iter().filter(|command| chosen(command.name)) {
        for place in command.places {
            for plant in PLANTS {
                meet(&host, command, place, plant)
                    .with_context(|| format!("{}: {plant:?} in the place of {place}", command.name))?;
            }
        }
    }
    host.end()
}

/// Runs a command that meets a plant.
fn meet(host: &Host, command: &Privileged, place: &str, plant: Plant) -> Result<()> {
    command.prepare()?;
    let path = at(place);
    remove(&path)?;
    if !path.parent().is_some_and(Path::is_dir) {
        // Within what this command does not have.
        return Ok(());
    }
    plant.make(&path, place)?;
    let finished = run(command.args)?;
    host.assert_untouched().with_context(|| finished.said.clone())?;
    let Finished { code, said } = &finished;
    if finished.is_calm(command) {
        let leads_out = matches!(plant, Plant::Link | Plant::Dangling | Plant::HardLink);
        let must_refuse = leads_out && command.refuses.contains(&place);
        ensure!(!must_refuse, "it is not refused: {said}");
        return Ok(());
    }
    let name = path.file_name().and_then(|name| name.to_str()).context("no name")?;
    ensure!(said.contains(name), "ended with {code} and does not name it: {said}");
    ensure!(
        REMEDIES.iter().any(|remedy| said.contains(remedy)),
        "ended with {code} and names no remedy: {said}"
    );
    Ok(())
}

#[test]
fn planted_entries_of_identity_lead_no_command_outside() -> Result<()> {
    own_namespaces!();
    plant_each(|name| name.starts_with("identity"))
}

#[test]
fn planted_entries_of_data_lead_no_reader_outside() -> Result<()> {
    own_namespaces!();
    plant_each(|name| ["prepare", "check", "status"].contains(&name) || name.starts_with("bake"))
}

#[test]
fn planted_entries_of_data_lead_no_snapshot_outside() -> Result<()> {
    own_namespaces!();
    plant_each(|name| name.starts_with("create"))
}

#[test]
fn planted_entries_of_data_lead_no_restore_outside() -> Result<()> {
    own_namespaces!();
    plant_each(|name| name.starts_with("restore") || name == "abandon")
}

#[test]
fn snapshot_follows_no_link_that_others_can_change() -> Result<()> {
    own_namespaces!();
    let host = Host::new()?;
    let create = |to: &str| run(&["snapshot", "create", "--to", to]);
    for (owner, dir) in [(USER, "parent"), (0, "parent"), (USER, "out")] {
        reset()?;
        let link = at(dir).join("link");
        symlink(outside_at("etc/passwd"), &link)?;
        lchown(&link, Some(owner), Some(owner))?;
        let Finished { code, said } = create(&link.display().to_string())?;
        ensure!(
            code == 2 && said.contains("/link: a symbolic link that another user can change"),
            "{said}"
        );
        host.assert_untouched()?;
    }
    // An administrator's own.
    reset()?;
    fs::write(at("out/there"), "")?;
    symlink("there", at("out/link"))?;
    ensure!(create("/mnt/out/link")?.code == 0);
    ensure!(fs::symlink_metadata(at("out/link"))?.is_symlink() && fs::metadata(at("out/there"))?.len() > 0);
    host.end()
}

/// A journal as an attacker writes it: in a directory of its own, and in one of root's that it has filled before.
#[test]
fn planted_journal_is_refused_by_name_and_never_printed() -> Result<()> {
    own_namespaces!();
    let host = Host::new()?;
    let journal = fs::read_to_string(at("in/switching/journal.json"))?;
    for place in [
        "../canary/etc",
        "/mnt/canary/etc",
        "chains/t0rn/../../../canary/etc",
        "chains/t0rn/keystore",
        "chains/t0rn/db",
    ] {
        let planted = journal
            .replace("chains/t0rn/db", place)
            .replace("/mnt/in/good.tar.zst", "\\u001b[2J`rm -rf /`");
        for (mode, is_own) in [(0o755, true), (0o700, true), (0o755, false), (0o700, false)] {
            if place == "chains/t0rn/db" && (mode, is_own) == (0o700, false) {
                // Then it is root's own.
                continue;
            }
            reset()?;
            let side = at("data/.restore");
            for dir in ["tree", "old"] {
                fs::create_dir_all(side.join(dir))?;
            }
            fs::write(side.join("journal.json"), &planted)?;
            fs::set_permissions(&side, fs::Permissions::from_mode(mode))?;
            if is_own {
                own(&side)?;
            }
            for args in [
                &["snapshot", "restore", "/mnt/in/good.tar.zst"][..],
                &["snapshot", "abandon"],
            ] {
                let Finished { code, said } = run(args)?;
                host.assert_untouched()?;
                ensure!(
                    code == 1 && said.contains(".restore") && said.contains("remove"),
                    "{code}: {said}"
                );
                ensure!(!said.contains("rm -rf"), "what it says is repeated: {said}");
            }
            let status = run(&["status"])?;
            ensure!(!status.said.contains("rm -rf"), "{}", status.said);
        }
    }
    host.end()
}

/// Names that a terminal would obey are printed without that; [`run`] fails for any other output.
#[test]
fn names_with_newlines_and_escapes_are_printed_plain() -> Result<()> {
    own_namespaces!();
    let host = Host::new()?;
    let names = ["a\nerror: rm -rf", "\u{1b}[2J", "\u{9b}31m", "\u{1b}]0;owned\u{7}"];
    let dirs = [
        "data",
        "data/chains",
        "data/chains/t0rn",
        "data/chains/t0rn/db/full",
        "data/chains/t0rn/keystore",
        "volume/keystore",
    ];
    for command in COMMANDS.iter().filter(|command| command.name != "prepare") {
        for dir in dirs {
            command.prepare()?;
            if !at(dir).is_dir() {
                continue;
            }
            for name in names {
                let path = at(dir).join(name);
                Plant::Link.make(&path, "etc")?;
                Plant::File.make(&at(dir).join(format!("61757261{name}")), "etc")?;
            }
            let finished = run(command.args).with_context(|| format!("{} in {dir}", command.name))?;
            let led = finished.said.lines().any(|line| line.starts_with("error: rm"));
            ensure!(!led, "{}: {}", command.name, finished.said);
            host.assert_untouched()?;
        }
    }
    host.end()
}
