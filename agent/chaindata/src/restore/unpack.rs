//! Unpacks a tar stream into a directory: only what a data directory may hold, and never outside of it.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use agent_files::{Dir, printable};
use anyhow::{Context as _, bail, ensure};
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
pub(crate) enum UnknownEntryPolicy {
    /// For a snapshot, which has none.
    Refuse,
    /// For an archive from elsewhere, which may have keys.
    Skip,
}

#[derive(Debug)]
pub(crate) struct UnpackTarget<'a> {
    pub(crate) dir: &'a Dir,
    /// User and group of what is unpacked; `None`: this process's own.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) unknown: UnknownEntryPolicy,
    /// Leading directories that are stripped.
    pub(crate) strip: usize,
    /// Left free for what runs on the same disk, bytes.
    pub(crate) reserve: u64,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct UnpackedData {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// The first hundred entries that were skipped.
    pub(crate) skipped: Vec<PathBuf>,
}

/// Unpacks `from`, whose files have at most `most` bytes. `before` is called at each entry from which unpacking could be
/// resumed, with its offset in the stream and what was unpacked before it.
pub(crate) fn unpack<R: Read>(
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
    let (mut buffer, mut last_dir) = (vec![0; BUFFER], PathBuf::new());
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
            shown(&path)
        );
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            io::copy(&mut entry, &mut io::sink())?;
            continue;
        }
        let place =
            relative_path(&path, target.strip).with_context(|| format!("{}: leads out of the data", shown(&path)))?;
        let plain = matches!(
            kind,
            EntryType::Regular | EntryType::Continuous | EntryType::Directory | EntryType::GNUSparse
        );
        let is_dir = kind == EntryType::Directory;
        if place.as_os_str().is_empty() {
            ensure!(is_dir, "{}: a file where the data directory belongs", shown(&path));
            continue;
        }
        if !plain {
            bail!(
                "{}: neither a file nor a directory, which no chain data has",
                shown(&path)
            );
        }
        if !is_allowed(&place, is_dir) {
            if target.unknown == UnknownEntryPolicy::Refuse {
                bail!("{}: nothing that may be in a snapshot", shown(&path));
            }
            if done.skipped.len() < 100 {
                done.skipped.push(place);
            }
            io::copy(&mut entry, &mut io::sink())?;
            continue;
        }
        let mode = entry.header().mode().unwrap_or(0o755) & 0o777;
        if is_dir {
            make_dirs(target, &place)?;
            target.dir.dir(&place)?.set_mode(mode | 0o700)?;
            continue;
        }
        // Nearly every file is in the directory of the one before it.
        if let Some(parent) = place.parent().filter(|parent| *parent != last_dir) {
            make_dirs(target, parent)?;
            parent.clone_into(&mut last_dir);
        }
        let length = write_file(&mut entry, &place, mode | 0o600, &mut buffer, target, observer)
            .with_context(|| format!("cannot unpack {}", shown(&path)))?;
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

/// Writes a file under a name that nothing else has, and gives it to the owner of the target. Returns its length.
fn write_file(
    from: &mut dyn Read,
    place: &Path,
    mode: u32,
    buffer: &mut [u8],
    target: &UnpackTarget<'_>,
    observer: &mut dyn Observer,
) -> io::Result<u64> {
    let mut file = match target.dir.create(place, mode) {
        // An earlier attempt left it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            target.dir.remove_file(place)?;
            target.dir.create(place, mode)?
        }
        file => file?,
    };
    let mut length = 0_u64;
    loop {
        if length.is_multiple_of(CHECK_SPACE_EVERY) && free_space(target.dir)? < target.reserve {
            return Err(io::Error::other(
                "the disk is nearly full; make room, or grow the volume",
            ));
        }
        let read = read_up_to(from, buffer)?;
        if read == 0 {
            break;
        }
        io::Write::write_all(&mut file, &buffer[..read])?;
        length += read as u64;
        observer.advance(read as u64);
    }
    give_away(&file, target)?;
    Ok(length)
}

fn give_away(file: &File, target: &UnpackTarget<'_>) -> io::Result<()> {
    target.owner.map_or(Ok(()), |(uid, gid)| {
        std::os::unix::fs::fchown(file, Some(uid), Some(gid))
    })
}

/// Makes the directories down to `place`, each with the owner of the target.
fn make_dirs(target: &UnpackTarget<'_>, place: &Path) -> anyhow::Result<()> {
    if place.as_os_str().is_empty() || target.dir.has(place)? {
        return Ok(());
    }
    if let Some(above) = place.parent() {
        make_dirs(target, above)?;
    }
    let made = target
        .dir
        .make_dir(place, 0o755)
        .and_then(|dir| give_away(dir.handle(), target));
    made.with_context(|| format!("cannot make {}", target.dir.path().join(place).display()))
}

/// A name of the archive, for messages.
fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
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
