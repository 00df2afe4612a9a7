//! What Docker forgets of a container that is taken over: its restart policy. A file of the state directory keeps it until
//! the takeover is undone.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use agent_docker::{ExistingContainer, RestartPolicy};
use agent_files::{make_dir, read_file, remove_file, replace_file};

const SIZE_MAX: u64 = 16 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    schema: u32,
    /// Of the container; another one with its name is another takeover.
    id: String,
    pub(super) restart_policy: RestartPolicy,
    /// Whether the container is removed when it ends.
    pub(super) is_removed_on_exit: bool,
}

impl Record {
    pub(super) fn of(predecessor: &ExistingContainer) -> Self {
        Self {
            schema: 1,
            id: predecessor.id.clone(),
            restart_policy: predecessor.restart.clone(),
            is_removed_on_exit: predecessor.is_removed_on_exit,
        }
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

/// Docker's names of containers are names of files.
fn path(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(format!("takeover-{name}.json"))
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
        };
        record.write(&state, "node").unwrap();
        assert_eq!(Record::read(&state, "node").unwrap(), Some(record));
        assert_eq!(Record::read(&state, "other").unwrap(), None);
        Record::remove(&state, "node").unwrap();
        assert_eq!(Record::read(&state, "node").unwrap(), None);
    }
}
