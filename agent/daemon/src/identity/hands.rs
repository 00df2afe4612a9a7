//! Mounting and unmounting: by this process where it may, else by a helper that runs as root.
//!
//! The agent has no right to mount. It leaves a file beside its socket; a path unit of systemd starts
//! `t0rn-agent identity mount` (or `unmount`) as root, which takes everything else from the configuration.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;
use tracing::info;

use super::lease;
use super::local::{self, Device};

/// One run of mount or umount.
const LIMIT: Duration = Duration::from_secs(10);
/// Without keys to run, devices or foreign owners' programs on it.
const OPTIONS: &str = "nosuid,nodev,noexec,noatime";
/// Where the helper says why it did not do what it was asked; only root writes there.
pub const REFUSED: &str = "/run/t0rn-identity/refused";
/// A device whose first bytes are all zero holds nothing.
const BLANK: u64 = 1 << 20;

/// Who mounts.
#[derive(Debug)]
pub enum Hands {
    Own,
    /// Requests go here.
    Helper(PathBuf),
}

impl Hands {
    pub fn new(requests: &Path) -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Own
        } else {
            Self::Helper(requests.to_owned())
        }
    }

    /// Mounts; false when it was only asked for. Fails with what was found and the remedy.
    pub async fn mount(&self, device: &Device, mount: &Path) -> Result<bool, String> {
        match self {
            Self::Own => self::mount(device, mount).await.map(|()| true),
            Self::Helper(dir) => ask(dir, "mount").map(|()| false),
        }
    }

    /// Unmounts; false when it was only asked for. Fails with the reason.
    pub async fn unmount(&self, mount: &Path) -> Result<bool, String> {
        match self {
            Self::Own => self::unmount(mount).await.map(|()| true),
            Self::Helper(dir) => ask(dir, "unmount").map(|()| false),
        }
    }
}

/// Leaves a request. Fails with what the helper said to the one before.
fn ask(dir: &Path, word: &str) -> Result<(), String> {
    let file = dir.join(format!("identity-{word}"));
    fs::write(&file, "").map_err(|error| format!("{}: {error}", file.display()))?;
    match fs::read_to_string(REFUSED) {
        Ok(why) if !why.trim().is_empty() => Err(why.trim().to_owned()),
        _ => Ok(()),
    }
}

/// Mounts `device` at `mount`. Never formats. Fails with what was found and the remedy.
pub async fn mount(device: &Device, mount: &Path) -> Result<(), String> {
    let shown = device.path.display();
    let (path, point) = (device.path.clone(), mount.to_owned());
    let ready = tokio::task::spawn_blocking(move || prepare(&path, &point));
    let blank = match timeout(LIMIT, ready).await {
        Ok(Ok(Ok(blank))) => blank,
        Ok(Ok(Err(error))) => return Err(format!("{shown} cannot be mounted: {error}")),
        Ok(Err(_)) | Err(_) => return Err(format!("{shown} does not answer: look at dmesg")),
    };
    if blank {
        return Err(format!(
            "{shown} is blank: attach the right volume, or make this a new one as root: t0rn-agent identity init --format"
        ));
    }
    run(Command::new("mount").args(["-o", OPTIONS]).arg(&device.path).arg(mount)).await?;
    info!(device = %shown, mount = %mount.display(), "the identity is mounted");
    Ok(())
}

/// Unmounts; nothing mounted is fine. Fails with the reason.
pub async fn unmount(mount: &Path) -> Result<(), String> {
    if local::mounted(mount).map_err(|error| error.to_string())?.is_none() {
        return Ok(());
    }
    // umount writes back what is not yet on the volume before it returns.
    run(Command::new("umount").arg(mount)).await?;
    info!(mount = %mount.display(), "the identity is unmounted");
    Ok(())
}

/// Makes the mount point, and tells whether the device is blank.
fn prepare(device: &Path, mount: &Path) -> io::Result<bool> {
    fs::create_dir_all(mount)?;
    if fs::read_dir(mount)?.next().is_some() {
        let text = format!("{} holds files that it would hide: move them away", mount.display());
        return Err(io::Error::other(text));
    }
    is_blank(device)
}

/// Whether the beginning of the device is all zero, as that of every new volume is.
pub fn is_blank(device: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    File::open(device)?.take(BLANK).read_to_end(&mut bytes)?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

/// Runs a tool to its end. Fails with what it said.
pub async fn run(command: &mut Command) -> Result<(), String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).kill_on_drop(true).env("LC_ALL", "C");
    match timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(300)
                .collect();
            Err(format!("{name} failed: {said}"))
        }
        Ok(Err(error)) => Err(format!("{name} cannot be run: {error}")),
        Err(_) => Err(format!("{name} did not end within {} s", LIMIT.as_secs())),
    }
}

/// What the helper does as root for `request`: mounts, and leaves a lease that the agent's user may write to.
pub async fn help_mount(volume: &str, mount: &Path, requests: &Path) -> Result<(), String> {
    let device = local::device(volume).ok_or_else(|| format!("{volume} has no device here: is it attached?"))?;
    if local::mounted(mount).map_err(|error| error.to_string())?.is_none() {
        self::mount(&device, mount).await?;
    }
    let hand_over = || {
        let owner = fs::metadata(requests)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .append(true)
            .open(lease::path(mount))?;
        drop(file);
        chown(lease::path(mount), Some(owner.uid()), Some(owner.gid()))
    };
    hand_over().map_err(|error| format!("no lease can be left in {}: {error}", mount.display()))
}
