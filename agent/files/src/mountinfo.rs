//! The kernel's table of mounts.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Options of a file system that takes no writes: mounted so, and stopped by the kernel after an error (Linux 6.14, 6.6).
const READ_ONLY: [&[u8]; 3] = [b"ro", b"emergency_ro", b"shutdown"];

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number of the file system.
    pub device: (u32, u32),
    /// The directory of the file system that is mounted.
    pub root: PathBuf,
    pub point: PathBuf,
    /// Whether the file system itself takes no writes: it is read-only, or stopped after an error. Per-mount options do not
    /// count.
    pub read_only: bool,
}

impl Mount {
    /// The mounts of this process, in the order in which they were made.
    pub fn all() -> io::Result<Vec<Self>> {
        // Bytes: a mount may have a name that is no text.
        Ok(Self::parse(&std::fs::read("/proc/self/mountinfo")?))
    }

    /// The one of `mounts` that a path is on. The path is an absolute one without links.
    pub fn around<'a>(mounts: &'a [Self], path: &Path) -> Option<&'a Self> {
        let around = mounts.iter().filter(|mount| path.starts_with(&mount.point));
        // Of several at one place the last covers the others, and is what `max` gives.
        around.max_by_key(|mount| mount.point.components().count())
    }

    /// Reads the text of a table; a line that is none is left out.
    pub fn parse(mountinfo: &[u8]) -> Vec<Self> {
        let lines = mountinfo.split(|byte| *byte == b'\n');
        lines.filter_map(Self::parse_line).collect()
    }

    fn parse_line(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let (major, minor) = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        let mut of_system = fields.skip_while(|field| *field != b"-");
        let options = of_system.nth(3)?;
        Some(Self {
            device: (major.parse().ok()?, minor.parse().ok()?),
            root,
            point,
            read_only: options
                .split(|byte| *byte == b',')
                .any(|option| READ_ONLY.contains(&option)),
        })
    }
}

/// A path as the kernel writes it: blanks, newlines and backslashes as `\` and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [byte, tail @ ..] = rest {
        let (byte, tail) = match (byte, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), tail)
            }
            _ => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_is_read_with_its_escapes_and_the_file_systems_own_options() {
        let table = b"\
40 1 259:3 /a\\040b /with\\011tab\\134040 ro,nosuid shared:3 - ext4 /dev/nvme1n1 rw,errors=remount-ro
41 1 0:23 / /plain\\+12\\777 rw - tmpfs tmpfs rw,ro
43 1 7:1 / /failed rw,relatime - ext4 /dev/loop1 rw,emergency_ro
44 1 7:2 / /shut rw - ext4 /dev/loop2 rw,shutdown
no line
42 1 8:1 / /cut rw";
        let mount = |device, root: &str, point: &str, read_only| Mount {
            device,
            root: root.into(),
            point: point.into(),
            read_only,
        };
        assert_eq!(
            Mount::parse(table),
            [
                mount((259, 3), "/a b", "/with\ttab\\040", false),
                mount((0, 23), "/", "/plain\\+12\\777", true),
                mount((7, 1), "/", "/failed", true),
                mount((7, 2), "/", "/shut", true),
            ]
        );
    }

    #[test]
    fn path_is_on_the_deepest_mount_and_of_two_at_one_place_on_the_last() {
        let mounts = Mount::parse(
            b"\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 8:2 / /var rw - ext4 /dev/sdb rw
24 23 8:3 / /var/lib rw - ext4 /dev/sdc rw
25 24 8:4 / /var/lib rw - ext4 /dev/sdd rw
26 22 8:5 / /var/library rw - ext4 /dev/sde rw
",
        );
        let device = |path| Mount::around(&mounts, Path::new(path)).map(|mount| mount.device);
        for (path, expected) in [
            ("/srv", (8, 1)),
            ("/var", (8, 2)),
            ("/var/lib", (8, 4)),
            ("/var/lib/t0rn-agent", (8, 4)),
            ("/var/library/x", (8, 5)),
        ] {
            assert_eq!(device(path), Some(expected), "{path}");
        }
        assert_eq!(device("relative"), None);
    }
}
