//! The volume as this host sees it: device, mount and lease.
#![expect(clippy::disallowed_methods, reason = "jobs for the identity disk")]

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::lease::{self, LeaseFile};

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    pub path: PathBuf,
    /// Major and minor.
    pub number: (u32, u32),
}

/// A mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountState {
    pub number: (u32, u32),
    /// Whether the file system itself is read-only; per-mount options do not count.
    pub read_only: bool,
}

/// Device, mount and lease of the volume.
#[derive(Debug)]
pub struct VolumeState {
    pub device: Option<BlockDevice>,
    pub mounted: Option<MountState>,
    pub lease: Option<LeaseFile>,
}

/// Inspects the volume. Fails when `/proc/self/mountinfo` cannot be read.
pub fn inspect(mount: &Path, volume: Option<&str>) -> io::Result<VolumeState> {
    let mounted = mounted(mount)?;
    Ok(VolumeState {
        device: volume.and_then(device),
        mounted,
        // Without the mount, a file of that name is not a lease.
        lease: mounted.and_then(|_| lease::read(mount)),
    })
}

/// The topmost mount at `path`.
pub fn mounted(path: &Path) -> io::Result<Option<MountState>> {
    #[cfg(feature = "simulation")]
    if let Some(machine) = crate::simulation::machine() {
        return machine.mounted(path);
    }
    Ok(find(&fs::read_to_string("/proc/self/mountinfo")?, path))
}

fn find(mountinfo: &str, path: &Path) -> Option<MountState> {
    let line = |line: &str| {
        let (of_mount, of_system) = line.split_once(" - ")?;
        let mut fields = of_mount.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let point = fields.nth(1)?.replace("\\040", " ");
        if Path::new(&point) != path {
            return None;
        }
        let options = of_system.split(' ').nth(2)?;
        Some(MountState {
            number: (major.parse().ok()?, minor.parse().ok()?),
            read_only: options.split(',').any(|option| option == "ro"),
        })
    };
    mountinfo.lines().filter_map(line).next_back()
}

/// The serial number that an `NVMe` device has of itself; EBS's is the volume's id without its dash.
fn serial_of(device: &Path) -> Option<String> {
    let block = Path::new("/sys/class/block").join(device.file_name()?);
    let serial = fs::read_to_string(block.join("device/serial")).ok()?;
    Some(serial.trim().to_owned())
}

/// The device of an EBS volume: where udev's link leads, unless the device says that it is another one, or else by its
/// serial number in `/sys/block`.
pub fn device(volume: &str) -> Option<BlockDevice> {
    #[cfg(feature = "simulation")]
    if let Some(machine) = crate::simulation::machine() {
        return machine.device(volume);
    }
    let serial = volume.replace('-', "");
    let link = format!("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}");
    let linked = fs::canonicalize(link).ok();
    // A link is a name, and may be one of a moment ago.
    let linked = linked.filter(|path| serial_of(path).is_none_or(|own| own == serial));
    if let Some(path) = linked {
        let meta = fs::metadata(&path)
            .ok()
            .filter(|meta| meta.file_type().is_block_device());
        return meta.map(|meta| BlockDevice {
            path,
            number: (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev())),
        });
    }
    let disks = fs::read_dir("/sys/block").ok()?;
    disks.flatten().find_map(|disk| {
        let found = fs::read_to_string(disk.path().join("device/serial")).ok()?;
        if found.trim() != serial {
            return None;
        }
        let number = fs::read_to_string(disk.path().join("dev")).ok()?;
        let (major, minor) = number.trim().split_once(':')?;
        Some(BlockDevice {
            path: Path::new("/dev").join(disk.file_name()),
            number: (major.parse().ok()?, minor.parse().ok()?),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "\
22 1 0:20 / /sys rw,nosuid - sysfs sysfs rw
40 1 259:3 / /id ro,nosuid shared:3 - ext4 /dev/nvme1n1 rw,errors=remount-ro
41 1 259:4 / /broken rw,nosuid - ext4 /dev/nvme2n1 ro
42 1 259:5 / /with\\040space rw - ext4 /dev/nvme3n1 rw
43 40 259:6 / /id rw - ext4 /dev/nvme4n1 rw
";

    #[test]
    fn topmost_mount_and_the_file_systems_own_read_only_flag_count() {
        let of = |path: &str| find(INFO, Path::new(path)).map(|m| (m.number, m.read_only));
        assert_eq!(of("/id"), Some(((259, 6), false)));
        assert_eq!(of("/broken"), Some(((259, 4), true)));
        assert_eq!(of("/with space"), Some(((259, 5), false)));
        assert_eq!(of("/"), None);
        assert_eq!(of("/i"), None);
    }
}
