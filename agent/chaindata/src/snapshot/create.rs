//! Creates a snapshot of a data directory.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use agent_files::{Dir, printable};
use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;

use super::format::SCHEMA;
use super::live_copy;
use super::manifest::{Consistency, SnapshotInfo};
use super::signature::SecretKey;
use super::writer::{Content, CopyEntry, CreatedSnapshot, write_snapshot};
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
    let data = &Dir::open(data).with_context(|| format!("cannot open {}", data.display()))?;
    live_copy::remove_leftovers(data)?;
    let survey = Survey::read(data)?;
    if let Some((path, why)) = survey.incomplete_database() {
        bail!(
            "{}: {why}, and a snapshot without it would not be whole: put the file or directory itself in its place",
            printable(&data.path().join(path).display().to_string())
        );
    }
    for (path, why) in &survey.refused {
        observer.note(&format!("left out: {}: {why}", printable(&path.display().to_string())));
    }
    let chains = chain_facts(data, &survey, options.nodes)?;
    ensure!(
        !chains.is_empty(),
        "{} holds no database of a chain; check data.path",
        data.path().display()
    );
    let live = options.consistency == Consistency::CrashConsistent;
    let (entries, files, bytes) = if live {
        live_copy::hold(data, &survey)?
    } else {
        (copy_entries(&survey), survey.tree.files, survey.tree.bytes)
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
    let before = if live { None } else { Some(fingerprints(data, &survey)?) };
    let verify_unchanged = || {
        let Some(before) = &before else {
            return Ok(());
        };
        ensure!(
            fingerprints(data, &Survey::read(data)?)? == *before,
            "{} changed while it was copied: does a node run on it?",
            data.path().display()
        );
        Ok(())
    };
    let created = write_snapshot(data, &entries, &info, to, options.signer, observer, verify_unchanged)?;
    observer.end();
    Ok(created)
}

/// Uncompressed size of a snapshot of `data`, bytes. Blocks on the disk.
pub fn snapshot_size(data: &Path) -> anyhow::Result<u64> {
    let data = Dir::open(data).with_context(|| format!("cannot open {}", data.display()))?;
    live_copy::remove_leftovers(&data)?;
    Ok(Survey::read(&data)?.tree.bytes)
}

/// Everything in the data directory that may be in a snapshot.
pub(crate) fn copy_entries(survey: &Survey) -> Vec<CopyEntry> {
    let entry = |place: &PathBuf| CopyEntry {
        place: place.clone(),
        content: Content::InPlace,
    };
    survey.allowed.iter().map(entry).collect()
}

/// Path, length and time of change of each entry, to be compared later.
fn fingerprints(data: &Dir, survey: &Survey) -> anyhow::Result<Vec<(PathBuf, u64, Option<SystemTime>)>> {
    let fingerprint = |place: &PathBuf| {
        let about = data.entry(place)?;
        let length = if about.is_file() { about.len() } else { 0 };
        Ok((place.clone(), length, about.modified().ok()))
    };
    let found: io::Result<_> = survey.allowed.iter().map(fingerprint).collect();
    found.with_context(|| format!("cannot read {}", data.path().display()))
}
