//! The first half of a restore: unpacks and verifies beside the present data.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use agent_files::{Dir, printable};
use anyhow::{Context as _, bail, ensure};

use super::archive::{MAGIC_LENGTH, unpack_archive};
use super::disk::{RESERVE, free_space};
use super::snapshot::unpack_snapshot;
use super::unpack::{UnknownEntryPolicy, UnpackTarget, UnpackedData};
use crate::compatibility::{ChainFactsByDir, chain_facts, incompatibility};
use crate::journal::{Journal, RestoreStage};
use crate::layout::PREVIOUS_DATA_DIR;
use crate::observer::Observer;
use crate::restore_dir::{RestoreDir, UNPACKED};
use crate::snapshot::{PublicKey, SnapshotSource, is_snapshot, read_up_to};
use crate::survey::Survey;

#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Key whose signature a snapshot has to carry.
    pub public_key: Option<PublicKey>,
    pub sha256: Option<[u8; 32]>,
    /// Whether the previous data stays beside the new.
    pub keep_old: bool,
    /// Leading directories of a plain archive that are stripped.
    pub strip: usize,
}

/// A restore whose data is unpacked and verified beside the present data, which is unchanged.
#[derive(Debug)]
pub struct PreparedRestore {
    pub(super) data: Dir,
    pub(super) restore: RestoreDir,
    pub(super) journal: Journal,
    /// Entries of a plain archive that were left out; the first hundred.
    pub skipped: Vec<PathBuf>,
}

/// Unpacks `source` beside the data, or resumes that; `present` are the facts about the present data. A node may run on that
/// meanwhile. Blocks on source and disk.
///
/// After an error the present data is unchanged.
pub fn prepare_restore(
    data: &Path,
    source: &dyn SnapshotSource,
    options: &RestoreOptions,
    present: &ChainFactsByDir,
    observer: &mut dyn Observer,
) -> anyhow::Result<PreparedRestore> {
    let data = Dir::open(data).with_context(|| format!("cannot open {}", data.display()))?;
    // Refused before anything is read for it.
    if let Some(restore) = RestoreDir::find(&data)?
        && let Some(journal) = restore.journal()?
        && journal.stage != RestoreStage::Unpacking
    {
        return resume_swap(data, restore, journal, source, options, observer);
    }
    if let Some((path, why)) = Survey::read(&data)?.unswappable_dir() {
        bail!(
            "{}: {why}, and cannot be exchanged by a rename: put the data itself there",
            printable(&data.path().join(path).display().to_string())
        );
    }
    ensure!(
        !options.keep_old || !data.has(PREVIOUS_DATA_DIR)?,
        "{} is there already, from an earlier restore: remove it first",
        data.path().join(PREVIOUS_DATA_DIR).display()
    );
    let mut from = source
        .open(0)
        .with_context(|| format!("cannot open {}", source.name()))?;
    let mut magic = [0; MAGIC_LENGTH];
    let length = read_up_to(&mut from, &mut magic).with_context(|| format!("cannot read {}", source.name()))?;
    ensure!(length > 0, "{} is empty", source.name());
    let from = Box::new(io::Cursor::new(magic[..length].to_vec()).chain(from));
    let restore = RestoreDir::make(&data)?;
    let mut preparation = Preparation {
        restore: &restore,
        data: &data,
        source,
        options,
        present,
        observer,
    };
    let unpacked = if is_snapshot(&magic) {
        unpack_snapshot(&mut preparation, from)
    } else {
        unpack_archive(&mut preparation, from, magic)
    };
    let prepared = unpacked.and_then(|(journal, unpacked)| preparation.finish(journal, unpacked));
    match prepared {
        Ok((journal, skipped)) => Ok(PreparedRestore {
            data,
            restore,
            journal,
            skipped,
        }),
        Err(error) => {
            let resumable = restore
                .journal()
                .map(|journal| journal.is_some_and(|journal| journal.point.is_some()));
            if matches!(resumable, Ok(false)) {
                // Best effort: the error before it is the one to report.
                let _ = restore.remove(&data);
            }
            Err(error)
        }
    }
}

/// A restore that was interrupted while it swapped: its data is prepared already.
fn resume_swap(
    data: Dir,
    restore: RestoreDir,
    mut journal: Journal,
    source: &dyn SnapshotSource,
    options: &RestoreOptions,
    observer: &mut dyn Observer,
) -> anyhow::Result<PreparedRestore> {
    ensure!(
        journal.source == source.name(),
        "a restore of {} was interrupted while it switched: run that one again, and it finishes",
        printable(&journal.source)
    );
    journal.keep_old |= options.keep_old;
    observer.note(&format!(
        "going on with the restore of {}, which was interrupted while it switched",
        printable(&journal.source)
    ));
    Ok(PreparedRestore {
        data,
        restore,
        journal,
        skipped: Vec::new(),
    })
}

/// What unpacking a snapshot or an archive works with.
pub(super) struct Preparation<'a> {
    pub(super) data: &'a Dir,
    pub(super) restore: &'a RestoreDir,
    pub(super) source: &'a dyn SnapshotSource,
    pub(super) options: &'a RestoreOptions,
    present: &'a ChainFactsByDir,
    pub(super) observer: &'a mut dyn Observer,
}

impl Preparation<'_> {
    /// The journal of the same restore, when it was begun before. `head` identifies the snapshot or archive.
    ///
    /// Fails when another restore is under way that can be resumed.
    pub(super) fn journal_to_resume(&self, head: &str) -> anyhow::Result<Option<Journal>> {
        let journal = self.restore.journal()?;
        if let Some(other) = journal.as_ref().filter(|journal| journal.head != head) {
            ensure!(
                other.point.is_none(),
                "a restore of {} is under way here: go on with that one, or give it up: t0rn-agent snapshot abandon",
                printable(&other.source)
            );
        }
        Ok(journal.filter(|journal| journal.head == head))
    }

    /// Begins a journal, with an empty directory to unpack into.
    pub(super) fn new_journal(&self, head: String) -> anyhow::Result<Journal> {
        self.restore.make_inner(UNPACKED)?;
        let journal = Journal::new(&self.source.name(), head, self.options.keep_old);
        self.restore.write(&journal)?;
        Ok(journal)
    }

    pub(super) fn ensure_compatible(&self, new: &ChainFactsByDir) -> anyhow::Result<()> {
        match incompatibility(self.present, new) {
            Some(why) => bail!("{} is refused: {why}", self.source.name()),
            None => Ok(()),
        }
    }

    pub(super) fn target<'t>(
        &self,
        dir: &'t Dir,
        unknown: UnknownEntryPolicy,
        strip: usize,
    ) -> anyhow::Result<UnpackTarget<'t>> {
        let about = self.data.metadata();
        let about = about.with_context(|| format!("cannot read {}", self.data.path().display()))?;
        let root = rustix::process::geteuid().is_root();
        Ok(UnpackTarget {
            dir,
            owner: root.then(|| (about.uid(), about.gid())),
            unknown,
            strip,
            reserve: RESERVE / 2,
        })
    }

    pub(super) fn free_space(&self) -> anyhow::Result<u64> {
        let free = free_space(self.data);
        free.with_context(|| format!("cannot tell the free space of {}", self.data.path().display()))
    }

    /// Size of what an earlier attempt unpacked, and this one overwrites, bytes.
    pub(super) fn unpacked_bytes(&self) -> anyhow::Result<u64> {
        Ok(Survey::read(&self.restore.unpacked()?)?.tree.bytes)
    }

    /// Checks the unpacked data itself, whatever the snapshot says about it.
    fn finish(&self, journal: Journal, unpacked: UnpackedData) -> anyhow::Result<(Journal, Vec<PathBuf>)> {
        let dir = self.restore.unpacked()?;
        self.ensure_compatible(&chain_facts(&dir, &Survey::read(&dir)?, &BTreeMap::new())?)?;
        Ok((journal, unpacked.skipped))
    }
}
