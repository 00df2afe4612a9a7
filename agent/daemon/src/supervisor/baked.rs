//! The certificate of the image that the data came with: read once, compared with all that is learnt.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::Supervisor;
use agent_chaindata::certificate::{self, Certificate, Unreadable};
use agent_chaindata::{conflict, stop_marker};
use agent_core::event::{Chain, Conflict, Event};
use agent_core::status;

/// A disk that hangs must not keep the agent from its start.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Baked {
    certificate: Option<Certificate>,
    /// Told by the disk and the command, before anything runs.
    database: Option<Conflict>,
    /// A restore is between the old data and the new.
    restoring: bool,
    /// The collator is down for a snapshot or a restore.
    pub(super) copying: bool,
}

impl Supervisor {
    /// Reads the certificate. One that is damaged is reported and says nothing.
    pub(super) async fn read_certificate(&mut self) {
        let (data, command) = (self.config.data.path.clone(), self.config.collator.command.clone());
        let read = tokio::task::spawn_blocking(move || {
            let certificate = certificate::read(&data)?;
            let database = conflict::database(&certificate, &data, &command);
            Ok::<_, Unreadable>((certificate, database))
        });
        match timeout(READ_TIMEOUT, read).await {
            Ok(Ok(Ok((certificate, database)))) => {
                let (chain, block) = shown(&certificate).unzip();
                info!(chain, block, at = %certificate.at, "the data was baked");
                self.facts.bake = Some(status::Bake {
                    block,
                    at: Some(certificate.at),
                });
                self.baked = Baked {
                    certificate: Some(certificate),
                    database,
                    restoring: false,
                    copying: false,
                };
            }
            Ok(Ok(Err(Unreadable::Missing(_)))) => {}
            Ok(Ok(Err(error))) => self.go_on_uncertified(&error),
            Ok(Err(error)) => self.go_on_uncertified(&error),
            Err(_) => self.go_on_uncertified(&"the bake certificate could not be read in time"),
        }
        self.look_for_restore().await;
    }

    fn go_on_uncertified(&mut self, error: &dyn Display) {
        warn!(%error, "the bake certificate says nothing, going on without it");
        self.facts.uncertified = Some(error.to_string());
    }

    /// What the disk says now, before an operator is answered.
    pub(super) async fn take_stock(&mut self) {
        self.look_for_restore().await;
        self.save_again().await;
    }

    /// What could not be saved, saved as soon as there is room.
    pub(super) async fn save_again(&mut self) {
        if self.facts.unsaved.is_some() {
            self.save().await;
        }
    }

    /// Looks whether a restore was interrupted while it switched, and tells the core: before the first start, and before
    /// an operator's.
    pub(super) async fn look_for_restore(&mut self) {
        let data = self.config.data.path.clone();
        let config = self.config.clone();
        let look = tokio::task::spawn_blocking(move || {
            (
                agent_chaindata::is_switching(&data),
                stop_marker::is_at_work(&config.agent.state_dir, &data),
            )
        });
        if let Ok(Ok((restoring, copying))) = timeout(READ_TIMEOUT, look).await {
            (self.baked.restoring, self.baked.copying) = (restoring, copying);
        } else {
            warn!(limit = ?READ_TIMEOUT, "nobody knows whether a restore is under way: the disk does not answer");
        }
        self.compare_certificate().await;
    }

    /// Tells the core when something speaks against running on the baked data, or no longer does.
    pub(super) async fn compare_certificate(&mut self) {
        let Baked {
            certificate,
            database,
            restoring,
            ..
        } = &self.baked;
        let found = certificate
            .as_ref()
            .and_then(|c| conflict::conflict(c, &self.facts.nodes));
        let conflict = restoring.then_some(Conflict::Restore).or(*database).or(found);
        if conflict != self.machine.conflict() {
            self.handle(Event::Certificate(conflict)).await;
        }
    }
}

/// The chain and the block that people are told of.
fn shown(certificate: &Certificate) -> Option<(&str, u64)> {
    let chains = &certificate.chains;
    let chain = chains.get(&Chain::Parachain).or_else(|| chains.values().next())?;
    Some((chain.id.as_str(), chain.best))
}
