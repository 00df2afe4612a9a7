//! What the program of today writes, kept like that of a release: `tests/e2e/fixtures/make` writes the folder `unreleased` anew,
//! and a release gives it its version's name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::fake_engine::exited;
use t0rn_agent_tests::s3::S3Server;
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::run;

use crate::{DATA, Host, container, copy_dir, fixture, said_by, text};

const DATABASE: &str = "chains/t0rn/db/full";
/// Stages of a restore, each with the call at which it is killed.
const STAGES: [(&str, &str); 3] = [
    // All is unpacked, and about to be synced for the exchange.
    ("unpacking", "syncfs:signal=KILL:when=1"),
    // The old data has its new place, and the new data has not.
    ("switching", "renameat2:signal=KILL:when=4"),
    // The old data is about to be kept beside the new.
    ("switched", "renameat2:signal=KILL:when=5"),
];

fn unreleased() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/unreleased")
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("no parent")?)?;
    Ok(fs::write(path, content)?)
}

/// Chain data that says of what time it is, with a key.
fn plant(host: &Host, time: &str) -> Result<()> {
    let data = host.path("data");
    put(
        &data.join(DATABASE).join("CURRENT"),
        format!("MANIFEST-{time}\n").as_bytes(),
    )?;
    put(&data.join(DATABASE).join("000001.sst"), time.repeat(3000).as_bytes())?;
    put(&data.join("chains/t0rn/keystore/61757261"), b"SECRET")
}

/// The state of an agent that runs, and of one whose collator is stopped, with the recording of both.
fn write_daemon(to: &Path) -> Result<()> {
    let mut host = Host::new()?;
    host.set("data", "path", DATA)?;
    // Without an agent there is no phase.
    let runs = |status: &Value| status["phase"].is_string() && status["collator"]["state"] == "running";
    let _engine = host.engine(Some(container("running")?))?;
    host.start()?;
    host.wait_for("the container", runs)?;
    host.end()?;
    put(
        &to.join("state/running.json"),
        &fs::read(host.path("state/state.json"))?,
    )?;
    host.start()?;
    host.wait_for("the container again", runs)?;
    host.said(0, &["stop"])?;
    host.wait_for("the stop", |status| {
        status["phase"] == "stopped" && status["collator"]["state"] == "exited"
    })?;
    host.said(0, &["pause", "--for", "2h", "--reason", "moving the volume"])?;
    host.end()?;
    put(
        &to.join("state/stopped.json"),
        &fs::read(host.path("state/state.json"))?,
    )?;
    Ok(copy_dir(&host.path("state/flight"), &to.join("flight"))?)
}

/// A snapshot, and a data directory in each stage of a restore of it.
fn write_restores(to: &Path) -> Result<()> {
    let from = Host::new()?;
    plant(&from, "new")?;
    let file = to.join("snapshot/chain.tar.zst");
    fs::create_dir_all(to.join("snapshot"))?;
    from.said(0, &["snapshot", "create", "--to", file.to_str().context("a path")?])?;
    for (stage, at) in STAGES {
        let host = Host::new()?;
        plant(&host, "old")?;
        // The source is named in the journal, wherever it is.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            r#"cd "$0" && exec strace -f -qq -o /dev/null -e trace=renameat2,syncfs -e "$@""#,
        ]);
        command.arg(to.join("snapshot")).arg(format!("inject={at}"));
        command.arg(binary()?).arg("--config").arg(host.path("agent.toml"));
        let output = run(60, command.args(["snapshot", "restore", "--keep-old", "chain.tar.zst"]))?;
        ensure!(
            !output.status.success() && host.path("data/.restore").exists(),
            "{stage}: {}",
            text(&output)
        );
        let archive = to.join(format!("restore-{stage}.tar"));
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--mtime=@0", "--numeric-owner", "-cf"])
            .arg(archive)
            .arg("-C")
            .arg(host.path("data"))
            .arg(".");
        said_by(0, &mut tar)?;
    }
    Ok(())
}

/// The note of an upload whose third part was refused.
fn write_upload(to: &Path) -> Result<()> {
    let (objects, host) = (S3Server::start()?, Host::new()?);
    plant(&host, "new")?;
    let noise = crate::chaindata::noise(20 << 20);
    put(&host.path("data").join(DATABASE).join("000002.sst"), &noise)?;
    objects.store().refuse_above = Some(2);
    let mut command = host.command(&["snapshot", "create", "--to", "s3://bucket/chain.tar.zst"])?;
    command.envs([
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]);
    command.envs([("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL_S3", &objects.url)]);
    let output = run(120, &mut command)?;
    ensure!(!output.status.success(), "{}", text(&output));
    put(&to.join("upload.json"), &fs::read(host.path("state/upload.json"))?)
}

fn write_all(to: &Path) -> Result<()> {
    write_daemon(to)?;
    write_restores(to)?;
    write_upload(to)
}

/// Paths of all names in a document; what lists and maps of unknown names hold is one.
fn shape(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                shape(value, &format!("{at}.{name}"), found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| shape(value, &format!("{at}[]"), found)),
        _ => {
            found.insert(at.to_owned());
        }
    }
}

fn shape_of(path: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    shape(&serde_json::from_slice(&fs::read(path)?)?, "", &mut found);
    Ok(found)
}

fn is_possible() -> bool {
    let probe = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).status();
    probe.is_ok_and(|status| status.success())
}

#[test]
fn what_is_written_has_the_names_of_the_fixtures() -> Result<()> {
    if !is_possible() {
        skip!("strace is missing or may not trace: tests/tools/setup strace");
    }
    if let Some(to) = std::env::var_os("T0RN_WRITE_FIXTURES") {
        return write_all(Path::new(&to));
    }
    let now = tempfile::tempdir()?;
    write_all(now.path())?;
    for file in ["state/running.json", "state/stopped.json", "upload.json"] {
        let (was, is) = (shape_of(&unreleased().join(file))?, shape_of(&now.path().join(file))?);
        let differs: Vec<_> = was.symmetric_difference(&is).collect();
        ensure!(
            differs.is_empty(),
            "{file}: {differs:?} is new or gone; if that is meant: tests/e2e/fixtures/make"
        );
    }
    Ok(())
}

#[test]
fn unreleased_state_and_flight_are_read() -> Result<()> {
    for (name, phase) in [("stopped", "stopped"), ("running", "docker_unreachable")] {
        let mut host = Host::new()?;
        fs::copy(
            unreleased().join(format!("state/{name}.json")),
            host.path("state/state.json"),
        )?;
        host.start()?;
        let status = host.wait_for("what is known", |status| {
            status["phase"] == phase || status["phase"] == "docker_unreachable"
        })?;
        ensure!(
            name != "stopped"
                || status["maintenance"]["reason"] == "moving the volume"
                || crate::says(&status, "stopped by an operator"),
            "{status}"
        );
        ensure!(!host.log().contains("state cannot be used"), "{}", host.log());
        host.end()?;
        ensure!(!host.path("state/state.json.damaged-1").exists());
    }
    let host = Host::new()?;
    let flight = unreleased().join("flight");
    let replayed = host.said(0, &["replay", flight.to_str().context("a path")?])?;
    ensure!(
        replayed.contains("moving the volume") && !replayed.contains("skipped"),
        "{replayed}"
    );
    Ok(())
}

/// The data directory that a killed command left, on a host of its own.
fn left(archive: &Path) -> Result<Host> {
    let host = Host::new()?;
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--same-permissions", "-xf"]).arg(archive);
    said_by(0, tar.arg("-C").arg(host.path("data")))?;
    Ok(host)
}

/// A restore that was killed in each stage is finished with the snapshot that lies beside.
fn ensure_finished(folder: &Path) -> Result<()> {
    for (stage, _) in STAGES {
        let host = left(&folder.join(format!("restore-{stage}.tar")))?;
        let status = crate::unwrapped(&host.said(3, &["status"])?);
        ensure!(
            status.contains("a restore of chain.tar.zst was interrupted"),
            "{stage}: {status}"
        );
        let mut restore = Command::new("sh");
        restore
            .args(["-c", r#"cd "$0" && exec "$@""#])
            .arg(folder.join("snapshot"));
        restore.arg(binary()?).arg("--config").arg(host.path("agent.toml"));
        restore.args(["snapshot", "restore", "--keep-old", "chain.tar.zst"]);
        said_by(0, &mut restore).context(stage)?;
        let data = host.path("data");
        let read = |place: &str| fs::read_to_string(data.join(place)).with_context(|| format!("{stage}: {place}"));
        ensure!(read(&format!("{DATABASE}/CURRENT"))? == "MANIFEST-new\n", "{stage}");
        ensure!(
            read(&format!(".before-restore/{DATABASE}/CURRENT"))? == "MANIFEST-old\n",
            "{stage}"
        );
        ensure!(
            read("chains/t0rn/keystore/61757261")? == "SECRET" && !data.join(".restore").exists(),
            "{stage}"
        );
    }
    Ok(())
}

#[test]
fn unreleased_restore_is_finished_in_each_stage() -> Result<()> {
    ensure_finished(&unreleased())
}

#[test]
fn restore_killed_in_0_1_0_is_finished_in_each_stage() -> Result<()> {
    ensure_finished(&fixture("restores"))
}

#[test]
fn live_copy_killed_in_0_1_0_is_cleared_away() -> Result<()> {
    let host = left(&fixture("restores/live.tar"))?;
    ensure!(host.path("data/.snapshot").exists());
    host.said(0, &["snapshot", "abandon"])?;
    ensure!(!host.path("data/.snapshot").exists(), "it is still there");
    ensure!(fs::read_to_string(host.path("data").join(DATABASE).join("CURRENT"))? == "MANIFEST-old\n");
    Ok(())
}

#[test]
fn stop_for_a_snapshot_that_was_killed_in_0_1_0_is_told() -> Result<()> {
    let mut host = Host::with_state("stopped")?;
    let _engine = host.engine(Some(exited(container("updated")?)))?;
    // As 0.1.0 leaves it, empty.
    fs::write(host.path("state/stopped-for-snapshot"), "")?;
    host.start()?;
    host.wait_for("the stop to be known", |status| status["phase"] == "stopped")?;
    let output = run(60, &mut host.command(&["status"])?)?;
    let told = crate::unwrapped(&text(&output));
    ensure!(told.contains("had stopped the collator and did not end well"), "{told}");
    Ok(())
}

#[test]
fn unreleased_upload_goes_on_under_its_id() -> Result<()> {
    let note: Value = serde_json::from_slice(&fs::read(unreleased().join("upload.json"))?)?;
    ensure!(note["sent"].as_array().is_some_and(|sent| sent.len() == 2), "{note}");
    let (objects, host) = (S3Server::start()?, Host::new()?);
    plant(&host, "new")?;
    fs::copy(unreleased().join("upload.json"), host.path("state/upload.json"))?;
    put(
        &host.path("data").join(DATABASE).join("000002.sst"),
        &crate::chaindata::noise(20 << 20),
    )?;
    let mut command = host.command(&["snapshot", "create", "--to", "s3://bucket/chain.tar.zst"])?;
    command.envs([
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]);
    command.envs([("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL_S3", &objects.url)]);
    said_by(0, &mut command)?;
    let id = note["id"].as_str().context("no id")?;
    ensure!(
        objects.store().ids.iter().all(|used| used.replace('+', " ") == id),
        "{:?}",
        objects.store().ids
    );
    Ok(())
}
