//! Survey of a data directory: its chains, its keys, entries that may not be there, and a digest of the chain data.
//!
//! Nothing here follows a symbolic link, opens a pipe or a device, or changes anything.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use agent_files::{Dir, Refusal, is_link, is_other_file_system};
use anyhow::Context as _;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use crate::layout::{DATABASE_DIRS, Database, EntryClass, classify, is_allowed};

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
    pub(crate) fn read(root: &Dir) -> anyhow::Result<Self> {
        survey(root, false).with_context(|| format!("cannot read {}", root.path().display()))
    }

    /// The first entry that belongs to a database by its name, but is refused: without it, the database is incomplete.
    pub(crate) fn incomplete_database(&self) -> Option<&(PathBuf, &'static str)> {
        self.refused.iter().find(|(path, why)| {
            let elsewhere = [SYMLINK, OTHER_FILE_SYSTEM, HARD_LINK].contains(why);
            let in_database = path.iter().any(|part| DATABASE_DIRS.iter().any(|dir| part == *dir));
            (elsewhere || in_database) && (is_allowed(path, true) || is_allowed(path, false))
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
    survey(&Dir::open(root)?, hash)
}

fn survey(root: &Dir, hash: bool) -> io::Result<Survey> {
    let about = root.metadata()?;
    let mut walk = Walk {
        device: about.dev(),
        hash,
        all: Context::new(&SHA256),
        survey: Survey::default(),
    };
    walk.directory(root, Path::new(""), &about)?;
    walk.survey.tree.sha256 = hex::encode(walk.all.finish());
    Ok(walk.survey)
}

/// An entry, by the directory that it is in.
struct Found<'a> {
    dir: &'a Dir,
    name: &'a OsStr,
    /// Relative to the data directory.
    path: &'a Path,
    about: &'a Metadata,
}

struct Walk {
    device: u64,
    hash: bool,
    all: Context,
    survey: Survey,
}

impl Walk {
    fn directory(&mut self, dir: &Dir, path: &Path, about: &Metadata) -> io::Result<()> {
        let mut part = (Context::new(&SHA256), DirectoryDigest::default());
        self.update_digests(
            &mut part.0,
            &format!("{}\0directory\0{}", path.display(), mode_and_owner(about)),
        );
        for name in dir.names()? {
            let path = &path.join(&name);
            let name = name.as_os_str();
            let found = dir.entry(name).and_then(|about| {
                let about = &about;
                self.entry(&Found { dir, name, path, about }, &mut part)
            });
            match found {
                // A running node removes what it no longer needs.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if is_other_file_system(&error) => self.refuse(path, OTHER_FILE_SYSTEM),
                // It became one since its directory was listed.
                Err(error) if is_link(&error) => self.refuse(path, SYMLINK),
                found => found?,
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

    fn refuse(&mut self, path: &Path, why: &'static str) {
        self.survey.refused.push((path.to_owned(), why));
    }

    fn entry(&mut self, found: &Found<'_>, part: &mut (Context, DirectoryDigest)) -> io::Result<()> {
        let Found { dir, name, path, about } = *found;
        match self.class(found)? {
            EntryClass::Refused(why) => self.refuse(path, why),
            EntryClass::Cache => self.survey.caches.push(path.to_owned()),
            EntryClass::Secret => {
                let holds_keys = !about.is_dir() || !dir.dir(name)?.names()?.is_empty();
                let path = path.to_owned();
                self.survey.secrets.push(Secret { path, holds_keys });
            }
            class if about.is_dir() => {
                let inner = dir.dir(name)?;
                self.record_xattrs(inner.handle(), path);
                if class == EntryClass::Allowed {
                    self.survey.allowed.push(path.to_owned());
                    self.record_chain(&inner, path)?;
                    self.directory(&inner, path, &inner.metadata()?)?;
                }
            }
            class => {
                let mut file = dir.file(name)?;
                self.record_xattrs(&file, path);
                if class == EntryClass::Allowed {
                    self.file(&mut file, path, part)?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &mut File, path: &Path, part: &mut (Context, DirectoryDigest)) -> io::Result<()> {
        let about = file.metadata()?;
        let content = if self.hash {
            content_digest(file)?
        } else {
            String::new()
        };
        let line = format!(
            "{}\0file\0{}\0{}\0{content}",
            path.display(),
            mode_and_owner(&about),
            about.len()
        );
        self.update_digests(&mut part.0, &line);
        self.survey.allowed.push(path.to_owned());
        part.1.files += 1;
        part.1.bytes += about.len();
        self.survey.tree.files += 1;
        self.survey.tree.bytes += about.len();
        Ok(())
    }

    fn record_xattrs(&mut self, file: &File, path: &Path) {
        if has_xattrs(file) {
            self.survey.with_xattrs.push(path.to_owned());
        }
    }

    fn class(&self, found: &Found<'_>) -> io::Result<EntryClass> {
        let Found { dir, name, path, about } = *found;
        let kind = about.file_type();
        let Some(parts) = path.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>() else {
            return Ok(EntryClass::Refused("a name that is not UTF-8"));
        };
        if kind.is_symlink() {
            return Ok(EntryClass::Refused(SYMLINK));
        }
        if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
            return Ok(EntryClass::Refused("neither a file nor a directory"));
        }
        if about.dev() != self.device {
            return Ok(EntryClass::Refused(OTHER_FILE_SYSTEM));
        }
        if about.is_file() && about.nlink() > 1 {
            return Ok(EntryClass::Refused(HARD_LINK));
        }
        if about.is_file() && about.mode() & 0o6000 != 0 {
            return Ok(EntryClass::Refused("a file that gives its user's rights away (setuid)"));
        }
        if about.is_dir() && parts == ["lost+found"] {
            return Ok(if dir.dir(name)?.names()?.is_empty() {
                EntryClass::Ignored
            } else {
                EntryClass::Refused("files that the file system's check found")
            });
        }
        Ok(classify(&parts, about.is_dir()))
    }

    fn record_chain(&mut self, dir: &Dir, path: &Path) -> io::Result<()> {
        let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        let [.., above, id] = parts[..] else {
            return Ok(());
        };
        if above != "chains" || parts.iter().position(|part| *part == "chains") != Some(parts.len() - 2) {
            return Ok(());
        }
        let mut databases = Vec::new();
        for &database in Database::VARIANTS {
            match dir.dir(database.dir()).and_then(|database| database.names()) {
                Ok(names) if names.is_empty() => {}
                Ok(_) => databases.push(database),
                // A link or a mount there is refused by the walk.
                Err(error) if Refusal::find(&error).is_some() => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(error),
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
fn has_xattrs(file: &File) -> bool {
    let mut names = [0_u8; 4096];
    match rustix::fs::flistxattr(file, &mut names) {
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

fn content_digest(file: &mut File) -> io::Result<String> {
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
