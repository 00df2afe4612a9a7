//! What has to be true of the data before a container is started on it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_chaindata::journal::is_restore_swapping;
use agent_chaindata::lock::{StartLock, StartPermit};
use agent_runtime::Instant;
use agent_runtime::disk::{self, Disk, DiskError};
use tracing::warn;

/// How long a start waits for data that is at rest for others, before it fails and is tried again later.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(250);

/// Why nothing is started, with the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartRefusal {
    #[error("a snapshot, a restore or a bake has the data at rest: the collator is started when that has ended")]
    AtRest,
    #[error("a restore was interrupted while it exchanged the data: run it again, and it finishes")]
    Swapping,
    #[error(transparent)]
    Unknown(DiskError),
}

/// Permits starts, and restarts also while a disk stalls.
///
/// The lock on starts stays open, so that it can be taken without its disk. Data on which a collator runs is not being swapped:
/// a restore stops it first, and an interrupted one keeps it down. So a restart needs no answer of the data's disk.
#[derive(Debug)]
pub(super) struct StartGate {
    state_dir: PathBuf,
    data: PathBuf,
    lock: Mutex<Option<StartLock>>,
}

impl StartGate {
    pub(super) fn new(state_dir: &Path, data: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            data: data.to_owned(),
            lock: Mutex::default(),
        }
    }

    /// Permits one start, or the restart of a collator that runs; held until that is done. `None` where the lock itself cannot
    /// be used, which is logged.
    pub(super) async fn permit(&self, is_restart: bool) -> Result<Option<StartPermit>, StartRefusal> {
        let permit = self.wait_for_permit().await?;
        let data = self.data.clone();
        // Looked for under the lock: a restore that was killed holds none.
        match disk::run(Disk::Data, move || is_restore_swapping(&data)).await {
            Ok(true) => Err(StartRefusal::Swapping),
            Ok(false) => Ok(permit),
            Err(error) if is_restart => {
                warn!(%error, "the collator is restarted all the same");
                Ok(permit)
            }
            Err(error) => Err(StartRefusal::Unknown(error)),
        }
    }

    async fn wait_for_permit(&self) -> Result<Option<StartPermit>, StartRefusal> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.try_permit().await {
                Ok(Some(permit)) => return Ok(Some(permit)),
                Ok(None) if Instant::now() >= end => return Err(StartRefusal::AtRest),
                Ok(None) => tokio::time::sleep(POLL).await,
                Err(error) => {
                    // A state directory that is full or read-only must not keep the collator down.
                    warn!("unknown whether a snapshot or a restore needs the data at rest: {error:#}");
                    return Ok(None);
                }
            }
        }
    }

    async fn try_permit(&self) -> anyhow::Result<Option<StartPermit>> {
        let dir = self.state_dir.clone();
        let lock = match disk::run(Disk::State, move || StartLock::open(&dir)).await {
            Ok(lock) => self.known().insert(lock?).clone(),
            Err(error) => match self.known().clone() {
                Some(lock) => lock,
                None => return Err(error.into()),
            },
        };
        Ok(lock.permit()?)
    }

    fn known(&self) -> MutexGuard<'_, Option<StartLock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use agent_chaindata::lock::forbid_starts;
    use agent_runtime::simulation::{Fate, World};
    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn start_on_data_at_rest_refused_until_rest_ends() {
        let (state, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rest = forbid_starts(state.path()).unwrap();
        let refused = StartGate::new(state.path(), data.path()).permit(false).await;
        assert!(matches!(refused, Err(StartRefusal::AtRest)), "{refused:?}");
        drop(rest);
        assert!(
            StartGate::new(state.path(), data.path())
                .permit(false)
                .await
                .unwrap()
                .is_some()
        );
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
        let refused = StartGate::new(state.path(), data.path())
            .permit(false)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("run it again"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_data_disk_stops_starts_and_no_restart() {
        let (state, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let world = World::begin(Timestamp::UNIX_EPOCH);
        world.set_disks(|disk, _| if disk == Disk::Data { Fate::Stall } else { Fate::Run });
        let gate = StartGate::new(state.path(), data.path());
        assert!(matches!(gate.permit(false).await, Err(StartRefusal::Unknown(_))));
        assert!(gate.permit(true).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn data_at_rest_stays_so_while_the_state_disk_stalls() {
        let (state, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let world = World::begin(Timestamp::UNIX_EPOCH);
        let gate = StartGate::new(state.path(), data.path());
        drop(gate.permit(true).await.unwrap());
        world.set_disks(|disk, _| if disk == Disk::State { Fate::Stall } else { Fate::Run });
        let rest = forbid_starts(state.path()).unwrap();
        assert!(matches!(gate.permit(true).await, Err(StartRefusal::AtRest)));
        drop(rest);
        assert!(gate.permit(true).await.unwrap().is_some());
    }
}
