//! The mount table of the host: a bind mount gives a directory a second name, also below one that a container is given.

use std::path::{Path, PathBuf};

use agent_files::Mount;

/// Mounts in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    /// Those of this process; none where they cannot be read.
    pub(super) fn read() -> Self {
        Self(Mount::all().unwrap_or_default())
    }

    /// Whether a mount below `dir` shows `place`, or a part of it.
    pub(super) fn show_below(&self, dir: &Path, place: &Path) -> bool {
        let Some((device, place)) = self.origin(place) else {
            return false;
        };
        let below = |mount: &&Mount| mount.point != dir && mount.point.starts_with(dir) && mount.device == device;
        let mut below = self.0.iter().filter(below);
        below.any(|mount| mount.root.starts_with(&place) || place.starts_with(&mount.root))
    }

    /// The file system that a path is on, and its path there.
    fn origin(&self, path: &Path) -> Option<((u32, u32), PathBuf)> {
        let mount = Mount::around(&self.0, path)?;
        let rest = path.strip_prefix(&mount.point).ok()?;
        Some((mount.device, mount.root.join(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 8:1 /srv/keystore /shared/keys rw - ext4 /dev/sda1 rw
24 22 8:1 /srv /all\\040of/it rw - ext4 /dev/sda1 rw
25 22 8:1 /srv/keystore/one /part/one rw - ext4 /dev/sda1 rw
26 22 8:2 / /volume rw - ext4 /dev/sdb rw
27 22 8:2 / /other/volume rw - ext4 /dev/sdb rw
28 22 8:3 /srv/keystore /third/keys rw - ext4 /dev/sdc rw
";

    #[test]
    fn bind_mounts_below_a_directory_show_what_they_are_made_of() {
        let mounts = Mounts(Mount::parse(INFO));
        let shows = |dir: &str, place: &str| mounts.show_below(Path::new(dir), Path::new(place));
        for dir in ["/shared", "/all of", "/part"] {
            assert!(shows(dir, "/srv/keystore"), "{dir}");
            assert!(!shows(dir, "/home"), "{dir}");
        }
        assert!(shows("/other", "/volume/keystore") && shows("/other", "/volume"));
        assert!(!shows("/third", "/srv/keystore"), "another file system");
        assert!(
            !shows("/shared/keys", "/srv/keystore"),
            "the mount itself is compared by its inode"
        );
        assert!(!shows("/part", "/srv/keystore/two"));
    }
}
