//! A tree of root's outside of the data, and everything that is done in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Stands in the canary's files, and nowhere else.
pub(crate) const SECRET: &str = "CANARY bottom drive obey lake curtain smoke";
/// The file that the attacker has further names of.
pub(crate) const LINKED: &str = "linked";
/// What is watched of it: it may be opened, since that is how it is seen to have another name.
const TOUCHED: WatchFlags = WatchFlags::ACCESS.union(WatchFlags::MODIFY);

/// What is known of an entry without opening it.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    size: u64,
    read: (i64, i64),
    written: (i64, i64),
    /// Number of names, and when anything at all was changed; the attacker's names change both.
    names: Option<(u64, i64, i64)>,
}

/// A tree with what an attacker would like to be read, written, owned or moved.
#[derive(Debug)]
pub(crate) struct Canary {
    dir: PathBuf,
    before: BTreeMap<PathBuf, Described>,
    inotify: OwnedFd,
    watches: BTreeMap<i32, PathBuf>,
}

impl Canary {
    /// Plants `files` below `dir`, and begins to watch.
    pub(crate) fn plant(dir: &Path, files: &BTreeMap<&str, String>) -> Result<Self> {
        fs::create_dir(dir)?;
        fs::write(dir.join(LINKED), SECRET)?;
        for (file, content) in files {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().context("no parent")?)?;
            fs::write(path, content)?;
        }
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let (mut before, mut watches) = (BTreeMap::new(), BTreeMap::new());
        for path in tree(dir)? {
            let is_dir = path.is_dir();
            fs::set_permissions(&path, fs::Permissions::from_mode(if is_dir { 0o700 } else { 0o600 }))?;
            before.insert(path.clone(), describe(&path)?);
        }
        for path in before.keys() {
            let events = if path.ends_with(LINKED) {
                TOUCHED
            } else {
                WatchFlags::ALL_EVENTS
            };
            watches.insert(inotify::add_watch(&inotify, path, events)?, path.clone());
        }
        Ok(Self {
            dir: dir.to_owned(),
            before,
            inotify,
            watches,
        })
    }

    /// Fails unless nothing was done in the tree since it was planted.
    pub(crate) fn assert_untouched(&self) -> Result<()> {
        let seen = self.events()?;
        ensure!(seen.is_empty(), "outside of the data: {seen:?}");
        for (path, before) in &self.before {
            let now = describe(path).with_context(|| format!("{} is gone", path.display()))?;
            ensure!(now == *before, "{}: {before:?} became {now:?}", path.display());
        }
        Ok(())
    }

    /// Fails unless the content is as it was, too; nothing can be asserted afterwards.
    pub(crate) fn assert_content(self, files: &BTreeMap<&str, String>) -> Result<()> {
        self.assert_untouched()?;
        ensure!(tree(&self.dir)?.len() == self.before.len(), "something was added");
        for (file, content) in files {
            ensure!(
                fs::read_to_string(self.dir.join(file))? == *content,
                "{file} has changed"
            );
        }
        Ok(())
    }

    fn events(&self) -> Result<BTreeSet<String>> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut seen = BTreeSet::new();
        loop {
            let event = match reader.next() {
                Err(Errno::AGAIN) => return Ok(seen),
                event => event?,
            };
            ensure!(
                !event.events().contains(ReadFlags::QUEUE_OVERFLOW),
                "too much was done there"
            );
            let dir = self.watches.get(&event.wd()).cloned().unwrap_or_default();
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            // The directory of the file with other names sees that it was opened.
            if name == Some(OsStr::new(LINKED)) {
                continue;
            }
            let path = name.map_or(dir.clone(), |name| dir.join(name));
            seen.insert(format!("{:?} of {}", event.events(), path.display()));
        }
    }
}

fn describe(path: &Path) -> Result<Described> {
    let about = fs::symlink_metadata(path)?;
    Ok(Described {
        inode: about.ino(),
        mode: about.mode(),
        owner: (about.uid(), about.gid()),
        size: about.size(),
        read: (about.atime(), about.atime_nsec()),
        written: (about.mtime(), about.mtime_nsec()),
        names: (!path.ends_with(LINKED)).then(|| (about.nlink(), about.ctime(), about.ctime_nsec())),
    })
}

/// `dir` and everything in it.
fn tree(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut waiting) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
        found.push(path);
    }
    Ok(found)
}
