//! Which form the node's databases have, from the small files in which they say so. Read while nothing runs.
//!
//! A node that migrates its database writes another version there: the older node cannot read it any more.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use agent_core::event::Versions;

/// More of such files no node has.
const FILES_MAX: usize = 64;
/// Their first bytes tell.
const SIZE_MAX: u64 = 4096;

/// The versions by file, relative to `data`. This blocks on the disk.
///
/// `<data>` and every folder in it (the relay chain has one of its own) may hold `chains/<id>/<kind>/<role>`.
pub fn versions(data: &Path) -> Versions {
    let mut found = Versions::new();
    let bases = std::iter::once(data.to_owned()).chain(folders(data));
    for chain in bases.flat_map(|base| folders(&base.join("chains"))) {
        for kind in ["db", "paritydb"].map(|kind| chain.join(kind)) {
            let role = folders(&kind);
            // RocksDB has its parachains' database inside, ParityDB beside.
            let inside = role
                .iter()
                .flat_map(|role| [role.join("parachains/db"), role.join("parachains")]);
            let all: Vec<_> = [kind.clone(), kind.join("parachains")]
                .into_iter()
                .chain(inside)
                .chain(role.clone())
                .collect();
            for folder in all {
                note(&mut found, data, &folder.join("db_version"), |text| {
                    Some(text.trim().to_owned())
                });
                note(&mut found, data, &folder.join("parachain_db_version"), |text| {
                    Some(text.trim().to_owned())
                });
                note(&mut found, data, &folder.join("metadata"), |text| {
                    text.lines()
                        .find_map(|line| line.strip_prefix("version="))
                        .map(|version| version.trim().to_owned())
                });
            }
        }
    }
    found
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    let mut folders: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .take(FILES_MAX)
        .collect();
    folders.sort();
    folders
}

fn note(found: &mut Versions, data: &Path, file: &Path, version: impl Fn(&str) -> Option<String>) {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(SIZE_MAX).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    if read.is_ok()
        && found.len() < FILES_MAX
        && let Some(version) = version(&text)
    {
        let name = file.strip_prefix(data).unwrap_or(file).display().to_string();
        found.insert(name, version.chars().take(64).collect());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn write(data: &Path, file: &str, text: &str) {
        let path = data.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn every_database_of_both_chains_tells_its_version_and_nothing_else_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        assert_eq!(versions(data), Versions::new());
        for (file, text) in [
            ("chains/t0rn/db/full/db_version", "4\n"),
            ("polkadot/chains/rococo/db/full/db_version", "4"),
            ("polkadot/chains/rococo/db/full/parachains/db/parachain_db_version", "5"),
            (
                "polkadot/chains/rococo/paritydb/full/metadata",
                "version=8\nsalt=abc\nsizes=[1]\n",
            ),
            ("polkadot/chains/rococo/paritydb/parachains/parachain_db_version", "5"),
            ("polkadot/chains/rococo/keystore/db_version", "no"),
            ("chains/t0rn/db/full/metadata", "no version"),
        ] {
            write(data, file, text);
        }
        let told: Vec<_> = versions(data).into_iter().collect();
        let expected = [
            ("chains/t0rn/db/full/db_version", "4"),
            ("polkadot/chains/rococo/db/full/db_version", "4"),
            ("polkadot/chains/rococo/db/full/parachains/db/parachain_db_version", "5"),
            ("polkadot/chains/rococo/paritydb/full/metadata", "8"),
            ("polkadot/chains/rococo/paritydb/parachains/parachain_db_version", "5"),
        ];
        assert_eq!(
            told,
            expected.map(|(file, version)| (file.to_owned(), version.to_owned()))
        );
    }
}
