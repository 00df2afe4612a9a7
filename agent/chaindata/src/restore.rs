//! A snapshot, or a plain archive, becomes the data of a data directory: aside first, proven, then exchanged.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rustix::fs::{Gid, Uid, statvfs, syncfs};

use super::format::{Manifest, is_snapshot, read_some, unhex};
use super::journal::{self, Journal, Point, Stage};
use super::live;
use super::progress::{Progress, mib};
use super::read::{Opening, Place, Proven, opening};
use super::sign::PublicKey;
use super::switch;
use super::unpack::{Hashed, MAGIC, Strange, Target, Unpacked, decoder, unpack};
use crate::compatibility::{ChainFactsByDir, chain_facts, incompatibility};
use crate::layout::{PREVIOUS_DATA_DIR, RESTORE_DIR};
use crate::survey::survey_data_dir;

/// What has to be free beyond the content, for each file: its last block and its name.
const PER_FILE: u64 = 4 << 10;
/// Left free for everything else, bytes.
const SPARE: u64 = 64 << 20;
/// What unpacking may lose to a kill, bytes.
const SYNC_EVERY: u64 = 256 << 20;

/// Where a snapshot comes from.
pub trait Source: Sync {
    /// For people.
    fn name(&self) -> String;
    /// The bytes from offset `at`. Reads block.
    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>>;
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub public_key: Option<PublicKey>,
    /// Of a plain archive, as a whole.
    pub sha256: Option<[u8; 32]>,
    /// Leave the old data beside the new.
    pub keep_old: bool,
    /// Leading directories of a plain archive that are taken off.
    pub strip: usize,
}

/// Aside and proven; the present data is as it was.
#[derive(Debug)]
pub struct Ready {
    journal: Journal,
    pub skipped: Vec<PathBuf>,
}

/// Unpacks `source` beside the data, or goes on with that; `present` is what is known of the data that is there. The
/// collator may run meanwhile. `say` gets what a person has to know beforehand.
///
/// After an error the data is as it was. This blocks on source and disk.
pub fn prepare(
    data: &Path,
    source: &dyn Source,
    options: &Options,
    present: &ChainFactsByDir,
    say: &mut dyn FnMut(&str),
    quiet: bool,
) -> anyhow::Result<Ready> {
    if let Some(mut journal) = Journal::read(data)?
        && journal.stage != Stage::Unpacking
    {
        ensure!(
            journal.source == source.name(),
            "a restore of {} was interrupted while it switched: run that one again, and it finishes",
            journal.source
        );
        journal.keep_old |= options.keep_old;
        say(&format!(
            "going on with the restore of {}, which was interrupted while it switched",
            journal.source
        ));
        let skipped = Vec::new();
        return Ok(Ready { journal, skipped });
    }
    let here = survey_data_dir(data, false).with_context(|| format!("cannot read {}", data.display()))?;
    if let Some((path, why)) = here.unswappable_dir() {
        bail!(
            "{}: {why}, and cannot be exchanged by a rename: put the data itself there",
            data.join(path).display()
        );
    }
    ensure!(
        !options.keep_old || !data.join(PREVIOUS_DATA_DIR).exists(),
        "{} is there already, from an earlier restore: remove it first",
        data.join(PREVIOUS_DATA_DIR).display()
    );
    let mut from = source
        .open(0)
        .with_context(|| format!("cannot open {}", source.name()))?;
    let mut magic = [0; MAGIC];
    let length = read_some(&mut from, &mut magic).with_context(|| format!("cannot read {}", source.name()))?;
    ensure!(length > 0, "{} is empty", source.name());
    let from = Box::new(io::Cursor::new(magic[..length].to_vec()).chain(from));
    let mut job = Job {
        data,
        source,
        options,
        present,
        say,
        quiet,
    };
    let ready = if is_snapshot(&magic) {
        job.snapshot(from)
    } else {
        job.plain(from, magic)
    };
    if ready.is_err() && Journal::read(data).is_ok_and(|journal| journal.is_some_and(|it| it.point.is_none())) {
        // Nothing of it can be gone on from. Why it failed says more than what stays.
        let _ = clear(data);
    }
    ready
}

struct Job<'a> {
    data: &'a Path,
    source: &'a dyn Source,
    options: &'a Options,
    present: &'a ChainFactsByDir,
    say: &'a mut dyn FnMut(&str),
    quiet: bool,
}

impl Job<'_> {
    fn snapshot(&mut self, mut from: Box<dyn Read + Send>) -> anyhow::Result<Ready> {
        ensure!(
            self.options.sha256.is_none(),
            "{} is a snapshot, which has digests of its own: leave --sha256 away",
            self.source.name()
        );
        let opening = opening(&mut from)?;
        let head = opening.head.clone();
        self.refuse(&head.chains)?;
        let (mut journal, place) = self.begin(&opening)?;
        let done = journal.point.as_ref().map_or(0, |point| point.bytes);
        let room = head.bytes.saturating_add(head.files.saturating_mul(PER_FILE));
        self.room(room.saturating_sub(self.unpacked()?).saturating_add(SPARE))?;
        let first = Place::first(&opening);
        let (place, entry) = place.unwrap_or((first, 0));
        if place != first {
            (self.say)(&format!(
                "going on at chunk {}: {} are in place already",
                place.index,
                mib(done)
            ));
            drop(from);
            from = self
                .source
                .open(place.offset)
                .context("cannot go on with the snapshot")?;
        }
        let before = journal.point.clone();
        let progress = self.progress("restore", Some(head.bytes));
        progress.add(done);
        let mut proven = Proven::new(from, opening, place)?;
        io::copy(
            &mut (&mut proven).take(entry.saturating_sub(place.raw)),
            &mut io::sink(),
        )?;
        let (tree, here) = (journal::tree(self.data), proven.here());
        let target = self.target(&tree, Strange::Refuse, 0)?;
        let (files, bytes) = before.as_ref().map_or((0, 0), |point| (point.files, point.bytes));
        let (mut synced, data) = (0, self.data);
        let checkpoint = |at: u64, now: &Unpacked| {
            if now.bytes < synced + SYNC_EVERY {
                return Ok(());
            }
            synced = now.bytes;
            sync(&tree)?;
            let here = here.get();
            journal.point = Some(Point {
                index: here.index,
                offset: here.offset,
                raw: here.raw,
                chain: hex::encode(here.chain),
                entry: entry + at,
                files: files + now.files,
                bytes: bytes + now.bytes,
            });
            journal.write(data)
        };
        let most = head.bytes.saturating_sub(bytes);
        let unpacked = unpack(&mut proven, &target, most, &progress, checkpoint).map_err(bare)?;
        let manifest: Manifest = proven.finish(self.options.public_key.as_ref())?;
        progress.end();
        let files = files + unpacked.files;
        let whole = files == head.files && bytes + unpacked.bytes == head.bytes;
        // What vanished while the node ran was counted before.
        ensure!(
            whole || head.consistency == super::Consistency::CrashConsistent,
            "{} files were in the snapshot, and {} were expected",
            files,
            manifest.head.files
        );
        // What another attempt left there was not proven.
        let found = survey_data_dir(journal::tree(self.data).as_path(), false)?.tree.files;
        ensure!(
            found == files,
            "{} has more than the snapshot: give it up (t0rn-agent snapshot abandon), and restore again",
            journal::tree(self.data).display()
        );
        self.ready(journal, unpacked)
    }

    /// The journal that is gone on from, or a new one.
    fn begin(&mut self, opening: &Opening) -> anyhow::Result<(Journal, Option<(Place, u64)>)> {
        let head = hex::encode(opening.sha256);
        if let Some(mut journal) = self.under_way(&head)? {
            journal.keep_old = self.options.keep_old;
            let place = journal.point.as_ref().and_then(|point| {
                let place = Place {
                    index: point.index,
                    offset: point.offset,
                    raw: point.raw,
                    chain: unhex(&point.chain)?,
                };
                Some((place, point.entry))
            });
            if place.is_some() {
                return Ok((journal, place));
            }
        }
        self.fresh(head).map(|journal| (journal, None))
    }

    /// What was begun here before. Fails when that is another restore, and there is something to lose.
    fn under_way(&self, head: &str) -> anyhow::Result<Option<Journal>> {
        let journal = Journal::read(self.data)?;
        if let Some(other) = journal.as_ref().filter(|journal| journal.head != head) {
            ensure!(
                other.point.is_none(),
                "a restore of {} is under way here: go on with that one, or give it up: t0rn-agent snapshot abandon",
                other.source
            );
        }
        Ok(journal.filter(|journal| journal.head == head))
    }

    fn fresh(&self, head: String) -> anyhow::Result<Journal> {
        let side = self.data.join(RESTORE_DIR);
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private
            .create(&side)
            .with_context(|| format!("cannot make {}", side.display()))?;
        let tree = journal::tree(self.data);
        remove(&tree)?;
        fs::create_dir(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
        let journal = Journal::new(&self.source.name(), head, self.options.keep_old);
        journal.write(self.data)?;
        Ok(journal)
    }

    /// A tar, compressed or not, with one checksum for the whole.
    fn plain(&mut self, from: Box<dyn Read + Send>, magic: [u8; MAGIC]) -> anyhow::Result<Ready> {
        let Some(wanted) = self.options.sha256 else {
            bail!(
                "{} is no snapshot but a plain archive: give the checksum that its publisher names (--sha256)",
                self.source.name()
            );
        };
        ensure!(
            self.options.public_key.is_none(),
            "{} is a plain archive, which carries no signature: leave --public-key away",
            self.source.name()
        );
        let wanted = hex::encode(wanted);
        self.under_way(&wanted)?;
        let free = free(self.data).with_context(|| format!("cannot tell the free space of {}", self.data.display()))?;
        (self.say)(&format!(
            "nobody knows how much room a plain archive needs; {} are free, and the present data stays until all is there",
            mib(free)
        ));
        let journal = self.fresh(wanted.clone())?;
        let tree = journal::tree(self.data);
        let target = self.target(&tree, Strange::Skip, self.options.strip)?;
        let mut hashed = Hashed::new(from);
        let progress = self.progress("restore", None);
        let mut archive = decoder(&mut hashed, magic)?;
        let unpacked = unpack(&mut archive, &target, u64::MAX, &progress, |_, _| Ok(()));
        let unpacked = unpacked.with_context(|| format!("{} cannot be unpacked", self.source.name()))?;
        io::copy(&mut archive, &mut io::sink()).context("the archive is damaged at its end")?;
        drop(archive);
        io::copy(&mut hashed, &mut io::sink())?;
        progress.end();
        let found = hashed.finish();
        ensure!(
            found == wanted,
            "{} has the SHA-256 {found}, and {wanted} was asked for; nothing was switched",
            self.source.name()
        );
        self.ready(journal, unpacked)
    }

    /// What was unpacked speaks for itself, whatever its head says.
    fn ready(&self, journal: Journal, unpacked: Unpacked) -> anyhow::Result<Ready> {
        let tree = journal::tree(self.data);
        let survey = survey_data_dir(&tree, false).with_context(|| format!("cannot read {}", tree.display()))?;
        self.refuse(&chain_facts(&tree, &survey, &std::collections::BTreeMap::new()))?;
        let skipped = unpacked.skipped;
        Ok(Ready { journal, skipped })
    }

    fn refuse(&self, new: &ChainFactsByDir) -> anyhow::Result<()> {
        match incompatibility(self.present, new) {
            Some(why) => bail!("{} is refused: {why}", self.source.name()),
            None => Ok(()),
        }
    }

    /// What an earlier attempt left beside the data, bytes; it is written over.
    fn unpacked(&self) -> anyhow::Result<u64> {
        let tree = journal::tree(self.data);
        let survey = survey_data_dir(&tree, false).with_context(|| format!("cannot read {}", tree.display()))?;
        Ok(survey.tree.bytes)
    }

    /// Says what is needed, and fails when that is not there.
    fn room(&mut self, needs: u64) -> anyhow::Result<()> {
        let free = free(self.data).with_context(|| format!("cannot tell the free space of {}", self.data.display()))?;
        let place = self.data.display();
        ensure!(
            free >= needs,
            "the restore needs {} beside the present data, and {place} has {} free: make room, or grow the volume",
            mib(needs),
            mib(free)
        );
        (self.say)(&format!(
            "needs {} beside the present data; {place} has {} free",
            mib(needs),
            mib(free)
        ));
        Ok(())
    }

    fn target<'a>(&self, tree: &'a Path, strange: Strange, strip: usize) -> anyhow::Result<Target<'a>> {
        let about = fs::metadata(self.data).with_context(|| format!("cannot read {}", self.data.display()))?;
        let root = rustix::process::geteuid().is_root();
        Ok(Target {
            tree,
            owner: root.then(|| (Uid::from_raw(about.uid()), Gid::from_raw(about.gid()))),
            strange,
            strip,
            spare: SPARE / 2,
        })
    }

    fn progress(&self, what: &'static str, total: Option<u64>) -> Progress {
        Progress::new(what, total).silent(self.quiet)
    }
}

/// The error that a reader gave, without what the tar library says of it.
fn bare(error: anyhow::Error) -> anyhow::Error {
    let mut inner = error.chain().filter_map(|e| e.downcast_ref::<io::Error>());
    let refused = inner.find_map(|e| e.get_ref()?.downcast_ref::<super::Refused>().map(ToString::to_string));
    refused.map_or(error, |words| anyhow::Error::new(super::Refused::Damaged(words)))
}

/// Puts what is ready in place, for good. No node may run on the data meanwhile; the agent starts none.
///
/// After an error, or killed, the data is the old one or between the two: the next restore finishes it.
pub fn commit(
    data: &Path,
    ready: Ready,
    mut step: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Option<PathBuf>> {
    let mut journal = ready.journal;
    let (tree, old) = (journal::tree(data), journal::old(data));
    if journal.stage == Stage::Unpacking {
        let survey =
            |root: &Path| survey_data_dir(root, false).with_context(|| format!("cannot read {}", root.display()));
        journal.units = switch::units(data, &tree, &survey(&tree)?.chains);
        sync(&tree)?;
        journal.stage = Stage::Switching;
        step()?;
        journal.write(data)?;
    }
    if journal.stage == Stage::Switching {
        fs::create_dir_all(&old).with_context(|| format!("cannot make {}", old.display()))?;
        switch::exchange(data, &tree, &old, &journal.units, &mut step)?;
        sync(data)?;
        journal.stage = Stage::Switched;
        step()?;
        journal.write(data)?;
    }
    step()?;
    let kept = data.join(PREVIOUS_DATA_DIR);
    if journal.keep_old && old.exists() {
        fs::rename(&old, &kept).with_context(|| format!("cannot move the old data to {}", kept.display()))?;
        crate::files::sync_dir(data)?;
    }
    step()?;
    clear(data)?;
    Ok(journal.keep_old.then_some(kept))
}

/// Gives up a restore that has not begun to switch, and removes what a killed snapshot left. Returns whether there was a
/// restore.
pub fn abandon(data: &Path) -> anyhow::Result<bool> {
    live::clean(data)?;
    match Journal::read(data)? {
        None => Ok(false),
        Some(journal) => {
            ensure!(
                journal.stage != Stage::Switching,
                "the restore of {} is past the point of giving up: run it again, and it finishes",
                journal.source
            );
            clear(data).map(|()| true)
        }
    }
}

/// The journal goes last: as long as anything is left, somebody knows of it.
fn clear(data: &Path) -> anyhow::Result<()> {
    remove(&journal::tree(data))?;
    remove(&journal::old(data))?;
    remove(&data.join(RESTORE_DIR))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn sync(place: &Path) -> anyhow::Result<()> {
    let done = File::open(place).and_then(|dir| Ok(syncfs(dir)?));
    done.with_context(|| format!("cannot write {} to the disk", place.display()))
}

pub(super) fn free(data: &Path) -> io::Result<u64> {
    let about = statvfs(data)?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Proves a snapshot without writing anything. This blocks on the source.
pub fn verify(source: &dyn Source, key: Option<&PublicKey>, quiet: bool) -> Result<Manifest, super::Refused> {
    let mut from = source.open(0)?;
    let opening = opening(&mut from)?;
    let progress = Progress::new("verify", Some(opening.head.bytes)).silent(quiet);
    let place = Place::first(&opening);
    let mut proven = Proven::new(from, opening, place)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match proven.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => progress.add(read as u64),
            Err(error) => {
                return Err(match error.downcast::<super::Refused>() {
                    Ok(refused) => refused,
                    Err(error) => error.into(),
                });
            }
        }
    }
    let manifest = proven.finish(key)?;
    progress.end();
    Ok(manifest)
}
