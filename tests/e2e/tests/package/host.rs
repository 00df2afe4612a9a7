//! A machine for the package, and what the tests ask of it.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::package;
use t0rn_agent_tests::{sim_image, wait};

/// A configuration for the simulated collator; everything else is the default that operators get.
pub(crate) const CONFIG: &str = r#"
[collator]
image = "sim-collator"
command = ["--collator", "--base-path", "/node/data", "--prometheus-external", "--sim-target", "10000000"]
nofile = 1024
stop_timeout = "10s"

[health]
scrape_interval = "500ms"
scrape_timeout = "500ms"

[restart]
backoff_initial = "200ms"
start_timeout = "5s"

[host]
disk_warn_percent = 0
disk_floor = 0
"#;

/// Installs without questions: a configuration that is there already is kept.
pub(crate) const INSTALL: &str = "DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install";

/// One run of the collator's container.
pub(crate) const RUN: &str = "docker ps --all --quiet --no-trunc --filter label=t0rn-agent.managed=true \
     | xargs docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Running}}'";

/// A machine with the package at /root/agent.deb and the collator's image; nothing is installed.
pub(crate) fn machine() -> Result<NspawnMachine> {
    let machine = NspawnMachine::boot(|root| {
        fs::copy(package()?, root.join("root/agent.deb"))?;
        sim_image::archive(&root.join("root/image.tar"))
    })?;
    let changes = sim_image::CHANGES.map(|change| format!("-c '{change}'")).join(" ");
    machine.ok(&format!("docker import {changes} /root/image.tar sim-collator"))?;
    Ok(machine)
}

/// A machine with the package installed and configured, and a collator that is watched.
pub(crate) fn running() -> Result<NspawnMachine> {
    let machine = machine()?;
    configure(&machine)?;
    machine.ok(&format!("{INSTALL} /root/agent.deb"))?;
    wait_watched(&machine)?;
    Ok(machine)
}

/// Writes [`CONFIG`] where the agent looks for it.
pub(crate) fn configure(machine: &NspawnMachine) -> Result<()> {
    machine.ok("mkdir -p /etc/t0rn-agent")?;
    fs::write(machine.path("/etc/t0rn-agent/agent.toml")?, CONFIG)?;
    Ok(())
}

/// Waits until the agent sees the collator's chain move. Returns the container's run.
pub(crate) fn wait_watched(machine: &NspawnMachine) -> Result<String> {
    wait::until("a collator that is watched", wait::LATER, || {
        let status = machine.run("t0rn-agent status --json")?;
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        let phase = [r#""phase":"syncing""#, r#""phase":"synced""#];
        ensure!(
            phase.iter().any(|phase| status.contains(phase)),
            "last status: {status}"
        );
        let run = machine.ok(RUN)?;
        ensure!(run.ends_with("true"), "{run}");
        Ok(run)
    })
}

/// The agent's process id as systemd has it.
pub(crate) fn main_pid(machine: &NspawnMachine) -> Result<String> {
    let pid = machine.ok("systemctl show --property MainPID --value t0rn-agent")?;
    ensure!(pid != "0", "the agent does not run");
    Ok(pid)
}

/// The package with a higher version and another configuration in it, at /root/next.deb.
pub(crate) fn put_next_version(machine: &NspawnMachine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = r#"
        dpkg-deb --raw-extract "$0" "$1/next"
        sed -i 's/^Version: .*/&+next/' "$1/next/DEBIAN/control"
        echo '# A line that the former version did not have.' >>"$1/next/etc/t0rn-agent/agent.toml"
        dpkg-deb --root-owner-group -Znone --build "$1/next" "$1/next.deb"
    "#;
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).arg(package()?).arg(folder.path());
    let output = wait::run(60, &mut command)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::copy(folder.path().join("next.deb"), machine.path("/root/next.deb")?)?;
    Ok(())
}
