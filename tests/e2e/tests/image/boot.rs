//! Machines that start from the image.

use anyhow::{Result, ensure};
use t0rn_agent_tests::wait;

use crate::baked::{CONFIG, machine, user_data, validate, wait_watched};

#[test]
fn first_boot_runs_user_data_without_registry_or_other_listeners() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine(Some(user_data(CONFIG).as_bytes()))?;
    ensure!(machine.ok("cloud-init status --wait")?.contains("status: done"));
    wait_watched(&machine)?;
    let (said, content) = validate(&machine, "boot --no-chain")?;
    ensure!(content && said.contains("PASS collator_runs\n"), "{said}");
    // It started once, with this configuration, and did not fail first.
    let failures = machine.ok("systemctl show --property NRestarts,Result --value t0rn-agent")?;
    ensure!(failures.split_whitespace().eq(["success", "0"]), "{failures}");
    let journal = machine.ok("journalctl --boot")?;
    ensure!(!journal.contains("t0rn-agent.service: Failed"), "{journal}");
    ensure!(!journal.contains("ordering cycle"), "{journal}");
    ensure!(!journal.contains("pulling image"), "{journal}");

    // Nobody has a password, and sshd is not to be started.
    machine.ok("! systemctl start ssh && ! systemctl start ssh.socket")?;
    // The one that baked is nobody any more, and no other was made.
    let people = machine.ok("awk -F : '$3 >= 1000 && $1 != \"nobody\" { print $1 }' /etc/passwd")?;
    ensure!(people == "admin", "{people}");
    machine.ok("[ \"$(id --name --groups admin)\" = admin ] && passwd --status admin | grep -q '^admin L '")?;
    machine.ok("passwd --status root | grep -q '^root L '")?;
    machine.ok("findmnt --noheadings --output OPTIONS /tmp | grep noexec")?;

    // What somebody left in the image is found here, too: keys, histories, credentials.
    machine.ok(
        "mkdir -p /srv/a/.aws && echo key >/srv/a/.aws/credentials && echo ls >/srv/a/.bash_history && \
         echo key >/root/.ssh/authorized_keys && echo '-----BEGIN RSA PRIVATE KEY-----' >/srv/a/key",
    )?;
    let (said, content) = validate(&machine, "boot --no-chain")?;
    let failed: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("FAIL ")).collect();
    let found = ["authorized_keys", "private_keys", "shell_history", "credentials"];
    ensure!(
        !content && failed.iter().filter_map(|line| line.split(':').next()).eq(found),
        "{said}"
    );

    // Nor is a certificate one that the agent cannot read.
    machine.ok("echo '{}' >/var/lib/t0rn-collator/bake.json")?;
    let (said, _) = validate(&machine, "boot")?;
    ensure!(said.contains("FAIL certificate: the agent cannot read"), "{said}");
    machine.ok("rm /var/lib/t0rn-collator/bake.json")?;

    // An agent that cannot run is none.
    machine.ok("mount --bind /bin/false /usr/bin/t0rn-agent")?;
    let (said, _) = validate(&machine, "boot --no-chain")?;
    ensure!(said.contains("FAIL agent_status: "), "{said}");
    machine.ok("umount /usr/bin/t0rn-agent")?;

    // Something that listens for others is found.
    machine.ok("python3 -m http.server 8000 >/dev/null 2>&1 &")?;
    let (said, _) = wait::until("the listener", wait::SOON, || {
        let answer = validate(&machine, "boot --no-chain")?;
        ensure!(answer.0.contains("FAIL listeners: tcp/0.0.0.0:8000"), "{}", answer.0);
        Ok(answer)
    })?;
    ensure!(said.contains("PASS sysctl"), "{said}");
    Ok(())
}

#[test]
fn docker_restarts_and_leaves_the_collator_running() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine(Some(user_data(CONFIG).as_bytes()))?;
    wait_watched(&machine)?;
    let started = "docker inspect --format '{{.State.StartedAt}}' t0rn-collator";
    let before = machine.ok(started)?;
    machine.ok("systemctl restart docker")?;
    wait_watched(&machine)?;
    ensure!(machine.ok(started)? == before, "the collator was restarted");
    Ok(())
}

#[test]
fn without_its_volume_no_collator_starts_and_the_status_says_why() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let chain = "  - path: /etc/t0rn-agent/chain-volume.conf\n    content: |\n      volume=/dev/chain\n      wait=2\n";
    let machine = machine(None)?;
    let data = format!("{}{chain}", user_data(CONFIG));
    // Not waited for: there will be no Docker. The machine itself comes up.
    let seed = machine.path("/var/lib/cloud/seed/nocloud")?;
    std::fs::create_dir_all(&seed)?;
    std::fs::write(seed.join("user-data"), data)?;
    std::fs::write(seed.join("meta-data"), "instance-id: i-1\n")?;
    // The same as a boot does, in the same order.
    machine.ok(
        "systemctl stop docker docker.socket t0rn-agent t0rn-chain-volume; cloud-init init --local && cloud-init init",
    )?;
    machine.ok("systemctl start --no-block t0rn-chain-volume docker t0rn-agent")?;

    let refused = "chain volume: no volume /dev/chain within 2 s; attach it, then: systemctl start docker";
    wait::until("the status to explain", wait::SOON, || {
        let output = machine.run("t0rn-agent status")?;
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            status.contains(refused) && status.contains("docker unreachable"),
            "{status}"
        );
        Ok(())
    })?;
    machine
        .ok("! systemctl is-active docker && ! systemctl is-active docker.socket && systemctl is-active t0rn-agent")?;
    machine.ok("[ -z \"$(ls -A /var/lib/t0rn-collator)\" ]")?;
    // Nor by force of habit.
    machine.ok("! systemctl start docker && ! docker version")?;
    let json = machine.run("t0rn-agent status --json")?;
    ensure!(String::from_utf8_lossy(&json.stdout).contains(refused), "{json:?}");
    let (said, content) = validate(&machine, "boot --no-chain")?;
    ensure!(!content && said.contains("FAIL chain_volume: "), "{said}");

    // Mended as it says.
    machine.ok("sed -i 's/^volume=.*/volume=none/' /etc/t0rn-agent/chain-volume.conf && systemctl start docker")?;
    wait_watched(&machine)?;
    let status = machine.run("t0rn-agent status")?;
    ensure!(
        !String::from_utf8_lossy(&status.stdout).contains("chain volume"),
        "{status:?}"
    );
    Ok(())
}
