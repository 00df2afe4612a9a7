//! A tree of root's outside of the data.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Stands in the canary's files, and nowhere else.
pub(crate) const SECRET: &[u8] = b"CANARY bottom drive obey lake curtain smoke";

type Described = BTreeMap<PathBuf, (u64, u32, u32, u32, u64, Vec<u8>)>;

/// A tree with what an attacker would like to read, write, own or move.
pub(crate) struct Canary {
    dir: PathBuf,
    before: Described,
}

impl Canary {
    pub(crate) fn plant(dir: &Path) -> Self {
        fs::DirBuilder::new().mode(0o755).create(dir).unwrap();
        let files = [
            ("CURRENT", 0o600),
            ("000001.sst", 0o600),
            ("etc/passwd", 0o644),
            ("etc/full/CURRENT", 0o600),
            ("cron.d/job", 0o644),
            ("network/secret_ed25519", 0o600),
        ];
        for (file, mode) in files {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, SECRET).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let (dir, before) = (dir.to_owned(), describe(dir));
        Self { dir, before }
    }

    /// Fails unless everything in it is as it was.
    pub(crate) fn assert_unchanged(&self, when: &str) {
        let now = describe(&self.dir);
        let names = |tree: &Described| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&now), names(&self.before), "{when}");
        for (path, before) in &self.before {
            assert!(now[path] == *before, "{when}: {}", path.display());
        }
    }
}

/// Inode, owner, mode, names and content, by path.
fn describe(dir: &Path) -> Described {
    let mut found = Described::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let mut content = Vec::new();
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if about.is_file() {
            content = fs::read(&path).unwrap();
        }
        let key = (
            about.ino(),
            about.uid(),
            about.gid(),
            about.mode(),
            about.nlink(),
            content,
        );
        found.insert(path, key);
    }
    found
}
