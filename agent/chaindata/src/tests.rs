#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archives;
mod crash;
mod damage;
mod resume;
mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::compatibility::read_chain_facts;
use crate::journal::is_restore_swapping;
use crate::observer::Observer;
use crate::restore::{PreparedRestore, RestoreOptions, abandon_restore, commit_restore, prepare_restore};
use crate::snapshot::tests::keys;
use crate::snapshot::{
    Consistency, CreateOptions, CreatedSnapshot, PublicKey, SecretKey, SnapshotSource, create_snapshot,
};

/// Observes nothing.
struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _: &'static str, _: Option<u64>) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, _: &str) {}
}

/// Bytes that are read from the beginning or from the middle, and may end early.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl SnapshotSource for Bytes {
    fn name(&self) -> String {
        "a snapshot".to_owned()
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        let bytes = self.0[usize::try_from(at).unwrap()..].to_vec();
        Ok(Box::new(Cursor::new(bytes)))
    }
}

/// So many bytes that do not compress.
pub(super) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

pub(super) fn put(root: &Path, place: &str, content: &[u8]) {
    let path = root.join(place);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    if place.starts_with(".restore/") {
        // As a restore makes it.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(root.join(".restore"), private).unwrap();
    }
}

/// A collator's data directory: two chains, and what is secret.
pub(super) fn data(seed: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, "chains/t0rn/db/full/db_version", b"4");
    put(root, "chains/t0rn/db/full/CURRENT", b"MANIFEST-000005\n");
    put(root, "chains/t0rn/db/full/MANIFEST-000005", b"tables");
    for table in 0..8 {
        let place = format!("chains/t0rn/db/full/{table:06}.sst");
        put(root, &place, &noise(700_000, seed + table));
    }
    put(root, "chains/t0rn/frontier/db/full/000001.sst", &vec![7; 100_000]);
    put(
        root,
        "polkadot/chains/rococo/db/full/000001.sst",
        &noise(3_000_000, seed + 100),
    );
    put(root, "chains/t0rn/keystore/61757261aa", b"SECRET");
    put(root, "chains/t0rn/network/secret_ed25519", b"SECRET");
    dir
}

pub(super) fn create(
    root: &Path,
    consistency: Consistency,
    signer: Option<&SecretKey>,
    to: &mut Vec<u8>,
) -> anyhow::Result<CreatedSnapshot> {
    let nodes = &BTreeMap::new();
    let options = CreateOptions {
        consistency,
        nodes,
        signer,
    };
    create_snapshot(root, &options, to, &mut Silent)
}

pub(super) fn snapshot(root: &Path, signer: Option<&SecretKey>) -> Vec<u8> {
    let mut to = Vec::new();
    create(root, Consistency::Clean, signer, &mut to).unwrap();
    to
}

/// Every file with its content, but for `.restore`.
pub(super) fn content(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with(".restore") {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

pub(super) fn ready(
    root: &Path,
    source: &dyn SnapshotSource,
    options: &RestoreOptions,
) -> anyhow::Result<PreparedRestore> {
    let present = read_chain_facts(root, &BTreeMap::new())?;
    prepare_restore(root, source, options, &present, &mut Silent)
}

pub(super) fn restore_all(root: &Path, source: &dyn SnapshotSource, options: &RestoreOptions) -> anyhow::Result<()> {
    commit_restore(ready(root, source, options)?, || Ok(())).map(drop)
}

#[test]
fn restored_data_equals_the_copied_and_keys_stay() {
    let (from, to) = (data(1), data(50));
    put(to.path(), "chains/t0rn/keystore/61757261aa", b"its own");
    put(to.path(), "chains/t0rn/db/full/999999.sst", b"only here");
    put(to.path(), "bake.json", b"{}");
    let bytes = snapshot(from.path(), None);
    restore_all(to.path(), &Bytes(bytes), &RestoreOptions::default()).unwrap();
    let mut expected = content(from.path());
    expected.insert("chains/t0rn/keystore/61757261aa".into(), b"its own".to_vec());
    assert!(content(to.path()) == expected);
    assert!(!to.path().join(".restore").exists());
    assert!(!is_restore_swapping(to.path()));
}

#[test]
fn restore_into_empty_directory_and_with_keep_old() {
    let (from, to) = (data(1), tempfile::tempdir().unwrap());
    let bytes = Bytes(snapshot(from.path(), None));
    restore_all(to.path(), &bytes, &RestoreOptions::default()).unwrap();
    assert!(content(&to.path().join("chains/t0rn/db")) == content(&from.path().join("chains/t0rn/db")));
    put(to.path(), "chains/t0rn/db/full/old", b"old");
    let options = RestoreOptions {
        keep_old: true,
        ..RestoreOptions::default()
    };
    restore_all(to.path(), &bytes, &options).unwrap();
    assert!(!to.path().join("chains/t0rn/db/full/old").exists());
    assert!(to.path().join(".before-restore/chains/t0rn/db/full/old").exists());
    let refused = restore_all(to.path(), &bytes, &options).unwrap_err().to_string();
    assert!(refused.contains(".before-restore"), "{refused}");
}

#[test]
fn snapshot_is_readable_by_plain_tar_and_zstd() {
    let (from, to) = (data(1), tempfile::tempdir().unwrap());
    let file = to.path().join("chain.tar.zst");
    fs::write(&file, snapshot(from.path(), None)).unwrap();
    let mut tar = tar::Archive::new(zstd::stream::read::Decoder::new(fs::File::open(&file).unwrap()).unwrap());
    let out = to.path().join("out");
    tar.unpack(&out).unwrap();
    assert!(content(&out.join("chains/t0rn/db")) == content(&from.path().join("chains/t0rn/db")));
}

#[test]
fn restore_with_public_key_accepts_only_its_signature() {
    let (from, to) = (data(1), tempfile::tempdir().unwrap());
    let (secret, public) = keys(3);
    let signed = Bytes(snapshot(from.path(), Some(&SecretKey::parse(&secret).unwrap())));
    let with = |public: &str| RestoreOptions {
        public_key: Some(PublicKey::parse(public).unwrap()),
        ..RestoreOptions::default()
    };
    let refused = |source: &Bytes, public: &str| ready(to.path(), source, &with(public)).unwrap_err().to_string();
    assert!(refused(&signed, &keys(4).1).contains("another key"));
    abandon_restore(to.path()).unwrap();
    assert!(refused(&Bytes(snapshot(from.path(), None)), &public).contains("no signature"));
    abandon_restore(to.path()).unwrap();
    assert!(!to.path().join("chains").exists());
    restore_all(to.path(), &signed, &with(&public)).unwrap();
}

#[test]
fn restore_of_another_chain_refused_before_unpacking() {
    let (from, to) = (data(1), tempfile::tempdir().unwrap());
    put(to.path(), "chains/other/db/full/CURRENT", b"x");
    let bytes = Bytes(snapshot(from.path(), None));
    let refused = ready(to.path(), &bytes, &RestoreOptions::default())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("another chain"), "{refused}");
    assert!(!to.path().join(".restore").exists());
    let older = data(9);
    put(older.path(), "chains/t0rn/db/full/db_version", b"3");
    let refused = ready(older.path(), &bytes, &RestoreOptions::default())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("newer database"), "{refused}");
}

#[test]
fn live_snapshot_copies_rocksdb_and_refuses_paritydb() {
    let from = data(1);
    let root = from.path();
    put(root, "chains/t0rn/db/full/LOCK", b"");
    let mut to = Vec::new();
    let created = create(root, Consistency::CrashConsistent, None, &mut to).unwrap();
    assert_eq!(created.manifest.info.consistency, Consistency::CrashConsistent);
    assert!(!root.join(".snapshot").exists());
    let target = tempfile::tempdir().unwrap();
    restore_all(target.path(), &Bytes(to.clone()), &RestoreOptions::default()).unwrap();
    let (mut then, now) = (
        content(&root.join("chains/t0rn/db")),
        content(&target.path().join("chains/t0rn/db")),
    );
    then.remove(Path::new("full/LOCK"));
    assert!(then == now);
    put(root, "polkadot/chains/rococo/paritydb/full/metadata", b"version=8\n");
    let refused = create(root, Consistency::CrashConsistent, None, &mut Vec::new());
    assert!(refused.unwrap_err().to_string().contains("ParityDB"));
}
