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
/// What the simulated collator writes when another one has the database.
const REFUSED: &str = "cat /var/lib/t0rn-collator/chains/t0rn_testnet/db/full/000102.log 2>/dev/null || true";

/// A default route that leads nowhere, and no resolver: whether the network works cannot be told then.
const NETWORK: &str = "ip link add uplink type veth peer name nowhere && ip link set nowhere up && ip address add 198.51.100.2/24 dev uplink \
    && ip link set uplink up && ip route add default via 198.51.100.1 && : >/etc/resolv.conf";

/// Waits until that container alone runs on the data.
fn wait_alone(machine: &NspawnMachine, name: &str) -> Result<()> {
    wait::until("one collator", wait::LATER, || {
        let running = machine.ok(RUNNING)?;
        ensure!(running == name, "running: {running}");
        Ok(())
    })
}

/// A machine with the predecessor that runs, and the service installed, configured and neither enabled nor started.
fn machine_with_predecessor() -> Result<NspawnMachine> {
    let machine = machine()?;
    machine.ok(NETWORK)?;
    machine.ok(PREDECESSOR)?;
    // The service is not started: its configuration is not there yet.
    machine.ok(&format!("{INSTALL} /root/agent.deb"))?;
    configure(&machine)?;
    machine.ok("systemctl disable t0rn-agent")?;
    Ok(machine)
}

#[test]
fn running_collator_is_taken_over_and_given_back_across_boots() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine_with_predecessor()?;
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
    ensure!(machine.ok(REFUSED)?.is_empty(), "two at a time");
    Ok(())
}

#[test]
fn host_that_is_booted_amid_a_takeover_runs_one_of_the_two() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine_with_predecessor()?;
    for (round, seconds) in ["0.3", "0.6", "1.2", "2.4"].into_iter().enumerate() {
        for direction in ["", " --undo"] {
            // Whatever it comes to until then.
            machine.run(&format!(
                "timeout --signal=KILL {seconds} t0rn-agent takeover theirs --yes --force{direction}"
            ))?;
            machine.reboot()?;
            wait::until("one collator", wait::LATER, || {
                let running = machine.ok(RUNNING)?;
                ensure!(
                    running.lines().count() == 1,
                    "round {round}{direction}, running: {running}"
                );
                Ok(())
            })?;
            ensure!(machine.ok(REFUSED)?.is_empty(), "two at a time");
        }
    }
    machine.ok("t0rn-agent takeover theirs --yes --force")?;
    wait_alone(&machine, "t0rn-collator")
}
