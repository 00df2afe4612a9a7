//! Nothing of the machine that baked goes along: each thing is planted once, and found by its check and its name.

use std::fs;
use std::process::Output;

use anyhow::{Result, ensure};
use t0rn_agent_tests::repository::{copy_validate, root};

use crate::baked::{CONFIG, baked, beside_the_image, machine, user_data, validate as validate_running, wait_watched};
use crate::plants::{Plant, plants, rounds};

fn validate(plant: &str) -> Result<(String, Output)> {
    let output = beside_the_image(&format!(
        "{plant}\n\"$top/packer/validate\" bake --no-chain --root \"$dir/root\""
    ))?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output))
}

#[test]
fn a_clean_image_passes_and_says_what_it_could_not_judge() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let (said, output) = validate("")?;
    ensure!(output.status.success(), "{said}{output:?}");
    ensure!(output.stderr.is_empty(), "{output:?}");
    let skipped: Vec<_> = said.lines().filter(|line| line.starts_with("SKIP ")).collect();
    ensure!(skipped.len() == 4, "{skipped:?}");
    ensure!(
        skipped[0]
            == "SKIP vendor_packages: stand-ins are installed and say nothing about the real ones: \
                       amazon-ssm-agent amazon-cloudwatch-agent",
        "{skipped:?}"
    );
    // Each check that a plant is meant for exists, and passed here.
    for Plant { check, .. } in plants()? {
        ensure!(said.contains(&format!("PASS {check}\n")), "{check}: {said}");
    }
    Ok(())
}

#[test]
fn every_forbidden_thing_is_found_by_its_name_and_by_nothing_less() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    for round in rounds()? {
        let scripts: Vec<_> = round.iter().map(|plant| plant.script.as_str()).collect();
        let (said, output) = validate(&scripts.join("\n"))?;
        ensure!(output.status.code() == Some(1), "{scripts:?}: {output:?}");
        for plant in &round {
            ensure!(named(&said, plant), "{plant:?}: {said}");
        }
        // All checks are made, also those behind it.
        ensure!(said.contains("SKIP certificate: "), "{said}");
    }
    Ok(())
}

/// What was found, by this check and under this name, and what to do about it.
fn named(said: &str, plant: &Plant) -> bool {
    let failed = format!("FAIL {}: ", plant.check);
    said.lines()
        .filter_map(|line| line.strip_prefix(&failed)?.split_once("; "))
        .any(|(found, remedy)| !remedy.is_empty() && format!(" {found} ").contains(&format!(" {} ", plant.found)))
}

#[test]
fn a_chain_without_its_certificate_is_no_image() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let output = beside_the_image("\"$top/packer/validate\" bake --root \"$dir/root\"")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(1), "{said}");
    let output = beside_the_image(
        r#"mkdir -p var/lib/t0rn-collator && echo '{}' >var/lib/t0rn-collator/bake.json && ln -sf true usr/bin/t0rn-agent
        "$top/packer/validate" bake --root "$dir/root""#,
    )?;
    let broken = String::from_utf8_lossy(&output.stdout);
    ensure!(broken.contains("FAIL certificate: the agent cannot run"), "{broken}");
    for line in [
        "FAIL certificate: /var/lib/t0rn-collator/bake.json is missing",
        "FAIL collator_image: ",
    ] {
        ensure!(said.contains(line), "{said}");
    }
    Ok(())
}

#[test]
fn the_cleanup_takes_away_whatever_validation_would_find() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    // Hardening is not the clean-up's: what installs and hardens is done before, and not again.
    let others = [
        "masked_",
        "enabled_",
        "disabled_",
        "no_collection",
        "installed_files",
        "agent",
        "made_of",
        "passwords",
        "administrators",
        "agent_configuration",
        "build_settings",
        "cloud_configuration",
        "network_secrets",
        "ssh_settings",
        "sudo_settings",
        "swap",
    ];
    let script: Vec<_> = plants()?
        .into_iter()
        .filter(|Plant { check, .. }| {
            !others
                .iter()
                .any(|other| check == other || (other.ends_with('_') && check.starts_with(other)))
        })
        .map(|plant| plant.script)
        .collect();
    // Outside the data directory, a key is somebody's own doing: the clean-up does not search the world.
    let script = script.join("\n").replace("srv/node/", "var/lib/t0rn-collator/other/");
    let script = format!("{script}\nrm -rf srv/* usr/share/x.pem");
    let clean = "\"$top/ami/clean.sh\" --root \"$dir/root\" >/dev/null";
    let (said, output) = validate(&format!("{script}\n{clean}"))?;
    let left: Vec<_> = said.lines().filter(|line| line.starts_with("FAIL ")).collect();
    ensure!(
        output.status.success(),
        "{left:?} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn a_bake_with_stand_ins_says_so_and_one_with_unknown_files_ends() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let (_, said) = baked()?;
    for name in crate::baked::STAND_INS {
        ensure!(said.contains(&format!("install: STAND-IN: {name} ")), "{said}");
    }
    let verified =
        beside_the_image("test -x usr/bin/cosign && grep '^cosign 2.6.5 .* vendor$' usr/lib/t0rn-agent/made-of")?;
    ensure!(verified.status.success(), "cosign is not on the image, or not recorded");
    let output = beside_the_image(
        r#"mkdir "$dir/downloads"; echo other >"$dir/downloads/amazon-ssm-agent.deb"
        systemd-nspawn --quiet --register=no --keep-unit --directory="$dir/root" --machine="bake$RANDOM" --private-network --pipe \
            --bind-ro="$top/ami:/run/bake/ami" --bind-ro="$dir/downloads:/run/bake/downloads" \
            env DEB=/etc/hostname DOWNLOADS=/run/bake/downloads /run/bake/ami/install.sh"#,
    )?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.contains("install: amazon-ssm-agent: "),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_machine_that_runs_is_cleaned_and_judged_from_within() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    let machine = machine(Some(user_data(CONFIG).as_bytes()))?;
    wait_watched(&machine)?;
    // As packer brings it, but where it would stay: here /tmp is in memory already.
    machine.ok("mkdir -p /var/tmp/t0rn /mnt/below && echo other >/tmp/left && mount --bind / /mnt/below")?;
    machine.ok("echo below >/mnt/below/tmp/below && umount /mnt/below && rmdir /mnt/below")?;
    fs::copy(root().join("ami/clean.sh"), machine.path("/var/tmp/t0rn/clean.sh")?)?;
    copy_validate(&machine.path("/var/tmp/t0rn")?)?;
    let (said, content) = validate_running(&machine, "bake --no-chain")?;
    ensure!(!content && said.contains("FAIL cloud_init_instance: "), "{said}");
    ensure!(said.contains("FAIL docker_containers: "), "{said}");
    ensure!(said.contains("FAIL temporary_files: /tmp/below "), "{said}");

    // No bake replaces it, and so nothing cleans it.
    ensure!(
        said.contains("FAIL agent_configuration: /etc/t0rn-agent/agent.toml; "),
        "{said}"
    );
    let packaged = baked()?.0.join("etc/t0rn-agent/agent.toml");
    fs::copy(packaged, machine.path("/etc/t0rn-agent/agent.toml")?)?;
    machine.ok("bash /var/tmp/t0rn/clean.sh && [ -e /var/tmp/t0rn/validate ] && [ ! -e /tmp/left ]")?;
    let (said, content) = validate_running(&machine, "bake --no-chain")?;
    let failed: Vec<_> = said.lines().filter(|line| line.starts_with("FAIL ")).collect();
    ensure!(
        !content && failed.len() == 1 && failed[0].starts_with("FAIL temporary_files: "),
        "{said}"
    );
    machine.ok("rm -rf /var/tmp/t0rn")?;
    let (said, content) = validate_running(&machine, "bake --no-chain")?;
    ensure!(content && said.contains("PASS collator_image\n"), "{said}");
    Ok(())
}
