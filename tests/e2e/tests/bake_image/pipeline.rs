//! What happens to an image that was baked: it becomes the current one, and old ones go.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use t0rn_agent_tests::repository::package;
use t0rn_agent_tests::skip;

use crate::account::{AwsAccount, REGION, said, unavailable};
use crate::builder::CONFIG;
use crate::vendor::Vendor;

const FURTHER: &str = "eu-west-1";

/// An image in the account, and the folder that a bake of it left.
pub(crate) fn baked(account: &AwsAccount, number: u64) -> Result<(String, PathBuf)> {
    let bases = account.aws("ec2 describe-images --owners 136693071363")?;
    let base = bases["Images"][0]["ImageId"].as_str().context("no base")?;
    let disks =
        r#"[{"DeviceName":"/dev/xvda","Ebs":{"VolumeSize":8}},{"DeviceName":"/dev/sdf","Ebs":{"VolumeSize":9}}]"#;
    let run = account.aws(&format!(
        "ec2 run-instances --image-id {base} --instance-type m6a.large --block-device-mappings {disks}"
    ))?;
    let instance = run["Instances"][0]["InstanceId"].as_str().context("no instance")?;
    let made = account.aws(&format!(
        "ec2 create-image --instance-id {instance} --name {}-{number}",
        account.name()
    ))?;
    let image = made["ImageId"].as_str().context("no image")?.to_owned();
    account.aws(&format!(
        "ec2 create-tags --resources {image} {} --tags Key=t0rn-agent:name,Value={}",
        account.snapshots(&image)?.join(" "),
        account.name()
    ))?;
    account.aws(&format!("ec2 terminate-instances --instance-ids {instance}"))?;
    let folder = account.dir().join(format!("bake-{number}"));
    fs::create_dir_all(&folder)?;
    let manifest = json!({"last_run_uuid": "last", "builds": [
        {"packer_run_uuid": "former", "artifact_id": "eu-north-1:ami-0"},
        {"packer_run_uuid": "last", "artifact_id": format!("{REGION}:{image}")},
    ]});
    fs::write(folder.join("manifest.json"), manifest.to_string())?;
    let certificate = json!({"chains": {"parachain": {"best": number, "genesis": "0xab"}}, "agent_version": "1"});
    fs::write(folder.join("bake.json"), certificate.to_string())?;
    Ok((image, folder))
}

fn step(account: &AwsAccount, script: &str, folder: Option<&PathBuf>) -> Result<String> {
    let folder = folder.map(|folder| folder.display().to_string());
    let output = account.script(script, &folder.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(output.status.success(), "{script}: {}", said(&output));
    Ok(said(&output))
}

fn current(account: &AwsAccount, region: &str) -> Result<String> {
    let parameter = account.aws(&format!(
        "ssm get-parameter --region {region} --name /t0rn-agent/{}/ami",
        account.name()
    ))?;
    let parameter = &parameter["Parameter"];
    ensure!(parameter["DataType"] == "aws:ec2:image", "{parameter}");
    Ok(parameter["Value"].as_str().context("no value")?.to_owned())
}

fn images(account: &AwsAccount) -> Result<Vec<String>> {
    let images = account.aws("ec2 describe-images --owners self")?;
    let images = images["Images"].as_array().context("no images")?;
    Ok(images
        .iter()
        .filter_map(|image| image["ImageId"].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn baked_image_becomes_current_and_old_ones_go_with_their_snapshots() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut account = AwsAccount::of_roles()?;
    let none = account.script("packer/prune", &[])?;
    ensure!(
        !none.status.success() && said(&none).contains("no image of t0rn-ec1-dev is current"),
        "{}",
        said(&none)
    );

    if account.has_roles() {
        let parameter = format!(
            "ssm put-parameter --name /t0rn-agent/{}/ami --value ami-1 --type String",
            account.name()
        );
        let refused = account.configured("aws", "bake").args(parameter.split(' ')).output()?;
        ensure!(said(&refused).contains("(AccessDeniedException)"), "{}", said(&refused));
    }

    // The last is 0 to a shell.
    for keep in ["0", "-1", "all", "18446744073709551616"] {
        account.set("KEEP", keep);
        let refused = account.script("packer/prune", &[])?;
        let words = format!("KEEP={keep} is no number from 1 to 9999");
        ensure!(
            !refused.status.success() && said(&refused).contains(&words),
            "{}",
            said(&refused)
        );
    }

    // What is not tagged with its name is not published: nobody would clean it up.
    let (image, folder) = baked(&account, 1)?;
    account.set("NAME", "another");
    let refused = account.script("packer/publish", &[&folder.display().to_string()])?;
    ensure!(
        !refused.status.success() && said(&refused).contains("not tagged as another"),
        "{}",
        said(&refused)
    );
    account.set("NAME", account.name());

    step(&account, "packer/tag", Some(&folder))?;
    let tagged = account.aws(&format!("ec2 describe-images --image-ids {image}"))?;
    let height = json!({"Key": "t0rn-agent:parachain-best", "Value": "1"});
    ensure!(
        tagged["Images"][0]["Tags"]
            .as_array()
            .is_some_and(|tags| tags.contains(&height)),
        "{tagged}"
    );

    account.set("REGIONS", FURTHER);
    account.set("ACCOUNTS", "123456789013");
    step(&account, "packer/publish", Some(&folder))?;
    ensure!(current(&account, REGION)? == image);
    let copy = current(&account, FURTHER)?;
    let copied = account.aws(&format!("ec2 describe-images --region {FURTHER} --image-ids {copy}"))?;
    ensure!(
        copied["Images"][0]["Tags"]
            .as_array()
            .is_some_and(|tags| tags.contains(&height)),
        "{copied}"
    );
    for (region, image) in [(REGION, &image), (FURTHER, &copy)] {
        let shared = account.aws(&format!(
            "ec2 describe-image-attribute --region {region} --image-id {image} --attribute launchPermission"
        ))?;
        ensure!(
            shared["LaunchPermissions"] == json!([{"UserId": "123456789013"}]),
            "{shared}"
        );
    }

    account.set("REGIONS", "");
    account.set("ACCOUNTS", "");
    let used = baked(&account, 2)?.0;
    account.aws(&format!(
        "ec2 run-instances --image-id {used} --instance-type m6a.large"
    ))?;
    let old = baked(&account, 3)?.0;
    let old_snapshots = account.snapshots(&old)?;
    ensure!(old_snapshots.len() == 2, "{old_snapshots:?}");
    let kept = [baked(&account, 4)?.0, baked(&account, 5)?.0];
    account.set("KEEP", "2");
    let said = step(&account, "packer/prune", None)?;
    let left = images(&account)?;
    // The first is the current one, the second is in use, the third is neither.
    for image in [&image, &used].into_iter().chain(&kept) {
        ensure!(left.contains(image), "{image} is gone: {said}");
    }
    ensure!(!left.contains(&old), "{old} is still there: {said}");
    let all = account.aws("ec2 describe-snapshots --owner-ids self")?.to_string();
    ensure!(!old_snapshots.iter().any(|snapshot| all.contains(snapshot)), "{said}");
    Ok(())
}

/// Prints what it is asked to build with.
pub(crate) const PACKER: &str =
    "#!/bin/sh\ncase $1 in version) echo Packer v1.16.0 ;; build) printf '%s\\n' \"$@\" ;; esac\n";

#[test]
fn next_bake_starts_from_current_image_and_volume_never_shrinks() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut account = AwsAccount::open()?;
    let (image, folder) = baked(&account, 1)?;
    account.set("ACCOUNTS", "");
    step(&account, "packer/publish", Some(&folder))?;
    let snapshot = account.aws(&format!("ec2 describe-images --image-ids {image}"))?;
    let snapshot = snapshot["Images"][0]["BlockDeviceMappings"]
        .as_array()
        .and_then(|mappings| mappings.iter().find(|mapping| mapping["DeviceName"] == "/dev/sdf"))
        .and_then(|mapping| mapping.pointer("/Ebs/SnapshotId")?.as_str())
        .context("no chain")?
        .to_owned();
    let tools = account.dir().join("tools");
    fs::create_dir(&tools)?;
    fs::write(tools.join("packer"), PACKER)?;
    fs::set_permissions(tools.join("packer"), Permissions::from_mode(0o755))?;
    account.first_in_path(&tools);
    let output = account.dir().join("next").display().to_string();
    account.set("OUTPUT", &output);
    let config = account.dir().join("agent.toml");
    fs::write(&config, CONFIG)?;
    let vendor = Vendor::open()?;
    account.set("VERSIONS", &vendor.list().display().to_string());
    account.set("DEB", &package()?.display().to_string());
    let config = config.display().to_string();
    // Given in the environment or as an argument; the image has 9 GiB.
    for (variable, argument, expected) in [
        ("", None, Ok("9")),
        ("300", None, Ok("300")),
        ("8", None, Err("chain_gib=8 is too small: the chain of")),
        ("300", Some("chain_gib=10"), Ok("10")),
        (
            "300",
            Some("chain_gib=8"),
            Err("chain_gib=8 is too small: the chain of"),
        ),
        ("many", None, Err("chain_gib=many is no number")),
    ] {
        account.set("PKR_VAR_chain_gib", variable);
        let mut arguments = vec![config.as_str()];
        arguments.extend(argument.iter().flat_map(|argument| ["-var", argument]));
        let ran = account.script("packer/bake", &arguments)?;
        let told = said(&ran);
        match expected {
            // Packer's stand-in writes no manifest, which ends the bake behind it.
            Ok(gib) => ensure!(
                told.contains(&format!(
                    "-var\nsource_chain_snapshot={snapshot}\n-var\nchain_gib={gib}\n"
                )),
                "{variable} {argument:?}: {told}"
            ),
            Err(words) => ensure!(
                !ran.status.success() && told.contains(words) && !told.contains("source_chain_snapshot="),
                "{variable} {argument:?}: {told}"
            ),
        }
    }
    // One choice of where the chain starts, and a seed with its checksum.
    account.set("PKR_VAR_chain_gib", "");
    let seed = ["-var", "seed_url=https://example.org/chain.tar"];
    for (from, variables, good, words) in [
        ("current", &seed[..], true, "\n-var\nseed_url=\n-var\nseed_sha256=\n"),
        ("genesis", &seed[..], true, "\n-var\nseed_url=\n-var\nseed_sha256=\n"),
        ("seed", &[], false, "FROM=seed needs seed_url"),
        ("seed", &seed[..], false, "seed_url needs seed_sha256"),
    ] {
        account.set("FROM", from);
        let ran = account.script("packer/bake", &[&[config.as_str()], variables].concat())?;
        let told = said(&ran);
        ensure!(
            told.contains(words) && told.contains("\nbuild\n") == good,
            "FROM={from}: {told}"
        );
    }
    Ok(())
}
