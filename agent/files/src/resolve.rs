//! Opens a directory by the path that an administrator configured.
//!
//! Links on the way are followed, such as `/var/lib/x -> /mnt/x`, but only those of root, of this process's user, and of the
//! user that the directory belongs to: any other user could lead a process with more rights elsewhere.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use crate::own_uid;
use crate::refusal::{FOREIGN_LINK, Refusal};

/// Links on one path at most, as in the kernel.
const MAX_LINKS: usize = 40;
const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A handle of the directory at `path`, as [`OFlags::PATH`].
pub(crate) fn open_trusted(path: &Path) -> io::Result<File> {
    let path = std::path::absolute(path)?;
    let plain = openat2(
        CWD,
        &path,
        HANDLE | OFlags::DIRECTORY,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    );
    match plain {
        Err(Errno::LOOP | Errno::NOTDIR) => follow(&path),
        Err(Errno::NOSYS) => Err(io::Error::other(
            "the kernel has no openat2: Linux 5.6 or later is needed",
        )),
        opened => Ok(File::from(opened?)),
    }
}

/// Walks from the root by handles.
fn follow(path: &Path) -> io::Result<File> {
    let mut rest: VecDeque<OsString> = parts(path).collect();
    let mut at = open_at(&File::open("/")?, OsStr::new("."))?;
    let mut links: Vec<(PathBuf, u32)> = Vec::new();
    let mut walked = PathBuf::from("/");
    while let Some(name) = rest.pop_front() {
        let next = open_at(&at, &name)?;
        let about = next.metadata()?;
        if !about.is_symlink() {
            walked.push(&name);
            at = next;
            continue;
        }
        if links.len() == MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        links.push((walked.join(&name), about.uid()));
        let target = readlinkat(&next, "", Vec::new())?;
        let target = Path::new(OsStr::from_bytes(target.as_bytes()));
        if target.is_absolute() {
            at = open_at(&File::open("/")?, OsStr::new("."))?;
            walked = PathBuf::from("/");
        }
        for part in parts(target).collect::<Vec<_>>().into_iter().rev() {
            rest.push_front(part);
        }
    }
    let about = at.metadata()?;
    let trusted = [0, own_uid(), about.uid()];
    match links.iter().find(|(_, owner)| !trusted.contains(owner)) {
        Some((link, _)) => Err(Refusal::of(link, FOREIGN_LINK)),
        None if about.is_dir() => Ok(at),
        None => Err(Errno::NOTDIR.into()),
    }
}

fn open_at(dir: &File, name: &OsStr) -> io::Result<File> {
    Ok(File::from(openat(dir, name, HANDLE, Mode::empty())?))
}

/// The names in a path, `..` among them, without the root.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    use std::path::Component;
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
