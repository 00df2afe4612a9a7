//! The boot test of the pipeline, with Systems Manager played: no emulator runs anything.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::repository::root;
use t0rn_agent_tests::{skip, wait};

use crate::account::{AwsAccount, said, unavailable};
use crate::builder::CONFIG;
use crate::pipeline::baked;
use crate::roles::BUILDER;

/// Answers for Systems Manager, keeps what was sent, and leaves everything else to the emulated account.
const AWS: &str = r#"#!/bin/bash
case "$1 $2" in
"ssm describe-instance-information") echo Online ;;
"ssm send-command")
    for word; do case $word in file://*) cp "${word#file://}" "$(dirname "$0")/sent" ;; esac; done
    echo command
    ;;
"ssm get-command-invocation") case "$*" in *StandardOutputContent*) echo "PASS agent_status" ;; *) echo "$STATE" ;; esac ;;
*) PATH=${PATH#*:} exec aws "$@" ;;
esac
"#;

#[test]
fn boot_test_instance_is_terminated_whatever_is_found() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut account = AwsAccount::of_roles()?;
    account.aws(&format!(
        "iam create-instance-profile --instance-profile-name {BUILDER}"
    ))?;
    let (image, folder) = baked(&account, 1)?;
    let tools = account.dir().join("tools");
    fs::create_dir(&tools)?;
    // Nothing is waited for.
    for (program, text) in [("aws", AWS), ("sleep", "#!/bin/sh\n")] {
        fs::write(tools.join(program), text)?;
        fs::set_permissions(tools.join(program), Permissions::from_mode(0o755))?;
    }
    let config = account.dir().join("agent.toml");
    fs::write(&config, CONFIG)?;
    account.first_in_path(&tools);
    account.set("PROFILE", BUILDER);
    account.set("MINUTES", "1");
    for (state, good) in [("Success", true), ("Failed", false)] {
        account.set("STATE", state);
        let looked = account.script(
            "packer/boot-test",
            &[&folder.display().to_string(), &config.display().to_string()],
        )?;
        ensure!(looked.status.success() == good, "{state}: {}", said(&looked));
        ensure!(said(&looked).contains("PASS agent_status"), "{}", said(&looked));
    }
    let instances = account.aws(&format!(
        "ec2 describe-instances --filters Name=image-id,Values={image}"
    ))?;
    let instances: Vec<_> = instances["Reservations"]
        .as_array()
        .context("no reservations")?
        .iter()
        .filter_map(|reservation| reservation.pointer("/Instances/0"))
        .collect();
    ensure!(instances.len() == 2, "{instances:?}");
    for instance in instances {
        ensure!(instance["State"]["Name"] == "terminated", "{instance}");
        ensure!(instance["MetadataOptions"]["HttpTokens"] == "required", "{instance}");
    }

    // What the instance is told to run is this repository's validation.
    let sent: Value = serde_json::from_slice(&fs::read(tools.join("sent"))?)?;
    let command = sent["commands"][0].as_str().context("no command")?;
    let (unpack, run) = command.split_once(" -C /run && ").context("no files")?;
    ensure!(run == "bash /run/validate boot", "{command}");
    let machine = account.dir().join("run");
    fs::create_dir(&machine)?;
    let unpacked = wait::run(20, Command::new("sh").args(["-ec", unpack]).current_dir(&machine))?;
    ensure!(unpacked.status.success(), "{command}: {}", said(&unpacked));
    for file in ["validate", "validate.d/forbidden.sh", "validate.d/required.sh"] {
        ensure!(
            fs::read(machine.join(file))? == fs::read(root().join("packer").join(file))?,
            "{file}"
        );
    }
    Ok(())
}
