//! Boots for which the metadata service answers too late: they are told, and made good.

use std::fs;

use anyhow::{Result, ensure};
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::wait;

use crate::baked::{CONFIG, machine, user_data, wait_watched};

const NOTE: &str = "no user-data: the metadata service did not answer in time";

/// A metadata service of version 2 at its address, as long as the machine runs.
const SERVICE: &str = r#"
ip address add 169.254.169.254/32 dev lo
cat >/run/imds.py <<'END'
import http.server

class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text)

    def do_PUT(self):
        self.answer(b"token")

    def do_GET(self):
        if self.headers["X-aws-ec2-metadata-token"] == "token":
            self.answer(b"i-1")
        else:
            self.send_error(401)

http.server.HTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
END
systemd-run --quiet --unit=imds python3 /run/imds.py
"#;

/// A machine whose cloud-init found no source of user-data, as it says itself.
fn without_source() -> Result<NspawnMachine> {
    let machine = machine(None)?;
    machine
        .ok("mkdir -p /run/cloud-init && echo none >/run/cloud-init/cloud-id && systemctl restart t0rn-user-data")?;
    Ok(machine)
}

fn status(machine: &NspawnMachine) -> Result<String> {
    let output = machine.run("t0rn-agent status")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn user_data_that_comes_late_is_taken_by_another_boot() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = without_source()?;
    wait::until("the status to tell", wait::SOON, || {
        let status = status(&machine)?;
        ensure!(status.contains(NOTE), "{status}");
        Ok(())
    })?;
    machine.ok("systemctl is-active t0rn-user-data amazon-ssm-agent && ! systemctl list-jobs --no-legend | grep .")?;

    // What the service would give; and what cloud-init found the first time, which nothing but another first time replaces.
    let seed = machine.path("/var/lib/cloud/seed/nocloud")?;
    fs::create_dir_all(&seed)?;
    fs::write(seed.join("user-data"), user_data(CONFIG))?;
    fs::write(seed.join("meta-data"), "instance-id: i-another\n")?;
    machine.ok("mkdir -p /var/lib/cloud/instances/iid-datasource-none")?;
    machine.awaits_reboot(SERVICE)?;
    wait_watched(&machine)?;
    let status = status(&machine)?;
    ensure!(!status.contains("no user-data"), "{status}");
    machine.ok("[ ! -e /var/lib/cloud/instances/iid-datasource-none ] && [ ! -e /var/lib/t0rn-user-data ]")?;
    Ok(())
}

#[test]
fn boots_without_user_data_are_bounded_and_may_end_the_instance() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = without_source()?;
    // cloud-init takes nothing from a service that answers: after three boots no further one.
    machine.ok(
        "systemctl stop t0rn-user-data && mkdir -p /var/lib/t0rn-user-data && echo 3 >/var/lib/t0rn-user-data/tries",
    )?;
    machine.ok(SERVICE)?;
    machine.ok("systemctl start t0rn-user-data")?;
    wait::until("the status to tell", wait::SOON, || {
        let status = status(&machine)?;
        ensure!(
            status.contains("takes nothing from it after 3 boots; see: cloud-init status --long"),
            "{status}"
        );
        Ok(())
    })?;
    // Where it is wanted, the instance ends, which its group takes for unhealthy; and not before its time.
    machine.ok(
        "systemctl stop t0rn-user-data; printf '#!/bin/sh\\necho \"$@\" >>/run/asked\\n' >/usr/local/sbin/systemctl; \
         chmod +x /usr/local/sbin/systemctl; sed -i 's/^give_up=.*/give_up=300/' /etc/t0rn-agent/user-data.conf; \
         echo '299.99 1.00' >/run/uptime; mount --bind /run/uptime /proc/uptime",
    )?;
    let early = machine.run("timeout 5 /usr/lib/t0rn-agent/user-data")?;
    ensure!(early.status.code() == Some(124), "{early:?}");
    machine.ok("[ ! -e /run/asked ] && echo '300.00 1.00' >/run/uptime && /usr/lib/t0rn-agent/user-data")?;
    ensure!(machine.ok("cat /run/asked")? == "poweroff");
    let status = status(&machine)?;
    ensure!(
        status.contains("no user-data: none for 300 s: the instance powers itself off"),
        "{status}"
    );
    Ok(())
}
