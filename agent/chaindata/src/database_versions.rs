//! Format versions of a node's databases, from the small files in which the node writes them. Read while no node runs.
//!
//! A node that migrates its database writes another version there, and an older node can no longer read it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use agent_core::event::Versions;

/// Version files that are read at most; no node has as many.
const MAX_FILES: usize = 64;
/// Read of each version file, bytes.
const MAX_SIZE: u64 = 4096;

/// Reads the versions by file, relative to `data`. Blocks on the disk.
///
/// `<data>` and every directory in it (the relay chain has one of its own) may hold `chains/<id>/<kind>/<role>`.
pub fn read_database_versions(data: &Path) -> Versions {
    let mut found = Versions::new();
    let bases = std::iter::once(data.to_owned()).chain(directories(data));
    for chain in bases.flat_map(|base| directories(&base.join("chains"))) {
        for kind in ["db", "paritydb"].map(|kind| chain.join(kind)) {
            let role = directories(&kind);
            // RocksDB has its parachains' database inside, ParityDB beside.
            let inside = role
                .iter()
                .flat_map(|role| [role.join("parachains/db"), role.join("parachains")]);
            let all: Vec<_> = [kind.clone(), kind.join("parachains")]
                .into_iter()
                .chain(inside)
                .chain(role.clone())
                .collect();
            for directory in all {
                record_version(&mut found, data, &directory.join("db_version"), |text| {
                    Some(text.trim().to_owned())
                });
                record_version(&mut found, data, &directory.join("parachain_db_version"), |text| {
                    Some(text.trim().to_owned())
                });
                record_version(&mut found, data, &directory.join("metadata"), |text| {
                    text.lines()
                        .find_map(|line| line.strip_prefix("version="))
                        .map(|version| version.trim().to_owned())
                });
            }
        }
    }
    found
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    let mut directories: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .take(MAX_FILES)
        .collect();
    directories.sort();
    directories
}

fn record_version(found: &mut Versions, data: &Path, file: &Path, version: impl Fn(&str) -> Option<String>) {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_SIZE).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    if read.is_ok()
        && found.len() < MAX_FILES
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
    fn versions_of_both_chains_databases_read_and_other_files_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        assert_eq!(read_database_versions(data), Versions::new());
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
        let found: Vec<_> = read_database_versions(data).into_iter().collect();
        let expected = [
            ("chains/t0rn/db/full/db_version", "4"),
            ("polkadot/chains/rococo/db/full/db_version", "4"),
            ("polkadot/chains/rococo/db/full/parachains/db/parachain_db_version", "5"),
            ("polkadot/chains/rococo/paritydb/full/metadata", "8"),
            ("polkadot/chains/rococo/paritydb/parachains/parachain_db_version", "5"),
        ];
        assert_eq!(
            found,
            expected.map(|(file, version)| (file.to_owned(), version.to_owned()))
        );
    }
}
