//! What has to be true of the data before a container is started on it.

use std::path::Path;
use std::time::{Duration, Instant};

use agent_chaindata::journal::is_restore_swapping;
use agent_chaindata::lock::{DataDirLock, permit_start};
use tokio::time::timeout;
use tracing::warn;

/// How long a start waits for data that is at rest for others, before it fails and is tried again later.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(250);
/// A disk that hangs must not block the executor.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Why nothing is started, with the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartRefusal {
    #[error("a snapshot, a restore or a bake has the data at rest: the collator is started when that has ended")]
    AtRest,
    #[error("a restore was interrupted while it exchanged the data: run it again, and it finishes")]
    Swapping,
    #[error("the disk of the data does not answer: check its device and mount")]
    Hangs,
}

/// Permits one start; held until that is done. `None` where the lock itself cannot be used, which is logged.
pub(super) async fn start_permit(state_dir: &Path, data: &Path) -> Result<Option<DataDirLock>, StartRefusal> {
    let (state_dir, data) = (state_dir.to_owned(), data.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let permit = wait_for_permit(&state_dir)?;
        // Looked for under the lock: a restore that was killed holds none.
        if is_restore_swapping(&data) {
            return Err(StartRefusal::Swapping);
        }
        Ok(permit)
    });
    match timeout(READ_TIMEOUT, asked).await {
        Ok(Ok(permit)) => permit,
        Ok(Err(_)) | Err(_) => Err(StartRefusal::Hangs),
    }
}

fn wait_for_permit(state_dir: &Path) -> Result<Option<DataDirLock>, StartRefusal> {
    let end = Instant::now() + PATIENCE;
    loop {
        match permit_start(state_dir) {
            Ok(Some(permit)) => return Ok(Some(permit)),
            Ok(None) if Instant::now() >= end => return Err(StartRefusal::AtRest),
            Ok(None) => std::thread::sleep(POLL),
            Err(error) => {
                // A state directory that is full or read-only must not keep the collator down.
                warn!("unknown whether a snapshot or a restore needs the data at rest: {error:#}");
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use agent_chaindata::lock::forbid_starts;

    use super::*;

    #[tokio::test]
    async fn start_on_data_at_rest_refused_until_rest_ends() {
        let (state, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rest = forbid_starts(state.path()).unwrap();
        let refused = start_permit(state.path(), data.path()).await;
        assert!(matches!(refused, Err(StartRefusal::AtRest)), "{refused:?}");
        drop(rest);
        assert!(start_permit(state.path(), data.path()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn start_on_data_that_is_being_swapped_refused_with_remedy() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt as _;
        let (state, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let side = data.path().join(".restore");
        fs::create_dir(&side).unwrap();
        fs::set_permissions(&side, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(side.join("journal.json"), "{").unwrap();
        let refused = start_permit(state.path(), data.path()).await.unwrap_err();
        assert!(refused.to_string().contains("run it again"), "{refused}");
    }
}
