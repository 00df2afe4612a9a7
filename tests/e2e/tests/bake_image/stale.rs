//! What EC2 shows after a change: tags and snapshots later than the image, what was removed for a while; an answer that is lost.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::skip;

use crate::account::{REGION, said, unavailable};
use crate::builder::CONFIG;
use crate::eventual::FaultyAccount;
use crate::pipeline::baked;

/// The region of calls that name none.
const HOME: &str = "";
/// Descriptions of an image: without tags, with a volume whose snapshot is not named yet, and without volumes.
const UNTAGGED: &str = r#"={"Images": [{"Name": "new", "State": "available"}]}"#;
const UNFINISHED: &str =
    r#"={"Images": [{"BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-1"}}, {"Ebs": {"VolumeSize": 8}}]}]}"#;
const BARE: &str = r#"={"Images": [{"BlockDeviceMappings": []}]}"#;

#[test]
fn tags_and_snapshots_that_are_shown_late_are_waited_for() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut aws = FaultyAccount::open()?;
    let (image, folder) = baked(&aws.account, 1)?;
    let some = r#"=[{"Key": "t0rn-agent:name", "Value": "t0rn-collator"}]"#;
    aws.plan(
        "describe-images",
        REGION,
        &["ok", UNFINISHED, BARE, "ok", "=null", some, "ok"],
    )?;
    let (good, told) = aws.run("packer/tag", Some(&folder))?;
    ensure!(good && aws.pauses()? == [5, 5, 5, 5], "{told}{:?}", aws.pauses()?);

    aws.account.set("ACCOUNTS", "123456789013");
    aws.plan(
        "describe-images",
        REGION,
        &[UNTAGGED, "ok", "ok", UNFINISHED, BARE, "ok"],
    )?;
    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    ensure!(good, "{told}");
    for snapshot in aws.account.snapshots(&image)? {
        let shared = aws.account.aws(&format!(
            "ec2 describe-snapshot-attribute --snapshot-id {snapshot} --attribute createVolumePermission"
        ))?;
        ensure!(shared.to_string().contains("123456789013"), "{shared}: {told}");
    }

    // What is never shown ends it, with the remedy.
    aws.plan("describe-images", REGION, &[UNTAGGED; 100])?;
    let (good, told) = aws.run("packer/publish", Some(&folder))?;
    ensure!(
        !good && told.contains("is not tagged as t0rn-collator: run packer/tag"),
        "{told}"
    );
    aws.plan("describe-images", REGION, &[&["ok"][..], &[BARE; 100]].concat())?;
    let (good, told) = aws.run("packer/tag", Some(&folder))?;
    ensure!(!good && told.contains("tag: see whether all volumes of"), "{told}");
    let missing = [&["ok", "ok"][..], &["=null"; 100]].concat();
    aws.plan("describe-images", REGION, &missing)?;
    let (good, told) = aws.run("packer/tag", Some(&folder))?;
    ensure!(
        !good && told.contains("EC2 does not show all of them after three minutes"),
        "{told}"
    );
    Ok(())
}

#[test]
fn what_is_listed_and_gone_keeps_nothing_else_from_being_removed() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut aws = FaultyAccount::open()?;
    aws.account.set("KEEP", "1");
    let mut olds = Vec::new();
    for number in 1..=3 {
        let (old, folder) = baked(&aws.account, number)?;
        ensure!(aws.run("packer/tag", Some(&folder))?.0);
        olds.push(old);
    }
    let orphans = aws.account.snapshots(&olds[2])?;
    aws.account
        .aws(&format!("ec2 deregister-image --image-id {}", olds[2]))?;
    aws.published(4)?;

    // With whom something is shared has to be known before it is removed.
    aws.plan("describe-image-attribute", REGION, &["={}"])?;
    aws.plan("describe-snapshot-attribute", REGION, &["InvalidSnapshot.NotFound"])?;
    let (good, told) = aws.run("packer/prune", None)?;
    ensure!(!good && told.contains("prune: run it again: with whom"), "{told}");
    ensure!(
        told.contains("is listed, and gone already") && told.contains("it belonged to no image"),
        "{told}"
    );
    let left = orphans
        .iter()
        .map(|id| aws.exists("snapshot", id))
        .collect::<Result<Vec<_>>>()?;
    ensure!(left.iter().filter(|there| **there).count() == 1, "{left:?}: {told}");

    for gone in ["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"] {
        let before = [aws.exists("image", &olds[0])?, aws.exists("image", &olds[1])?];
        aws.plan("describe-image-attribute", REGION, &[gone])?;
        let (good, told) = aws.run("packer/prune", None)?;
        ensure!(good && told.contains("is listed, and gone already"), "{gone}: {told}");
        let after = [aws.exists("image", &olds[0])?, aws.exists("image", &olds[1])?];
        let there = |all: [bool; 2]| all.iter().filter(|there| **there).count();
        // The first that is asked about is the one that is gone; the other is removed.
        ensure!(there(after) == there(before).min(1), "{gone}: {told}");
    }
    ensure!(aws.pauses()?.is_empty(), "{:?}", aws.pauses()?);
    Ok(())
}

#[test]
fn boot_test_starts_one_instance_and_ends_at_a_refusal() -> Result<()> {
    if let Some(reason) = unavailable() {
        skip!(reason);
    }
    let mut aws = FaultyAccount::open()?;
    aws.account
        .aws("iam create-instance-profile --instance-profile-name boot")?;
    let (_, folder) = baked(&aws.account, 1)?;
    let config = aws.account.dir().join("agent.toml");
    fs::write(&config, CONFIG)?;
    aws.account.set("PROFILE", "boot");
    let arguments = [folder.display().to_string(), config.display().to_string()];
    let arguments = [arguments[0].as_str(), arguments[1].as_str()];

    aws.plan("run-instances", HOME, &["lost"])?;
    aws.plan(
        "describe-instance-information",
        HOME,
        &["ThrottlingException", "=None", "=Online"],
    )?;
    // An instance that is on line, and to another part of Systems Manager not yet.
    aws.plan("send-command", HOME, &["InvalidInstanceId", "=command"])?;
    let course = [
        "InvocationDoesNotExist",
        "=InProgress",
        "=Success",
        "=PASS agent_status",
    ];
    aws.plan("get-command-invocation", HOME, &course)?;
    let output = aws.account.script("packer/boot-test", &arguments)?;
    let told = said(&output);
    ensure!(output.status.success() && told.contains("PASS agent_status"), "{told}");
    let calls = fs::read_to_string(aws.dir.join("calls"))?;
    let tokens: Vec<_> = calls
        .lines()
        .filter(|call| call.starts_with("ec2 run-instances"))
        .map(|call| {
            call.split_once("--client-token ")
                .and_then(|(_, rest)| rest.split(' ').next())
        })
        .collect();
    ensure!(
        tokens.len() == 2 && tokens[0].is_some() && tokens[0] == tokens[1],
        "{tokens:?}"
    );

    let waited = aws.pauses()?.len();
    for (operation, action) in [
        ("describe-instance-information", "DescribeInstanceInformation"),
        ("send-command", "SendCommand"),
        ("get-command-invocation", "GetCommandInvocation"),
    ] {
        aws.plan("describe-instance-information", HOME, &["=Online"])?;
        aws.plan("send-command", HOME, &["=command"])?;
        aws.plan(operation, HOME, &["AccessDeniedException"; 3])?;
        let output = aws.account.script("packer/boot-test", &arguments)?;
        let told = said(&output);
        let remedy = format!("boot-test: allow ssm:{action}");
        ensure!(
            !output.status.success() && told.contains(&remedy),
            "{operation}: {told}"
        );
    }
    let started = aws.calls("run-instances")?;
    aws.plan("describe-images", HOME, &["UnauthorizedOperation"])?;
    let told = said(&aws.account.script("packer/boot-test", &arguments)?);
    ensure!(
        told.contains("boot-test: allow ec2:DescribeImages") && aws.calls("run-instances")? == started,
        "{told}"
    );
    // One pause before the answer about a command is asked for.
    ensure!(aws.pauses()?.len() == waited + 1, "{:?}", aws.pauses()?);
    let instances = aws.account.aws("ec2 describe-instances")?;
    let states = instances["Reservations"].as_array().context("no reservations")?;
    let running = states.iter().filter(|one| {
        one.pointer("/Instances/0/State/Name")
            .is_some_and(|state| state == "running")
    });
    // The emulator knows no client tokens: the one whose answer was lost.
    ensure!(running.count() == 1, "{instances}");
    Ok(())
}
