//! Snapshots, restores that were interrupted, and an upload that broke off.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ring::digest;
use serde_json::Value;
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::s3::S3Server;
use t0rn_agent_tests::wait::run;

use crate::{Host, copy_dir, fixture, says, text, unwrapped};

const DATABASE: &str = "chains/t0rn/db/full";

/// Chain data of another time, with a key.
fn plant(host: &Host) -> Result<()> {
    let data = host.path("data");
    put(&data.join(DATABASE).join("CURRENT"), b"MANIFEST-1\n")?;
    put(&data.join(DATABASE).join("000000.sst"), b"old block\n")?;
    put(&data.join("chains/t0rn/keystore/61757261"), b"SECRET")
}

/// So many bytes that do not compress, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_le_bytes()
    });
    words.take(length.div_ceil(8)).flatten().take(length).collect()
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("no parent")?)?;
    Ok(fs::write(path, content)?)
}

/// The journal of a restore that 0.1.0 was interrupted in, of what is at `source` now.
fn interrupt(host: &Host, stage: &str, source: &Path) -> Result<()> {
    let journal = fs::read_to_string(fixture(&format!("restore/{stage}.json")))?;
    let was = "\"/var/lib/snapshots/slow.tar.zst\"";
    ensure!(journal.contains(was), "{journal}");
    let now = serde_json::to_string(&source.display().to_string())?;
    put(
        &host.path("data/.restore/journal.json"),
        journal.replace(was, &now).as_bytes(),
    )?;
    // As 0.1.0 makes it.
    Ok(fs::set_permissions(
        host.path("data/.restore"),
        fs::Permissions::from_mode(0o700),
    )?)
}

/// The content of the snapshot of 0.1.0 is in place, and the key is where it was.
fn is_restored(host: &Host) -> Result<()> {
    let data = host.path("data");
    for number in 0..3_usize {
        let block = fs::read_to_string(data.join(DATABASE).join(format!("{number:06}.sst")))?;
        ensure!(
            block == "some block\n".repeat(500 * (number + 1)),
            "{number}: {} bytes",
            block.len()
        );
    }
    ensure!(
        fs::read(data.join("chains/t0rn/keystore/61757261"))? == b"SECRET",
        "the key is gone"
    );
    ensure!(!data.join(".restore").exists(), "the restore left something");
    Ok(())
}

#[test]
fn snapshot_of_0_1_0_verifies_against_its_key_and_no_other() -> Result<()> {
    let host = Host::new()?;
    let (file, key) = (fixture("snapshot/chain.tar.zst"), fixture("snapshot/key.pub"));
    let (file, key) = (file.to_str().context("a path")?, key.to_str().context("a path")?);
    let verified: Value = serde_json::from_slice(
        &run(
            60,
            &mut host.command(&["snapshot", "verify", "--json", "--public-key", key, file])?,
        )?
        .stdout,
    )?;
    ensure!(verified["ok"] == true, "{verified}");
    let manifest: Value = serde_json::from_slice(&fs::read(format!("{file}.manifest.json"))?)?;
    for field in ["schema", "id", "at", "agent", "consistency", "chains", "files", "bytes"] {
        ensure!(
            !manifest[field].is_null() && verified["snapshot"][field] == manifest[field],
            "{field}: {verified} {manifest}"
        );
    }
    let other = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let refused = host.said(1, &["snapshot", "verify", file, "--public-key", other])?;
    ensure!(refused.contains("another key"), "{refused}");
    Ok(())
}

#[test]
fn snapshot_of_0_1_0_is_restored() -> Result<()> {
    let host = Host::new()?;
    plant(&host)?;
    let (file, key) = (fixture("snapshot/chain.tar.zst"), fixture("snapshot/key.pub"));
    let (file, key) = (file.to_str().context("a path")?, key.to_str().context("a path")?);
    host.said(0, &["snapshot", "restore", file, "--public-key", key])?;
    is_restored(&host)
}

#[test]
fn restore_that_0_1_0_was_unpacking_goes_on_where_it_was() -> Result<()> {
    let host = Host::new()?;
    plant(&host)?;
    let source = fixture("restore/large.tar.zst");
    interrupt(&host, "unpacking", &source)?;
    // What was unpacked: 8 of 11 files, of nothing but zeros.
    let tree = host.path("data/.restore/tree").join(DATABASE);
    fs::create_dir_all(&tree)?;
    for number in 0..8 {
        File::create(tree.join(format!("{number:06}.sst")))?.set_len(32 << 20)?;
    }
    let status = unwrapped(&host.said(3, &["status"])?);
    ensure!(status.contains("was interrupted; the data is as it was"), "{status}");
    let done = host.said(0, &["snapshot", "restore", source.to_str().context("a path")?])?;
    ensure!(
        done.contains("going on at chunk 128: 256 MiB are in place already"),
        "{done}"
    );
    let data = host.path("data");
    for number in 0..=8 {
        let length = fs::metadata(data.join(DATABASE).join(format!("{number:06}.sst")))?.len();
        ensure!(length == 32 << 20, "{number}: {length} bytes");
    }
    ensure!(fs::read_to_string(data.join(DATABASE).join("db_version"))? == "4");
    ensure!(!data.join(".restore").exists(), "the restore left something");
    Ok(())
}

#[test]
fn restore_that_0_1_0_was_switching_is_held_and_finished() -> Result<()> {
    let mut host = Host::new()?;
    plant(&host)?;
    // What 0.1.0 had unpacked, as this version does; and the present data not yet moved.
    let source = fixture("snapshot/chain.tar.zst");
    let unpacked = Host::new()?;
    unpacked.said(0, &["snapshot", "restore", source.to_str().context("a path")?])?;
    copy_dir(&unpacked.path("data/chains"), &host.path("data/.restore/tree/chains"))?;
    interrupt(&host, "switching", &source)?;

    let status = unwrapped(&host.said(3, &["status"])?);
    ensure!(
        status.contains("was interrupted while it exchanged the data"),
        "{status}"
    );
    let refused = host.said(1, &["snapshot", "abandon"])?;
    ensure!(refused.contains("past the point of giving up"), "{refused}");
    let known = host.known()?;
    ensure!(says(&known, "restore was interrupted"), "{known}");
    drop(
        host.child
            .take()
            .map(|mut child| child.kill().and_then(|()| child.wait())),
    );

    host.said(0, &["snapshot", "restore", source.to_str().context("a path")?])?;
    is_restored(&host)?;
    // As it was asked for then: --keep-old.
    let old = fs::read(host.path("data/.before-restore").join(DATABASE).join("000000.sst"))?;
    ensure!(old == b"old block\n");
    Ok(())
}

#[test]
fn restore_that_0_1_0_had_switched_is_finished() -> Result<()> {
    let host = Host::new()?;
    let source = fixture("snapshot/chain.tar.zst");
    host.said(0, &["snapshot", "restore", source.to_str().context("a path")?])?;
    put(&host.path("data/chains/t0rn/keystore/61757261"), b"SECRET")?;
    put(
        &host.path("data/.restore/old").join(DATABASE).join("000000.sst"),
        b"old block\n",
    )?;
    interrupt(&host, "switched", &source)?;
    let status = unwrapped(&host.said(3, &["status"])?);
    ensure!(status.contains("all was done but removing the old data"), "{status}");
    host.said(0, &["snapshot", "restore", source.to_str().context("a path")?])?;
    is_restored(&host)?;
    ensure!(
        host.path("data/.before-restore")
            .join(DATABASE)
            .join("000000.sst")
            .exists()
    );
    Ok(())
}

#[test]
fn upload_that_broke_off_in_0_1_0_sends_what_is_missing_under_its_id() -> Result<()> {
    let objects = S3Server::start()?;
    let host = Host::new()?;
    put(&host.path("data").join(DATABASE).join("CURRENT"), b"MANIFEST-1\n")?;
    put(&host.path("data").join(DATABASE).join("000001.sst"), &noise(20 << 20))?;
    let upload = || -> Result<()> {
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(host.path("agent.toml"));
        command.args(["snapshot", "create", "--to", "s3://bucket/chain.tar.zst"]);
        command.envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]);
        command.envs([("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL_S3", &objects.url)]);
        let output = run(60, &mut command)?;
        ensure!(output.status.success(), "{}", text(&output));
        Ok(())
    };
    upload()?;
    ensure!(objects.store().sent == [1, 2, 3], "{:?}", objects.store().sent);
    let sent = objects
        .store()
        .objects
        .remove("/bucket/chain.tar.zst")
        .context("no object")?;

    // The note of 0.1.0, had it sent these two parts.
    let note = fs::read_to_string(fixture("upload.json"))?;
    let parsed: Value = serde_json::from_str(&note)?;
    let part = usize::try_from(parsed["part"].as_u64().context("no size")?)?;
    let was = parsed["sent"].as_array().context("no parts")?;
    ensure!(was.len() == 2, "{note}");
    let mut note = note;
    for (was, content) in was.iter().zip(sent.chunks(part)) {
        let now = hex::encode(digest::digest(&digest::SHA256, content));
        note = note.replace(was[0].as_str().context("no digest")?, &now);
    }
    fs::write(host.path("state/upload.json"), note)?;
    objects.store().sent.clear();
    objects.store().ids.clear();
    upload()?;
    // The first has the time in it.
    ensure!(objects.store().sent == [1, 3], "{:?}", objects.store().sent);
    ensure!(!host.path("state/upload.json").exists(), "the note stays");
    ensure!(
        objects.store().ids == ["upload-of-0.1.0"; 2],
        "{:?}",
        objects.store().ids
    );
    Ok(())
}
