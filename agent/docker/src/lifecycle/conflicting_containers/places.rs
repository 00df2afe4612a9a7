//! Where directories lie on the host, by device and inode: a name, a link or a bind mount leads to the same place. What
//! is mounted below them belongs to them, as it does in a container.
#![expect(clippy::disallowed_methods, reason = "a job for the disks of others")]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::mounts::Mounts;

/// Device and inode of a file or directory.
type FileId = (u64, u64);

/// How another directory lies to one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlap {
    /// It is the root of the host.
    Root,
    /// It is the same, inside ours, or ours is inside it.
    Part,
}

/// The places of paths that were there.
#[derive(Debug, Default)]
pub(super) struct Places {
    found: HashMap<PathBuf, Place>,
    mounts: Mounts,
}

#[derive(Debug)]
struct Place {
    real: PathBuf,
    /// The place itself, then its parents up to the root.
    ids: Vec<FileId>,
}

impl Places {
    /// Looks up paths. Blocks on their file systems.
    pub(super) fn locate(paths: Vec<PathBuf>) -> Self {
        let place = |path: &Path| {
            let real = path.canonicalize().ok()?;
            let id = |path: &Path| fs::symlink_metadata(path).map(|about| (about.dev(), about.ino())).ok();
            let ids = real.ancestors().map(id).collect::<Option<Vec<_>>>()?;
            Some(Place { real, ids })
        };
        let found = paths.into_iter().filter_map(|path| Some((path.clone(), place(&path)?)));
        Self {
            found: found.collect(),
            mounts: Mounts::read(),
        }
    }

    /// Where a path leads; the path itself where that is unknown.
    pub(super) fn real(&self, path: &Path) -> PathBuf {
        self.found
            .get(path)
            .map_or_else(|| path.to_owned(), |place| place.real.clone())
    }

    /// How `theirs` lies to `ours`; `None` is apart.
    pub(super) fn overlap(&self, theirs: &Path, ours: &Path) -> Option<Overlap> {
        let by_id = match (self.found.get(theirs), self.found.get(ours)) {
            (Some(theirs), Some(ours)) => meet(&theirs.ids, &ours.ids),
            _ => false,
        };
        let (theirs, ours) = (self.real(theirs), self.real(ours));
        let by_name = theirs.starts_with(&ours) || ours.starts_with(&theirs);
        let by_mount = || self.mounts.show_below(&theirs, &ours) || self.mounts.show_below(&ours, &theirs);
        let is_root = theirs.parent().is_none();
        (by_name || by_id || by_mount()).then_some(if is_root { Overlap::Root } else { Overlap::Part })
    }
}

/// Whether the first of one is among those of the other.
fn meet(theirs: &[FileId], ours: &[FileId]) -> bool {
    let within = |inner: &[FileId], outer: &[FileId]| outer.first().is_some_and(|id| inner.contains(id));
    within(theirs, ours) || within(ours, theirs)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_and_a_hard_link_lead_to_the_same_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("data/keystore")).unwrap();
        fs::create_dir(path("other")).unwrap();
        fs::write(path("data/keystore/node-key"), "").unwrap();
        fs::hard_link(path("data/keystore/node-key"), path("other/key")).unwrap();
        symlink(path("data"), path("link")).unwrap();
        let names = [
            "data",
            "data/keystore",
            "data/keystore/node-key",
            "other",
            "other/key",
            "link",
        ];
        let places = Places::locate(names.map(path).to_vec());
        let overlap = |theirs: &str, ours: &str| places.overlap(&path(theirs), &path(ours));
        for (theirs, ours) in [
            ("link", "data"),
            ("link", "data/keystore"),
            ("data/keystore", "data"),
            ("other/key", "data/keystore/node-key"),
        ] {
            assert_eq!(overlap(theirs, ours), Some(Overlap::Part), "{theirs} and {ours}");
        }
        assert_eq!(overlap("other", "data"), None);
        assert_eq!(places.overlap(Path::new("/"), &path("data")), Some(Overlap::Root));
    }
}
