//! A directory by its handle.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid, fchmod, fchown, mkdirat, openat, openat2,
    renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::refusal::{HARD_LINK, LINK, NAME, NO_DIR, NO_FILE, NOT_PRIVATE, OTHER_FILE_SYSTEM, Refusal};
use crate::{own_uid, resolve};

/// What the kernel refuses on the way to an entry: links, mounts, and everything above the directory.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);
/// A pipe or a device must not block, nor become the terminal of the process.
const CAREFUL: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Whether an entry is a link that was not followed.
pub fn is_link(error: &io::Error) -> bool {
    Refusal::find(error).is_some_and(|refusal| refusal.why == LINK)
}

/// Whether an entry is on another file system than its directory.
pub fn is_other_file_system(error: &io::Error) -> bool {
    Refusal::find(error).is_some_and(|refusal| refusal.why == OTHER_FILE_SYSTEM)
}

/// An open directory. Paths are relative to it, and may have several parts.
#[derive(Debug)]
pub struct Dir {
    handle: File,
    /// For messages.
    path: PathBuf,
}

impl Dir {
    /// Opens the directory that an administrator configured.
    ///
    /// Fails where a link on the way belongs to another user than root, this user, or the directory's owner.
    pub fn open(path: &Path) -> io::Result<Self> {
        let found = resolve::open_trusted(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = match openat(&found, ".", flags, Mode::empty()) {
            // Who may not list it may still open what is in it.
            Err(Errno::ACCESS) => found,
            opened => File::from(opened?),
        };
        let path = path.to_owned();
        Ok(Self { handle, path })
    }

    /// Path under which it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for locks and calls that work on a whole file system.
    pub fn handle(&self) -> &File {
        &self.handle
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.handle.metadata()
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        let (handle, path) = (self.handle.try_clone()?, self.path.clone());
        Ok(Self { handle, path })
    }

    /// A directory below.
    pub fn dir(&self, place: impl AsRef<Path>) -> io::Result<Self> {
        let (place, flags) = (place.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY);
        let opened = self.open_at(place, flags | CAREFUL, Mode::empty());
        let handle = opened.map_err(|error| self.explain(place, error, NO_DIR))?;
        let path = self.path.join(place);
        Ok(Self { handle, path })
    }

    /// A directory below that only its owner may enter, who is root or this user.
    pub fn private_dir(&self, place: impl AsRef<Path>) -> io::Result<Self> {
        let dir = self.dir(place)?;
        let about = dir.metadata()?;
        if ![0, own_uid()].contains(&about.uid()) || about.mode() & 0o077 != 0 {
            return Err(Refusal::of(&dir.path, NOT_PRIVATE));
        }
        Ok(dir)
    }

    /// A regular file below without a second name, open for reading.
    pub fn file(&self, place: impl AsRef<Path>) -> io::Result<File> {
        self.regular(place.as_ref(), OFlags::RDONLY)
    }

    /// The same, open for writing.
    pub fn file_to_write(&self, place: impl AsRef<Path>) -> io::Result<File> {
        self.regular(place.as_ref(), OFlags::RDWR)
    }

    fn regular(&self, place: &Path, access: OFlags) -> io::Result<File> {
        let opened = self.open_at(place, access | CAREFUL, Mode::empty());
        let file = opened.map_err(|error| self.explain(place, error, NO_FILE))?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(Refusal::of(&self.path.join(place), NO_FILE));
        }
        match about.nlink() {
            // Removed since.
            0 => Err(io::ErrorKind::NotFound.into()),
            1 => Ok(file),
            _ => Err(Refusal::of(&self.path.join(place), HARD_LINK)),
        }
    }

    /// What a name stands for, without opening it for reading. A link is described itself.
    pub fn entry(&self, place: impl AsRef<Path>) -> io::Result<Metadata> {
        let place = place.as_ref();
        let found = self.found(place);
        found.map_err(|error| self.explain(place, error, NO_DIR))?.metadata()
    }

    /// Whether there is an entry of this name, of any kind.
    pub fn has(&self, place: impl AsRef<Path>) -> io::Result<bool> {
        match self.entry(place) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Names of the entries, sorted.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Creates a file, open for writing. Fails when there is an entry of this name, of any kind.
    pub fn create(&self, place: impl AsRef<Path>, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let place = place.as_ref();
        let opened = self.open_at(place, flags | CAREFUL, Mode::from_raw_mode(mode));
        opened.map_err(|error| self.explain(place, error, NO_DIR))
    }

    /// Creates a file without a name, on the same file system, open for reading and writing.
    pub fn create_unnamed(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.handle, ".", flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Makes a directory and opens it. Fails when there is an entry of this name, of any kind.
    pub fn make_dir(&self, place: impl AsRef<Path>, mode: u32) -> io::Result<Self> {
        let place = place.as_ref();
        let (parent, name) = self.parent(place)?;
        mkdirat(&parent.handle, name, Mode::from_raw_mode(mode))?;
        let dir = parent.dir(name)?;
        let about = dir.metadata()?;
        // The owner of the directory around it may have put another one in its place.
        if about.uid() != own_uid() || !dir.names()?.is_empty() {
            return Err(Refusal::of(&self.path.join(place), NOT_PRIVATE));
        }
        Ok(dir)
    }

    /// Renames an entry to `name` in `to`, never over another one. Both names have one part.
    pub fn rename(&self, name: &OsStr, to: &Self, new_name: &OsStr) -> io::Result<()> {
        let (name, new_name) = (one_part(&self.path, name)?, one_part(&to.path, new_name)?);
        renameat_with(&self.handle, name, &to.handle, new_name, RenameFlags::NOREPLACE)?;
        Ok(())
    }

    /// Renames an entry in this directory, over another one if there is.
    pub fn replace(&self, name: &OsStr, new_name: &OsStr) -> io::Result<()> {
        let (name, new_name) = (one_part(&self.path, name)?, one_part(&self.path, new_name)?);
        Ok(rustix::fs::renameat(&self.handle, name, &self.handle, new_name)?)
    }

    /// Removes what is no directory; nothing there is fine.
    pub fn remove_file(&self, place: impl AsRef<Path>) -> io::Result<()> {
        self.unlink(place.as_ref(), AtFlags::empty())
    }

    /// Removes an empty directory; nothing there is fine.
    pub fn remove_dir(&self, place: impl AsRef<Path>) -> io::Result<()> {
        self.unlink(place.as_ref(), AtFlags::REMOVEDIR)
    }

    fn unlink(&self, place: &Path, flags: AtFlags) -> io::Result<()> {
        let found = self
            .parent(place)
            .and_then(|(parent, name)| Ok(unlinkat(&parent.handle, name, flags)?));
        match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                Err(Refusal::of(&self.path.join(place), NO_FILE))
            }
            removed => removed,
        }
    }

    /// Writes names and attributes of this directory to the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    pub fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        set_owner(&self.handle, uid, gid)
    }

    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fchmod(&self.handle, Mode::from_raw_mode(mode))?)
    }

    /// Handle of the directory that `place` is in, and its name there.
    pub fn parent<'p>(&self, place: &'p Path) -> io::Result<(Self, &'p OsStr)> {
        let Some(Component::Normal(name)) = place.components().next_back() else {
            return Err(Refusal::of(&self.path.join(place), NAME));
        };
        match place.parent() {
            Some(above) if !above.as_os_str().is_empty() => Ok((self.dir(above)?, name)),
            _ => Ok((self.try_clone()?, name)),
        }
    }

    fn open_at(&self, place: &Path, flags: OFlags, mode: Mode) -> Result<File, Errno> {
        let place = if place.as_os_str().is_empty() {
            Path::new(".")
        } else {
            place
        };
        openat2(&self.handle, place, flags, mode, BENEATH).map(File::from)
    }

    /// The kernel's refusal in plain words, with what is in the way; other errors as they are.
    fn explain(&self, place: &Path, error: Errno, wrong_kind: &'static str) -> io::Error {
        let (way, why) = match error {
            Errno::LOOP => self.obstacle(place).unwrap_or((place, LINK)),
            // A link as well, where a directory was asked for.
            Errno::NOTDIR => match self.obstacle(place) {
                Some(obstacle) => obstacle,
                None => return error.into(),
            },
            Errno::XDEV
                if !place
                    .components()
                    .all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) =>
            {
                (place, NAME)
            }
            Errno::XDEV => (place, OTHER_FILE_SYSTEM),
            // A pipe without a reader, a socket, a directory opened for writing.
            Errno::NXIO | Errno::ISDIR => (place, wrong_kind),
            _ => return error.into(),
        };
        let path = self.path.join(way);
        match why {
            // Nothing can be at `place`.
            NO_DIR if way != place => io::Error::new(io::ErrorKind::NotADirectory, Refusal { path, why }),
            _ => Refusal::of(&path, why),
        }
    }

    /// The first entry on the way to `place`, or itself, that is no directory.
    fn obstacle<'p>(&self, place: &'p Path) -> Option<(&'p Path, &'static str)> {
        let ways: Vec<_> = place.ancestors().filter(|way| !way.as_os_str().is_empty()).collect();
        for way in ways.into_iter().rev() {
            let about = self.found(way).ok()?.metadata().ok()?;
            if !about.is_dir() {
                return Some((way, if about.is_symlink() { LINK } else { NO_DIR }));
            }
        }
        None
    }

    /// Handle of an entry of any kind, also of a link, which can only be described.
    fn found(&self, place: &Path) -> Result<File, Errno> {
        self.open_at(place, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    }
}

/// Gives an open file or directory to a user.
pub(crate) fn set_owner(file: &File, uid: u32, gid: u32) -> io::Result<()> {
    Ok(fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
}

/// A name of exactly one part.
fn one_part<'n>(dir: &Path, name: &'n OsStr) -> io::Result<&'n OsStr> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name => Ok(name),
        _ => Err(Refusal::of(&dir.join(name), NAME)),
    }
}
