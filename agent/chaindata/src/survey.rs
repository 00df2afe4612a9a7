//! Survey of a data directory: its chains, its keys, entries that may not be there, and a digest of the chain data.
//!
//! Nothing here follows a symbolic link or changes anything.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use crate::layout::{Database, EntryClass, classify, is_allowed};

const CHUNK: usize = 64 << 10;

const SYMLINK: &str = "a symbolic link";
const OTHER_FILE_SYSTEM: &str = "on another file system";
const HARD_LINK: &str = "a file with a second name (hard link)";
pub(crate) const XATTRS: &str = "extended attributes (getfattr -dm -), which no database has";

/// Digest of a directory tree, as a whole and by directory: over path, kind, permissions, owner, size and content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeDigest {
    pub files: u64,
    pub bytes: u64,
    pub sha256: String,
    /// By directory, of the files directly in it.
    pub directories: BTreeMap<String, DirectoryDigest>,
}

/// Digest of the files directly in one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryDigest {
    pub files: u64,
    pub bytes: u64,
    pub sha256: String,
}

/// Contents of a data directory; all paths are relative to it.
#[derive(Debug, Default)]
pub struct Survey {
    /// Of the chain data, without the certificate, secrets and refused entries.
    pub tree: TreeDigest,
    /// Key stores and node keys.
    pub secrets: Vec<Secret>,
    /// Network state of a node, of no use to another one.
    pub caches: Vec<PathBuf>,
    /// Entries that may not be there, and why.
    pub refused: Vec<(PathBuf, &'static str)>,
    pub chains: Vec<ChainDir>,
    /// Chain data with extended attributes: those can hold anything, and a snapshot leaves them out.
    pub with_xattrs: Vec<PathBuf>,
    /// Chain data: directories before their content.
    pub allowed: Vec<PathBuf>,
}

impl Survey {
    /// Surveys `root` without its files' content. The error names `root`.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        survey_data_dir(root, false).with_context(|| format!("cannot read {}", root.display()))
    }

    /// The first entry that belongs to a database by its name, but is refused: without it, the database is incomplete.
    pub(crate) fn incomplete_database(&self) -> Option<&(PathBuf, &'static str)> {
        self.refused.iter().find(|(path, why)| {
            [SYMLINK, OTHER_FILE_SYSTEM, HARD_LINK].contains(why) && (is_allowed(path, true) || is_allowed(path, false))
        })
    }

    /// The first directory that a rename cannot exchange.
    pub(crate) fn unswappable_dir(&self) -> Option<&(PathBuf, &'static str)> {
        self.refused
            .iter()
            .find(|(path, why)| [SYMLINK, OTHER_FILE_SYSTEM].contains(why) && is_allowed(path, true))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub path: PathBuf,
    /// Whether it is more than an empty key store.
    pub holds_keys: bool,
}

/// `…/chains/<id>` and the databases in it that are not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainDir {
    pub id: String,
    pub path: PathBuf,
    pub databases: Vec<Database>,
}

/// Surveys `root`; with `hash`, also the content of its files.
///
/// Fails when an entry cannot be read. Blocks on the disk, with `hash` for as long as reading everything takes.
pub fn survey_data_dir(root: &Path, hash: bool) -> io::Result<Survey> {
    let root = root.canonicalize()?;
    let about = fs::symlink_metadata(&root)?;
    let mut walk = Walk {
        device: about.dev(),
        root,
        hash,
        all: Context::new(&SHA256),
        survey: Survey::default(),
    };
    walk.directory(Path::new(""), &about)?;
    walk.survey.tree.sha256 = hex::encode(walk.all.finish());
    Ok(walk.survey)
}

struct Walk {
    root: PathBuf,
    device: u64,
    hash: bool,
    all: Context,
    survey: Survey,
}

impl Walk {
    fn directory(&mut self, path: &Path, about: &Metadata) -> io::Result<()> {
        let mut part = (Context::new(&SHA256), DirectoryDigest::default());
        self.update_digests(
            &mut part.0,
            &format!("{}\0directory\0{}", path.display(), mode_and_owner(about)),
        );
        let mut names = Vec::new();
        let listing = match fs::read_dir(self.root.join(path)) {
            // A running node removes what it no longer needs.
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
        part.sha256 = hex::encode(digest.finish());
        let name = if path.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            path.display().to_string()
        };
        self.survey.tree.directories.insert(name, part);
        Ok(())
    }

    fn entry(&mut self, path: &Path, about: &Metadata, part: &mut (Context, DirectoryDigest)) -> io::Result<()> {
        let class = self.class(path, about);
        if matches!(class, EntryClass::Allowed | EntryClass::Ignored) && has_xattrs(&self.root.join(path)) {
            self.survey.with_xattrs.push(path.to_owned());
        }
        match class {
            EntryClass::Refused(why) => self.survey.refused.push((path.to_owned(), why)),
            EntryClass::Ignored => {}
            EntryClass::Cache => self.survey.caches.push(path.to_owned()),
            EntryClass::Secret => {
                let holds_keys = !about.is_dir() || fs::read_dir(self.root.join(path))?.next().is_some();
                let path = path.to_owned();
                self.survey.secrets.push(Secret { path, holds_keys });
            }
            EntryClass::Allowed if about.is_dir() => {
                self.survey.allowed.push(path.to_owned());
                self.record_chain(path)?;
                self.directory(path, about)?;
            }
            EntryClass::Allowed => {
                let content = if self.hash {
                    match content_digest(&self.root.join(path)) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                        content => content?,
                    }
                } else {
                    String::new()
                };
                let line = format!(
                    "{}\0file\0{}\0{}\0{content}",
                    path.display(),
                    mode_and_owner(about),
                    about.len()
                );
                self.update_digests(&mut part.0, &line);
                self.survey.allowed.push(path.to_owned());
                part.1.files += 1;
                part.1.bytes += about.len();
                self.survey.tree.files += 1;
                self.survey.tree.bytes += about.len();
            }
        }
        Ok(())
    }

    fn class(&self, path: &Path, about: &Metadata) -> EntryClass {
        let kind = about.file_type();
        let Some(parts) = path.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>() else {
            return EntryClass::Refused("a name that is not UTF-8");
        };
        if kind.is_symlink() {
            return EntryClass::Refused(SYMLINK);
        }
        if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
            return EntryClass::Refused("neither a file nor a directory");
        }
        if about.dev() != self.device {
            return EntryClass::Refused(OTHER_FILE_SYSTEM);
        }
        if about.is_file() && about.nlink() > 1 {
            return EntryClass::Refused(HARD_LINK);
        }
        if about.is_file() && about.mode() & 0o6000 != 0 {
            return EntryClass::Refused("a file that gives its user's rights away (setuid)");
        }
        if about.is_dir() && parts == ["lost+found"] {
            let empty = fs::read_dir(self.root.join(path)).is_ok_and(|mut found| found.next().is_none());
            return if empty {
                EntryClass::Ignored
            } else {
                EntryClass::Refused("files that the file system's check found")
            };
        }
        classify(&parts, about.is_dir())
    }

    fn record_chain(&mut self, path: &Path) -> io::Result<()> {
        let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        let [.., above, id] = parts[..] else {
            return Ok(());
        };
        if above != "chains" || parts.iter().position(|part| *part == "chains") != Some(parts.len() - 2) {
            return Ok(());
        }
        let mut databases = Vec::new();
        for &database in Database::VARIANTS {
            match fs::read_dir(self.root.join(path).join(database.dir())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                listing => databases.extend(listing?.next().map(|_| database)),
            }
        }
        let (id, path) = (id.to_owned(), path.to_owned());
        self.survey.chains.push(ChainDir { id, path, databases });
        Ok(())
    }

    fn update_digests(&mut self, part: &mut Context, line: &str) {
        for digest in [&mut self.all, part] {
            digest.update(line.as_bytes());
            digest.update(b"\n");
        }
    }
}

/// Whether a file has extended attributes other than those for access control.
fn has_xattrs(path: &Path) -> bool {
    let mut names = [0_u8; 4096];
    match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => names[..length]
            .split(|b| *b == 0)
            .any(|name| !name.is_empty() && !name.starts_with(b"system.") && name != b"security.selinux"),
        // More than access control needs; other errors come from file systems without them.
        Err(error) => error == rustix::io::Errno::RANGE,
    }
}

fn mode_and_owner(about: &Metadata) -> String {
    format!("{:o}\0{}\0{}", about.mode() & 0o7777, about.uid(), about.gid())
}

fn content_digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut digest, mut chunk) = (Context::new(&SHA256), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hex::encode(digest.finish())),
            Ok(length) => digest.update(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
pub mod tests;
