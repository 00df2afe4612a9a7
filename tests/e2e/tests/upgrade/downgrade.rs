//! A version that is older than what it finds: it says which file, what is in it and what it knows, and leaves it as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{Host, fixture, said_by, says, unwrapped};

/// A schema that no version has yet.
const NEWER: &str = "99";

/// A document of 0.1.0, as a newer version might write it: with another schema, and what this one cannot understand.
fn newer(name: &str) -> Result<String> {
    let text = fs::read_to_string(fixture(name))?;
    let spaced = text.contains("\"schema\": 1");
    let (was, now) = if spaced {
        ("\"schema\": 1", "\"schema\": 99")
    } else {
        ("\"schema\":1", "\"schema\":99")
    };
    ensure!(text.contains(was), "{text}");
    Ok(text
        .replacen(was, now, 1)
        .replace("\"stage\"", "\"phase_of_the_restore\"")
        .replace("\"state\"", "\"known\""))
}

/// The words name the file, what is in it, what this version knows, and the remedy.
fn ensure_explained(words: &str, file: &str, remedy: &str) -> Result<()> {
    for part in [file, NEWER, "this agent knows 1", remedy] {
        ensure!(unwrapped(words).contains(part), "no {part:?} in {words}");
    }
    Ok(())
}

#[test]
fn newer_state_is_kept_aside_and_explained() -> Result<()> {
    let mut host = Host::new()?;
    let text = newer("state/stopped.json")?;
    fs::write(host.path("state/state.json"), &text)?;
    let known = host.known()?;
    ensure!(
        says(
            &known,
            "a stop, a pause or an update that an operator asked for may be forgotten"
        ),
        "{known}"
    );
    ensure_explained(&host.log(), "state.json", "reads it when it is renamed back")?;
    host.end()?;
    ensure!(
        fs::read_to_string(host.path("state/state.json.damaged-1"))? == text,
        "it was changed"
    );
    Ok(())
}

#[test]
fn newer_journal_holds_the_collator_and_is_not_given_up() -> Result<()> {
    let mut host = Host::new()?;
    let (dir, text) = (host.path("data/.restore"), newer("restore/switching.json")?);
    fs::create_dir_all(dir.join("old/chains/t0rn/db"))?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
    fs::write(dir.join("journal.json"), &text)?;
    let source = fixture("snapshot/chain.tar.zst");
    let source = source.to_str().context("a path")?;
    for args in [["snapshot", "abandon"].as_slice(), &["snapshot", "restore", source]] {
        ensure_explained(
            &host.said(1, args)?,
            "journal.json",
            "use the version that began the restore",
        )?;
    }
    let known = host.known()?;
    ensure!(says(&known, "restore"), "{known}");
    host.end()?;
    ensure!(
        fs::read_to_string(dir.join("journal.json"))? == text && dir.join("old/chains/t0rn/db").exists(),
        "it was changed"
    );
    Ok(())
}

#[test]
fn newer_certificate_is_explained() -> Result<()> {
    let host = Host::new()?;
    let text = newer("bake.json")?;
    fs::write(host.path("data/bake.json"), &text)?;
    let data = host.path("data").display().to_string();
    let output = host.command(&["bake", "verify", &data])?.output()?;
    ensure!(!output.status.success());
    ensure_explained(&crate::text(&output), "bake.json", "bake again")?;
    ensure!(
        fs::read_to_string(host.path("data/bake.json"))? == text,
        "it was changed"
    );
    Ok(())
}

/// Rewrites the head of a snapshot, whose first frame is a skippable one of zstd.
fn with_newer_head(from: &Path, to: &Path) -> Result<()> {
    let mut bytes = fs::read(from)?;
    let was = b"\"schema\":1,";
    let at = bytes
        .windows(was.len())
        .position(|part| part == was)
        .context("no schema in the head")?;
    bytes[at + was.len() - 2] = b'9';
    Ok(fs::write(to, bytes)?)
}

#[test]
fn newer_snapshot_is_explained_and_nothing_is_unpacked() -> Result<()> {
    let host = Host::new()?;
    let file = host.path("newer.tar.zst");
    with_newer_head(&fixture("snapshot/chain.tar.zst"), &file)?;
    let name = file.to_str().context("a path")?;
    for command in ["verify", "restore"] {
        let mut command = host.command(&["snapshot", command, name])?;
        let output = command.output()?;
        ensure!(!output.status.success());
        let words = unwrapped(&crate::text(&output));
        for part in ["schema 9", "this agent knows 1", "use its own version", "newer.tar.zst"] {
            ensure!(words.contains(part), "no {part:?} in {words}");
        }
    }
    ensure!(!host.path("data/.restore").exists(), "something was unpacked");
    Ok(())
}

#[test]
fn files_without_schema_that_cannot_be_read_are_left_or_made_anew() -> Result<()> {
    let mut host = Host::with_state("running")?;
    fs::write(host.path("state/images.json"), r#"{"schema":99,"images":{}}"#)?;
    fs::create_dir_all(host.path("state/incidents/20990101T000000Z-new_cause"))?;
    let incident = r#"{"schema":99,"name":"new"}"#;
    fs::write(
        host.path("state/incidents/20990101T000000Z-new_cause/incident.json"),
        incident,
    )?;
    host.known()?;
    let log = host.log();
    ensure!(log.contains("the list of old images is damaged: they stay"), "{log}");
    host.said(0, &["incidents"])?;
    host.end()?;
    let kept = fs::read_to_string(host.path("state/incidents/20990101T000000Z-new_cause/incident.json"))?;
    ensure!(kept == incident, "it was changed");
    // A line of a recording that this version does not know is named, and the rest is replayed.
    let trace = host.path("newer.jsonl");
    let flight = fs::read_to_string(fixture("flight/flight-00000002.jsonl"))?;
    fs::write(&trace, format!("{flight}{{\"t\":1,\"event\":\"of_the_future\"}}\n"))?;
    let mut replay = Command::new(t0rn_agent_tests::agent::binary()?);
    replay
        .arg("--config")
        .arg(fixture("agent.toml"))
        .arg("replay")
        .arg(&trace);
    let replayed = said_by(0, &mut replay)?;
    ensure!(
        replayed.contains("skipped") && replayed.contains("of_the_future"),
        "{replayed}"
    );
    Ok(())
}
