//! What lies in a data directory: an allow list by place, and a digest of all that is allowed.
//!
//! Nothing here follows a symbolic link or changes anything.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::certificate::{Database, FILE, HALF};

/// Deeper than any database; what is nested beyond is refused.
const DEEPEST: usize = 24;
/// Base paths above `chains`, such as `polkadot` or `relay-data`.
const BASES: usize = 3;
/// Read at once while hashing, bytes.
const CHUNK: usize = 64 << 10;

/// The digest of a tree, in all and by directory: over path, kind, permissions, owner, size and content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Regular files.
    pub files: u64,
    pub bytes: u64,
    pub sha256: String,
    /// The same of what lies directly in each directory.
    pub directories: BTreeMap<String, Part>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub files: u64,
    pub bytes: u64,
    pub sha256: String,
}

pub const MARKED: &str = "extended attributes (getfattr -dm -), which no database has";
const LINK: &str = "a symbolic link";
const ELSEWHERE: &str = "on another file system";
const SECOND_NAME: &str = "a file with a second name (hard link)";

/// What was found in a data directory.
#[derive(Debug, Default)]
pub struct Survey {
    /// Without the certificate, and without secrets and what is refused.
    pub tree: Tree,
    /// Key stores and node keys, relative.
    pub secrets: Vec<Secret>,
    /// What a node noted about its network, relative: of no use to another, and made anew.
    pub caches: Vec<PathBuf>,
    /// What may not be there, relative, and why.
    pub refused: Vec<(PathBuf, &'static str)>,
    pub chains: Vec<ChainDir>,
    /// What is allowed and has extended attributes, relative: they can hold anything, and a snapshot does not take them along.
    pub marked: Vec<PathBuf>,
    /// All that is allowed, relative: directories before what lies in them.
    pub kept: Vec<PathBuf>,
}

impl Survey {
    /// What is refused for what it is, and not for its name: without it, a database is not whole.
    pub fn hole(&self) -> Option<&(PathBuf, &'static str)> {
        self.refused.iter().find(|(path, why)| {
            [LINK, ELSEWHERE, SECOND_NAME].contains(why) && (is_allowed(path, true) || is_allowed(path, false))
        })
    }

    /// What a rename cannot exchange, or would leave behind.
    pub fn fixed(&self) -> Option<&(PathBuf, &'static str)> {
        self.refused
            .iter()
            .find(|(path, why)| [LINK, ELSEWHERE].contains(why) && is_allowed(path, true))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub path: PathBuf,
    /// It is more than an empty key store.
    pub holds_keys: bool,
}

/// `…/chains/<id>` and the databases in it that are not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainDir {
    pub id: String,
    pub path: PathBuf,
    pub databases: Vec<Database>,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Kept,
    Secret,
    Cache,
    /// Ours, or the file system's own.
    Ignored,
    Refused(&'static str),
}

/// Looks at everything in `root`; with `hash` also at what is in the files.
///
/// Fails when something cannot be read. This blocks on the disk, for as long as reading all of it takes.
pub fn survey(root: &Path, hash: bool) -> io::Result<Survey> {
    let root = root.canonicalize()?;
    let about = fs::symlink_metadata(&root)?;
    let mut walk = Walk {
        device: about.dev(),
        root,
        hash,
        all: Sha256::new(),
        survey: Survey::default(),
    };
    walk.directory(Path::new(""), &about)?;
    walk.survey.tree.sha256 = hex::encode(walk.all.finalize());
    Ok(walk.survey)
}

struct Walk {
    root: PathBuf,
    device: u64,
    hash: bool,
    all: Sha256,
    survey: Survey,
}

impl Walk {
    fn directory(&mut self, path: &Path, about: &Metadata) -> io::Result<()> {
        let mut part = (Sha256::new(), Part::default());
        self.note(&mut part.0, &format!("{}\0directory\0{}", path.display(), owner(about)));
        let mut names = Vec::new();
        let listing = match fs::read_dir(self.root.join(path)) {
            // A node that runs removes what it needs no more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listing => listing?,
        };
        for entry in listing {
            names.push(entry?.file_name());
        }
        names.sort_unstable();
        for name in names {
            let path = path.join(&name);
            match fs::symlink_metadata(self.root.join(&path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                about => self.entry(&path, &about?, &mut part)?,
            }
        }
        let (digest, mut part) = part;
        part.sha256 = hex::encode(digest.finalize());
        let name = if path.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            path.display().to_string()
        };
        self.survey.tree.directories.insert(name, part);
        Ok(())
    }

    fn entry(&mut self, path: &Path, about: &Metadata, part: &mut (Sha256, Part)) -> io::Result<()> {
        let place = self.place(path, about);
        if matches!(place, Place::Kept | Place::Ignored) && is_marked(&self.root.join(path)) {
            self.survey.marked.push(path.to_owned());
        }
        match place {
            Place::Refused(why) => self.survey.refused.push((path.to_owned(), why)),
            Place::Ignored => {}
            Place::Cache => self.survey.caches.push(path.to_owned()),
            Place::Secret => {
                let holds_keys = !about.is_dir() || fs::read_dir(self.root.join(path))?.next().is_some();
                let path = path.to_owned();
                self.survey.secrets.push(Secret { path, holds_keys });
            }
            Place::Kept if about.is_dir() => {
                self.survey.kept.push(path.to_owned());
                self.note_chain(path)?;
                self.directory(path, about)?;
            }
            Place::Kept => {
                let content = if self.hash {
                    match content(&self.root.join(path)) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                        content => content?,
                    }
                } else {
                    String::new()
                };
                let line = format!("{}\0file\0{}\0{}\0{content}", path.display(), owner(about), about.len());
                self.note(&mut part.0, &line);
                self.survey.kept.push(path.to_owned());
                part.1.files += 1;
                part.1.bytes += about.len();
                self.survey.tree.files += 1;
                self.survey.tree.bytes += about.len();
            }
        }
        Ok(())
    }

    fn place(&self, path: &Path, about: &Metadata) -> Place {
        let kind = about.file_type();
        let Some(parts) = path.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>() else {
            return Place::Refused("a name that is not UTF-8");
        };
        if kind.is_symlink() {
            return Place::Refused(LINK);
        }
        if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
            return Place::Refused("neither a file nor a directory");
        }
        if about.dev() != self.device {
            return Place::Refused(ELSEWHERE);
        }
        if about.is_file() && about.nlink() > 1 {
            return Place::Refused(SECOND_NAME);
        }
        if about.is_file() && about.mode() & 0o6000 != 0 {
            return Place::Refused("a file that gives its user's rights away (setuid)");
        }
        if parts.len() > DEEPEST {
            return Place::Refused("nested too deeply");
        }
        if about.is_dir() && parts == ["lost+found"] {
            let empty = fs::read_dir(self.root.join(path)).is_ok_and(|mut found| found.next().is_none());
            return if empty {
                Place::Ignored
            } else {
                Place::Refused("files that the file system's check found")
            };
        }
        place(&parts, about.is_dir())
    }

    fn note_chain(&mut self, path: &Path) -> io::Result<()> {
        let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        let [.., above, id] = parts[..] else {
            return Ok(());
        };
        if above != "chains" || parts.iter().position(|part| *part == "chains") != Some(parts.len() - 2) {
            return Ok(());
        }
        let mut databases = Vec::new();
        for (folder, database) in [("db/full", Database::RocksDb), ("paritydb/full", Database::ParityDb)] {
            match fs::read_dir(self.root.join(path).join(folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                listing => databases.extend(listing?.next().map(|_| database)),
            }
        }
        let (id, path) = (id.to_owned(), path.to_owned());
        self.survey.chains.push(ChainDir { id, path, databases });
        Ok(())
    }

    fn note(&mut self, part: &mut Sha256, line: &str) {
        for digest in [&mut self.all, part] {
            digest.update(line.as_bytes());
            digest.update(b"\n");
        }
    }
}

/// Whether a file or directory may lie at this place, relative to a data directory, in an image or a snapshot.
pub fn is_allowed(path: &Path, is_dir: bool) -> bool {
    let parts: Option<Vec<_>> = path.iter().map(|part| part.to_str()).collect();
    parts.is_some_and(|parts| parts.len() <= DEEPEST && place(&parts, is_dir) == Place::Kept)
}

/// Where something may lie: `[base/…]chains/<id>/{db,paritydb,frontier}/…`, and nowhere else.
fn place(parts: &[&str], is_dir: bool) -> Place {
    const UNKNOWN: Place = Place::Refused("nothing that a node keeps there");
    if parts == [FILE] && !is_dir {
        return Place::Ignored;
    }
    if parts == [HALF] {
        return Place::Refused("a certificate that was not finished");
    }
    match parts.first() {
        Some(&".restore") => {
            return Place::Refused("a restore is under way: finish it, or t0rn-agent snapshot abandon");
        }
        Some(&".snapshot") => return Place::Refused("a snapshot was killed: t0rn-agent snapshot abandon removes it"),
        Some(&".before-restore") => return Place::Refused("the data from before a restore: remove it"),
        _ => {}
    }
    let Some(chains) = parts.iter().position(|part| *part == "chains") else {
        let plain = is_dir && parts.len() <= BASES && parts.iter().all(|part| !part.starts_with('.'));
        let secret = parts.last().is_some_and(|name| is_secret(name));
        return if plain && !secret { Place::Kept } else { UNKNOWN };
    };
    if chains > BASES {
        return UNKNOWN;
    }
    match &parts[chains + 1..] {
        [] | [_] | [_, "network" | "db" | "paritydb" | "frontier"] if is_dir => Place::Kept,
        [_, "keystore"] if is_dir => Place::Secret,
        [_, "network", "secret_ed25519"] if !is_dir => Place::Secret,
        [_, "network", "authority_discovery_addr_cache.json"] if !is_dir => Place::Cache,
        [_, "db" | "paritydb" | "frontier", inner @ ..] => match inner.split_last() {
            Some((name, above))
                if above.iter().all(|name| FOLDERS.contains(name))
                    && if is_dir {
                        FOLDERS.contains(name)
                    } else {
                        is_database_file(name)
                    } =>
            {
                Place::Kept
            }
            _ => Place::Refused("no file of a database"),
        },
        _ => UNKNOWN,
    }
}

/// Folders within databases.
const FOLDERS: [&str; 7] = ["full", "light", "parachains", "db", "paritydb", "archive", "sql"];

/// Whether `RocksDB`, `ParityDB`, the node beside them, or Frontier in its own database, names a file so.
fn is_database_file(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "CURRENT",
        "IDENTITY",
        "LOCK",
        "LOG",
        "db_version",
        "parachain_db_version",
        "metadata",
        "lock",
        "frontier.db3",
        "frontier.db3-wal",
        "frontier.db3-shm",
    ];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(half) = name.strip_suffix(".dbtmp") {
        return number(half) || is_database_file(half);
    }
    let numbered = ["MANIFEST-", "OPTIONS-", "LOG.old.", "log", "table_", "index_"];
    let ends = ["sst", "ldb", "log", "blob"];
    let begins = |start: &str| {
        let rest = name.strip_prefix(start);
        rest.is_some_and(|rest| rest.split('_').all(number))
    };
    NAMES.contains(&name)
        || numbered.into_iter().any(begins)
        || name
            .rsplit_once('.')
            .is_some_and(|(start, end)| number(start) && ends.contains(&end))
}

/// A name that no database gives, and that people and nodes give to keys.
fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ends = [".pem", ".key", ".p12", ".pfx", ".kdbx"];
    let words = [
        "key",
        "secret",
        "id_rsa",
        "id_ed25519",
        "id_ecdsa",
        "ssh_host",
        "mnemonic",
        "phrase",
        "seed",
        "wallet",
        "utc--",
        "password",
        "passwd",
        "credential",
        "token",
    ];
    name.starts_with('.')
        || lower == "network"
        || words.iter().any(|word| lower.contains(word))
        || ends.iter().any(|end| lower.ends_with(end))
        // A key store's file: four bytes of key type, then the public key.
        || (name.len() >= 72 && name.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether it has extended attributes other than the system's own, for access.
fn is_marked(path: &Path) -> bool {
    let mut names = [0_u8; 4096];
    match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => names[..length]
            .split(|b| *b == 0)
            .any(|name| !name.is_empty() && !name.starts_with(b"system.") && name != b"security.selinux"),
        // More of them than any access needs; other errors are of file systems that have none.
        Err(error) => error == rustix::io::Errno::RANGE,
    }
}

fn owner(about: &Metadata) -> String {
    format!("{:o}\0{}\0{}", about.mode() & 0o7777, about.uid(), about.gid())
}

fn content(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hex::encode(digest.finalize())),
            Ok(length) => digest.update(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
pub mod tests;
