//! The package and its unit as such.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::{skip, wait};

use crate::host::{INSTALL, built, machine, package};
use crate::machine_or_skip;

#[test]
#[ignore = "needs the package: make package"]
fn the_package_is_the_same_bytes_when_it_is_built_again() -> Result<()> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let folder = tempfile::tempdir()?;
    let mut build = Command::new("sh");
    build.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    build.arg(top.join("dist/debian/build"));
    build.arg(built()?.join("x86_64-unknown-linux-gnu/release/t0rn-agent"));
    build.arg(built()?.join("man")).arg(folder.path());
    let output = wait::run(120, &mut build)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let package = package()?;
    let again = folder.path().join(package.file_name().context("no name")?);
    ensure!(fs::read(again)? == fs::read(package)?, "the bytes differ");
    Ok(())
}

#[test]
#[ignore = "needs the package: make package"]
fn lintian_has_nothing_to_say() -> Result<()> {
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on", "error,warning"]);
    let output = wait::run(120, lintian.arg(package()?))?;
    if output.status.code() == Some(127) {
        skip!("lintian is missing: tests/setup lintian");
    }
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
#[ignore = "boots a machine: make package"]
fn systemd_finds_no_fault_in_the_unit_and_little_exposure() -> Result<()> {
    machine_or_skip!();
    let machine = machine()?;
    machine.ok(&format!("{INSTALL} /root/agent.deb"))?;
    // Unknown keys are told and nothing more.
    let verdict = machine.ok("systemd-analyze verify --man=no t0rn-agent.service 2>&1")?;
    ensure!(verdict.is_empty(), "{verdict}");
    machine.ok(
        "systemd-analyze security --offline=true --threshold=25 --no-pager /lib/systemd/system/t0rn-agent.service",
    )?;
    Ok(())
}
