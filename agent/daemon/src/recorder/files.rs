//! The recorder's files: names, opening, packing, removal.
#![expect(clippy::disallowed_methods, reason = "jobs for the state disk")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::trace_reader::{NextLine, TraceReader};
use agent_core::trace::{Record, parse_line};
use agent_files::sync_dir;

/// Suffix of an unfinished file.
const HALF: &str = ".jsonl.gz.tmp";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FlightFile {
    /// Files are numbered in the order of their beginning.
    pub(super) number: u64,
    pub(super) packed: bool,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// The recorder's files in `dir`, oldest first; other files are ignored.
pub(super) fn list(dir: &Path) -> io::Result<Vec<FlightFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("flight-")) else {
            continue;
        };
        let Some((number, ending)) = rest.split_once('.') else {
            continue;
        };
        let packed = match ending {
            "jsonl" => false,
            "jsonl.gz" => true,
            _ => continue,
        };
        let Ok(number) = number.parse() else { continue };
        files.push(FlightFile {
            number,
            packed,
            path: entry.path(),
            bytes: entry.metadata()?.len(),
        });
    }
    files.sort();
    Ok(files)
}

/// The files in `dir` with lines from `since` (Unix milliseconds) on, by the wall clock at their beginning, oldest first.
/// One without a wall clock is included. Empty when the folder cannot be listed.
pub fn files_since(dir: &Path, since: i64) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut files = list(dir).unwrap_or_default();
    // One that was being packed when the power was cut is there twice, and whole in both forms.
    files.dedup_by_key(|file| file.number);
    for file in files.into_iter().rev() {
        let began = match TraceReader::of([file.path.clone()]).next_line() {
            NextLine::Line(line) => match parse_line(line) {
                Ok((_, Record::Clock { unix_ms })) => Some(unix_ms),
                _ => None,
            },
            _ => None,
        };
        found.push(file.path);
        if began.is_some_and(|began| began <= since) {
            break;
        }
    }
    found.reverse();
    found
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("flight-{number:08}.jsonl"))
}

/// Opens a file to append to, and truncates an unfinished last line. Returns the file and its size in bytes.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    // Its size is bounded by the rotation.
    let (size, mut text) = (file.metadata()?.len(), Vec::new());
    Read::by_ref(&mut file).take(size).read_to_end(&mut text)?;
    let end = text
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |newline| newline as u64 + 1);
    if end < size {
        file.set_len(end)?;
    }
    sync_dir(path.parent().unwrap_or(path))?;
    Ok((file, end))
}

/// Packs plain files other than `current`, removes unfinished ones, and then the oldest until at most `keep` bytes remain
/// beside `current`.
pub(super) fn tidy(dir: &Path, current: u64, keep: u64) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("flight-") && name.ends_with(HALF))
        {
            fs::remove_file(entry.path())?;
        }
    }
    let mut failed = None;
    for file in list(dir)?
        .into_iter()
        .filter(|file| !file.packed && file.number != current)
    {
        // On a full disk packing fails, and the oldest must still be removed.
        failed = pack(&file.path).err().or(failed);
    }
    let mut kept = 0;
    for file in list(dir)?.into_iter().rev().filter(|file| file.number != current) {
        kept += file.bytes;
        if kept > keep {
            fs::remove_file(&file.path)?;
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Replaces `x.jsonl` by `x.jsonl.gz`; at least one of them exists at any moment.
fn pack(plain: &Path) -> io::Result<()> {
    let packed = plain.with_extension("jsonl.gz");
    let half = plain.with_extension(&HALF[1..]);
    if !packed.exists() {
        let written = (|| {
            let target = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o640)
                .open(&half)?;
            let mut encoder = GzEncoder::new(target, Compression::default());
            io::copy(&mut File::open(plain)?, &mut encoder)?;
            encoder.finish()?.sync_all()?;
            fs::rename(&half, &packed)
        })();
        if written.is_err() {
            // Best effort: the first error is returned.
            let _ = fs::remove_file(&half);
            return written;
        }
        sync_dir(plain.parent().unwrap_or(plain))?;
    }
    fs::remove_file(plain)
}
