//! What this host itself has of the volume: its device, its mount, its lease.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::lease::{self, Lease};

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub path: PathBuf,
    /// Major and minor.
    pub number: (u32, u32),
}

/// A mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mounted {
    pub number: (u32, u32),
    /// Of the file system itself: a mount that only this process sees so does not count.
    pub read_only: bool,
}

/// All of it.
#[derive(Debug)]
pub struct Local {
    pub device: Option<Device>,
    pub mounted: Option<Mounted>,
    pub lease: Option<Lease>,
}

/// Looks. Fails when the kernel does not tell.
pub fn look(mount: &Path, volume: Option<&str>) -> io::Result<Local> {
    let mounted = mounted(mount)?;
    Ok(Local {
        device: volume.and_then(device),
        mounted,
        // Without the mount, a file of that name is no lease.
        lease: mounted.and_then(|_| lease::read(mount)),
    })
}

/// What is mounted at `path`, the topmost.
pub fn mounted(path: &Path) -> io::Result<Option<Mounted>> {
    Ok(find(&fs::read_to_string("/proc/self/mountinfo")?, path))
}

fn find(mountinfo: &str, path: &Path) -> Option<Mounted> {
    let line = |line: &str| {
        let (of_mount, of_system) = line.split_once(" - ")?;
        let mut fields = of_mount.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let point = fields.nth(1)?.replace("\\040", " ");
        if Path::new(&point) != path {
            return None;
        }
        let options = of_system.split(' ').nth(2)?;
        Some(Mounted {
            number: (major.parse().ok()?, minor.parse().ok()?),
            read_only: options.split(',').any(|option| option == "ro"),
        })
    };
    mountinfo.lines().filter_map(line).next_back()
}

/// The device of an EBS volume, by the name that udev gives it, else by the serial number that the kernel knows.
pub fn device(volume: &str) -> Option<Device> {
    let serial = volume.replace('-', "");
    let link = format!("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}");
    if let Ok(path) = fs::canonicalize(link) {
        let meta = fs::metadata(&path)
            .ok()
            .filter(|meta| meta.file_type().is_block_device());
        return meta.map(|meta| Device {
            path,
            number: (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev())),
        });
    }
    let disks = fs::read_dir("/sys/block").ok()?;
    disks.flatten().find_map(|disk| {
        let told = fs::read_to_string(disk.path().join("device/serial")).ok()?;
        if told.trim() != serial {
            return None;
        }
        let number = fs::read_to_string(disk.path().join("dev")).ok()?;
        let (major, minor) = number.trim().split_once(':')?;
        Some(Device {
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
    fn the_topmost_mount_counts_and_only_the_file_system_s_own_word_on_writing() {
        let of = |path: &str| find(INFO, Path::new(path)).map(|m| (m.number, m.read_only));
        assert_eq!(of("/id"), Some(((259, 6), false)));
        assert_eq!(of("/broken"), Some(((259, 4), true)));
        assert_eq!(of("/with space"), Some(((259, 5), false)));
        assert_eq!(of("/"), None);
        assert_eq!(of("/i"), None);
    }
}
