//! The volume as this host sees it: device, mount and lease.
#![expect(clippy::disallowed_methods, reason = "jobs for the identity disk")]

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::lease::{self, LeaseFile};
use agent_files::Mount;

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    pub path: PathBuf,
    /// Major and minor.
    pub number: (u32, u32),
    /// Whether it was found by its own serial number, and not by a link.
    pub by_serial: bool,
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
    Ok(find(&Mount::all()?, path))
}

pub(crate) fn find(mounts: &[Mount], path: &Path) -> Option<MountState> {
    let mount = mounts.iter().rfind(|mount| mount.point == path)?;
    Some(MountState {
        number: mount.device,
        read_only: mount.read_only,
    })
}

/// The device of an EBS volume: the one whose own serial number is the volume's id without its dash, as that of every EBS
/// volume on `NVMe` is.
///
/// udev's link is a name, and followed to devices that have no serial number alone (Xen's, loop devices): for those there is
/// nothing else, and what is found so is never formatted. That EC2 has the volume attached here, the file system and the
/// lease on it are checked for both.
pub fn device(volume: &str) -> Option<BlockDevice> {
    #[cfg(feature = "simulation")]
    if let Some(machine) = crate::simulation::machine() {
        return machine.device(volume);
    }
    find_device(volume, Path::new("/sys/block"), Path::new("/dev"))
}

fn find_device(volume: &str, block: &Path, dev: &Path) -> Option<BlockDevice> {
    let serial = volume.replace('-', "");
    let serial_of = |disk: &Path| fs::read_to_string(disk.join("device/serial")).ok();
    let mut disks: Vec<_> = fs::read_dir(block).ok()?.flatten().map(|disk| disk.path()).collect();
    disks.retain(|disk| serial_of(disk).is_some_and(|own| own.trim() == serial));
    match disks.as_slice() {
        [disk] => {
            let number = fs::read_to_string(disk.join("dev")).ok()?;
            let (major, minor) = number.trim().split_once(':')?;
            return Some(BlockDevice {
                path: dev.join(disk.file_name()?),
                number: (major.parse().ok()?, minor.parse().ok()?),
                by_serial: true,
            });
        }
        [] => {}
        // Two that say the same: neither is believed.
        _ => return None,
    }
    let link = dev.join(format!("disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}"));
    let path = fs::canonicalize(link).ok()?;
    let name = path.file_name()?;
    if name.as_encoded_bytes().starts_with(b"nvme") || serial_of(&block.join(name)).is_some() {
        return None;
    }
    let meta = fs::metadata(&path).ok()?;
    meta.file_type().is_block_device().then(|| BlockDevice {
        number: (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev())),
        path,
        by_serial: false,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::os::unix::fs::symlink;

    use super::*;

    const INFO: &str = "\
22 1 0:20 / /sys rw,nosuid - sysfs sysfs rw
40 1 259:3 / /id ro,nosuid shared:3 - ext4 /dev/nvme1n1 rw,errors=remount-ro
41 1 259:4 / /broken rw,nosuid - ext4 /dev/nvme2n1 ro
42 1 259:5 / /with\\040space rw - ext4 /dev/nvme3n1 rw
43 40 259:6 / /id rw - ext4 /dev/nvme4n1 rw
44 1 259:7 / /with\\011tab\\134040 rw - ext4 /dev/nvme5n1 rw
";

    #[test]
    fn topmost_mount_and_the_file_systems_own_read_only_flag_count() {
        let of = |path: &str| find(&Mount::parse(INFO.as_bytes()), Path::new(path)).map(|m| (m.number, m.read_only));
        assert_eq!(of("/id"), Some(((259, 6), false)));
        assert_eq!(of("/broken"), Some(((259, 4), true)));
        assert_eq!(of("/with space"), Some(((259, 5), false)));
        assert_eq!(of("/with\ttab\\040"), Some(((259, 7), false)));
        assert_eq!(of("/"), None);
        assert_eq!(of("/i"), None);
    }

    const VOLUME: &str = "vol-0123456789abcdef0";
    const LINK: &str = "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0";

    /// `/sys/block` and `/dev` of a host with disks, each with its serial number, and a link of udev.
    fn host(disks: &[(&str, Option<&str>)], link: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let (block, links) = (dir.path().join("block"), dir.path().join("dev/disk/by-id"));
        fs::create_dir_all(&links).unwrap();
        for (minor, (name, serial)) in disks.iter().enumerate() {
            fs::create_dir_all(block.join(name).join("device")).unwrap();
            fs::write(block.join(name).join("dev"), format!("259:{minor}\n")).unwrap();
            fs::write(dir.path().join("dev").join(name), "").unwrap();
            if let Some(serial) = serial {
                fs::write(block.join(name).join("device/serial"), format!("{serial}   \n")).unwrap();
            }
        }
        if let Some(name) = link {
            symlink(format!("../../{name}"), links.join(LINK)).unwrap();
        }
        dir
    }

    fn found(host: &tempfile::TempDir) -> Option<(String, (u32, u32))> {
        let device = find_device(VOLUME, &host.path().join("block"), &host.path().join("dev"))?;
        let name = device.path.file_name()?.to_str()?.to_owned();
        assert!(device.by_serial);
        Some((name, device.number))
    }

    #[test]
    fn device_is_found_by_its_serial_whatever_the_link_names() {
        let (own, other) = (Some("vol0123456789abcdef0"), Some("vol0fedcba9876543210"));
        let disks = [("nvme1n1", other), ("nvme2n1", own), ("xvdf", None)];
        for link in [None, Some("nvme1n1"), Some("nvme2n1"), Some("xvdf"), Some("gone")] {
            assert_eq!(
                found(&host(&disks, link)),
                Some(("nvme2n1".to_owned(), (259, 1))),
                "{link:?}"
            );
        }
        let twice = [("nvme1n1", own), ("nvme2n1", own)];
        assert_eq!(found(&host(&twice, Some("nvme1n1"))), None, "neither is believed");
    }

    #[test]
    fn link_to_a_device_that_could_say_who_it_is_is_not_followed() {
        for (name, serial) in [
            ("nvme1n1", Some("vol0fedcba9876543210")),
            ("nvme1n1", None),
            ("vda", Some("x")),
        ] {
            assert_eq!(found(&host(&[(name, serial)], Some(name))), None, "{name} {serial:?}");
        }
    }

    #[test]
    fn link_to_a_device_without_serial_is_followed_and_said_to_be_a_link() {
        let Ok(device) = fs::read_dir("/dev").map(|all| {
            let loops = all.flatten().map(|entry| entry.path());
            let mut loops = loops.filter(|path| path.to_string_lossy().starts_with("/dev/loop"));
            loops.find(|path| fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device()))
        }) else {
            return;
        };
        let Some(device) = device else { return };
        let host = host(&[], None);
        symlink(&device, host.path().join("dev/disk/by-id").join(LINK)).unwrap();
        fs::create_dir(host.path().join("block")).unwrap();
        let found = find_device(VOLUME, &host.path().join("block"), &host.path().join("dev")).unwrap();
        assert_eq!((found.path, found.by_serial), (device, false));
    }
}
