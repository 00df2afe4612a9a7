//! Point-in-time copy of databases while a node runs on them.
//!
//! `RocksDB` never changes a table file, only adds to its logs, and its manifest names the files that belong together. Open
//! tables and copies of the other files, taken while the manifest did not move, are therefore what a power cut at that
//! moment would have left. Other databases change their files in place, so there is no such moment for them.
//!
//! Nothing of it has a name: a table that the node removes lives on as long as it is open, and the copies are unnamed files.
//! They cannot be replaced by another user, and a killed snapshot leaves nothing.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use agent_files::Dir;
use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::writer::{Content, CopyEntry};
use crate::layout::{Database, SNAPSHOT_DIR, is_allowed};
use crate::survey::{ChainDir, Survey};

/// Attempts at one database whose manifest moves meanwhile.
const ATTEMPTS: u32 = 50;
/// Open files besides the tables.
const OTHER_FILES: u64 = 256;
/// The largest file that names a manifest, bytes.
const MAX_CURRENT: u64 = 4096;

/// Removes what a killed snapshot of version 0.1.0 left: links to tables.
pub(crate) fn remove_leftovers(data: &Dir) -> anyhow::Result<()> {
    let removed = data.remove_all(SNAPSHOT_DIR);
    removed.with_context(|| format!("cannot remove {}", data.path().join(SNAPSHOT_DIR).display()))
}

/// The entries of a snapshot, with the databases of `data` each at one moment; the number of regular files, and the bytes
/// in them.
///
/// Fails where one is a `ParityDB`, or does not hold still.
pub(super) fn hold(data: &Dir, survey: &Survey) -> anyhow::Result<(Vec<CopyEntry>, u64, u64)> {
    let parity_db = |chain: &&ChainDir| chain.databases.contains(&Database::ParityDb);
    if let Some(chain) = survey.chains.iter().find(parity_db) {
        bail!(
            "{} has a ParityDB, which changes its files in place: no copy of it while the node runs can be trusted; \
             leave --live away",
            chain.path.display()
        );
    }
    allow_open_files(survey.allowed.len());
    let (mut entries, mut files, mut bytes) = (Vec::new(), 0, 0);
    let mut databases = Vec::new();
    for place in &survey.allowed {
        let Ok(about) = data.entry(place) else { continue };
        let parent = place.parent().unwrap_or(place);
        if about.is_dir() && data.entry(place.join("CURRENT")).is_ok_and(|about| about.is_file()) {
            databases.push(place);
        }
        if about.is_dir() || !databases.iter().any(|database: &&PathBuf| database.as_path() == parent) {
            (files, bytes) = if about.is_file() {
                (files + 1, bytes + about.len())
            } else {
                (files, bytes)
            };
            let (place, content) = (place.clone(), Content::InPlace);
            entries.push(CopyEntry { place, content });
        }
    }
    for place in databases {
        for entry in hold_database(data, place)? {
            if let Content::Held { length, .. } = &entry.content {
                (files, bytes) = (files + 1, bytes + length);
            }
            entries.push(entry);
        }
    }
    Ok((entries, files, bytes))
}

fn hold_database(data: &Dir, place: &Path) -> anyhow::Result<Vec<CopyEntry>> {
    let shown = data.path().join(place);
    let held = (0..ATTEMPTS).find_map(|_| try_hold(data, place).transpose());
    let held = held.with_context(|| {
        format!(
            "{} does not stand still long enough; leave --live away",
            shown.display()
        )
    })?;
    held.map_err(
        |error| match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => io::Error::other(
                "more tables than files may be open: raise the limit (ulimit -Hn, fs.nr_open), or leave --live away",
            ),
            Some(rustix::io::Errno::OPNOTSUPP) => {
                io::Error::other("its file system has no unnamed files (O_TMPFILE): leave --live away")
            }
            _ => error,
        },
    )
    .with_context(|| format!("cannot hold {}", shown.display()))
}

/// Opens and copies the files of one database. `None` when it changed meanwhile.
fn try_hold(data: &Dir, place: &Path) -> io::Result<Option<Vec<CopyEntry>>> {
    let database = data.dir(place)?;
    let before = manifest_position(&database)?;
    let mut entries = Vec::new();
    for name in database.names()? {
        let place = place.join(&name);
        let name = name.to_string_lossy();
        // The lock and the log for people belong to the running node.
        if name == "LOCK" || name.starts_with("LOG") || !is_allowed(&place, false) {
            continue;
        }
        let content = match database.file(&*name).and_then(|file| hold_file(data, &name, file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            content => content?,
        };
        entries.push(CopyEntry { place, content });
    }
    Ok((manifest_position(&database)? == before).then_some(entries))
}

/// A table by its open file, everything else as a copy.
fn hold_file(data: &Dir, name: &str, mut file: File) -> io::Result<Content> {
    let about = file.metadata()?;
    let is_table = [".sst", ".blob"].iter().any(|end| name.ends_with(end));
    let mut length = about.len();
    if !is_table {
        let mut copy = data.create_unnamed()?;
        length = io::copy(&mut (&mut file).take(length), &mut copy)?;
        copy.rewind()?;
        file = copy;
    }
    let about = Box::new(about);
    Ok(Content::Held { file, about, length })
}

/// Name and length of the current manifest.
fn manifest_position(database: &Dir) -> io::Result<(Vec<u8>, u64)> {
    let current = database.read_file("CURRENT", MAX_CURRENT)?;
    let name = String::from_utf8_lossy(&current);
    match database.file(name.trim()).and_then(|file| file.metadata()) {
        Ok(about) => Ok((current, about.size())),
        // It is being replaced, which counts as a change.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((current, u64::MAX)),
        Err(error) => Err(error),
    }
}

/// Raises the limit of open files: each table is one. Root may go beyond the hard limit, up to the kernel's (`fs.nr_open`).
fn allow_open_files(count: usize) {
    let limit = getrlimit(Resource::Nofile);
    let needed = Some(count as u64 + OTHER_FILES);
    let enough = |limit: Option<u64>| limit.is_none() || limit >= needed;
    if enough(limit.current) {
        return;
    }
    let maximum = if enough(limit.maximum) { limit.maximum } else { needed };
    // Where it cannot be raised, too many tables are reported.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: needed,
            maximum,
        },
    );
}
