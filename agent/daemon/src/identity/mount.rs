//! Mounting and unmounting: by this process where it may, else by a helper that runs as root.
//!
//! The agent has no right to mount. It writes a request file beside its socket; a path unit of systemd starts
//! `t0rn-agent identity mount` (or `unmount`) as root, which takes everything else from the configuration.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;
use tracing::info;

use agent_core::units::show_duration;
use agent_runtime::disk::{self, Disk};
use agent_runtime::program;

use super::block_device::{self, BlockDevice};
use super::lease;

/// Limit of one run of a command, and of the first read of a device.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Mount options: the volume holds only keys, so no programs and no devices.
const OPTIONS: &str = "nosuid,nodev,noexec,noatime";
/// File systems that are mounted. The kernel's drivers for others never read a device of the identity's.
const TYPES: [&str; 2] = ["ext4", "xfs"];
/// File with the helper's last error; only root writes there.
pub const REFUSED: &str = "/run/t0rn-identity/refused";
/// A device whose first so many bytes are zero is blank.
const BLANK: u64 = 1 << 20;

/// Why a volume was not mounted or unmounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("{path} cannot be mounted: {1}", path = .0.display())]
    Prepare(PathBuf, io::Error),
    #[error("{} does not answer: look at dmesg", .0.display())]
    Hangs(PathBuf),
    #[error(
        "{} is blank: attach the right volume, or make this a new one as root: t0rn-agent identity init --format",
        .0.display()
    )]
    Blank(PathBuf),
    #[error(
        "{} holds {found}, and only {} are mounted: attach the right volume",
        .device.display(),
        TYPES.join(" and ")
    )]
    FileSystem { device: PathBuf, found: String },
    #[error("{0} has no device here: is it attached?")]
    NoDevice(String),
    #[error("the mounts cannot be read: {0}")]
    MountTable(io::Error),
    #[error("{0} failed: {1}")]
    CommandFailed(String, String),
    #[error("{0} cannot be run: {1}")]
    NotRun(String, io::Error),
    #[error("{name} did not end within {limit}", name = .0, limit = show_duration(TIMEOUT))]
    TimedOut(String),
    #[error("{path}: {1}", path = .0.display())]
    Request(PathBuf, io::Error),
    /// The root helper's error.
    #[error("{0}")]
    Helper(String),
    #[error("no lease can be left in {path}: {1}", path = .0.display())]
    Lease(PathBuf, io::Error),
}

/// Mounts by itself or through the root helper.
#[derive(Debug)]
pub enum Mounter {
    Direct,
    /// Directory for requests to the helper.
    Helper(PathBuf),
}

impl Mounter {
    pub fn new(requests: &Path) -> Self {
        #[cfg(feature = "simulation")]
        if crate::simulation::machine().is_some() {
            return Self::Direct;
        }
        if rustix::process::geteuid().is_root() {
            Self::Direct
        } else {
            Self::Helper(requests.to_owned())
        }
    }

    /// Mounts; false when that was only requested.
    pub async fn mount(&self, device: &BlockDevice, mount: &Path) -> Result<bool, MountError> {
        match self {
            Self::Direct => self::mount(device, mount).await.map(|()| true),
            Self::Helper(dir) => ask(dir, "mount").await.map(|()| false),
        }
    }

    /// Unmounts; false when that was only requested.
    pub async fn unmount(&self, mount: &Path) -> Result<bool, MountError> {
        match self {
            Self::Direct => self::unmount(mount).await.map(|()| true),
            Self::Helper(dir) => ask(dir, "unmount").await.map(|()| false),
        }
    }
}

/// Writes a request within the bound of a disk.
async fn ask(dir: &Path, action: &'static str) -> Result<(), MountError> {
    let place = dir.to_owned();
    let asked = disk::run(Disk::System, move || request(&place, action)).await;
    asked.unwrap_or_else(|error| Err(MountError::Request(dir.to_owned(), error.into())))
}

/// Writes a request. Fails with the helper's error about the one before.
#[expect(clippy::disallowed_methods, reason = "a job for the disk of the runtime directory")]
fn request(dir: &Path, action: &str) -> Result<(), MountError> {
    let file = dir.join(format!("identity-{action}"));
    fs::write(&file, "").map_err(|error| MountError::Request(file, error))?;
    match fs::read_to_string(REFUSED) {
        Ok(why) if !why.trim().is_empty() => Err(MountError::Helper(why.trim().to_owned())),
        _ => Ok(()),
    }
}

/// Mounts `device` at `mount`. Never formats.
pub async fn mount(device: &BlockDevice, mount: &Path) -> Result<(), MountError> {
    #[cfg(feature = "simulation")]
    if let Some(machine) = crate::simulation::machine() {
        let mounted = machine.mount(device, mount).await;
        return mounted.map_err(|error| MountError::Prepare(device.path.clone(), error));
    }
    let (path, point) = (device.path.clone(), mount.to_owned());
    let blank = match disk::run_long(Disk::Identity, TIMEOUT, move || prepare(&path, &point)).await {
        Ok(Ok(blank)) => blank,
        Ok(Err(error)) => return Err(MountError::Prepare(device.path.clone(), error)),
        Err(_) => return Err(MountError::Hangs(device.path.clone())),
    };
    if blank {
        return Err(MountError::Blank(device.path.clone()));
    }
    let kind = file_system(&device.path).await?;
    let mut command = Command::new("mount");
    command.args(["-t", kind, "-o", OPTIONS]).arg(&device.path).arg(mount);
    run(command).await?;
    info!(device = %device.path.display(), mount = %mount.display(), "the identity is mounted");
    Ok(())
}

/// Unmounts; nothing mounted is fine.
pub async fn unmount(mount: &Path) -> Result<(), MountError> {
    #[cfg(feature = "simulation")]
    if let Some(machine) = crate::simulation::machine() {
        return machine.unmount(mount).await.map_err(MountError::MountTable);
    }
    if !is_mounted(mount).await.map_err(MountError::MountTable)? {
        return Ok(());
    }
    // umount writes everything back to the volume before it returns.
    let mut command = Command::new("umount");
    command.arg(mount);
    run(command).await?;
    info!(mount = %mount.display(), "the identity is unmounted");
    Ok(())
}

/// Whether anything is mounted there.
pub(super) async fn is_mounted(mount: &Path) -> io::Result<bool> {
    let mount = mount.to_owned();
    disk::run_io(Disk::Identity, move || Ok(block_device::mounted(&mount)?.is_some())).await
}

/// Makes the mount point. Returns whether the device is blank.
#[expect(clippy::disallowed_methods, reason = "a job for the identity disk")]
fn prepare(device: &Path, mount: &Path) -> io::Result<bool> {
    fs::create_dir_all(mount)?;
    if fs::read_dir(mount)?.next().is_some() {
        let text = format!("{} holds files that it would hide: move them away", mount.display());
        return Err(io::Error::other(text));
    }
    is_blank(device)
}

/// Whether the beginning of the device is all zero, as on every new volume.
#[expect(clippy::disallowed_methods, reason = "a job for the identity disk")]
pub fn is_blank(device: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    File::open(device)?.take(BLANK).read_to_end(&mut bytes)?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

/// The type of the device's file system, one of [`TYPES`]. Unnamed, mount would let every driver of the kernel try.
async fn file_system(device: &Path) -> Result<&'static str, MountError> {
    let mut probe = Command::new("blkid");
    probe
        .args(["--probe", "--match-tag", "TYPE", "--output", "value"])
        .arg(device);
    let found = match output(probe).await {
        Ok(found) => found.trim().to_owned(),
        // What blkid does not recognise or finds ambivalent is said by its exit code alone.
        Err(MountError::CommandFailed(..)) => String::new(),
        Err(error) => return Err(error),
    };
    TYPES
        .into_iter()
        .find(|kind| *kind == found)
        .ok_or_else(|| MountError::FileSystem {
            device: device.to_owned(),
            found: if found.is_empty() {
                "no file system that blkid knows".to_owned()
            } else {
                found
            },
        })
}

/// Runs a command to its end. Fails with its standard error.
pub async fn run(command: Command) -> Result<(), MountError> {
    output(command).await.map(|_| ())
}

/// As [`run`], with its standard output.
async fn output(mut command: Command) -> Result<String, MountError> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .env("LC_ALL", "C");
    let ended = async { program::start(command).await?.wait_with_output().await };
    match timeout(TIMEOUT, ended).await {
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let line = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(MountError::CommandFailed(name, line.chars().take(300).collect()))
        }
        Ok(Err(error)) => Err(MountError::NotRun(name, error)),
        Err(_) => Err(MountError::TimedOut(name)),
    }
}

/// Mounts as root on a request, and leaves a lease that the agent's user may write.
pub async fn help_mount(volume: &str, mount: &Path, requests: &Path) -> Result<(), MountError> {
    let named = volume.to_owned();
    let device = disk::run(Disk::Identity, move || block_device::device(&named)).await;
    let device = device.ok().flatten();
    let device = device.ok_or_else(|| MountError::NoDevice(volume.to_owned()))?;
    if !is_mounted(mount).await.map_err(MountError::MountTable)? {
        self::mount(&device, mount).await?;
    }
    let (place, requests) = (mount.to_owned(), requests.to_owned());
    let handed = disk::run_io(Disk::Identity, move || hand_over(&place, &requests)).await;
    handed.map_err(|error| MountError::Lease(mount.to_owned(), error))
}

/// Leaves a lease for the owner of the directory with the requests.
#[expect(clippy::disallowed_methods, reason = "a job for the identity disk")]
fn hand_over(mount: &Path, requests: &Path) -> io::Result<()> {
    let owner = fs::metadata(requests)?;
    lease::hand_over(mount, owner.uid(), owner.gid())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[tokio::test]
    async fn file_system_of_another_type_is_named_and_refused() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        let made = |program: &str, image: &Path| {
            File::create(image).unwrap().set_len(16 << 20).unwrap();
            let mut make = std::process::Command::new(program);
            make.arg("-q").arg(image).stderr(Stdio::null()).stdout(Stdio::null());
            make.status().unwrap().success()
        };
        assert!(made("mkfs.ext4", &image));
        assert_eq!(file_system(&image).await.unwrap(), "ext4");
        let another = dir.path().join("another");
        assert!(made("mkfs.ext2", &another));
        let refused = file_system(&another).await.unwrap_err().to_string();
        assert!(
            refused.ends_with("another holds ext2, and only ext4 and xfs are mounted: attach the right volume"),
            "{refused}"
        );
        fs::write(&another, "neither").unwrap();
        let refused = file_system(&another).await.unwrap_err().to_string();
        assert!(refused.contains("holds no file system that blkid knows"), "{refused}");
    }
}
