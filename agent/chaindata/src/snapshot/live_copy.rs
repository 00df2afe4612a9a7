//! Point-in-time copy of databases while a node runs on them.
//!
//! `RocksDB` never changes a table file, only adds to its logs, and its manifest names the files that belong together. Links
//! to the tables and copies of the other files, made while the manifest did not move, are therefore what a power cut at
//! that moment would have left. Other databases change their files in place, so there is no such moment for them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::writer::CopyEntry;
use crate::files;
use crate::layout::{Database, SNAPSHOT_DIR, is_allowed};
use crate::survey::{ChainDir, Survey};

/// Attempts at one database whose manifest moves meanwhile.
const ATTEMPTS: u32 = 50;

/// Copy of a data directory's databases, each at one moment. Its links are removed when it is dropped.
#[derive(Debug)]
pub(super) struct PointInTimeCopy {
    dir: PathBuf,
    pub(super) entries: Vec<CopyEntry>,
}

impl Drop for PointInTimeCopy {
    fn drop(&mut self) {
        // The next snapshot removes it first.
        let _ = files::remove_dir(&self.dir);
    }
}

pub(crate) fn remove_leftovers(data: &Path) -> anyhow::Result<()> {
    let dir = data.join(SNAPSHOT_DIR);
    files::remove_dir(&dir).with_context(|| format!("cannot remove {}", dir.display()))
}

impl PointInTimeCopy {
    /// Links and copies the databases of `data`.
    ///
    /// Fails where one is a `ParityDB`, or does not hold still.
    pub(super) fn link(data: &Path, survey: &Survey) -> anyhow::Result<Self> {
        let parity_db = |chain: &&ChainDir| chain.databases.contains(&Database::ParityDb);
        if let Some(chain) = survey.chains.iter().find(parity_db) {
            bail!(
                "{} has a ParityDB, which changes its files in place: no copy of it while the node runs can be trusted; \
                 leave --live away",
                chain.path.display()
            );
        }
        let mut copy = Self {
            dir: data.join(SNAPSHOT_DIR),
            entries: Vec::new(),
        };
        fs::create_dir(&copy.dir).with_context(|| format!("cannot make {}", copy.dir.display()))?;
        let databases: Vec<_> = survey
            .allowed
            .iter()
            .filter(|path| data.join(path).join("CURRENT").is_file())
            .collect();
        for place in &survey.allowed {
            let parent = place.parent().unwrap_or(place);
            if !databases.iter().any(|database| database.as_path() == parent) || data.join(place).is_dir() {
                copy.entries.push(CopyEntry {
                    place: place.clone(),
                    from: data.join(place),
                });
            }
        }
        for (number, place) in databases.into_iter().enumerate() {
            copy.link_database(data, place, number)?;
        }
        Ok(copy)
    }

    fn link_database(&mut self, data: &Path, place: &Path, number: usize) -> anyhow::Result<()> {
        let (from, to) = (data.join(place), self.dir.join(number.to_string()));
        let linked = (0..ATTEMPTS).find_map(|_| try_link(&from, &to).transpose());
        let linked = linked
            .with_context(|| format!("{} does not stand still long enough; leave --live away", from.display()))?;
        let names = linked.with_context(|| format!("cannot hold {}", from.display()))?;
        let entries = names.into_iter().map(|name| CopyEntry {
            place: place.join(&name),
            from: to.join(name),
        });
        self.entries
            .extend(entries.filter(|entry| is_allowed(&entry.place, false)));
        Ok(())
    }

    /// Number of regular files, and the bytes in them.
    pub(super) fn size(&self) -> (u64, u64) {
        let lengths = self.entries.iter().filter_map(|entry| fs::metadata(&entry.from).ok());
        let lengths = lengths.filter(fs::Metadata::is_file).map(|about| about.len());
        lengths.fold((0, 0), |(count, sum), length| (count + 1, sum + length))
    }
}

/// Links and copies one database. `None` when it changed meanwhile.
fn try_link(from: &Path, to: &Path) -> io::Result<Option<Vec<String>>> {
    files::remove_dir(to)?;
    fs::create_dir(to)?;
    let before = manifest_position(from)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // The lock and the log for people belong to the running node.
        if !entry.file_type()?.is_file() || name == "LOCK" || name.starts_with("LOG") {
            continue;
        }
        let is_table = [".sst", ".blob"].iter().any(|end| name.ends_with(end));
        if entry.metadata()?.nlink() > 1 {
            let text = format!("{}: a file with a second name (hard link)", entry.path().display());
            return Err(io::Error::other(text));
        }
        let taken = if is_table {
            fs::hard_link(entry.path(), to.join(&name))
        } else {
            fs::copy(entry.path(), to.join(&name)).map(drop)
        };
        match taken {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            taken => taken?,
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok((manifest_position(from)? == before).then_some(names))
}

/// Name and length of the current manifest.
fn manifest_position(database: &Path) -> io::Result<(String, u64)> {
    let current = fs::read_to_string(database.join("CURRENT"))?;
    let length = fs::metadata(database.join(current.trim())).map(|about| about.len());
    match length {
        // It is being replaced, which counts as a change.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((current, u64::MAX)),
        length => Ok((current, length?)),
    }
}
