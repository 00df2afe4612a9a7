//! Conflicts with the chain data: its bake certificate, and a restore under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_chaindata::certificate::{self, Certificate, CertificateError};
use agent_chaindata::journal::is_restore_swapping;
use agent_chaindata::stop_marker::is_stopped_for_snapshot;
use agent_config::Config;
use agent_core::event::{Chain, Conflict};
use agent_core::published::NodeInfo;
use agent_core::status;
use agent_runtime::disk::{self, Disk};
use tracing::{info, warn};

use super::state_store::PATIENCE;

/// Knowledge of the chain data from its disk.
pub(super) struct CertificateState {
    config: Arc<Config>,
    certificate: Option<Certificate>,
    /// Conflict between disk and command, known before the start.
    database: Option<Conflict>,
    /// A restore is swapping the old data and the new.
    restoring: bool,
    /// The collator is down for a snapshot or a restore that is at work.
    copying: bool,
}

impl CertificateState {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            certificate: None,
            database: None,
            restoring: false,
            copying: false,
        }
    }

    /// Reads the certificate, once. Returns what status shows of it.
    ///
    /// # Errors
    /// A certificate is present and cannot be read.
    pub(super) async fn read(&mut self) -> anyhow::Result<Option<status::BakeStatus>> {
        let (data, command) = (self.config.data.path.clone(), self.config.collator.command.clone());
        let read = disk::run(Disk::Data, move || {
            let certificate = certificate::read_certificate(&data)?;
            let database = certificate::database_conflict(&certificate, &data, &command);
            Ok::<_, CertificateError>((certificate, database))
        });
        let (certificate, database) = match read.await? {
            Ok(read) => read,
            Err(CertificateError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (chain, block) = shown(&certificate).unzip();
        info!(chain, block, at = %certificate.at, "the data was baked");
        let bake = status::BakeStatus {
            block,
            at: Some(certificate.at),
        };
        (self.certificate, self.database) = (Some(certificate), database);
        Ok(Some(bake))
    }

    /// Checks whether a restore was interrupted during its swap, or is at work: before the first start, and before an
    /// operator's command is answered.
    pub(super) async fn check_restore(&mut self) {
        let (data, state_dir) = (self.config.data.path.clone(), self.config.agent.state_dir.clone());
        let (swapping, stopped) = tokio::join!(
            disk::run_within(PATIENCE, Disk::Data, move || is_restore_swapping(&data)),
            disk::run_within(PATIENCE, Disk::State, move || is_stopped_for_snapshot(&state_dir))
        );
        match swapping {
            Ok(swapping) => self.restoring = swapping,
            Err(error) => warn!(%error, "unknown whether a restore is under way"),
        }
        match stopped {
            Ok(stopped) => self.copying = stopped,
            Err(error) => warn!(%error, "unknown whether a snapshot is under way"),
        }
    }

    /// Whether a snapshot or a restore is at work on the data.
    pub(super) fn is_copying(&self) -> bool {
        self.copying
    }

    /// The conflict with running on the data, given what the nodes report.
    pub(super) fn conflict(&self, nodes: &BTreeMap<Chain, NodeInfo>) -> Option<Conflict> {
        let found = self
            .certificate
            .as_ref()
            .and_then(|c| certificate::node_conflict(c, nodes));
        self.restoring.then_some(Conflict::Restore).or(self.database).or(found)
    }
}

/// The chain and the block that status and log show.
fn shown(certificate: &Certificate) -> Option<(&str, u64)> {
    let chains = &certificate.chains;
    let chain = chains.get(&Chain::Parachain).or_else(|| chains.values().next())?;
    Some((chain.id.as_str(), chain.best))
}
