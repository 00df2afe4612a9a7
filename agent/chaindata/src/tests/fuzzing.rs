//! Properties of archives, snapshots, certificates and journals, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken property should panic"
)]

use std::fs;
use std::io::{self, Cursor, Read as _};
use std::path::{Component, Path, PathBuf};

use agent_files::Dir;
use serde_json::Value;

use crate::certificate;
use crate::journal::Journal;
use crate::layout::is_allowed;
use crate::observer::Observer;
use crate::restore::{MAGIC_LENGTH, UnknownEntryPolicy, UnpackTarget, decoder, unpack};
use crate::snapshot::{Checkpoint, PartReader, PublicKey, SecretKey, VerifiedReader, read_header};

struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _: &'static str, _: Option<u64>) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, _: &str) {}
}

/// A certificate: one that is accepted is written and read as the same.
pub fn certificate(data: &[u8]) {
    let written = |value: Value| certificate::text(value).unwrap();
    let accepted = |text: &[u8]| {
        if let Ok(certificate) = certificate::parse(text) {
            let again = written(serde_json::to_value(&certificate).unwrap());
            assert_eq!(certificate::parse(&again).unwrap(), certificate);
        }
    };
    accepted(data);
    // The fuzzer cannot make a digest.
    if let Ok(value @ Value::Object(_)) = serde_json::from_slice(data) {
        accepted(&written(value));
    }
}

/// The journal of a restore: a valid one names databases within the data alone.
pub fn restore_journal(data: &[u8]) {
    let Ok(journal) = Journal::parse(data) else { return };
    match journal.ensure_valid() {
        Ok(()) => {
            for unit in &journal.units {
                let plain = unit.place.components().all(|part| matches!(part, Component::Normal(_)));
                let chains = unit.place.iter().rev().nth(2);
                assert!(
                    plain && chains.is_some_and(|name| name == "chains"),
                    "{}",
                    unit.place.display()
                );
            }
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
    let text = serde_json::to_vec(&journal).unwrap();
    assert_eq!(Journal::parse(&text).unwrap(), journal);
}

/// An archive of any compression: nothing is written outside, nothing that may not be there, no more than was announced.
pub fn archive(data: &[u8]) {
    const MOST: u64 = 1 << 20;
    let scratch = scratch();
    let inside = scratch.join("in");
    for unknown in [UnknownEntryPolicy::Refuse, UnknownEntryPolicy::Skip] {
        fs::create_dir_all(&inside).unwrap();
        let dir = Dir::open(&inside).unwrap();
        let target = UnpackTarget {
            dir: &dir,
            owner: None,
            unknown,
            strip: 0,
            reserve: 0,
        };
        let mut magic = [0; MAGIC_LENGTH];
        for (to, from) in magic.iter_mut().zip(data) {
            *to = *from;
        }
        let mut from = data;
        let Ok(archive) = decoder(&mut from, magic) else { return };
        let unpacked = unpack(archive.take(4 * MOST), &target, MOST, &mut Silent, |_, _| Ok(()));
        if let Ok(unpacked) = &unpacked {
            assert!(unpacked.bytes <= MOST && unpacked.skipped.len() <= 100);
        }
        let names: Vec<_> = fs::read_dir(&scratch)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["in"]);
        let bytes = check_entries(&inside, &inside);
        assert!(bytes <= MOST);
        if inside.read_dir().unwrap().next().is_some() {
            fs::remove_dir_all(&inside).unwrap();
        }
    }
}

/// A directory of this process alone, in memory where there is room in it.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let thread = std::thread::current().id();
    above.join(format!("t0rn-agent-fuzz-{}-{thread:?}", std::process::id()))
}

/// Whether all files may be there, and nothing but directories is beside them; their bytes.
fn check_entries(top: &Path, directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap();
    let bytes = entries.map(|entry| {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        assert!(kind.is_dir() || kind.is_file(), "{}", path.display());
        if kind.is_dir() {
            return check_entries(top, &path);
        }
        assert!(is_allowed(path.strip_prefix(top).unwrap(), false), "{}", path.display());
        entry.metadata().unwrap().len()
    });
    bytes.sum()
}

/// A snapshot: its parts are written as they were read, and it is verified to its end or refused.
pub fn snapshot(data: &[u8]) {
    let (mut parts, mut written) = (PartReader::new(data, 0), Vec::new());
    while let Ok(Some(part)) = parts.next() {
        part.write(&mut written).unwrap();
        assert!(parts.at() == written.len() as u64 && data.starts_with(&written));
    }
    let mut from = data;
    let Ok(header) = read_header(&mut from) else { return };
    let first = Checkpoint::first(&header);
    let rest = Box::new(Cursor::new(from.to_vec()));
    let mut reader = VerifiedReader::new(rest, header, first).unwrap();
    let mut copied = Vec::new();
    if io::copy(&mut reader, &mut copied).is_ok()
        && let Ok(manifest) = reader.finish(None)
    {
        assert_eq!(manifest.tar_bytes, copied.len() as u64);
    }
}

/// Keys and signatures: nothing but the key's own signature is accepted for a text.
pub fn signature(data: &[u8]) {
    const PUBLIC: &str = "RWQOzgbdRrapP5vtc4UG8IE1LrvsuFaIsNVIS8+f/I02ifwx4/JHavK7";
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key = PublicKey::parse(PUBLIC).unwrap();
    assert!(key.verify(b"another text", text).is_err());
    let _ = PublicKey::parse(text);
    if let Ok(secret) = SecretKey::parse(text) {
        assert!(key.verify(b"text", &secret.sign(b"text", "")).is_err());
    }
}

#[cfg(test)]
#[path = "../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("certificate", certificate);
    corpus::replay("restore_journal", restore_journal);
    corpus::replay("archive", archive);
    corpus::replay("snapshot", snapshot);
    corpus::replay("signature", signature);
    fs::remove_dir_all(scratch()).unwrap();
}
