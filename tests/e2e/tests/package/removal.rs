//! Upgrade, removal and return of the package, over a collator that runs.

use anyhow::{Result, ensure};

use crate::host::{CONFIG, INSTALL, RUN, configure, main_pid, put_next_version, running, wait_watched};

#[test]
fn upgrade_replaces_agent_and_keeps_collator_and_configuration() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let (run, pid) = (machine.ok(RUN)?, main_pid(&machine)?);
    put_next_version(&machine)?;
    machine.ok(&format!("{INSTALL} /root/next.deb"))?;
    ensure!(
        machine
            .ok("dpkg-query --show --showformat '${Version}' t0rn-agent")?
            .ends_with("+next")
    );
    ensure!(main_pid(&machine)? != pid, "the former agent still runs");
    ensure!(wait_watched(&machine)? == run, "the collator was touched");
    ensure!(
        machine.ok("cat /etc/t0rn-agent/agent.toml")? == CONFIG.trim(),
        "the configuration was changed"
    );
    Ok(())
}

#[test]
fn upgrade_that_refuses_the_configuration_keeps_the_former_agent() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let (run, pid) = (machine.ok(RUN)?, main_pid(&machine)?);
    machine.ok("echo 'no_such_key = 1' >>/etc/t0rn-agent/agent.toml")?;
    put_next_version(&machine)?;
    let said = machine.ok(&format!("{INSTALL} /root/next.deb"))?;
    ensure!(said.contains("no_such_key"), "{said}");
    ensure!(main_pid(&machine)? == pid && wait_watched(&machine)? == run);
    Ok(())
}

#[test]
fn removal_and_purge_keep_the_collator_and_reinstall_adopts_it() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let run = machine.ok(RUN)?;
    machine.ok("install -m 600 /dev/null /etc/t0rn-agent/registry.json")?;
    // Between removal and return, everything is kept.
    machine.ok("dpkg --remove t0rn-agent && [ -e /var/lib/t0rn-agent/state.json ]")?;
    machine.ok(&format!("{INSTALL} /root/agent.deb"))?;
    ensure!(wait_watched(&machine)? == run, "the collator was touched");
    ensure!(machine.ok("cat /etc/t0rn-agent/agent.toml")? == CONFIG.trim());

    let said = machine.ok("dpkg --purge t0rn-agent")?;
    ensure!(
        said.contains("the collator runs on") && said.contains("/var/lib/t0rn-collator"),
        "{said}"
    );
    for gone in [
        "/usr/bin/t0rn-agent",
        "/etc/t0rn-agent",
        "/var/lib/t0rn-agent",
        "/run/t0rn-agent",
        "/etc/systemd/system/multi-user.target.wants/t0rn-agent.service",
    ] {
        machine.ok(&format!("[ ! -e {gone} ] && [ ! -h {gone} ]"))?;
    }
    machine.ok("! systemctl cat t0rn-agent && ! getent passwd t0rn-agent && ! getent group t0rn-agent")?;
    ensure!(machine.ok(RUN)? == run, "the collator was touched");
    machine.ok("[ -e /var/lib/t0rn-collator/chains/t0rn_testnet/db/full/000101.log ]")?;

    configure(&machine)?;
    machine.ok(&format!("{INSTALL} /root/agent.deb"))?;
    ensure!(
        wait_watched(&machine)? == run,
        "the collator was not taken over as it was"
    );
    Ok(())
}
