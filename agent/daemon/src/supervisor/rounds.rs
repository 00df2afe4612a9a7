//! The adapters' own rounds: one task an exporter and one for the host.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Supervisor;
use crate::exporter::{self, Exporter, Page};
use crate::host::Host;
use agent_core::event::{Activity, Chain, HostFacts, Images, Time};
use agent_docker::Detail;

/// Between two looks at the host.
const HOST_INTERVAL: Duration = Duration::from_mins(1);

/// What the adapters' own rounds found.
pub(super) enum Look {
    Page {
        chain: Chain,
        began: Time,
        result: Result<Page, exporter::Failure>,
    },
    Host(HostFacts),
    Activity(Activity),
    Detail(Option<Detail>),
    /// The image of an update is here, or why not.
    Pulled {
        image: String,
        result: Result<Images, String>,
    },
    /// Ids of images that must stay.
    Needed(Vec<String>),
    /// Ids of images that are gone.
    Pruned(Vec<String>),
    /// The registry has another image under the name that runs.
    Newer {
        image: String,
        digest: String,
    },
}

impl Supervisor {
    /// One task an exporter and one for the host, each at its own interval.
    pub(super) fn start_rounds(&mut self) -> anyhow::Result<()> {
        let health = &self.config.health;
        for (chain, exporter) in &self.config.chains {
            let (chain, looks, clock) = (*chain, self.looks.clone(), self.clock);
            let exporter = Exporter::new(chain, exporter, health.scrape_timeout)?;
            let mut interval = tokio::time::interval(health.scrape_interval);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.rounds.push(tokio::spawn(async move {
                loop {
                    interval.tick().await;
                    let began = clock.now();
                    let result = exporter.scrape().await;
                    if looks.send(Look::Page { chain, began, result }).await.is_err() {
                        return;
                    }
                }
            }));
        }
        let (looks, mut host, wanted) = (self.looks.clone(), Host::new(&self.config), self.host_wanted.clone());
        let mut interval = tokio::time::interval(HOST_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.rounds.push(tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    () = wanted.notified() => {}
                }
                if looks.send(Look::Host(host.look().await)).await.is_err() {
                    return;
                }
            }
        }));
        Ok(())
    }
}
