//! The package and its unit as such.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::operator_docs::{commands, is_about_the_host};
use t0rn_agent_tests::repository::{package, root, target};
use t0rn_agent_tests::{skip, wait};

use crate::host::{INSTALL, machine, running, wait_watched};

#[test]
fn the_package_is_the_same_bytes_when_it_is_built_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut build = Command::new("sh");
    build.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    build.arg(root().join("dist/debian/build"));
    build.arg(target()?.join("x86_64-unknown-linux-gnu/release/t0rn-agent"));
    build.arg(target()?.join("man")).arg(folder.path());
    let output = wait::run(120, &mut build)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let package = package()?;
    let again = folder.path().join(package.file_name().context("no name")?);
    ensure!(fs::read(again)? == fs::read(package)?, "the bytes differ");
    Ok(())
}

#[test]
fn the_package_is_for_the_processor_of_its_program() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let here = target()?.join("x86_64-unknown-linux-gnu/release/t0rn-agent");
    let program = folder.path().join("t0rn-agent");
    let mut bytes = fs::read(&here)?;
    for (machine, said) in [([0xb7, 0], "arm64"), ([0xf3, 0], "is no program for amd64 or arm64")] {
        // The field e_machine of the ELF header; what the program does is of no account.
        bytes[18..20].copy_from_slice(&machine);
        fs::write(&program, &bytes)?;
        let mut build = Command::new(root().join("dist/debian/build"));
        build
            .arg(&program)
            .arg(target()?.join("man"))
            .arg(folder.path())
            .arg(&here);
        let output = wait::run(180, &mut build)?;
        if !output.status.success() {
            ensure!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
            continue;
        }
        let package = folder
            .path()
            .join(format!("t0rn-agent_{}_{said}.deb", env!("CARGO_PKG_VERSION")));
        let field = wait::run(
            20,
            Command::new("dpkg-deb").arg("--field").arg(package).arg("Architecture"),
        )?;
        ensure!(String::from_utf8_lossy(&field.stdout).trim() == said, "{field:?}");
    }
    Ok(())
}

#[test]
fn lintian_has_nothing_to_say() -> Result<()> {
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on", "error,warning"]);
    let output = wait::run(120, lintian.arg(package()?))?;
    if output.status.code() == Some(127) {
        skip!("lintian is missing: tests/tools/setup lintian");
    }
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
fn systemd_finds_no_fault_in_the_unit_and_little_exposure() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
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

/// What the world outside has: the image of the profile, a file on a web server, a network.
const WORLD: &str = r#"
set -e
docker tag sim-collator parity/polkadot-omni-node:v1.24.0
printf '#!/bin/sh\necho {} >"$2"\n' >/usr/local/bin/curl
chmod +x /usr/local/bin/curl
ip link add uplink type veth peer name nowhere
ip address add 198.51.100.2/24 dev uplink
ip link set uplink up
ip link set nowhere up
ip route add default via 198.51.100.1
mount --bind /dev/null /etc/resolv.conf
useradd alice
mv /root/agent.deb /root/t0rn-agent_0_amd64.deb
"#;

#[test]
fn the_quick_start_works_word_by_word() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine()?;
    machine.ok(WORLD)?;
    let commands = commands("quick-start.md")?;
    ensure!(commands.len() > 15, "{commands:?}");
    for command in commands {
        let output = machine.run(&format!("cd /root && {command}"))?;
        // Of a collator that is about to start the agent says so, and that is not in order yet.
        let said = String::from_utf8_lossy(&output.stdout);
        let early = [": pulling - ", ": starting - "]
            .iter()
            .any(|phase| said.contains(phase));
        ensure!(output.status.success() || early, "{command}: {output:?}");
        if command == "t0rn-agent status" {
            wait_watched(&machine)?;
        }
    }
    Ok(())
}

#[test]
fn what_the_pages_say_to_ask_the_host_has_an_answer() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    // The tests with an engine follow all other lines of these pages.
    for name in ["your-own-chain.md", "status.md", "troubleshooting.md"] {
        for command in commands(name)?.iter().filter(|line| is_about_the_host(line)) {
            ensure!(
                !machine.ok(command)?.is_empty() || command.contains(" restart "),
                "{command} says nothing"
            );
        }
    }
    Ok(())
}
