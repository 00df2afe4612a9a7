//! Format versions of a node's databases, from the small files in which the node writes them. Read while no node runs.
//!
//! A node that migrates its database writes another version there, and an older node can no longer read it.

use std::io;
use std::path::{Path, PathBuf};

use agent_core::event::Versions;
use agent_files::Dir;
use anyhow::{Context as _, ensure};

/// Version files that are read at most; no node has as many.
const MAX_FILES: usize = 64;
/// The largest version file that is read, bytes.
const MAX_SIZE: u64 = 64 << 10;
/// Names of the files with nothing but a version in them.
const VERSION_FILES: [&str; 2] = ["db_version", "parachain_db_version"];
/// `ParityDB`'s file, with a line about its version.
const METADATA: &str = "metadata";

/// Reads the versions by file, relative to `data`. Blocks on the disk.
///
/// `<data>` and every directory in it (the relay chain has one of its own) may hold `chains/<id>/<kind>/<role>`.
///
/// Fails when a version file is there and cannot be read, since the version is then unknown.
pub fn read_database_versions(data: &Path) -> anyhow::Result<Versions> {
    let data = Dir::open(data).with_context(|| format!("cannot read {}", data.display()))?;
    versions_in(&data)
}

/// The same as [`read_database_versions`], in an open directory.
pub(crate) fn versions_in(data: &Dir) -> anyhow::Result<Versions> {
    let mut found = Versions::new();
    let bases = std::iter::once(PathBuf::new()).chain(directories(data, Path::new(""))?);
    for base in bases {
        for chain in directories(data, &base.join("chains"))? {
            for kind in ["db", "paritydb"].map(|kind| chain.join(kind)) {
                let roles = directories(data, &kind)?;
                // RocksDB has its parachains' database inside, ParityDB beside.
                let inside = roles
                    .iter()
                    .flat_map(|role| [role.join("parachains/db"), role.join("parachains")]);
                let all: Vec<_> = [kind.clone(), kind.join("parachains")]
                    .into_iter()
                    .chain(inside)
                    .chain(roles.clone())
                    .collect();
                for directory in all {
                    read_versions(&mut found, data, &directory)?;
                }
            }
        }
    }
    Ok(found)
}

/// The directories in one, relative to `data`; none where it is missing.
fn directories(data: &Dir, place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", data.path().join(place).display());
    let names = match data.dir(place).and_then(|dir| dir.names()) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        names => names.with_context(failed)?,
    };
    let mut directories = Vec::new();
    for name in names {
        let place = place.join(name);
        match data.entry(&place) {
            Ok(about) if about.is_dir() => directories.push(place),
            // Neither another mount nor what has just gone is a database.
            _ => {}
        }
        ensure!(
            directories.len() <= MAX_FILES,
            "{}: more directories than any node has",
            failed()
        );
    }
    Ok(directories)
}

fn read_versions(found: &mut Versions, data: &Dir, directory: &Path) -> anyhow::Result<()> {
    for name in VERSION_FILES {
        record_version(found, data, &directory.join(name), |text| Some(text.trim().to_owned()))?;
    }
    record_version(found, data, &directory.join(METADATA), |text| {
        text.lines()
            .find_map(|line| line.strip_prefix("version="))
            .map(|version| version.trim().to_owned())
    })
}

fn record_version(
    found: &mut Versions,
    data: &Dir,
    file: &Path,
    version: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<()> {
    let text = match data.read_file(file, MAX_SIZE) {
        Err(error) if is_absent(&error) => return Ok(()),
        text => text.with_context(|| format!("the version in {} is unknown", data.path().join(file).display()))?,
    };
    if let Some(version) = version(&String::from_utf8_lossy(&text)) {
        ensure!(
            found.len() < MAX_FILES,
            "{}: more version files than any node has",
            data.path().display()
        );
        found.insert(file.display().to_string(), version.chars().take(64).collect());
    }
    Ok(())
}

/// Nothing is there, or no directory where one is looked for.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::fs;

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
        assert_eq!(read_database_versions(data).unwrap(), Versions::new());
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
        let found: Vec<_> = read_database_versions(data).unwrap().into_iter().collect();
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

    #[test]
    fn version_file_that_cannot_be_read_is_an_error_with_its_name() {
        for plant in [
            |file: &Path| std::os::unix::fs::symlink("/etc/hostname", file).unwrap(),
            |file: &Path| fs::create_dir(file).unwrap(),
            |file: &Path| fs::write(file, vec![b'4'; 70_000]).unwrap(),
        ] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), "chains/t0rn/db/full/CURRENT", "x");
            plant(&dir.path().join("chains/t0rn/db/full/db_version"));
            let error = read_database_versions(dir.path()).unwrap_err();
            assert!(format!("{error:#}").contains("db/full/db_version"), "{error:#}");
        }
    }
}
