//! The first half of a restore: unpacks and verifies beside the present data.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rustix::fs::{Gid, Uid};

use super::archive::{MAGIC_LENGTH, unpack_archive};
use super::disk::{RESERVE, free_space, remove_dir, remove_restore_dir};
use super::snapshot::unpack_snapshot;
use super::unpack::{UnknownEntryPolicy, UnpackTarget, UnpackedData};
use crate::compatibility::{ChainFactsByDir, chain_facts, incompatibility};
use crate::journal::{Journal, RestoreStage, unpacked_dir};
use crate::layout::{PREVIOUS_DATA_DIR, RESTORE_DIR};
use crate::observer::Observer;
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
    if let Some(journal) = Journal::read(data)?
        && journal.stage != RestoreStage::Unpacking
    {
        return resume_swap(journal, source, options, observer);
    }
    if let Some((path, why)) = Survey::read(data)?.unswappable_dir() {
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
    let mut magic = [0; MAGIC_LENGTH];
    let length = read_up_to(&mut from, &mut magic).with_context(|| format!("cannot read {}", source.name()))?;
    ensure!(length > 0, "{} is empty", source.name());
    let from = Box::new(io::Cursor::new(magic[..length].to_vec()).chain(from));
    let mut preparation = Preparation {
        data,
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
    let cannot_resume = |journal: Option<Journal>| journal.is_some_and(|journal| journal.point.is_none());
    if prepared.is_err() && Journal::read(data).is_ok_and(cannot_resume) {
        // Best effort: the error before it is the one to report.
        let _ = remove_restore_dir(data);
    }
    prepared
}

/// A restore that was interrupted while it swapped: its data is prepared already.
fn resume_swap(
    mut journal: Journal,
    source: &dyn SnapshotSource,
    options: &RestoreOptions,
    observer: &mut dyn Observer,
) -> anyhow::Result<PreparedRestore> {
    ensure!(
        journal.source == source.name(),
        "a restore of {} was interrupted while it switched: run that one again, and it finishes",
        journal.source
    );
    journal.keep_old |= options.keep_old;
    observer.note(&format!(
        "going on with the restore of {}, which was interrupted while it switched",
        journal.source
    ));
    let skipped = Vec::new();
    Ok(PreparedRestore { journal, skipped })
}

/// What unpacking a snapshot or an archive works with.
pub(super) struct Preparation<'a> {
    pub(super) data: &'a Path,
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

    /// Begins a journal, with an empty directory to unpack into.
    pub(super) fn new_journal(&self, head: String) -> anyhow::Result<Journal> {
        let restore_dir = self.data.join(RESTORE_DIR);
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private
            .create(&restore_dir)
            .with_context(|| format!("cannot make {}", restore_dir.display()))?;
        let unpacked = unpacked_dir(self.data);
        remove_dir(&unpacked)?;
        fs::create_dir(&unpacked).with_context(|| format!("cannot make {}", unpacked.display()))?;
        let journal = Journal::new(&self.source.name(), head, self.options.keep_old);
        journal.write(self.data)?;
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
        dir: &'t Path,
        unknown: UnknownEntryPolicy,
        strip: usize,
    ) -> anyhow::Result<UnpackTarget<'t>> {
        let about = fs::metadata(self.data).with_context(|| format!("cannot read {}", self.data.display()))?;
        let root = rustix::process::geteuid().is_root();
        Ok(UnpackTarget {
            dir,
            owner: root.then(|| (Uid::from_raw(about.uid()), Gid::from_raw(about.gid()))),
            unknown,
            strip,
            reserve: RESERVE / 2,
        })
    }

    pub(super) fn free_space(&self) -> anyhow::Result<u64> {
        free_space(self.data).with_context(|| format!("cannot tell the free space of {}", self.data.display()))
    }

    /// Size of what an earlier attempt unpacked, and this one overwrites, bytes.
    pub(super) fn unpacked_bytes(&self) -> anyhow::Result<u64> {
        Ok(Survey::read(&unpacked_dir(self.data))?.tree.bytes)
    }

    /// Checks the unpacked data itself, whatever the snapshot says about it.
    fn finish(&self, journal: Journal, unpacked: UnpackedData) -> anyhow::Result<PreparedRestore> {
        let dir = unpacked_dir(self.data);
        self.ensure_compatible(&chain_facts(&dir, &Survey::read(&dir)?, &BTreeMap::new()))?;
        let skipped = unpacked.skipped;
        Ok(PreparedRestore { journal, skipped })
    }
}
