//! The bake certificate, what a bake noted for the next one, and the lease on a volume with keys.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::wait::{SOON, run, until};

use crate::{DATA, Host, copy_dir, fixture, said_by, text};

/// The data that 0.1.0 baked, with its certificate.
fn baked(host: &Host) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-xpf")
        .arg(fixture("baked.tar"))
        .arg("-C")
        .arg(host.path("data"));
    said_by(0, tar.arg("--numeric-owner").arg("--same-owner"))?;
    Ok(())
}

/// The notes of a bake of 0.1.0, as if it had been on this host's data.
fn notes(host: &Host, name: &str) -> Result<()> {
    let to = host.path("state/bake");
    copy_dir(&fixture(name), &to)?;
    ensure!(fs::read_to_string(to.join("begun"))? == DATA, "another place");
    Ok(fs::write(to.join("begun"), host.path("data").display().to_string())?)
}

#[test]
fn data_baked_by_0_1_0_is_as_certified() -> Result<()> {
    let host = Host::new()?;
    baked(&host)?;
    let data = host.path("data").display().to_string();
    let output = run(60, &mut host.command(&["bake", "verify", "--json", &data])?)?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| text(&output))?;
    ensure!(output.status.success() && report["ok"] == true, "{report}");
    let mut certificate: Value = serde_json::from_slice(&fs::read(fixture("bake.json"))?)?;
    certificate.as_object_mut().context("no certificate")?.remove("sha256");
    ensure!(report["certificate"] == certificate, "{report}");
    Ok(())
}

#[test]
fn certificate_of_0_1_0_is_in_the_status() -> Result<()> {
    let mut host = Host::new()?;
    baked(&host)?;
    let certificate: Value = serde_json::from_slice(&fs::read(fixture("bake.json"))?)?;
    let status = host.known()?;
    ensure!(
        status["bake"]["block"] == certificate["chains"]["parachain"]["best"],
        "{status}"
    );
    let (shown, at) = (status["bake"]["at"].as_str(), certificate["at"].as_str());
    ensure!(
        shown.and_then(|shown| shown.get(..19)) == at.and_then(|at| at.get(..19)),
        "{status}"
    );
    ensure!(!crate::says(&status, "nobody knows what data"), "{status}");
    Ok(())
}

#[test]
fn data_that_0_1_0_found_damaged_is_not_baked() -> Result<()> {
    let host = Host::new()?;
    host.engine(None)?;
    notes(&host, "bake-damaged")?;
    fs::create_dir_all(host.path("data/chains/t0rn_testnet/db/full"))?;
    let refused = host.said(1, &["bake"])?;
    ensure!(refused.contains("an earlier bake found the database in"), "{refused}");
    ensure!(refused.contains("block checksum mismatch"), "{refused}");
    Ok(())
}

#[test]
fn bake_that_0_1_0_began_is_gone_on_with() -> Result<()> {
    let host = Host::new()?;
    let engine = host.engine(None)?;
    let key = host.path("data/chains/t0rn_testnet/network/secret_ed25519");
    fs::create_dir_all(key.parent().context("no parent")?)?;
    fs::write(&key, "key")?;
    // Nobody knows whose it is.
    let refused = host.said(1, &["bake"])?;
    ensure!(refused.contains("keys in the data directory"), "{refused}");
    // The node's own, once a bake began here: on to the image.
    notes(&host, "bake-begun")?;
    let mut bake = host.command(&["bake"])?;
    let mut child = bake.stderr(fs::File::create(host.path("log"))?).spawn()?;
    let goes_on = until("the image to be asked for", SOON, || {
        let changes = engine.changes();
        let log = fs::read_to_string(host.path("log"))?;
        ensure!(
            changes.iter().any(|change| change.starts_with("POST /images/create")),
            "{changes:?} {log}"
        );
        Ok(())
    });
    child.kill()?;
    child.wait()?;
    goes_on
}

#[test]
fn lease_of_0_1_0_is_read() -> Result<()> {
    let mut host = Host::new()?;
    host.set("identity", "required", true)?;
    host.set("identity", "mount", host.path("identity").display().to_string())?;
    fs::create_dir(host.path("identity"))?;
    let lease: Value = serde_json::from_slice(&fs::read(fixture("lease.json"))?)?;
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "sh",
        "-euc",
        r#"mount -t tmpfs tmpfs "$0"; cp "$1" "$0"; shift; exec "$@""#,
    ]);
    command
        .arg(host.path("identity"))
        .arg(fixture("lease.json"))
        .arg(binary()?);
    command
        .arg("--config")
        .arg(host.path("agent.toml"))
        .args(["identity", "status"]);
    let said = said_by(0, &mut command)?;
    let (holder, at) = (lease["holder"].as_str(), lease["at"].as_str());
    let line = format!(
        "lease: {} since {}",
        holder.context("no holder")?,
        at.context("no time")?
    );
    ensure!(said.contains(&line), "{said}");
    Ok(())
}
