//! A database at one moment, while a node runs on it.
//!
//! A `RocksDB` never changes a table file, only adds to its logs, and names what belongs together in its manifest. Links to
//! the tables and copies of the rest, made while the manifest did not move, are therefore what a power cut at that moment
//! would have left. Other databases change their files in place: there is no such moment for them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::create::Item;
use crate::layout::{Database, SNAPSHOT_DIR, is_allowed};
use crate::survey::Survey;

/// How often the manifest may move before somebody has to stop the node.
const ATTEMPTS: u32 = 50;

/// What is copied; the links are removed with it.
#[derive(Debug)]
pub(super) struct Moment {
    side: PathBuf,
    pub(super) items: Vec<Item>,
}

impl Drop for Moment {
    fn drop(&mut self) {
        // The next one begins with it.
        let _ = clear(&self.side);
    }
}

/// Removes what a snapshot left that was killed.
pub(super) fn clean(data: &Path) -> anyhow::Result<()> {
    let side = data.join(SNAPSHOT_DIR);
    clear(&side).with_context(|| format!("cannot remove {}", side.display()))
}

fn clear(side: &Path) -> io::Result<()> {
    match fs::remove_dir_all(side) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Holds the databases of `data` at a moment each.
pub(super) fn hold(data: &Path, survey: &Survey) -> anyhow::Result<Moment> {
    if let Some(chain) = survey
        .chains
        .iter()
        .find(|chain| chain.databases.contains(&Database::ParityDb))
    {
        bail!(
            "{} has a ParityDB, which changes its files in place: no copy of it while the node runs can be trusted; \
             leave --live away",
            chain.path.display()
        );
    }
    let mut moment = Moment {
        side: data.join(SNAPSHOT_DIR),
        items: Vec::new(),
    };
    let side = moment.side.clone();
    fs::create_dir(&side).with_context(|| format!("cannot make {}", side.display()))?;
    let databases: Vec<_> = survey
        .allowed
        .iter()
        .filter(|path| data.join(path).join("CURRENT").is_file())
        .collect();
    for place in &survey.allowed {
        let parent = place.parent().unwrap_or(place);
        if !databases.iter().any(|database| database.as_path() == parent) || data.join(place).is_dir() {
            moment.items.push(Item {
                place: place.clone(),
                from: data.join(place),
            });
        }
    }
    for (number, place) in databases.into_iter().enumerate() {
        let (from, to) = (data.join(place), side.join(number.to_string()));
        let held = (0..ATTEMPTS).find_map(|_| attempt(&from, &to).transpose());
        let held =
            held.with_context(|| format!("{} does not stand still long enough; leave --live away", from.display()))?;
        let names = held.with_context(|| format!("cannot hold {}", from.display()))?;
        moment.items.extend(names.into_iter().filter_map(|name| {
            let place = place.join(&name);
            is_allowed(&place, false).then(|| Item {
                place,
                from: to.join(name),
            })
        }));
    }
    Ok(moment)
}

/// Links and copies one database. `None` when it moved meanwhile.
fn attempt(from: &Path, to: &Path) -> io::Result<Option<Vec<String>>> {
    clear(to)?;
    fs::create_dir(to)?;
    let before = manifest(from)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // The lock and the words for people are of that run alone.
        if !entry.file_type()?.is_file() || name == "LOCK" || name.starts_with("LOG") {
            continue;
        }
        let is_table = [".sst", ".blob"].iter().any(|end| name.ends_with(end));
        if entry.metadata()?.nlink() > 1 {
            let words = format!("{}: a file with a second name (hard link)", entry.path().display());
            return Err(io::Error::other(words));
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
    Ok((manifest(from)? == before).then_some(names))
}

/// Which manifest is the current one, and how far it goes.
fn manifest(database: &Path) -> io::Result<(String, u64)> {
    let current = fs::read_to_string(database.join("CURRENT"))?;
    let length = fs::metadata(database.join(current.trim())).map(|about| about.len());
    match length {
        // It is just being replaced: as good as moved.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((current, u64::MAX)),
        length => Ok((current, length?)),
    }
}
