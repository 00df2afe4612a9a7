//! User-data that is wrong leaves a machine that can be reached, with a status that explains.

use anyhow::{Result, ensure};

use crate::baked::{CONFIG, machine, new_instance, user_data, wait_watched};

/// What the user-data is, and what the status says of it: nothing but what is wrong with the configuration.
fn wrong() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let huge = format!("{CONFIG}# {}\n", "x".repeat(2 << 20));
    let mut binary = user_data(CONFIG).into_bytes();
    binary.extend([0xff, 0xfe, 0x00, 0xc3, 0x28]);
    let encoded = "#cloud-config\nwrite_files:\n  - path: /etc/t0rn-agent/agent.toml\n    encoding: b64\n    content: W2NvbGxhdG9yXQppbWFnZSA9ICL/Igo=\n";
    let shipped = "key `collator.image`: missing; write the image to run";
    vec![
        (
            "bad TOML",
            user_data("[collator\nimage = 1").into(),
            "agent.toml:1: not valid TOML",
        ),
        (
            "an unknown key",
            user_data(&format!("{CONFIG}[colator]\nimage = \"x\"")).into(),
            "unknown",
        ),
        ("no image", user_data("[collator]\npull = \"never\"").into(), shipped),
        ("huge", user_data(&huge).into(), "is larger than 1 MiB"),
        ("empty", Vec::new(), shipped),
        (
            "TOML that is not UTF-8",
            encoded.into(),
            "agent.toml:2: byte 0xff is not UTF-8; save the file as UTF-8",
        ),
        ("not UTF-8 itself", binary, shipped),
        ("no cloud-config", b"[collator]\nimage = \"x\"\n".to_vec(), shipped),
        ("bad YAML", b"#cloud-config\nwrite_files: [\n  - {\n".to_vec(), shipped),
    ]
}

#[test]
fn wrong_user_data_leaves_a_reachable_machine_that_explains_itself() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine(None)?;
    for (name, data, says) in wrong() {
        new_instance(&machine, &data)?;
        // What it is reached by, and what has to run for the mended configuration.
        machine.ok("systemctl is-active amazon-ssm-agent && systemctl is-active docker")?;
        machine.ok("! systemctl list-jobs --no-legend | grep .")?;
        let unit = machine.ok("systemctl show --property NRestarts,ExecMainStatus --value t0rn-agent")?;
        ensure!(
            unit.split_whitespace().eq(["0", "2"]) || unit.split_whitespace().eq(["2", "0"]),
            "{name}: {unit}"
        );

        let output = machine.run("t0rn-agent status 2>/dev/null")?;
        // In a paragraph of its own where it is long.
        let status = String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        ensure!(output.status.code() == Some(3), "{name}: {output:?}");
        ensure!(
            status.starts_with("UNKNOWN: the configuration is wrong: /etc/t0rn-agent/agent.toml"),
            "{name}: {status}"
        );
        ensure!(
            status.contains(says) && status.contains("then: systemctl restart t0rn-agent"),
            "{name}: {status}"
        );
        let json = machine.run("t0rn-agent status --json 2>/dev/null")?;
        let json_says = String::from_utf8_lossy(&json.stdout).into_owned();
        ensure!(
            json.status.code() == Some(3) && json_says.contains(says),
            "{name}: {json:?}"
        );
        ensure!(
            json_says.contains("the configuration is wrong: "),
            "{name}: {json_says}"
        );
    }

    // Mended as it says.
    std::fs::write(machine.path("/etc/t0rn-agent/agent.toml")?, CONFIG)?;
    machine.ok("systemctl restart t0rn-agent")?;
    wait_watched(&machine)?;
    Ok(())
}

#[test]
fn missing_image_is_pulled_again_and_again_and_reported() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let configuration = CONFIG.replace("\"sim-collator\"", "\"registry.example/nowhere:1\"");
    let machine = machine(Some(user_data(&configuration).as_bytes()))?;
    machine.ok("systemctl is-active amazon-ssm-agent t0rn-agent")?;
    t0rn_agent_tests::wait::until("the status to explain", t0rn_agent_tests::wait::SOON, || {
        let output = machine.run("t0rn-agent status")?;
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(status.contains("image registry.example/nowhere:1: "), "{status}");
        Ok(())
    })?;
    std::fs::write(machine.path("/etc/t0rn-agent/agent.toml")?, CONFIG)?;
    machine.ok("systemctl restart t0rn-agent")?;
    wait_watched(&machine)?;
    Ok(())
}
