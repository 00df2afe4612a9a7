//! Publication and clean-up where EC2 and Systems Manager answer late, twice, throttled or not at all.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::repository::tools;
use t0rn_agent_tests::skip;

use crate::account::{AwsAccount, REGION, said, unavailable};
use crate::pipeline::baked;

const FURTHER: &str = "eu-west-1";
const PARAMETER: &str = "/t0rn-agent/t0rn-collator/ami";

/// `aws` that first gives the answers planned for an operation, each once: a code of an error, `=` and an output, `ok` for the
/// emulator's own, or `lost` where the emulator carries it out and its answer does not arrive.
const AWS: &str = r#"#!/usr/bin/env bash
dir=${0%/*}
region=$(sed -nE 's/.* --region ([^ ]+).*/\1/p' <<<" $*")
echo "$*" >>"$dir/calls"
plan=$dir/$2@$region
if [ -s "$plan" ]; then
    next=$(head -n 1 "$plan")
    sed -i 1d "$plan"
    case $next in
    ok) ;;
    lost) REAL "$@" >/dev/null; echo "Connection was closed before we received a valid response from endpoint" >&2 && exit 255 ;;
    =*) echo "${next#=}" && exit ;;
    *) echo "An error occurred ($next) when calling the $(sed -E 's/(^|-)(.)/\U\2/g' <<<"$2") operation: emulated" >&2 && exit 254 ;;
    esac
fi
exec REAL "$@"
"#;

/// `sleep` that takes no time, and notes for how long it was asked.
const SLEEP: &str = "#!/bin/sh\necho \"$1\" >>\"${0%/*}/pauses\"\n";

/// An account whose `aws` answers as planned.
pub(crate) struct FaultyAccount {
    pub(crate) account: AwsAccount,
    pub(crate) dir: PathBuf,
}

impl FaultyAccount {
    pub(crate) fn open() -> Result<Self> {
        let mut account = AwsAccount::open()?;
        let dir = account.dir().join("faulty");
        fs::create_dir(&dir)?;
        let real = tools().join("aws").display().to_string();
        for (name, program) in [("aws", AWS.replace("REAL", &real)), ("sleep", SLEEP.to_owned())] {
            fs::write(dir.join(name), program)?;
            fs::set_permissions(dir.join(name), Permissions::from_mode(0o755))?;
        }
        account.first_in_path(&dir);
        Ok(Self { account, dir })
    }

    /// Plans the next answers of an operation.
    pub(crate) fn plan(&self, operation: &str, region: &str, answers: &[&str]) -> Result<()> {
        let plan = self.dir.join(format!("{operation}@{region}"));
        Ok(fs::write(plan, [answers, &[""]].concat().join("\n"))?)
    }

    /// Runs a script: whether it succeeded, and its output.
    pub(crate) fn run(&self, script: &str, folder: Option<&Path>) -> Result<(bool, String)> {
        let folder = folder.map(|folder| folder.display().to_string());
        let output = self
            .account
            .script(script, &folder.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok((output.status.success(), said(&output)))
    }

    /// How often an operation was called.
    pub(crate) fn calls(&self, operation: &str) -> Result<usize> {
        let calls = fs::read_to_string(self.dir.join("calls"))?;
        Ok(calls
            .lines()
            .filter(|call| call.split(' ').nth(1) == Some(operation))
            .count())
    }

    pub(crate) fn pauses(&self) -> Result<Vec<u64>> {
        let pauses = fs::read_to_string(self.dir.join("pauses")).unwrap_or_default();
        Ok(pauses.lines().map(str::parse).collect::<Result<_, _>>()?)
    }

    fn parameter(&self, region: &str) -> Result<String> {
        let found = self
            .account
            .aws(&format!("ssm get-parameter --region {region} --name {PARAMETER}"))?;
        Ok(found["Parameter"]["Value"].as_str().context("no value")?.to_owned())
    }

    pub(crate) fn exists(&self, kind: &str, id: &str) -> Result<bool> {
        let all = self.account.aws(&format!("ec2 describe-{kind}s"))?.to_string();
        Ok(all.contains(&format!("\"{id}\"")))
    }

    /// An image with its tags, current in its region.
    pub(crate) fn published(&self, number: u64) -> Result<(String, PathBuf)> {
        let (image, folder) = baked(&self.account, number)?;
        for script in ["packer/tag", "packer/publish"] {
            let (good, said) = self.run(script, Some(&folder))?;
            ensure!(good, "{said}");
        }
        Ok((image, folder))
    }
}

#[test]
fn copy_that_appears_late_is_published_and_made_once() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut aws = FaultyAccount::open()?;
    let (image, folder) = baked(&aws.account, 1)?;
    // EC2 does not show yet what was made, Systems Manager shows what was there before.
    aws.plan("create-tags", REGION, &["InvalidAMIID.NotFound", "ok"])?;
    let (good, told) = aws.run("packer/tag", Some(&folder))?;
    ensure!(good, "{told}");
    aws.account.set("REGIONS", FURTHER);
    aws.plan("copy-image", FURTHER, &["RequestLimitExceeded"])?;
    let late = [
        "ok",
        "InvalidAMIID.NotFound",
        "InvalidAMIID.NotFound",
        "Throttling",
        "=pending",
        "=None",
    ];
    aws.plan("describe-images", FURTHER, &late)?;
    aws.plan("get-parameter", REGION, &["ParameterNotFound", "=ami-0000000000000001"])?;
    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    ensure!(good, "{told}");
    ensure!(aws.parameter(REGION)? == image, "{told}");
    let copy = aws.parameter(FURTHER)?;
    ensure!(told.contains(&format!("{FURTHER}: {copy} is being copied")), "{told}");
    ensure!(aws.calls("copy-image")? == 2, "{told}");

    // It had its tags before it was looked at, as its snapshot had: nothing tags it afterwards.
    for kind in ["images --owners", "snapshots --owner-ids"] {
        let marked = aws.account.aws(&format!(
            "ec2 describe-{kind} self --region {FURTHER} --filters Name=tag:t0rn-agent:copy-of,Values={image} \
             Name=tag:t0rn-agent:name,Values=t0rn-collator Name=tag:t0rn-agent:parachain-best,Values=1"
        ))?;
        let found = marked.as_object().and_then(|all| all.values().next()?.as_array());
        ensure!(found.is_some_and(|found| found.len() == 1), "{marked}");
    }
    ensure!(!fs::read_to_string(aws.dir.join("calls"))?.contains(&format!("create-tags --region {FURTHER}")));
    Ok(())
}

#[test]
fn publication_that_is_refused_ends_at_once_and_goes_on_later() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut aws = FaultyAccount::open()?;
    let (_, folder) = baked(&aws.account, 1)?;
    ensure!(aws.run("packer/tag", Some(&folder))?.0);
    aws.account.set("REGIONS", FURTHER);
    aws.plan("describe-images", FURTHER, &["ok", "UnauthorizedOperation"])?;
    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    let remedy =
        format!("publish: allow ec2:DescribeImages in {FURTHER} to these credentials: aws ec2 describe-images: ");
    ensure!(!good && told.contains(&remedy), "{told}");
    ensure!(aws.pauses()?.is_empty(), "{:?}", aws.pauses()?);

    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    ensure!(good && aws.calls("copy-image")? == 1, "{told}");

    // What answers nothing but "busy" is given up after five minutes.
    aws.plan("put-parameter", REGION, &["ThrottlingException"; 100])?;
    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    ensure!(
        !good && told.contains("run it again when the API in eu-central-1 answers"),
        "{told}"
    );
    ensure!(
        told.matches("aws ssm put-parameter is tried again, for up to 300 s: ")
            .count()
            == 1,
        "{told}"
    );
    let waited: u64 = aws.pauses()?.iter().sum();
    ensure!((300..330).contains(&waited), "{waited}");
    Ok(())
}

#[test]
fn parameter_that_keeps_its_old_value_fails_with_the_remedy() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let aws = FaultyAccount::open()?;
    let (image, folder) = baked(&aws.account, 1)?;
    ensure!(aws.run("packer/tag", Some(&folder))?.0);
    aws.plan("get-parameter", REGION, &["=ami-0000000000000001"; 100])?;
    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    let remedy = format!("may ec2:DescribeImages in {REGION} and that {image} is there, then run it again");
    ensure!(
        !good && told.contains(&remedy) && told.contains("is 'ami-0000000000000001'"),
        "{told}"
    );
    // A refusal is not waited for.
    let before = aws.pauses()?.len();
    aws.plan("get-parameter", REGION, &["AccessDeniedException"; 100])?;
    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    ensure!(
        !good && told.contains("allow ssm:GetParameter in eu-central-1"),
        "{told}"
    );
    ensure!(aws.pauses()?.len() == before);
    Ok(())
}

#[test]
fn snapshot_in_use_is_asked_again_and_found_by_the_next_run() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut aws = FaultyAccount::open()?;
    aws.account.set("KEEP", "1");
    let mut olds = Vec::new();
    for number in [1, 2] {
        let (old, folder) = baked(&aws.account, number)?;
        ensure!(aws.run("packer/tag", Some(&folder))?.0);
        olds.push((aws.account.snapshots(&old)?, old));
    }
    let current = aws.published(3)?.0;
    let (second, first) = (olds.pop().context("two")?, olds.pop().context("two")?);

    // Once in use, then free; and in use for longer than the clean-up waits.
    let mut busy = vec!["ok", "InvalidSnapshot.InUse", "ok"];
    busy.extend(["InvalidSnapshot.InUse"; 100]);
    aws.plan("delete-snapshot", REGION, &busy)?;
    let (good, told) = aws.run("packer/prune", None)?;
    ensure!(good && told.contains("stays until the next run"), "{told}");
    for image in [&first.1, &second.1] {
        ensure!(!aws.exists("image", image)?, "{told}");
    }
    let left = [&first.0, &second.0].into_iter().flatten();
    let left = left
        .map(|id| Ok((id, aws.exists("snapshot", id)?)))
        .collect::<Result<Vec<_>>>()?;
    ensure!(left.iter().filter(|(_, there)| *there).count() == 2, "{left:?}: {told}");

    // While another image is in the making, its snapshots are not known.
    aws.plan("delete-snapshot", REGION, &[])?;
    let making = r#"={"Images": [{"ImageId": "ami-0a", "State": "pending", "BlockDeviceMappings": []}]}"#;
    aws.plan("describe-images", REGION, &[making])?;
    let (good, told) = aws.run("packer/prune", None)?;
    ensure!(
        good && told.contains("ami-0a is in the making")
            && aws.exists("snapshot", &second.0[0])? | aws.exists("snapshot", &first.0[0])?,
        "{told}"
    );
    let (good, told) = aws.run("packer/prune", None)?;
    ensure!(good && told.contains("it belonged to no image"), "{told}");
    for (id, _) in left {
        ensure!(!aws.exists("snapshot", id)?, "{told}");
    }
    ensure!(aws.account.snapshots(&current)?.len() == 2);
    Ok(())
}

#[test]
fn image_that_a_template_or_another_account_uses_stays() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut aws = FaultyAccount::open()?;
    aws.account.set("KEEP", "1");
    let mut olds = Vec::new();
    for number in 1..=6 {
        olds.push(baked(&aws.account, number)?.0);
    }
    aws.published(7)?;
    let [by_group, by_default, unused, by_latest, shared, by_snapshot] = olds.as_slice() else {
        anyhow::bail!("six");
    };
    // Versions 1 to 4 of one template: a group names the first, the second is the default, nothing uses the third.
    let template = aws.account.aws(&format!(
        r#"ec2 create-launch-template --launch-template-name collator --launch-template-data {{"ImageId":"{by_group}"}}"#
    ))?;
    let template = template["LaunchTemplate"]["LaunchTemplateId"]
        .as_str()
        .context("no id")?;
    for image in [by_default, unused, by_latest] {
        aws.account.aws(&format!(
            r#"ec2 create-launch-template-version --launch-template-id {template} --launch-template-data {{"ImageId":"{image}"}}"#
        ))?;
    }
    aws.account.aws(&format!(
        "ec2 modify-launch-template --launch-template-id {template} --default-version 2"
    ))?;
    aws.account.aws(&format!(
        "autoscaling create-auto-scaling-group --auto-scaling-group-name collator --min-size 0 --max-size 0 \
         --availability-zones eu-central-1a --launch-template LaunchTemplateId={template},Version=1"
    ))?;
    aws.account.aws(&format!(
        "ec2 modify-image-attribute --image-id {shared} --launch-permission Add=[{{UserId=123456789013}}]"
    ))?;
    // A snapshot that only a template names, without its image.
    let chain = aws.account.snapshots(by_snapshot)?.pop().context("no chain")?;
    aws.account.aws(&format!(
        "ec2 create-tags --resources {chain} --tags Key=t0rn-agent:name,Value=t0rn-collator"
    ))?;
    aws.account
        .aws(&format!("ec2 deregister-image --image-id {by_snapshot}"))?;
    let mapping =
        format!(r#"{{"BlockDeviceMappings":[{{"DeviceName":"/dev/sdf","Ebs":{{"SnapshotId":"{chain}"}}}}]}}"#);
    aws.account.aws(&format!(
        "ec2 create-launch-template --launch-template-name chain --launch-template-data {mapping}"
    ))?;

    let (good, told) = aws.run("packer/prune", None)?;
    ensure!(good, "{told}");
    for image in [by_group, by_default, by_latest, shared] {
        ensure!(aws.exists("image", image)?, "{image}: {told}");
    }
    ensure!(aws.exists("snapshot", &chain)?, "{chain}: {told}");
    ensure!(!aws.exists("image", unused)?, "{unused}: {told}");
    ensure!(
        told.contains("launch template collator, version 1") && told.contains("shared with 123456789013"),
        "{told}"
    );

    aws.account.set("KEEP_SHARED", "0");
    let (good, told) = aws.run("packer/prune", None)?;
    ensure!(good && !aws.exists("image", shared)?, "{told}");
    ensure!(aws.exists("image", by_latest)?, "{told}");

    // Without the right to look, nothing is removed.
    aws.plan("describe-launch-templates", REGION, &["UnauthorizedOperation"])?;
    let (good, told) = aws.run("packer/prune", None)?;
    ensure!(
        !good && told.contains("prune: allow ec2:DescribeLaunchTemplates in eu-central-1"),
        "{told}"
    );
    Ok(())
}
