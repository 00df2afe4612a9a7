#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::layout::CERTIFICATE_FILE;

/// A data directory as a node leaves it, without keys.
pub(crate) fn data() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for root in ["chains/t0rn", "polkadot/chains/rococo"] {
        put(dir.path(), &format!("{root}/db/full/000001.sst"), "blocks");
        put(dir.path(), &format!("{root}/db/full/CURRENT"), "MANIFEST-1");
        put(dir.path(), &format!("{root}/db/full/parachains/db/LOCK"), "");
    }
    dir
}

pub(crate) fn put(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn refused(dir: &Path) -> Vec<String> {
    let found = survey_data_dir(dir, false).unwrap().refused;
    found.into_iter().map(|(path, _)| path.display().to_string()).collect()
}

#[test]
fn survey_of_node_data_finds_all_files_and_chains() {
    let dir = data();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    let found = survey_data_dir(dir.path(), true).unwrap();
    assert!(found.refused.is_empty() && found.secrets.is_empty(), "{found:?}");
    assert_eq!((found.tree.files, found.tree.bytes), (6, 32));
    let chains: Vec<_> = found
        .chains
        .iter()
        .map(|c| (c.id.as_str(), c.databases.clone()))
        .collect();
    assert_eq!(
        chains,
        [("t0rn", vec![Database::RocksDb]), ("rococo", vec![Database::RocksDb])]
    );
}

#[test]
fn survey_finds_extended_attributes_anywhere() {
    let dir = data();
    put(dir.path(), CERTIFICATE_FILE, "{}");
    let places = ["bake.json", "chains", "chains/t0rn/db/full/CURRENT"];
    for place in places {
        let flags = rustix::fs::XattrFlags::empty();
        let set = rustix::fs::setxattr(dir.path().join(place), "user.key", b"secret", flags);
        if set == Err(rustix::io::Errno::OPNOTSUPP) {
            // Nor can anybody put a secret there.
            return;
        }
        set.unwrap();
    }
    let mut with_xattrs = survey_data_dir(dir.path(), false).unwrap().with_xattrs;
    with_xattrs.sort();
    assert_eq!(with_xattrs, places.map(PathBuf::from));
}

#[test]
fn digest_changes_with_data_not_with_certificate() {
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 6] = [
        ("a flipped bit", |d| put(d, "chains/t0rn/db/full/000001.sst", "blockr")),
        ("a new name", |d| {
            let db = d.join("chains/t0rn/db/full");
            fs::rename(db.join("000001.sst"), db.join("000002.sst")).unwrap();
        }),
        ("a file more", |d| put(d, "chains/t0rn/db/full/000003.sst", "")),
        ("a file less", |d| {
            fs::remove_file(d.join("chains/t0rn/db/full/CURRENT")).unwrap();
        }),
        ("a permission", |d| {
            let file = d.join("chains/t0rn/db/full/CURRENT");
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("a directory", |d| {
            fs::create_dir(d.join("chains/t0rn/db/full/archive")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let dir = data();
        let file = dir.path().join("chains/t0rn/db/full/CURRENT");
        fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
        let before = survey_data_dir(dir.path(), true).unwrap().tree;
        put(dir.path(), CERTIFICATE_FILE, "{}");
        assert_eq!(survey_data_dir(dir.path(), true).unwrap().tree, before);
        change(dir.path());
        assert_ne!(
            survey_data_dir(dir.path(), true).unwrap().tree.sha256,
            before.sha256,
            "{what}"
        );
    }
}

#[test]
fn survey_refuses_files_outside_databases() {
    for path in [
        "id_rsa",
        ".ssh/id_rsa",
        "notes.txt",
        "chains/readme",
        "chains/t0rn/extra",
        "chains/t0rn/network/other",
        "chains/t0rn/db/full/node.key",
        "chains/t0rn/db/full/.bash_history",
        "chains/t0rn/db/secret_ed25519",
        "chains/t0rn/db/full/mnemonic.txt",
        "chains/t0rn/db/KEYSTORE/1",
        "chains/t0rn/db/full/UTC--2026--wallet.json",
        "bake.json.tmp",
        "a/b/c/d/chains/x/db/full/1",
    ] {
        let dir = data();
        put(dir.path(), path, "x");
        let found = refused(dir.path());
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(path.starts_with(&found[0]), "{path}: {found:?}");
    }
    let dir = data();
    let key = format!("chains/t0rn/db/full/61757261{}", "0f".repeat(32));
    put(dir.path(), &key, "\"//Alice\"");
    assert_eq!(refused(dir.path()), [key]);
}

#[test]
fn survey_refuses_links_sockets_and_setuid_files() {
    let dir = data();
    let db = dir.path().join("chains/t0rn/db/full");
    symlink("/etc", db.join("link")).unwrap();
    symlink("/etc/passwd", db.join("file")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(db.join("socket")).unwrap();
    put(dir.path(), "chains/t0rn/db/full/suid", "");
    fs::set_permissions(db.join("suid"), fs::Permissions::from_mode(0o4755)).unwrap();
    put(dir.path(), "chains/t0rn/db/full/one", "");
    fs::hard_link(db.join("one"), db.join("two")).unwrap();
    let found = survey_data_dir(dir.path(), true).unwrap();
    let names: Vec<_> = found
        .refused
        .iter()
        .filter_map(|(path, _)| path.file_name()?.to_str())
        .collect();
    assert_eq!(names, ["file", "link", "one", "socket", "suid", "two"]);
    assert_eq!(found.tree.files, 6);
}
