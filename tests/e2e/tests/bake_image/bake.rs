//! Packer bakes an image of a machine with a chain, and of nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::{copy_validate, root};
use t0rn_agent_tests::{skip, wait};

use crate::account::{AwsAccount, REGION, said, unavailable};
use crate::boot;
use crate::builder::{Builder, PLANTED, certificate};
use crate::session;
use crate::vendor::Vendor;

const CHAIN: &str = "/var/lib/t0rn-collator";

/// What may be on no image: the file that is planted, and the check that finds it.
const FORBIDDEN: [(&str, &str, &str); 11] = [
    ("a host key", "/etc/ssh/ssh_host_ed25519_key", "ssh_host_keys"),
    ("an authorized key", "/root/.ssh/authorized_keys", "authorized_keys"),
    ("a machine id", "/etc/machine-id", "machine_id"),
    (
        "a key of the parachain",
        "/var/lib/t0rn-collator/chains/PARA/keystore/61757261",
        "chain_keys",
    ),
    (
        "a key of the relay chain",
        "/var/lib/t0rn-collator/polkadot/chains/RELAY/keystore/61757261",
        "chain_keys",
    ),
    (
        "the parachain's node key",
        "/var/lib/t0rn-collator/chains/PARA/network/secret_ed25519",
        "chain_keys",
    ),
    (
        "the relay chain's node key",
        "/var/lib/t0rn-collator/polkadot/chains/RELAY/network/secret_ed25519",
        "chain_keys",
    ),
    ("a shell's history", "/root/.bash_history", "shell_history"),
    (
        "an instance of cloud-init",
        "/var/lib/cloud/instances/i-0/user-data.txt",
        "cloud_init_instance",
    ),
    (
        "credentials of Docker",
        "/root/.docker/config.json",
        "docker_credentials",
    ),
    (
        "a file that no chain has",
        "/var/lib/t0rn-collator/backup",
        "certificate",
    ),
];

#[test]
fn image_without_forbidden_files_is_baked_and_boots_at_its_height() -> Result<()> {
    if let Some(reason) = NspawnMachine::unavailable().or_else(unavailable) {
        skip!(reason);
    }
    let account = AwsAccount::of_roles()?;
    let builder = Builder::boot(&account)?;
    let vendor = Vendor::open()?;
    let folder = tempfile::Builder::new().prefix("baked").tempdir()?;

    a_seed_is_checked_before_it_becomes_the_chain(&builder.machine)?;
    a_forbidden_thing_fails_the_build(&account, &builder, &vendor, folder.path())?;
    session::is_prepared(&account, &builder.machine, &vendor)?;
    let height = an_image_of_two_volumes_comes_of_it(&account, &builder, &vendor, folder.path())?;
    validation_finds(&builder.machine)?;
    let image = folder.path().join("image");
    builder.machine.power_off(&image)?;
    holds_no_secret(&image)?;
    boot::twice(&image, height)
}

/// Of the configuration, whose collator ran on the builder: no file of the image has one.
fn holds_no_secret(image: &Path) -> Result<()> {
    let with = |text: &str| -> Result<String> {
        let mut search = Command::new("grep");
        let output = wait::run(300, search.args(["-rlaF", "--devices=skip", text]).arg(image))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (found, known) = (with(PLANTED)?, with("sim-collator:baked")?);
    ensure!(found.is_empty(), "files with a secret of the configuration: {found}");
    ensure!(!known.is_empty(), "the search finds nothing at all");
    Ok(())
}

fn a_seed_is_checked_before_it_becomes_the_chain(machine: &NspawnMachine) -> Result<()> {
    fs::copy(root().join("packer/seed"), machine.path("/run/seed")?)?;
    machine.ok(
        "mkdir -p /run/from/chains/a && echo block >/run/from/chains/a/db && tar -C /run/from -czf /run/seed.tar.gz .",
    )?;
    let right = machine.ok("sha256sum /run/seed.tar.gz | cut -d ' ' -f 1")?;
    let seed = |sum: &str| {
        machine.run(&format!(
            "SEED_URL=file:///run/seed.tar.gz SEED_SHA256={sum} bash /run/seed"
        ))
    };
    for wrong in ["", &right.replace(|digit: char| digit.is_ascii_digit(), "0")] {
        let refused = seed(wrong)?;
        ensure!(!refused.status.success(), "with {wrong:?}: {}", said(&refused));
        let left = machine.ok(&format!("ls -A {CHAIN}"))?;
        ensure!(left.is_empty(), "with {wrong:?}, this was left: {left}");
    }
    // With a checksum that is right, but without a chain where one has to be: empty, or in a folder of its own.
    for from in ["/run/empty", "/run/above"] {
        machine.ok(&format!(
            "mkdir -p /run/empty /run/above && cp -r /run/from /run/above/node && tar -C {from} -czf /run/seed-not.tar.gz ."
        ))?;
        let refused = machine.run(
            "SEED_URL=file:///run/seed-not.tar.gz SEED_SHA256=$(sha256sum /run/seed-not.tar.gz | cut -d ' ' -f 1) bash /run/seed",
        )?;
        ensure!(
            !refused.status.success() && said(&refused).contains("has no chains/ in it"),
            "{from}: {}",
            said(&refused)
        );
        ensure!(machine.ok(&format!("ls -A {CHAIN}"))?.is_empty());
    }
    // As a run leaves it that was killed.
    machine.ok(&format!(
        "rm -rf /run/empty /run/above && mkfifo /run/t0rn-seed && mkdir -p {CHAIN}/.seed/chains/b"
    ))?;
    let taken = seed(&right)?;
    ensure!(taken.status.success(), "{}", said(&taken));
    ensure!(machine.ok(&format!("cat {CHAIN}/chains/a/db && stat --format %u {CHAIN}/chains/a"))? == "block\n1000");
    machine.ok(&format!(
        "[ ! -e {CHAIN}/.seed ] && [ ! -e {CHAIN}/chains/b ] && [ ! -e /run/t0rn-seed ]"
    ))?;
    // One that is there already stays, and one that was being moved there is.
    machine.ok(&format!("mkdir -p {CHAIN}/.seeded/polkadot"))?;
    ensure!(said(&seed(&right)?).contains("is gone on from"));
    machine.ok(&format!("rmdir {CHAIN}/polkadot && [ ! -e {CHAIN}/.seeded ]"))?;
    machine.ok(&format!("rm -r {CHAIN}/chains /run/from /run/seed*"))?;
    Ok(())
}

fn a_forbidden_thing_fails_the_build(
    account: &AwsAccount,
    builder: &Builder<'_>,
    vendor: &Vendor,
    folder: &Path,
) -> Result<()> {
    let (what, path, check) = FORBIDDEN[0];
    let plant = plant(path);
    let open = ("ssh_source_cidrs", r#"["10.215.0.0/30"]"#);
    let built = builder.bake(
        vendor,
        &folder.join("refused"),
        "genesis",
        &[open, ("before_validation", &plant)],
    )?;
    let told = said(&built);
    ensure!(!built.status.success(), "an image with {what} was built: {told}");
    let failed: Vec<_> = told.lines().filter(|line| line.contains(" FAIL ")).collect();
    ensure!(
        failed.len() == 1 && failed[0].contains(&format!("FAIL {check}:")),
        "not because of {what}: {told}"
    );
    let images = account.aws("ec2 describe-images --owners self")?;
    ensure!(images["Images"] == serde_json::json!([]), "{images}");
    Ok(())
}

/// Returns the parachain's height in the certificate.
fn an_image_of_two_volumes_comes_of_it(
    account: &AwsAccount,
    builder: &Builder<'_>,
    vendor: &Vendor,
    folder: &Path,
) -> Result<u64> {
    let output = folder.join("good");
    // What a former bake left: this one goes on from there.
    let volume = account.aws(&format!("ec2 create-volume --size 1 --availability-zone {REGION}a"))?;
    let volume = volume["VolumeId"].as_str().context("no volume")?;
    let former = account.aws(&format!("ec2 create-snapshot --volume-id {volume}"))?;
    let former = former["SnapshotId"].as_str().context("no snapshot")?;
    // A subnet that is reached by private addresses: the port is open to the one of the machine that bakes.
    let subnet = account.private_subnet("10.215.0.0/24", "10.215.0.0/28")?;
    let variables = [
        ("subnet_id", subnet.as_str()),
        ("ssh_interface", "private_ip"),
        ("chain_gib", "8"),
    ];
    let built = builder.bake(vendor, &output, former, &variables)?;
    let told = said(&built);
    ensure!(built.status.success(), "{told}");
    for words in [
        "the chain on the volume is gone on from",
        "Authorizing access to port 22 from [10.215.0.1/32]",
        "amazon-ssm-agent latest is signed by its vendor",
        "amazon-ssm-agent 3.3.0.0-1 is installed already",
        "PASS vendor_packages",
        "PASS ssm_registration",
    ] {
        ensure!(told.contains(words), "{words} is not in: {told}");
    }

    let certificate = certificate(&output)?;
    let images = account.aws("ec2 describe-images --owners self")?;
    let image = &images["Images"][0];
    ensure!(
        image["Name"]
            .as_str()
            .is_some_and(|name| name.starts_with(&format!("{}-", account.name()))),
        "{images}"
    );
    let mappings = image["BlockDeviceMappings"].as_array().context("no mappings")?;
    for device in ["/dev/xvda", "/dev/sdf"] {
        let mapping = mappings.iter().find(|mapping| mapping["DeviceName"] == device);
        let volume = &mapping.with_context(|| format!("{device} is not in {image}"))?["Ebs"];
        ensure!(
            volume["Encrypted"] == true && volume["DeleteOnTermination"] == true && volume["VolumeType"] == "gp3",
            "{device}: {volume}"
        );
        let snapshot = volume["SnapshotId"].as_str().context("no snapshot")?;
        let snapshots = account.aws(&format!("ec2 describe-snapshots --snapshot-ids {snapshot}"))?;
        says_what_is_inside(&snapshots["Snapshots"][0], &certificate, account.name())?;
    }
    says_what_is_inside(image, &certificate, account.name())?;
    ensure!(image["Tags"].to_string().contains(former), "{image}");
    ensure!(image["DeprecationTime"].is_string(), "{image}");
    height(&certificate)
}

/// The tags of an image or a snapshot are those of its certificate.
fn says_what_is_inside(made: &Value, certificate: &Value, name: &str) -> Result<()> {
    let tags = made["Tags"].as_array().context("no tags")?;
    let tag = |key: &str| {
        tags.iter()
            .find(|tag| tag["Key"] == key)
            .map(|tag| tag["Value"].clone())
    };
    let height = height(certificate)?.to_string();
    ensure!(tag("t0rn-agent:parachain-best") == Some(height.into()), "{made}");
    ensure!(tag("t0rn-agent:name") == Some(name.into()), "{made}");
    Ok(())
}

pub(crate) fn height(certificate: &Value) -> Result<u64> {
    let height = certificate.pointer("/chains/parachain/best");
    height
        .and_then(Value::as_u64)
        .with_context(|| format!("no height in {certificate}"))
}

/// On the machine as it was baked: with nothing planted, then with each thing by itself.
fn validation_finds(machine: &NspawnMachine) -> Result<()> {
    copy_validate(&machine.path("/run")?)?;
    machine.ok("bash /run/validate bake")?;
    let [parachain, relaychain] =
        ["chains", "polkadot/chains"].map(|chains| machine.ok(&format!("ls {CHAIN}/{chains}")));
    let (parachain, relaychain) = (parachain?, relaychain?);
    for (what, path, check) in FORBIDDEN {
        let path = path.replace("PARA", &parachain).replace("RELAY", &relaychain);
        machine.ok(&plant(&path))?;
        let found = machine.run("bash /run/validate bake")?;
        let told = said(&found);
        ensure!(
            found.status.code() == Some(1) && told.contains(&format!("FAIL {check}:")),
            "{what} is not found: {told}"
        );
        machine.ok(&format!(
            "if [ {path} = /etc/machine-id ]; then : >{path}; else rm {path}; fi; \
             rmdir -p --ignore-fail-on-non-empty $(dirname {path})"
        ))?;
    }
    machine.ok("bash /run/validate bake && rm -r /run/validate*")?;
    Ok(())
}

/// Writes a file of 32 hexadecimal digits, which is what the shortest of the forbidden things looks like.
fn plant(path: &str) -> String {
    format!("mkdir -p $(dirname {path}) && echo 0123456789abcdef0123456789abcdef >{path}")
}
