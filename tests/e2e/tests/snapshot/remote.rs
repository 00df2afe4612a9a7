//! Snapshots to and from S3 and HTTP: in parts, over connections that break, killed, and against moto.

use std::fs;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::http_client::request;
use t0rn_agent_tests::moto::Moto;
use t0rn_agent_tests::s3::{Completion, S3Server};
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::{SOON, run, until};

use crate::{Host, said};

#[test]
fn interrupted_upload_sends_what_is_missing_and_broken_reads_resume() -> Result<()> {
    let objects = S3Server::start()?;
    let (mut from, mut to) = (Host::with_chain(60)?, Host::new()?);
    from.objects = Some(objects.url.clone());
    to.objects = Some(objects.url.clone());
    objects.store().refuse_above = Some(2);
    let failed = from.failed(&["create", "--to", "s3://bucket/a chain.tar.zst"])?;
    ensure!(failed.contains("UploadPart: 403"), "{failed}");
    ensure!(objects.store().sent == [1, 2] && objects.store().objects.is_empty());

    objects.store().refuse_above = None;
    from.done(&["create", "--to", "s3://bucket/a chain.tar.zst"])?;
    // The first has the time in it.
    ensure!(objects.store().sent == [1, 2, 1, 3, 4], "{:?}", objects.store().sent);

    objects.store().break_after = Some(9 << 20);
    to.done(&["restore", "s3://bucket/a chain.tar.zst"])?;
    ensure!(objects.store().reads.len() >= 4, "{:?}", objects.store().reads);
    ensure!(to.database()? == from.database()?);
    let url = format!("{}/bucket/a%20chain.tar.zst", objects.url);
    ensure!(to.done(&["verify", &url])?.contains("ok"));
    Ok(())
}

#[test]
fn upload_survives_failed_and_lost_completions_of_a_locked_bucket() -> Result<()> {
    let objects = S3Server::start()?;
    let (mut from, mut to) = (Host::with_chain(20)?, Host::new()?);
    from.objects = Some(objects.url.clone());
    to.objects = Some(objects.url.clone());
    objects.store().demands_checksums = true;
    objects.store().completions = vec![Completion::Fails, Completion::Lost];
    from.done(&["create", "--to", "s3://bucket/chain.tar.zst"])?;
    ensure!(objects.store().sent == [1, 2], "sent anew: {:?}", objects.store().sent);
    to.done(&["restore", "s3://bucket/chain.tar.zst"])?;
    ensure!(to.database()? == from.database()?);
    Ok(())
}

#[test]
fn snapshot_goes_to_moto_s3_in_parts_is_verified_and_restored() -> Result<()> {
    let Some(moto) = Moto::start()? else {
        skip!("moto is missing: tests/tools/setup aws");
    };
    let (status, answer) = request(moto.port(), "PUT", "/snapshots", "")?;
    ensure!(status == 200, "the bucket: {status} {answer}");
    // Four parts of at most 8 MiB.
    let (mut from, mut to) = (Host::with_chain(60)?, Host::new()?);
    from.objects = Some(moto.url());
    to.objects = Some(moto.url());
    let place = "s3://snapshots/a folder/chain.tar.zst";
    from.done(&["create", "--to", place])?;
    let (status, listed) = request(moto.port(), "GET", "/snapshots?list-type=2", "")?;
    ensure!(
        status == 200 && listed.contains("<Key>a folder/chain.tar.zst</Key>") && listed.contains("-4\"</ETag>"),
        "not one object of four parts: {status} {listed}"
    );

    ensure!(from.done(&["verify", place])?.contains("ok"));
    to.done(&["restore", place])?;
    ensure!(to.database()? == from.database()?);

    let (status, _) = request(moto.port(), "PUT", "/snapshots/damaged", "no snapshot")?;
    ensure!(status == 200);
    from.failed(&["verify", "s3://snapshots/damaged"])?;
    let missing = to.snapshot(&["restore", "s3://snapshots/nothing"])?;
    ensure!(!missing.status.success() && to.database()? == from.database()?);
    Ok(())
}

#[test]
fn killed_restore_leaves_the_data_and_finishes_when_run_again() -> Result<()> {
    let objects = S3Server::start()?;
    let (from, to) = (Host::with_chain(20)?, Host::with_chain(1)?);
    let file = from.dir.path().join("chain.tar.zst");
    from.done(&["create", "--to", file.to_str().context("a path")?])?;
    objects
        .store()
        .objects
        .insert("/chain.tar.zst".to_owned(), fs::read(&file)?);
    let url = format!("{}/chain.tar.zst", objects.url);
    let before = to.database()?;
    objects.store().hang_after = Some(6 << 20);
    let mut restore = spawn(&to, &["snapshot", "restore", &url])?;
    until("something is unpacked", SOON, || {
        let unpacked = to.data().join(".restore/tree/chains/t0rn/db/full/000004.sst");
        ensure!(unpacked.exists(), "not yet");
        Ok(())
    })?;
    ensure!(to.failed(&["restore", &url])?.contains("another snapshot or restore"));
    restore.kill()?;
    restore.wait()?;
    ensure!(to.database()? == before);
    let status = said(&run(30, &mut to.command(&["status"])?)?);
    ensure!(status.contains("was interrupted"), "{status}");

    objects.store().hang_after = None;
    to.done(&["restore", &url])?;
    ensure!(to.database()? == from.database()?);
    ensure!(fs::read(to.data().join("chains/t0rn/keystore/61757261"))? == b"SECRET");
    Ok(())
}

fn spawn(host: &Host, args: &[&str]) -> Result<Child> {
    let mut command = host.command(args)?;
    Ok(command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?)
}
