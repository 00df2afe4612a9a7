//! The unit through the life of a host: first start, hang, reboot, restart, cloud-init.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::wait;

use crate::host::{CONFIG, INSTALL, RUN, configure, machine, main_pid, running, wait_watched};

#[test]
fn without_a_configuration_it_is_enabled_and_fails_once_with_the_reason() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine()?;
    let said = machine.ok(&format!("{INSTALL} /root/agent.deb"))?;
    ensure!(
        said.contains("not started") && said.contains("collator.image"),
        "{said}"
    );
    ensure!(machine.ok("systemctl is-enabled t0rn-agent")? == "enabled");

    machine.ok("! systemctl start t0rn-agent")?;
    // Failed, and not about to try again.
    let state = machine.ok("systemctl show --property ActiveState,ExecMainStatus,NRestarts t0rn-agent")?;
    ensure!(
        state
            .lines()
            .all(|line| ["NRestarts=0", "ExecMainStatus=2", "ActiveState=failed"].contains(&line)),
        "{state}"
    );
    let journal = machine.ok("journalctl --unit t0rn-agent --output cat")?;
    ensure!(journal.contains("collator.image"), "{journal}");

    // The mended configuration is taken.
    configure(&machine)?;
    machine.ok("t0rn-agent config check && systemctl restart t0rn-agent")?;
    wait_watched(&machine)?;
    Ok(())
}

#[test]
fn the_unit_runs_as_its_own_user_and_the_collator_as_another() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let pid = main_pid(&machine)?;
    ensure!(machine.ok(&format!("stat --format %U /proc/{pid}"))? == "t0rn-agent");
    ensure!(machine.ok("docker inspect --format '{{.Config.User}}' t0rn-collator")? == "1000:1000");
    ensure!(machine.ok("stat --format '%u:%g %a' /var/lib/t0rn-collator")? == "1000:1000 750");
    ensure!(machine.ok("stat --format '%U:%G %a' /run/t0rn-agent/agent.sock")? == "t0rn-agent:t0rn-agent 660");
    ensure!(machine.ok("stat --format '%U:%G %a' /etc/t0rn-agent")? == "root:t0rn-agent 750");
    wait::until("systemctl status to say how it is", wait::SOON, || {
        let told = machine.ok("systemctl show --property StatusText --value t0rn-agent")?;
        ensure!(told.contains("syncing - parachain"), "{told}");
        Ok(())
    })?;

    // A password that only root can read is read, and nobody else's secret can be written to.
    let capabilities = machine.ok(&format!("grep CapEff /proc/{pid}/status"))?;
    ensure!(capabilities.ends_with("0000000000000004"), "{capabilities}");
    Ok(())
}

#[test]
fn root_and_members_of_the_group_may_ask_and_others_are_told_how() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    machine.ok("useradd --groups t0rn-agent olga && useradd stranger")?;
    for user in ["root", "olga"] {
        // Degraded (1) at most: a machine without a network is no fault of the package.
        machine.ok(&format!("runuser -u {user} -- t0rn-agent status || [ $? = 1 ]"))?;
        machine.ok(&format!("runuser -u {user} -- t0rn-agent pause --for 1h --reason test"))?;
        machine.ok(&format!("runuser -u {user} -- t0rn-agent incidents"))?;
    }
    let refused = machine.run("runuser -u stranger -- t0rn-agent status")?;
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    ensure!(refused.status.code() == Some(3), "{}", refused.status);
    ensure!(said.contains("use sudo, or join the group t0rn-agent"), "{said}");
    Ok(())
}

#[test]
fn the_journal_has_no_time_and_no_colour_of_the_agents_own() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let journal = machine.ok("journalctl --unit t0rn-agent --output cat _COMM=t0rn-agent")?;
    ensure!(journal.lines().count() > 3, "{journal}");
    for line in journal.lines() {
        let level = line.split_whitespace().next().context("an empty line")?;
        ensure!(["INFO", "WARN"].contains(&level), "{line}");
        ensure!(!line.contains('\x1b'), "{line}");
    }
    let acting = machine.ok("journalctl --unit t0rn-agent --output cat ACTION=start CAUSE=missing PRIORITY=6")?;
    ensure!(acting.contains("acting action=\"start\" cause=\"missing\""), "{acting}");
    Ok(())
}

#[test]
fn an_agent_that_hangs_is_killed_and_started_and_the_collator_runs_on() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let drop_in = "mkdir -p /etc/systemd/system/t0rn-agent.service.d && cd /etc/systemd/system/t0rn-agent.service.d \
                   && printf '[Service]\\nWatchdogSec=3s\\nRestartSec=1s\\n' >test.conf && systemctl daemon-reload \
                   && systemctl restart t0rn-agent";
    machine.ok(drop_in)?;
    let (run, pid) = (wait_watched(&machine)?, main_pid(&machine)?);

    machine.ok(&format!("kill -STOP {pid}"))?;
    wait::until("another agent", wait::SOON, || {
        let other = main_pid(&machine)?;
        ensure!(other != pid, "still {pid}");
        Ok(other)
    })?;
    ensure!(wait_watched(&machine)? == run, "the collator was touched");
    let journal = machine.ok("journalctl --unit t0rn-agent --output cat")?;
    ensure!(journal.contains("Watchdog timeout"), "{journal}");
    Ok(())
}

#[test]
fn after_a_reboot_agent_and_collator_come_back_by_themselves() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let container = machine.ok("docker inspect --format '{{.Id}}' t0rn-collator")?;
    machine.reboot()?;
    let run = wait_watched(&machine)?;
    ensure!(
        run.starts_with(&container),
        "{run} is another container than {container}"
    );
    ensure!(machine.ok("systemctl is-active t0rn-agent")? == "active");
    // The host's shutdown is no order of a person to stay stopped, and no crash.
    let status = machine.run("t0rn-agent status --json")?;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    ensure!(status.contains(r#""health":0,"crash":0"#), "{status}");
    Ok(())
}

#[test]
fn stopping_and_restarting_the_unit_leaves_the_collator_alone() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let run = machine.ok(RUN)?;
    machine.ok("systemctl restart t0rn-agent")?;
    ensure!(wait_watched(&machine)? == run, "the collator was touched by a restart");
    machine.ok("systemctl stop t0rn-agent")?;
    ensure!(machine.ok(RUN)? == run, "the collator was touched by a stop");
    ensure!(machine.ok("systemctl show --property Result --value t0rn-agent")? == "success");
    Ok(())
}

#[test]
fn reloading_the_unit_leaves_the_collator_alone_and_fails_on_a_wrong_file() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = running()?;
    let (run, pid) = (machine.ok(RUN)?, main_pid(&machine)?);
    let file = machine.path("/etc/t0rn-agent/agent.toml")?;
    fs::write(&file, CONFIG.replace("[restart]", "[restart]\nbudget = 7"))?;
    machine.ok("systemctl reload t0rn-agent")?;
    let status = machine.run("t0rn-agent status --json")?;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    ensure!(status.contains(r#""budget":7"#), "{status}");
    fs::write(&file, CONFIG.replace("[restart]", "[restart]\nbudget = \"many\""))?;
    machine.ok("! systemctl reload t0rn-agent")?;
    let journal = machine.ok("journalctl --unit t0rn-agent --output cat")?;
    ensure!(
        journal.contains("key `restart.budget`: \"many\" is no whole number"),
        "{journal}"
    );
    machine.ok("systemctl kill --signal=HUP --kill-whom=main t0rn-agent && systemctl is-active t0rn-agent")?;
    ensure!(
        machine.ok(RUN)? == run && main_pid(&machine)? == pid,
        "something was restarted"
    );
    Ok(())
}

#[test]
fn a_machine_image_gets_its_configuration_from_cloud_init() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine()?;
    machine.ok(&format!("{INSTALL} /root/agent.deb && systemctl is-enabled t0rn-agent"))?;
    let seed = machine.path("/var/lib/cloud/seed/nocloud")?;
    fs::create_dir_all(&seed)?;
    fs::write(seed.join("meta-data"), "instance-id: first\n")?;
    let content: Vec<_> = CONFIG.lines().map(|line| format!("      {line}\n")).collect();
    let user_data = format!(
        "#cloud-config\nlocale: C.UTF-8\nwrite_files:\n  - path: /etc/t0rn-agent/agent.toml\n    content: |\n{}\
         runcmd:\n  - systemctl start --no-block t0rn-agent\n",
        content.concat()
    );
    fs::write(seed.join("user-data"), user_data)?;

    machine.reboot()?;
    let cloud_init = machine.ok("cloud-init status --wait --long")?;
    ensure!(cloud_init.contains("status: done"), "{cloud_init}");
    wait_watched(&machine)?;
    // A cycle is broken silently, at a moment when there is no journal yet.
    let order = machine.ok("systemd-analyze verify --man=no multi-user.target cloud-init.target 2>&1")?;
    ensure!(!order.contains("ordering cycle"), "{order}");
    let journal = machine.ok("journalctl --boot")?;
    // The unit waited for the configuration, and did not fail first.
    let failures = machine.ok("systemctl show --property NRestarts,Result --value t0rn-agent")?;
    ensure!(failures.split_whitespace().eq(["success", "0"]), "{failures}");
    ensure!(!journal.contains("t0rn-agent.service: Failed"), "{journal}");
    Ok(())
}
