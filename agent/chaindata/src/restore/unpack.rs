//! Unpacks a tar stream into a directory: only what a data directory may hold, and never outside of it.

use std::cell::Cell;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail, ensure};
use rustix::fs::{Gid, Uid};
use tar::{Archive, EntryType};

use super::disk::free_space;
use crate::layout::is_allowed;
use crate::observer::Observer;
use crate::snapshot::read_up_to;

/// Read and written at once, bytes.
const BUFFER: usize = 256 << 10;
/// Written between two checks of the free space, within a file, bytes.
const CHECK_SPACE_EVERY: u64 = 64 << 20;

/// The largest header of an entry, bytes: its name, and the parts of a sparse file.
const MAX_HEADER: u64 = 1 << 20;

/// What to do with an entry that no data directory may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnknownEntryPolicy {
    /// For a snapshot, which has none.
    Refuse,
    /// For an archive from elsewhere, which may have keys.
    Skip,
}

#[derive(Debug)]
pub(super) struct UnpackTarget<'a> {
    pub(super) dir: &'a Path,
    pub(super) owner: Option<(Uid, Gid)>,
    pub(super) unknown: UnknownEntryPolicy,
    /// Leading directories that are stripped.
    pub(super) strip: usize,
    /// Left free for what runs on the same disk, bytes.
    pub(super) reserve: u64,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct UnpackedData {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// The first hundred entries that were skipped.
    pub(super) skipped: Vec<PathBuf>,
}

/// Unpacks `from`, whose files have at most `most` bytes. `before` is called at each entry from which unpacking could be
/// resumed, with its offset in the stream and what was unpacked before it.
pub(super) fn unpack<R: Read>(
    from: R,
    target: &UnpackTarget<'_>,
    most: u64,
    observer: &mut dyn Observer,
    mut before: impl FnMut(u64, &UnpackedData) -> anyhow::Result<()>,
) -> anyhow::Result<UnpackedData> {
    let limit = Rc::new(Cell::new(0));
    let limited = LimitedReader {
        from,
        left: Rc::clone(&limit),
    };
    let (mut archive, mut done) = (Archive::new(limited), UnpackedData::default());
    let mut buffer = vec![0; BUFFER];
    let mut entries = archive.entries()?;
    loop {
        limit.set(MAX_HEADER);
        let Some(entry) = entries.next() else {
            return Ok(done);
        };
        let mut entry = entry.context("it is no tar archive, or a damaged one")?;
        limit.set(u64::MAX);
        let path = PathBuf::from(std::ffi::OsString::from(
            String::from_utf8(entry.path_bytes().into_owned()).context("a name in the archive is not UTF-8")?,
        ));
        if entry.header().path_bytes() == entry.path_bytes() {
            before(entry.raw_header_position(), &done)?;
        }
        ensure!(
            done.bytes.saturating_add(entry.size()) <= most,
            "{}: there is more in the snapshot than its head says",
            path.display()
        );
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            io::copy(&mut entry, &mut io::sink())?;
            continue;
        }
        let place =
            relative_path(&path, target.strip).with_context(|| format!("{}: leads out of the data", path.display()))?;
        let plain = matches!(
            kind,
            EntryType::Regular | EntryType::Continuous | EntryType::Directory | EntryType::GNUSparse
        );
        let is_dir = kind == EntryType::Directory;
        if place.as_os_str().is_empty() {
            ensure!(is_dir, "{}: a file where the data directory belongs", path.display());
            continue;
        }
        if !plain {
            bail!(
                "{}: neither a file nor a directory, which no chain data has",
                path.display()
            );
        }
        if !is_allowed(&place, is_dir) {
            if target.unknown == UnknownEntryPolicy::Refuse {
                bail!("{}: nothing that may be in a snapshot", path.display());
            }
            if done.skipped.len() < 100 {
                done.skipped.push(place);
            }
            io::copy(&mut entry, &mut io::sink())?;
            continue;
        }
        let to = target.dir.join(&place);
        let mode = entry.header().mode().unwrap_or(0o755) & 0o777;
        if is_dir {
            make_dirs(target, &place)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(mode | 0o700))?;
            continue;
        }
        if let Some(parent) = place.parent() {
            make_dirs(target, parent)?;
        }
        let (file, length) = write_file(&mut entry, &to, mode | 0o600, &mut buffer, target, observer)
            .with_context(|| format!("cannot unpack {}", path.display()))?;
        if let Some((uid, gid)) = target.owner {
            rustix::fs::fchown(&file, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} away", to.display()))?;
        }
        done.files += 1;
        done.bytes += length;
    }
}

/// Fails after a number of bytes: the tar library reads a header of any length into memory.
struct LimitedReader<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        let left = left.ok_or_else(|| io::Error::other("a header in the archive is longer than 1 MiB"))?;
        self.left.set(left);
        Ok(read)
    }
}

fn write_file(
    from: &mut dyn Read,
    to: &Path,
    mode: u32,
    buffer: &mut [u8],
    target: &UnpackTarget<'_>,
    observer: &mut dyn Observer,
) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(to)?;
    let mut length = 0_u64;
    loop {
        if length.is_multiple_of(CHECK_SPACE_EVERY) && free_space(target.dir)? < target.reserve {
            return Err(io::Error::other(
                "the disk is nearly full; make room, or grow the volume",
            ));
        }
        let read = read_up_to(from, buffer)?;
        if read == 0 {
            return Ok((file, length));
        }
        io::Write::write_all(&mut file, &buffer[..read])?;
        length += read as u64;
        observer.advance(read as u64);
    }
}

/// Makes the directories down to `place`, each with the owner of the target.
fn make_dirs(target: &UnpackTarget<'_>, place: &Path) -> anyhow::Result<()> {
    if target.dir.join(place).is_dir() {
        return Ok(());
    }
    let mut path = target.dir.to_owned();
    for part in place {
        path.push(part);
        match DirBuilder::new().mode(0o755).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.with_context(|| format!("cannot make {}", path.display()))?,
        }
        if let Some((uid, gid)) = target.owner {
            rustix::fs::chown(&path, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} away", path.display()))?;
        }
    }
    Ok(())
}

/// Path below the data directory; `None` when it leads out of it.
fn relative_path(path: &Path, strip: usize) -> Option<PathBuf> {
    let mut place = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => place.push(name),
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(place.components().skip(strip).collect())
}
