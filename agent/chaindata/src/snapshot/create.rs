//! Creates a snapshot of a data directory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;

use super::format::SCHEMA;
use super::live_copy::{self, PointInTimeCopy};
use super::manifest::{Consistency, SnapshotInfo};
use super::signature::SecretKey;
use super::writer::{CopyEntry, CreatedSnapshot, write_snapshot};
use crate::compatibility::{NodeReport, chain_facts};
use crate::journal::is_restore_swapping;
use crate::observer::Observer;
use crate::survey::Survey;

#[derive(Debug)]
pub struct CreateOptions<'a> {
    /// `Clean` requires that no node runs on the data.
    pub consistency: Consistency,
    /// What the running nodes reported, by chain id.
    pub nodes: &'a BTreeMap<String, NodeReport>,
    pub signer: Option<&'a SecretKey>,
}

/// Writes a snapshot of `data` to `to`. Blocks on the disk.
///
/// Fails when there is no database, and for a clean snapshot when the data changes meanwhile.
pub fn create_snapshot<W: Write + Send>(
    data: &Path,
    options: &CreateOptions<'_>,
    to: &mut W,
    observer: &mut dyn Observer,
) -> anyhow::Result<CreatedSnapshot> {
    ensure!(
        !is_restore_swapping(data),
        "{}: a restore was interrupted while it switched; run it again first",
        data.display()
    );
    live_copy::remove_leftovers(data)?;
    let survey = Survey::read(data)?;
    if let Some((path, why)) = survey.incomplete_database() {
        bail!(
            "{}: {why}, and a snapshot without it would not be whole: put what it stands for in its place",
            data.join(path).display()
        );
    }
    for (path, why) in &survey.refused {
        observer.note(&format!("left out: {}: {why}", path.display()));
    }
    let chains = chain_facts(data, &survey, options.nodes);
    ensure!(
        !chains.is_empty(),
        "{} holds no database of a chain; check data.path",
        data.display()
    );
    let live_copy = match options.consistency {
        Consistency::Clean => None,
        Consistency::CrashConsistent => Some(PointInTimeCopy::link(data, &survey)?),
    };
    let (entries, files, bytes) = match &live_copy {
        None => (copy_entries(data, &survey), survey.tree.files, survey.tree.bytes),
        Some(copy) => {
            let (files, bytes) = copy.size();
            (copy.entries.clone(), files, bytes)
        }
    };
    let now = Timestamp::now();
    let info = SnapshotInfo {
        schema: SCHEMA,
        // Id and time have a fixed length: the rest keeps its offsets, so that an upload can be resumed.
        id: format!("{:016x}", now.as_nanosecond()),
        at: Timestamp::from_second(now.as_second())?,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        consistency: options.consistency,
        chains,
        files,
        bytes,
    };
    observer.begin("snapshot", Some(bytes));
    let before = fingerprints(&entries).with_context(|| format!("cannot read {}", data.display()))?;
    let verify_unchanged = || {
        if live_copy.is_some() {
            return Ok(());
        }
        let now = fingerprints(&copy_entries(data, &Survey::read(data)?));
        ensure!(
            now.with_context(|| format!("cannot read {}", data.display()))? == before,
            "{} changed while it was copied: does a node run on it?",
            data.display()
        );
        Ok(())
    };
    let created = write_snapshot(&entries, &info, to, options.signer, observer, verify_unchanged)?;
    observer.end();
    Ok(created)
}

/// Uncompressed size of a snapshot of `data`, bytes. Blocks on the disk.
pub fn snapshot_size(data: &Path) -> anyhow::Result<u64> {
    live_copy::remove_leftovers(data)?;
    Ok(Survey::read(data)?.tree.bytes)
}

/// Everything in `data` that may be in a snapshot.
pub(crate) fn copy_entries(data: &Path, survey: &Survey) -> Vec<CopyEntry> {
    let entry = |place: &PathBuf| CopyEntry {
        place: place.clone(),
        from: data.join(place),
    };
    survey.allowed.iter().map(entry).collect()
}

/// Path, length and time of change of each entry, to be compared later.
fn fingerprints(entries: &[CopyEntry]) -> io::Result<Vec<(PathBuf, u64, Option<SystemTime>)>> {
    let fingerprint = |entry: &CopyEntry| {
        let about = fs::symlink_metadata(&entry.from)?;
        let length = if about.is_file() { about.len() } else { 0 };
        Ok((entry.place.clone(), length, about.modified().ok()))
    };
    entries.iter().map(fingerprint).collect()
}
