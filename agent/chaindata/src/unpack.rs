//! A tar stream into a side directory: only what a data directory may hold, and never outside of it.

use std::cell::Cell;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail, ensure};
use ring::digest;
use rustix::fs::{Gid, Uid};
use tar::{Archive, EntryType};

use super::format;
use super::progress::Progress;
use super::restore::free;
use crate::layout::is_allowed;

/// Read and written at once, bytes.
const BUFFER: usize = 256 << 10;
/// Between two looks at the room that is left, within a file, bytes.
const LOOK_EVERY: u64 = 64 << 20;

/// The first bytes that tell what an archive is.
pub(super) const MAGIC: usize = 4;
/// What describes one entry, bytes: its name, and that of a sparse file's parts.
const LARGEST_HEADER: u64 = 1 << 20;

/// What becomes of what may not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strange {
    /// A snapshot has nothing of the kind.
    Refuse,
    /// An archive from elsewhere may have keys, which are left out.
    Skip,
}

/// Where and for whom is unpacked.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) tree: &'a Path,
    pub(super) owner: Option<(Uid, Gid)>,
    pub(super) strange: Strange,
    /// Leading directories that are taken off.
    pub(super) strip: usize,
    /// Left free for what runs on the same disk, bytes.
    pub(super) spare: u64,
}

/// What was unpacked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) skipped: Vec<PathBuf>,
}

/// Unpacks all of `from`, which has at most `most` bytes in its files. `before` is told of each entry that could be begun from: where it begins in the stream, and how
/// many files and bytes come before it.
pub(super) fn unpack<R: Read>(
    from: R,
    target: &Target<'_>,
    most: u64,
    progress: &Progress,
    mut before: impl FnMut(u64, &Unpacked) -> anyhow::Result<()>,
) -> anyhow::Result<Unpacked> {
    let ahead = Rc::new(Cell::new(0));
    let bounded = Bounded {
        from,
        left: Rc::clone(&ahead),
    };
    let (mut archive, mut done) = (Archive::new(bounded), Unpacked::default());
    let mut buffer = vec![0; BUFFER];
    let mut entries = archive.entries()?;
    loop {
        ahead.set(LARGEST_HEADER);
        let Some(entry) = entries.next() else {
            return Ok(done);
        };
        let mut entry = entry.context("it is no tar archive, or a damaged one")?;
        ahead.set(u64::MAX);
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
            relative(&path, target.strip).with_context(|| format!("{}: leads out of the data", path.display()))?;
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
            if target.strange == Strange::Refuse {
                bail!("{}: nothing that may be in a snapshot", path.display());
            }
            if done.skipped.len() < 100 {
                done.skipped.push(place);
            }
            io::copy(&mut entry, &mut io::sink())?;
            continue;
        }
        let to = target.tree.join(&place);
        let mode = entry.header().mode().unwrap_or(0o755) & 0o777;
        if is_dir {
            make_dirs(target, &place)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(mode | 0o700))?;
            continue;
        }
        if let Some(parent) = place.parent() {
            make_dirs(target, parent)?;
        }
        let file = write(&mut entry, &to, mode | 0o600, &mut buffer, target, progress)
            .with_context(|| format!("cannot unpack {}", path.display()))?;
        if let Some((uid, gid)) = target.owner {
            rustix::fs::fchown(&file.0, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} away", to.display()))?;
        }
        done.files += 1;
        done.bytes += file.1;
    }
}

/// A reader that gives up where the next header should have ended: the tar library takes all of one into memory.
struct Bounded<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        let left = left.ok_or_else(|| io::Error::other("a header in the archive is longer than 1 MiB"))?;
        self.left.set(left);
        Ok(read)
    }
}

fn write(
    from: &mut dyn Read,
    to: &Path,
    mode: u32,
    buffer: &mut [u8],
    target: &Target<'_>,
    progress: &Progress,
) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(to)?;
    let mut length = 0_u64;
    loop {
        if length.is_multiple_of(LOOK_EVERY) && free(target.tree)? < target.spare {
            return Err(io::Error::other(
                "the disk is nearly full; make room, or grow the volume",
            ));
        }
        let read = format::read_some(from, buffer)?;
        if read == 0 {
            return Ok((file, length));
        }
        io::Write::write_all(&mut file, &buffer[..read])?;
        length += read as u64;
        progress.add(read as u64);
    }
}

/// Makes the directories down to `place`, each with its owner.
fn make_dirs(target: &Target<'_>, place: &Path) -> anyhow::Result<()> {
    if target.tree.join(place).is_dir() {
        return Ok(());
    }
    let mut path = target.tree.to_owned();
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

/// The path below the data directory; `None` when it leads out of it.
fn relative(path: &Path, strip: usize) -> Option<PathBuf> {
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

/// A reader that knows the SHA-256 of what it gave.
pub(super) struct Hashed<R> {
    from: R,
    context: digest::Context,
}

impl<R> Hashed<R> {
    pub(super) fn new(from: R) -> Self {
        let context = digest::Context::new(&digest::SHA256);
        Self { from, context }
    }

    /// Hexadecimal.
    pub(super) fn finish(self) -> String {
        hex::encode(self.context.finish().as_ref())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.context.update(&buffer[..read]);
        Ok(read)
    }
}

/// What is in an archive, by its first bytes.
pub(super) fn decoder<'a>(from: &'a mut dyn Read, magic: [u8; MAGIC]) -> anyhow::Result<Box<dyn Read + 'a>> {
    Ok(match magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(from)),
        [0x04, 0x22, 0x4d, 0x18] => Box::new(lz4_flex::frame::FrameDecoder::new(from)),
        magic if format::is_zstd(&magic) => Box::new(zstd::stream::read::Decoder::new(from)?),
        _ => Box::new(from),
    })
}
