//! What Docker forgets of a container that is taken over: its restart policy. A file of the state directory keeps it until
//! the takeover is undone, and says which way a call went that was interrupted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use agent_docker::{ExistingContainer, RestartPolicy};
use agent_files::{make_dir, read_file, remove_file, replace_file};

const SIZE_MAX: u64 = 16 * 1024;

const PREFIX: &str = "takeover-";
const SUFFIX: &str = ".json";

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    Takeover,
    Undo,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    schema: u32,
    /// Of the container; another one with its name is another takeover.
    id: String,
    pub(super) restart_policy: RestartPolicy,
    /// Whether the container is removed when it ends.
    pub(super) is_removed_on_exit: bool,
    /// `None` once the container is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) under_way: Option<Direction>,
}

impl Record {
    pub(super) fn of(predecessor: &ExistingContainer) -> Self {
        Self {
            schema: 1,
            id: predecessor.id.clone(),
            restart_policy: predecessor.restart.clone(),
            is_removed_on_exit: predecessor.is_removed_on_exit,
            under_way: Some(Direction::Takeover),
        }
    }

    /// Notes which way a call goes, or that none is under way.
    pub(super) fn note(&self, under_way: Option<Direction>, state_dir: &Path, name: &str) -> anyhow::Result<()> {
        if self.under_way == under_way {
            return Ok(());
        }
        let changed = Self {
            under_way,
            ..self.clone()
        };
        changed.write(state_dir, name)
    }

    pub(super) fn is_of(&self, predecessor: &ExistingContainer) -> bool {
        self.id == predecessor.id
    }

    /// The record of a container of that name; `None` without one.
    pub(super) fn read(state_dir: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        let path = path(state_dir, name);
        let failed = || format!("cannot read {}", path.display());
        match read_file(&path, SIZE_MAX) {
            Ok(text) => serde_json::from_slice(&text).map(Some).with_context(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(failed),
        }
    }

    pub(super) fn write(&self, state_dir: &Path, name: &str) -> anyhow::Result<()> {
        let path = path(state_dir, name);
        let text = serde_json::to_vec(self)?;
        let written = make_dir(state_dir).and_then(|()| replace_file(&path, &text));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn remove(state_dir: &Path, name: &str) -> anyhow::Result<()> {
        let path = path(state_dir, name);
        remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }
}

/// A takeover, or a way back, that is not over, and what goes on with it. `None` where there is none, and where this user may
/// not read the directory.
pub(crate) fn describe_unfinished(state_dir: &Path) -> Option<String> {
    let entries = fs::read_dir(state_dir).ok()?.flatten();
    let names = entries.filter_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        Some(file.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.to_owned())
    });
    let mut unfinished = names.filter_map(|name| {
        let direction = Record::read(state_dir, &name).ok()??.under_way?;
        Some((name, direction))
    });
    let (name, direction) = unfinished.next()?;
    let (what, there, back) = match direction {
        Direction::Takeover => ("takeover", "", " --undo"),
        Direction::Undo => ("undoing of the takeover", " --undo", ""),
    };
    Some(format!(
        "the {what} of {name} is not over: where it was interrupted, t0rn-agent takeover {name}{there} goes on with it, and t0rn-agent \
         takeover {name}{back} goes the other way"
    ))
}

/// Docker's names of containers are names of files.
fn path(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(format!("{PREFIX}{name}{SUFFIX}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn record_is_read_as_written_and_gone_when_removed() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert_eq!(Record::read(&state, "node").unwrap(), None);
        let record = Record {
            schema: 1,
            id: "0123".to_owned(),
            restart_policy: RestartPolicy {
                name: "on-failure".to_owned(),
                max_retries: 3,
            },
            is_removed_on_exit: false,
            under_way: None,
        };
        record.write(&state, "node").unwrap();
        assert_eq!(Record::read(&state, "node").unwrap(), Some(record));
        assert_eq!(Record::read(&state, "other").unwrap(), None);
        Record::remove(&state, "node").unwrap();
        assert_eq!(Record::read(&state, "node").unwrap(), None);
    }

    #[test]
    fn call_that_is_under_way_is_described_with_both_commands() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(describe_unfinished(&dir.path().join("none")), None);
        let record = Record::of(&ExistingContainer::default());
        record.write(dir.path(), "node").unwrap();
        let said = describe_unfinished(dir.path()).unwrap();
        assert!(
            said.contains("takeover node goes on with it") && said.contains("takeover node --undo goes the other way"),
            "{said}"
        );
        record.note(Some(Direction::Undo), dir.path(), "node").unwrap();
        let said = describe_unfinished(dir.path()).unwrap();
        assert!(
            said.contains("takeover node --undo goes on with it") && said.contains("takeover node goes the other way"),
            "{said}"
        );
        record.note(None, dir.path(), "node").unwrap();
        assert_eq!(describe_unfinished(dir.path()), None);
    }
}
