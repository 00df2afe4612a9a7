//! A collator that an operator runs by Docker alone, taken over by the service and given back, also across boots.

use anyhow::{Result, ensure};
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::wait;

use crate::host::{INSTALL, configure, machine, wait_watched};

/// What runs on the data, by name.
const RUNNING: &str = "docker ps --filter volume=/var/lib/t0rn-collator --format '{{.Names}}'";
const PREDECESSOR: &str = "install -d -o 1000 -g 1000 /var/lib/t0rn-collator && docker run --detach --name theirs \
    --restart always --volume /var/lib/t0rn-collator:/node/data --publish 33333:33333 \
    --publish 127.0.0.1:7001:7001 --publish 127.0.0.1:9616:9616 sim-collator \
    --collator --base-path /node/data --prometheus-external --sim-target 10000000";

/// Waits until that container alone runs on the data.
fn wait_alone(machine: &NspawnMachine, name: &str) -> Result<()> {
    wait::until("one collator", wait::LATER, || {
        let running = machine.ok(RUNNING)?;
        ensure!(running == name, "running: {running}");
        Ok(())
    })
}

#[test]
fn running_collator_is_taken_over_and_given_back_across_boots() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine()?;
    machine.ok(PREDECESSOR)?;
    // The service is not started: its configuration is not there yet.
    machine.ok(&format!("{INSTALL} /root/agent.deb"))?;
    configure(&machine)?;
    machine.ok("systemctl disable t0rn-agent")?;

    machine.ok("t0rn-agent check >/root/check || { cat /root/check; exit 1; }")?;
    let said = machine.ok("t0rn-agent takeover theirs --yes")?;
    ensure!(said.contains("blocks arrive: "), "{said}");
    wait_alone(&machine, "t0rn-collator")?;
    ensure!(machine.ok("systemctl is-enabled t0rn-agent")? == "enabled");
    wait_watched(&machine)?;

    machine.reboot()?;
    wait_alone(&machine, "t0rn-collator")?;

    let said = machine.ok("t0rn-agent takeover theirs --undo --yes")?;
    ensure!(said.ends_with("theirs runs as before"), "{said}");
    wait_alone(&machine, "theirs")?;
    machine.ok("! systemctl is-enabled t0rn-agent && ! systemctl is-active t0rn-agent")?;
    ensure!(machine.ok("docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' theirs")? == "always");

    machine.reboot()?;
    wait_alone(&machine, "theirs")?;
    Ok(())
}
