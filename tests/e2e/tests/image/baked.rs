//! An image made by the real scripts without a boot, and machines that start from it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Result, ensure};
use t0rn_agent_tests::nspawn::{NspawnMachine, rootfs};
use t0rn_agent_tests::repository::{copy_validate, package, root};
use t0rn_agent_tests::{sim_image, wait};

/// Amazon's packages, which cannot be had here: as many stand-ins with a unit of the same name that does nothing.
pub(crate) const STAND_INS: [&str; 2] = ["amazon-ssm-agent", "amazon-cloudwatch-agent"];

/// A configuration for the simulated collator; everything else is the default that operators get.
pub(crate) const CONFIG: &str = r#"[collator]
image = "sim-collator"
command = ["--collator", "--base-path", "/node/data", "--prometheus-external", "--sim-target", "10000000"]
nofile = 1024
stop_timeout = "10s"

[health]
scrape_interval = "500ms"

[restart]
backoff_initial = "200ms"

[host]
disk_warn_percent = 0
disk_floor = 0
"#;

/// Mounts `$layers` at `$dir/root`, with a layer over it that nobody keeps if `$upper` names none. It is a directory that every Debian has:
/// one that was made would stay behind.
const MOUNT: &str = r#"
set -e
mount --make-rprivate /
dir=/mnt
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=$layers,upperdir=${upper:-$dir/upper},workdir=${work:-$dir/work}" "$dir/root"
cd "$dir/root"
"#;

/// What a bake does, twice, because the second time must complain of nothing. It is done by such a user as Debian's own
/// images make.
const BAKE: &str = r#"
systemd-nspawn --quiet --register=no --keep-unit --directory="$dir/root" --machine="bake$RANDOM" --private-network --pipe \
    --bind-ro="$top/ami:/run/bake/ami" --bind-ro="$downloads:/run/bake/downloads" --bind-ro="$deb:/run/bake/agent.deb" \
    bash -euc 'export DEB=/run/bake/agent.deb DOWNLOADS=/run/bake/downloads
        useradd --create-home --shell /bin/bash --groups sudo,adm admin
        echo "admin ALL=(ALL) NOPASSWD:ALL" >/etc/sudoers.d/90-cloud-init-users
        mkdir -m 700 /home/admin/.ssh && echo "ssh-ed25519 key packer" >/home/admin/.ssh/authorized_keys
        for time in first second; do /run/bake/ami/install.sh; /run/bake/ami/harden.sh; done
        rm -rf /var/lib/apt/lists/*'
"$top/ami/clean.sh" --root "$dir/root"
"$top/ami/clean.sh" --root "$dir/root"
"#;

/// The layer over the root file system that makes an image of it, and what was printed when it was made. Made once in a
/// run of the tests, by the first of its processes that asks.
pub(crate) fn baked() -> Result<&'static (PathBuf, String)> {
    static BAKED: OnceLock<Result<(PathBuf, String), String>> = OnceLock::new();
    let baked = BAKED.get_or_init(|| baked_in_this_run().map_err(|error| format!("{error:#}")));
    baked.as_ref().map_err(|error| anyhow::anyhow!("the bake: {error}"))
}

fn baked_in_this_run() -> Result<(PathBuf, String)> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let lock = File::create(dir.join("image.lock"))?;
    lock.lock()?;
    // cargo-nextest runs every test in a process of its own, and has an id for the run.
    let run = env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let (image, printed) = (dir.join("image"), dir.join("image").join(format!("printed-{run}")));
    if !printed.exists() {
        fs::write(&printed, bake(&image)?)?;
    }
    Ok((image.join("upper"), fs::read_to_string(printed)?))
}

/// Bakes into `dir`, and returns what was printed.
fn bake(dir: &Path) -> Result<String> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    let (upper, work, downloads) = (dir.join("upper"), dir.join("work"), dir.join("downloads"));
    for folder in [&upper, &work, &downloads] {
        fs::create_dir_all(folder)?;
    }
    stand_ins(&downloads)?;
    let mut command = script(&fs::canonicalize(rootfs())?, &format!("{MOUNT}{BAKE}"));
    command.env("upper", &upper).env("work", work);
    command.env("downloads", downloads).env("deb", package()?);
    let output = wait::run(180, &mut command)?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

/// Packages in the place of Amazon's, with the checksums that make them usable, and a cosign as packer/fetch leaves it.
fn stand_ins(folder: &Path) -> Result<()> {
    for name in STAND_INS {
        let build = r#"
            cd "$2"; dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; chmod 755 "$dir"
            mkdir -p "$dir/DEBIAN" "$dir/lib/systemd/system"
            printf '%s\n' "Package: $1" 'Version: 0~stand-in' 'Architecture: all' 'Maintainer: tests <tests@t0rn-agent.example>' \
                'Description: stand-in' >"$dir/DEBIAN/control"
            printf '%s\n' '[Unit]' "Description=stand-in for $1" '[Service]' 'Type=oneshot' 'RemainAfterExit=yes' \
                'ExecStart=/bin/true' '[Install]' 'WantedBy=multi-user.target' >"$dir/lib/systemd/system/$1.service"
            dpkg-deb --root-owner-group --build "$dir" "$1.deb" && sha256sum "$1.deb" >>SHA256SUMS"#;
        let mut command = Command::new("sh");
        command.args(["-euc", build, "sh", name]).arg(folder);
        let output = wait::run(60, &mut command)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let cosign =
        r#"cd "$0"; echo '#!/bin/sh' >cosign; echo "cosign 2.6.5 $(sha256sum cosign | cut -d ' ' -f 1) key" >verified"#;
    let output = wait::run(60, Command::new("sh").args(["-euc", cosign]).arg(folder))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A script in mount namespaces of its own. It has `layers`, `top`, and what the caller adds to its environment.
fn script(layers: &Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "bash",
        "-c",
        script,
    ]);
    command.env("layers", layers).env("top", root());
    command
}

/// Runs a bash script beside the image, which lies in the current directory with a layer over it that is thrown away.
pub(crate) fn beside_the_image(text: &str) -> Result<Output> {
    let (baked, _) = baked()?;
    let layers = format!("{}:{}", baked.display(), fs::canonicalize(rootfs())?.display());
    // Volumes of 4 GiB are read to their end several times, beside whatever else runs.
    wait::run(600, &mut script(Path::new(&layers), &format!("{MOUNT}{text}")))
}

/// A machine that starts from the image, as the first of its kind, with this user-data and the collator's image in its
/// Docker. Without user-data there is no source of any, either.
pub(crate) fn machine(user_data: Option<&[u8]>) -> Result<NspawnMachine> {
    let (baked, _) = baked()?;
    let machine = NspawnMachine::boot(|root| {
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--no-target-directory"]).arg(baked).arg(root);
        let output = wait::run(60, &mut copy)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        sim_image::archive(&root.join("root/image.tar"))
    })?;
    let changes = sim_image::CHANGES.map(|change| format!("-c '{change}'")).join(" ");
    // /var/lib/docker is no part of the layers, so that the image comes only now.
    machine.ok(&format!("docker import {changes} /root/image.tar sim-collator"))?;
    if let Some(user_data) = user_data {
        new_instance(&machine, user_data)?;
    }
    Ok(machine)
}

/// Boots the machine as another instance with other user-data.
pub(crate) fn new_instance(machine: &NspawnMachine, user_data: &[u8]) -> Result<()> {
    machine.ok("rm -rf /var/lib/cloud /var/lib/t0rn-agent/* && mkdir -p /var/lib/cloud/seed/nocloud")?;
    // As the image has it.
    let configuration = baked()?.0.join("etc/t0rn-agent/agent.toml");
    fs::copy(configuration, machine.path("/etc/t0rn-agent/agent.toml")?)?;
    let seed = machine.path("/var/lib/cloud/seed/nocloud")?;
    fs::write(seed.join("user-data"), user_data)?;
    fs::write(seed.join("meta-data"), "instance-id: i-another\n")?;
    machine.reboot()
}

/// User-data that writes the agent's configuration, as `ami/user-data.example` does.
pub(crate) fn user_data(configuration: &str) -> String {
    let content = configuration.trim_end().replace('\n', "\n      ");
    format!("#cloud-config\nwrite_files:\n  - path: /etc/t0rn-agent/agent.toml\n    content: |\n      {content}\n")
}

/// Waits until the agent sees the collator's chain move.
pub(crate) fn wait_watched(machine: &NspawnMachine) -> Result<()> {
    wait::until("a collator that is watched", wait::LATER, || {
        let status = machine.run("t0rn-agent status --json")?;
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        ensure!(status.contains(r#""phase":"syncing""#), "last status: {status}");
        Ok(())
    })
}

/// Runs `packer/validate` on the machine. Returns what it printed, and whether it was content.
pub(crate) fn validate(machine: &NspawnMachine, arguments: &str) -> Result<(String, bool)> {
    copy_validate(&machine.path("/run")?)?;
    let output = machine.run(&format!("bash /run/validate {arguments}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((said, output.status.success()))
}
