//! Refusals: what was opened is not what may be there.

use std::io;
use std::path::{Path, PathBuf};

/// Why an entry of a directory is not worked with, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", printable(&path.display().to_string()))]
pub struct Refusal {
    pub path: PathBuf,
    pub why: &'static str,
}

pub(crate) const LINK: &str = "a symbolic link, which is not followed here: put what it stands for in its place";
pub(crate) const HARD_LINK: &str = "a file with a second name (hard link): put a copy of its own in its place";
pub(crate) const NO_FILE: &str = "is no regular file: remove it";
pub(crate) const NO_DIR: &str = "is no directory: remove it";
pub(crate) const OTHER_FILE_SYSTEM: &str = "on another file system: put it on the one of its directory, or unmount it";
pub(crate) const NAME: &str = "leads out of its directory: correct the path";
pub(crate) const TOO_DEEP: &str = "is nested too deeply to be removed: remove it by hand";
pub(crate) const BUSY: &str = "grows while it is removed: stop what writes there";
pub(crate) const FOREIGN_LINK: &str =
    "a symbolic link of another user, which could lead anywhere: name the directory itself in the configuration";
pub(crate) const NOT_PRIVATE: &str =
    "was not made by this agent, or others may enter it: look at what is in it, and remove it as root";

impl Refusal {
    pub(crate) fn of(path: &Path, why: &'static str) -> io::Error {
        let path = path.to_owned();
        io::Error::other(Self { path, why })
    }

    /// The refusal in an error, where it is one.
    pub fn find(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Text without control characters, which a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
