//! The directory of a restore, `.restore` in the data directory, by its handle: on the same file system as the data, and
//! private to root.
//!
//! The owner of the data may rename it at any moment, but not enter it, nor put another one in its place unnoticed: it is
//! opened once for a restore, and only believed when it belongs to root (or to the user of this process), and no other user
//! may enter it.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use agent_core::schema::schema_of;
use agent_files::Dir;
use anyhow::{Context as _, bail, ensure};

use crate::journal::{FILE, Journal, MAX_SIZE, SCHEMA};
use crate::layout::RESTORE_DIR;

/// The restored data.
pub(crate) const UNPACKED: &str = "tree";
/// The data that was swapped out.
pub(crate) const PREVIOUS: &str = "old";
/// Directories that get their owner before they get their place.
pub(crate) const MADE: &str = "made";

/// An open `.restore`.
#[derive(Debug)]
pub(crate) struct RestoreDir {
    dir: Dir,
}

impl RestoreDir {
    /// Opens it; `None` when no restore is under way.
    ///
    /// Fails when there is an entry of that name that this agent did not make.
    pub(crate) fn find(data: &Dir) -> anyhow::Result<Option<Self>> {
        match data.private_dir(RESTORE_DIR) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => Ok(Some(Self { dir: found? })),
        }
    }

    /// Opens or makes it.
    pub(crate) fn make(data: &Dir) -> anyhow::Result<Self> {
        if let Some(found) = Self::find(data)? {
            return Ok(found);
        }
        let dir = data.make_dir(RESTORE_DIR, 0o700);
        let dir = dir.with_context(|| format!("cannot make {}", data.path().join(RESTORE_DIR).display()))?;
        Ok(Self { dir })
    }

    /// Whether a directory of that name belongs to root or to this user, whichever other users may enter it.
    pub(crate) fn may_be_own(data: &Dir) -> bool {
        let own = [0, rustix::process::geteuid().as_raw()];
        data.entry(RESTORE_DIR)
            .is_ok_and(|about| about.is_dir() && own.contains(&about.uid()))
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(crate) fn unpacked(&self) -> anyhow::Result<Dir> {
        self.inner(UNPACKED)
    }

    pub(crate) fn inner(&self, name: &str) -> anyhow::Result<Dir> {
        let dir = self.dir.dir(name);
        dir.with_context(|| format!("cannot open {}", self.dir.path().join(name).display()))
    }

    /// Makes a directory in it, empty. It is durable before anything is moved into it.
    pub(crate) fn make_inner(&self, name: &str) -> anyhow::Result<Dir> {
        self.remove_inner(name)?;
        let dir = self
            .dir
            .make_dir(name, 0o755)
            .and_then(|dir| self.dir.sync().map(|()| dir));
        dir.with_context(|| format!("cannot make {}", self.dir.path().join(name).display()))
    }

    pub(crate) fn remove_inner(&self, name: &str) -> anyhow::Result<()> {
        let removed = self.dir.remove_all(name);
        removed.with_context(|| format!("cannot remove {}", self.dir.path().join(name).display()))
    }

    /// Reads the journal; `None` when there is none.
    pub(crate) fn journal(&self) -> anyhow::Result<Option<Journal>> {
        let path = self.dir.path().join(FILE);
        let text = match self.dir.read_file(FILE, MAX_SIZE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| self.describe_unreadable())?,
        };
        // Of another version's, nothing else may be understood.
        let schema = schema_of(&text).with_context(|| self.describe_unreadable())?;
        ensure!(
            schema == SCHEMA,
            "{}: its schema is {schema}, this agent knows {SCHEMA}; use the version that began the restore",
            path.display()
        );
        let journal = Journal::parse(&text).with_context(|| self.describe_unreadable())?;
        journal.ensure_valid().with_context(|| path.display().to_string())?;
        Ok(Some(journal))
    }

    pub(crate) fn write(&self, journal: &Journal) -> anyhow::Result<()> {
        let text = serde_json::to_vec(journal)?;
        let written = self.dir.replace_file(FILE.as_ref(), &text);
        written.with_context(|| format!("cannot write {}", self.dir.path().join(FILE).display()))
    }

    /// Fails when the name in the data directory stands for something else by now: the agent would not see the journal.
    pub(crate) fn ensure_in_place(&self, data: &Dir) -> anyhow::Result<()> {
        let (own, there) = (self.dir.metadata()?, data.entry(RESTORE_DIR));
        let same = there.is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino()));
        ensure!(
            same,
            "{} was moved while a restore was at work in it: stop what runs as the data's owner, move it back, and restore \
             again",
            self.dir.path().display()
        );
        Ok(())
    }

    /// Removes it with everything in it: the journal last, as it describes the rest.
    pub(crate) fn remove(self, data: &Dir) -> anyhow::Result<()> {
        for name in [UNPACKED, PREVIOUS, MADE] {
            self.remove_inner(name)?;
        }
        for name in self.dir.names()? {
            if name != FILE {
                self.dir.remove_all(&name)?;
            }
        }
        // Without a journal, what is left would be taken for nothing.
        self.dir.sync()?;
        self.dir.remove_file(FILE)?;
        self.dir.sync()?;
        let removed = data.remove_dir(RESTORE_DIR);
        if let Err(error) = removed {
            bail!("cannot remove {}: {error}", self.dir.path().display());
        }
        Ok(data.sync()?)
    }

    fn describe_unreadable(&self) -> String {
        let side = self.dir.path();
        format!(
            "{}: is no journal of a restore; without {} the data is as it was, so remove {}, else move what is in the \
             first back to its place before",
            side.join(FILE).display(),
            side.join(PREVIOUS).display(),
            side.display()
        )
    }
}
