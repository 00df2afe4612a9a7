//! A bake whose builder is reached through Systems Manager: what the builder is told at its first boot, and what of it is
//! in the image. No emulator has sessions, so that the builder itself is reached by SSH.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::{package, root, tools};
use t0rn_agent_tests::{skip, wait};

use crate::account::{AwsAccount, said, unavailable};
use crate::builder::CONFIG;
use crate::pipeline::PACKER;
use crate::roles::BUILDER;
use crate::vendor::Vendor;

/// The user-data of a builder that has a subnet and a profile, and what Packer was asked for.
fn user_data(account: &AwsAccount, vendor: &Vendor, config: &str) -> Result<(String, String)> {
    let (folder, output) = (account.dir().join("session"), account.dir().join("session/output"));
    fs::create_dir_all(&folder)?;
    for (program, text) in [("packer", PACKER), ("session-manager-plugin", "#!/bin/sh\n")] {
        fs::write(folder.join(program), text)?;
        fs::set_permissions(folder.join(program), Permissions::from_mode(0o755))?;
    }
    fs::write(folder.join("agent.toml"), config)?;
    account.aws(&format!(
        "iam create-instance-profile --instance-profile-name {BUILDER}"
    ))?;
    let subnet = account.private_subnet("10.98.0.0/24", "10.98.0.0/28")?;
    let mut bake = account.configured("bash", "bake");
    bake.arg(root().join("packer/bake")).arg(folder.join("agent.toml"));
    let path = format!("{}:{}:/usr/bin:/bin", folder.display(), tools().display());
    bake.env("PATH", path).env("SUBNET", subnet).env("PROFILE", BUILDER);
    bake.env("DEB", package()?)
        .env("OUTPUT", &output)
        .env("VERSIONS", vendor.list())
        .env("FROM", "genesis");
    // The stand-in for Packer writes no manifest, which ends the bake behind it.
    let told = said(&wait::run(120, &mut bake)?);
    let data = fs::read_to_string(output.join("user-data")).with_context(|| told.clone())?;
    Ok((data, told))
}

#[test]
fn bake_with_subnet_and_profile_goes_through_systems_manager() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (account, vendor) = (AwsAccount::open()?, Vendor::open()?);
    let (data, told) = user_data(&account, &vendor, CONFIG)?;
    for words in [
        "\nssh_interface=session_manager\n",
        "\ninstance_profile=t0rn-ec1-dev-image-builder\n",
        "\nuser_data_file=",
    ] {
        ensure!(told.contains(words), "{words:?} is not in: {told}");
    }
    let sum = said(&wait::run(
        20,
        std::process::Command::new("sha256sum").arg(vendor.agent()),
    )?);
    let sum = sum.split(' ').next().context("no checksum")?;
    // The newest version may be another when the builder boots.
    ensure!(
        data.contains(sum) && data.contains("/3.3.0.0/amd64/amazon-ssm-agent.deb"),
        "{data}"
    );
    Ok(())
}

#[test]
fn bake_of_signed_image_brings_cosign_and_the_key_along() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (account, vendor) = (AwsAccount::open()?, Vendor::open()?);
    fs::create_dir_all(account.dir().join("session"))?;
    fs::write(account.dir().join("session/cosign.pub"), "key")?;
    let config = CONFIG.replace("nofile", "cosign_key = \"/etc/t0rn-agent/cosign.pub\"\nnofile");
    user_data(&account, &vendor, &config)?;
    let downloads = account.dir().join("session/output/downloads");
    ensure!(fs::read_to_string(downloads.join("cosign.pub"))? == "key");
    ensure!(fs::read_to_string(downloads.join("cosign"))? == "cosign\n");
    let verified = fs::read_to_string(downloads.join("verified"))?;
    ensure!(
        verified.lines().any(|line| line.starts_with("cosign latest ")),
        "{verified}"
    );
    Ok(())
}

/// Boots the machine, as far as Systems Manager is concerned, as such a builder; what its agent writes is in no image.
pub(crate) fn is_prepared(account: &AwsAccount, machine: &NspawnMachine, vendor: &Vendor) -> Result<()> {
    let (data, _) = user_data(account, vendor, CONFIG)?;
    let address = data
        .split('\'')
        .find(|word| word.starts_with("file:"))
        .context("no address")?;
    let package = address.trim_start_matches("file://");
    let folder = package.rsplit_once('/').context("no folder")?.0;
    machine.ok(&format!("mkdir -p {folder}"))?;
    fs::write(machine.path("/run/user-data")?, &data)?;

    fs::write(machine.path(package)?, "another package")?;
    let refused = machine.run("sh /run/user-data")?;
    ensure!(
        !refused.status.success() && said(&refused).contains("is not the package that was verified"),
        "{}",
        said(&refused)
    );
    fs::copy(vendor.agent(), machine.path(package)?)?;
    machine.ok(&format!(
        "umount /var/lib/amazon /var/log/amazon && sh /run/user-data && systemctl start amazon-ssm-agent && \
         mkdir -p /var/lib/amazon/ssm && echo i-0 >/var/lib/amazon/ssm/registration && \
         echo started >/var/log/amazon/agent.log && rm -r /run/user-data {folder}"
    ))?;
    Ok(())
}
