//! The builder's disk for the chain, with the programs that know disks played.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use t0rn_agent_tests::repository::root;
use t0rn_agent_tests::{skip, wait};

use crate::account::said;

/// What formats the disk that was found.
const HELPER: &str = "/usr/lib/t0rn-agent/chain-volume";

#[test]
fn chain_goes_to_the_one_disk_beside_the_system_s() -> Result<()> {
    if Path::new(HELPER).exists() {
        skip!(format!("{HELPER} is installed, and would format a disk"));
    }
    let tools = tempfile::tempdir()?;
    let lsblk = "case $* in *--inverse*) echo /dev/nvme0n1p1 part; echo /dev/nvme0n1 disk ;; *) cat \"$DISKS\" ;; esac";
    for (name, script) in [
        ("lsblk", lsblk),
        ("findmnt", "echo /dev/nvme0n1p1"),
        ("mountpoint", "exit 1"),
    ] {
        fs::write(tools.path().join(name), format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(tools.path().join(name), Permissions::from_mode(0o755))?;
    }
    for (disks, words) in [
        ("/dev/nvme0n1 disk\n/dev/sr0 rom\n/dev/nvme1n1 disk\n", HELPER),
        ("/dev/nvme0n1 disk\n", "beside /dev/nvme0n1, found: none;"),
        (
            "/dev/nvme0n1 disk\n/dev/nvme1n1 disk\n/dev/nvme2n1 disk\n",
            "found: /dev/nvme1n1 /dev/nvme2n1;",
        ),
    ] {
        let listed = tools.path().join("disks");
        fs::write(&listed, disks)?;
        let mut seed = Command::new("bash");
        seed.arg(root().join("packer/seed"))
            .env(
                "PATH",
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", tools.path().display()),
            )
            .env("DISKS", &listed);
        let told = said(&wait::run(20, &mut seed)?);
        ensure!(told.contains(words) && !told.contains("awk"), "{disks:?}: {told}");
    }
    Ok(())
}
