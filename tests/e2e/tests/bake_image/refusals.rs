//! What a bake refuses at once, with the remedy, before anything is made or downloaded.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::repository::package;
use t0rn_agent_tests::{skip, wait};

use crate::account::{AwsAccount, endpoint, said, unavailable};
use crate::builder::CONFIG;
use crate::vendor::Vendor;

/// Reports the platforms of an image as a registry would, `$PLATFORMS` of them.
const DOCKER: &str = r#"#!/bin/bash
[ "$*" = "manifest inspect --verbose sim-collator:baked" ] || exit 1
[ "$PLATFORMS" != none ] || { echo "no such manifest: sim-collator:baked" >&2; exit 1; }
for platform in $PLATFORMS; do printf '{"Descriptor": {"platform": {"architecture": "%s", "os": "linux"}}}' $platform; done | jq --slurp .
"#;

/// The `aws` that comes next in the path, after one request for subnets that is refused as too many.
const BUSY: &str = r#"#!/bin/bash
here=$(dirname "$0")
if [[ " $* " == *" describe-subnets "* ]] && mkdir "$here/refused" 2>/dev/null; then
    echo "An error occurred (RequestLimitExceeded) when calling the DescribeSubnets operation: Request limit exceeded." >&2
    exit 254
fi
PATH=${PATH#"$here:"} exec aws "$@"
"#;

/// An agent's package for arm64 with nothing in it.
const ARM: &str = r#"cd "$0"; mkdir -p arm/DEBIAN
printf 'Package: t0rn-agent\nVersion: 1\nArchitecture: arm64\nMaintainer: tests <tests@example.org>\nDescription: none\n' >arm/DEBIAN/control
dpkg-deb --root-owner-group --build arm arm.deb >/dev/null"#;

fn program(account: &AwsAccount, name: &str, text: &str) -> Result<()> {
    let file = account.dir().join("tools").join(name);
    fs::create_dir_all(account.dir().join("tools"))?;
    fs::write(&file, text)?;
    fs::set_permissions(&file, Permissions::from_mode(0o755))?;
    Ok(())
}

/// An account and a vendor with which a bake would succeed but for the machine.
fn ready() -> Result<(AwsAccount, Vendor)> {
    let mut account = AwsAccount::open()?;
    let vendor = Vendor::open()?;
    fs::write(account.dir().join("agent.toml"), CONFIG)?;
    program(&account, "docker", DOCKER)?;
    account.first_in_path(&account.dir().join("tools"));
    let output = account.dir().join("output");
    account.set("DEB", &package()?.display().to_string());
    account.set("OUTPUT", &output.display().to_string());
    account.set("VERSIONS", &vendor.list().display().to_string());
    account.set("PLATFORMS", "amd64");
    Ok((account, vendor))
}

/// A subnet without a route to the internet, as a VPC has it at first, after that VPC.
fn subnet(account: &AwsAccount) -> Result<(String, String)> {
    let vpc = account.aws("ec2 create-vpc --cidr-block 10.99.0.0/24")?;
    let vpc = vpc["Vpc"]["VpcId"].as_str().context("no VPC")?;
    let subnet = account.aws(&format!("ec2 create-subnet --vpc-id {vpc} --cidr-block 10.99.0.0/28"))?;
    let subnet = subnet["Subnet"]["SubnetId"].as_str().context("no subnet")?;
    Ok((vpc.to_owned(), subnet.to_owned()))
}

/// Bakes with these settings; the bake has to end with these words before Packer builds.
fn refused(account: &mut AwsAccount, settings: &[(&'static str, &str)], words: &str) -> Result<()> {
    for (name, value) in settings {
        account.set(name, value);
    }
    let config = account.dir().join("agent.toml").display().to_string();
    let ran = account.script("packer/bake", &[&config])?;
    let told = said(&ran);
    ensure!(
        !ran.status.success() && told.contains(words),
        "{settings:?}, expected {words}: {told}"
    );
    ensure!(
        !told.contains("fetch: ") && !told.contains("amazon-ebs.image: "),
        "{settings:?}: {told}"
    );
    for (name, _) in settings {
        account.unset(name);
    }
    Ok(())
}

#[test]
fn bake_that_cannot_succeed_is_refused_before_anything_is_made() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (mut account, _vendor) = ready()?;
    let (deb, tools) = (package()?, account.dir().join("tools"));
    let (_, private) = subnet(&account)?;
    let cases: [(&[(&str, &str)], &str); 24] = [
        (&[("PATH", "/usr/bin:/bin")], "not installed: aws packer; docs/bake.md"),
        (
            &[("AWS_REGION", "Frankfurt")],
            "AWS_REGION: Frankfurt is no region of AWS",
        ),
        (&[("NAME", "My_Collator")], "NAME=My_Collator names no image"),
        (
            &[("PKR_VAR_chain_gb", "300")],
            "PKR_VAR_chain_gb is no setting of a bake: packer/variables.pkr.hcl",
        ),
        (
            &[("PKR_VAR_downloads", "/nowhere")],
            "downloads=/nowhere is no folder: packer/fetch DIR",
        ),
        (
            &[("PKR_VAR_chain_gib", "much")],
            "chain_gib=much is no number of GiB from 1 to 16384",
        ),
        (&[("PKR_VAR_architecture", "amd64")], "neither x86_64 nor arm64"),
        (&[("DEB", "/nowhere.deb")], "is no Debian package: make deb"),
        (
            &[("PLATFORMS", "arm64 riscv64")],
            "has no image for linux/amd64, but for: arm64 riscv64; set PKR_VAR_architecture",
        ),
        (
            &[("PKR_VAR_architecture", "arm64")],
            "is built for amd64, and the image is for arm64",
        ),
        (
            &[("PKR_VAR_instance_type", "t4g.large")],
            "instance_type=t4g.large is for arm64, and the image is for x86_64",
        ),
        (
            &[("PKR_VAR_instance_type", "m6a.huge")],
            "PKR_VAR_instance_type=m6a.huge is not found in eu-central-1",
        ),
        (
            &[("PKR_VAR_source_ami", "ami-0123456789abcdef0")],
            "source_ami=ami-0123456789abcdef0 is not found",
        ),
        (
            &[("PKR_VAR_ssh_interface", "session_manager")],
            "needs PROFILE: an instance profile with AmazonSSMManagedInstanceCore",
        ),
        (
            &[("SUBNET", &private), ("PROFILE", "builder")],
            "session-manager-plugin is not installed",
        ),
        (&[("SUBNET", &private)], "has no route to an internet gateway"),
        (
            &[("SUBNET", &private), ("PKR_VAR_ssh_interface", "private_ip")],
            "this machine has no route to",
        ),
        (
            &[
                ("SUBNET", &private),
                ("PKR_VAR_ssh_interface", "private_ip"),
                ("PKR_VAR_ssh_source_cidrs", r#"["10.0.0.0/8"]"#),
            ],
            "a default route (0.0.0.0/0 to a NAT gateway), or set SUBNET to a subnet that has one",
        ),
        (
            &[("PKR_VAR_kms_key_id", "alias/nothing")],
            "kms_key_id=alias/nothing is not found in eu-central-1",
        ),
        (
            &[("SUBNET", "subnet-0123456789abcdef0")],
            "SUBNET=subnet-0123456789abcdef0 is not found in eu-central-1",
        ),
        (
            &[("FROM", "snap-0123456789abcdef0")],
            "snap-0123456789abcdef0 is not found in eu-central-1",
        ),
        (
            &[("AWS_ACCESS_KEY_ID", "")],
            "set up credentials for AWS (aws configure, or AWS_PROFILE)",
        ),
        (&[("PKR_VAR_within", "0")], "Within is a whole number of blocks"),
        (&[("FROM", "yesterday")], "none of current, seed, genesis"),
    ];
    for (settings, words) in cases {
        let kept = settings
            .iter()
            .find(|(name, _)| matches!(*name, "PATH" | "DEB" | "PLATFORMS"));
        refused(&mut account, settings, words)?;
        match kept {
            Some(("PATH", _)) => account.first_in_path(&tools),
            Some(("DEB", _)) => account.set("DEB", &deb.display().to_string()),
            Some(_) => account.set("PLATFORMS", "amd64"),
            None => {}
        }
    }
    Ok(())
}

#[test]
fn request_that_is_one_too_many_is_asked_again_before_a_bake_is_refused() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (mut account, _vendor) = ready()?;
    let (_, private) = subnet(&account)?;
    program(&account, "aws", BUSY)?;
    refused(
        &mut account,
        &[("SUBNET", &private)],
        "has no route to an internet gateway",
    )?;
    ensure!(account.dir().join("tools/refused").exists(), "no request was refused");
    Ok(())
}

#[test]
fn current_image_without_a_chain_is_refused_with_what_to_choose() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (mut account, _vendor) = ready()?;
    account.aws("ssm put-parameter --name /t0rn-agent/t0rn-collator/ami --type String --value ami-0000000000000001")?;
    for described in [
        r#"{"Images": []}"#,
        r#"{"Images": [{}]}"#,
        r#"{"Images": [{"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {}}]}]}"#,
    ] {
        let aws = format!(
            "#!/bin/sh\ncase $2 in describe-images) echo '{described}' ;; *) PATH=${{PATH#*:}} exec aws \"$@\" ;; esac\n"
        );
        program(&account, "aws", &aws)?;
        refused(&mut account, &[], "has no chain at /dev/sdf; choose with FROM")?;
    }
    Ok(())
}

#[test]
fn configuration_or_vendor_that_fails_the_bake_is_refused_at_once() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (mut account, vendor) = ready()?;
    let (config, list) = (account.dir().join("agent.toml"), vendor.list());
    for (text, words) in [
        ("[collator]\nimag = \"x\"\n", "is not valid"),
        (&format!("{CONFIG}[data]\npath = \"/srv/chain\"\n"), "data.path in"),
        (
            &CONFIG.replace("nofile", "cosign_key = \"/etc/t0rn-agent/cosign.pub\"\nnofile"),
            "put a copy of it beside",
        ),
    ] {
        fs::write(&config, text)?;
        refused(&mut account, &[], words)?;
    }

    // What the vendor's key did not sign ends the bake as well before an instance is started.
    fs::write(&config, CONFIG)?;
    account.set("FROM", "genesis");
    fs::write(list.with_file_name("published.gpg"), "")?;
    let ran = account.script("packer/bake", &[&config.display().to_string()])?;
    ensure!(
        !ran.status.success() && said(&ran).contains("the vendor's key is no OpenPGP key"),
        "{}",
        said(&ran)
    );
    let instances = account.aws("ec2 describe-instances")?;
    ensure!(instances["Reservations"] == serde_json::json!([]), "{instances}");
    Ok(())
}

#[test]
fn public_subnet_serves_public_address_and_not_systems_manager() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (mut account, _vendor) = ready()?;
    let (vpc, subnet) = subnet(&account)?;
    let gateway = account.aws("ec2 create-internet-gateway")?;
    let gateway = gateway["InternetGateway"]["InternetGatewayId"]
        .as_str()
        .context("no gateway")?;
    let tables = account.aws(&format!("ec2 describe-route-tables --filters Name=vpc-id,Values={vpc}"))?;
    let table = tables["RouteTables"][0]["RouteTableId"]
        .as_str()
        .context("no route table")?;
    account.aws(&format!(
        "ec2 attach-internet-gateway --vpc-id {vpc} --internet-gateway-id {gateway}"
    ))?;
    account.aws(&format!(
        "ec2 create-route --route-table-id {table} --destination-cidr-block 0.0.0.0/0 --gateway-id {gateway}"
    ))?;
    // What is asked after the network.
    let words = "snap-0123456789abcdef0 is not found in";
    refused(
        &mut account,
        &[("SUBNET", &subnet), ("FROM", "snap-0123456789abcdef0")],
        words,
    )?;
    program(&account, "session-manager-plugin", "#!/bin/sh\n")?;
    let words = "PROFILE=builder is no instance profile";
    refused(&mut account, &[("SUBNET", &subnet), ("PROFILE", "builder")], words)?;
    account.aws("iam create-instance-profile --instance-profile-name builder")?;
    let words = "is a public subnet, and the builder has no public address there";
    refused(&mut account, &[("SUBNET", &subnet), ("PROFILE", "builder")], words)?;
    Ok(())
}

#[test]
fn arm64_needs_a_node_and_a_package_for_it_and_bakes_on_its_own_base() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let (mut account, _vendor) = ready()?;
    let mut build = account.command("bash");
    build.args(["-euc", ARM]).arg(account.dir());
    ensure!(build.status()?.success());
    account.set("DEB", &account.dir().join("arm.deb").display().to_string());
    account.set("PKR_VAR_architecture", "arm64");
    let words = "has no image for linux/arm64, but for: amd64";
    refused(&mut account, &[], words)?;

    // The emulated account has no base for it, which is the first that Packer looks for.
    account.set("PLATFORMS", "amd64 arm64");
    account.set("FROM", "genesis");
    account.set("PKR_VAR_custom_endpoint_ec2", &endpoint());
    let config = account.dir().join("agent.toml").display().to_string();
    let told = said(&account.script("packer/bake", &[&config])?);
    ensure!(
        told.contains("No AMI was found") && told.contains("debian-12-arm64-*"),
        "{told}"
    );
    let package = account.dir().join("output/downloads/amazon-ssm-agent.deb");
    let mut field = Command::new("dpkg-deb");
    field.arg("--field").arg(package).arg("Architecture");
    ensure!(said(&wait::run(20, &mut field)?) == "arm64\n");
    Ok(())
}
