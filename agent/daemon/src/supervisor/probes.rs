//! Observations that the agent makes by itself: exporters, host, container, and the registry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_config::Config;
use agent_core::event::{Activity, Chain, HostFacts, Time};
use agent_docker::{Detail, Docker};
use agent_net::backoff::jitter;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::clock::AgentClock;
use crate::exporter::{self, ExporterClient, ExporterPage};
use crate::host::HostProbe;

/// Between two observations of the host.
const HOST_INTERVAL: Duration = Duration::from_mins(1);
/// Between two measurements of what the container uses, while its chains do not move.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(30);
/// Observations that wait for the event loop.
const QUEUE: usize = 32;

/// What one probe found.
#[derive(Debug)]
pub(super) enum Observation {
    Page {
        chain: Chain,
        /// When the scrape began.
        began: Time,
        result: Result<ExporterPage, exporter::ExporterError>,
    },
    Host(HostFacts),
    Activity(Activity),
    /// The container's details; `None` when there is no container.
    Container(Option<Detail>),
    /// The registry has another image under the name that runs.
    NewerImage {
        image: String,
        digest: String,
    },
}

/// The tasks that observe, and single observations on demand.
pub(super) struct Probes {
    docker: Docker,
    observations: mpsc::Sender<Observation>,
    /// The host is wanted before its interval is over.
    host_wanted: Arc<Notify>,
    activity_measured: Instant,
    tasks: Vec<JoinHandle<()>>,
}

impl Probes {
    /// Starts a task for each exporter, one for the host, and one for the registry with `update.auto`.
    ///
    /// # Errors
    /// An exporter's address cannot be used.
    pub(super) fn start(
        config: &Config,
        clock: AgentClock,
        docker: &Docker,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Observation>)> {
        let (observations, receiver) = mpsc::channel(QUEUE);
        let mut probes = Self {
            docker: docker.clone(),
            observations,
            host_wanted: Arc::default(),
            activity_measured: Instant::now(),
            tasks: Vec::new(),
        };
        for (chain, exporter) in &config.chains {
            let exporter = ExporterClient::new(*chain, exporter, config.health.scrape_timeout)?;
            probes.poll_exporter(*chain, exporter, config.health.scrape_interval, clock);
        }
        probes.poll_host(HostProbe::new(config));
        if config.update.auto {
            probes.poll_registry(config.update.check_every);
        }
        Ok((probes, receiver))
    }

    fn poll_exporter(&mut self, chain: Chain, exporter: ExporterClient, every: Duration, clock: AgentClock) {
        let (observations, mut interval) = (self.observations.clone(), interval(every));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks.push(tokio::spawn(async move {
            loop {
                interval.tick().await;
                let began = clock.now();
                let result = exporter.scrape().await;
                let page = Observation::Page { chain, began, result };
                if observations.send(page).await.is_err() {
                    return;
                }
            }
        }));
    }

    fn poll_host(&mut self, mut host: HostProbe) {
        let (observations, wanted) = (self.observations.clone(), Arc::clone(&self.host_wanted));
        let mut interval = interval(HOST_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks.push(tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    () = wanted.notified() => {}
                }
                if observations.send(Observation::Host(host.look().await)).await.is_err() {
                    return;
                }
            }
        }));
    }

    fn poll_registry(&mut self, every: Duration) {
        let (docker, observations) = (self.docker.clone(), self.observations.clone());
        self.tasks.push(tokio::spawn(async move {
            loop {
                // Many agents do not ask one registry in step.
                tokio::time::sleep(jitter(every)).await;
                if let Some((image, digest)) = newer_image(&docker).await
                    && observations
                        .send(Observation::NewerImage { image, digest })
                        .await
                        .is_err()
                {
                    return;
                }
            }
        }));
    }

    /// Observes the host now.
    pub(super) fn observe_host(&self) {
        self.host_wanted.notify_one();
    }

    /// Fetches the container's details for status; decisions do not wait for them.
    pub(super) fn observe_container(&self) {
        let (docker, observations) = (self.docker.clone(), self.observations.clone());
        tokio::spawn(async move {
            if let Ok(inspection) = docker.inspect().await {
                // The receiver is gone when the agent stops.
                let _ = observations.send(Observation::Container(inspection.detail)).await;
            }
        });
    }

    /// Measures what the container uses, unless that was done a moment ago.
    pub(super) fn measure_activity(&mut self) {
        if self.activity_measured.elapsed() < ACTIVITY_INTERVAL {
            return;
        }
        self.activity_measured = Instant::now();
        let (docker, observations) = (self.docker.clone(), self.observations.clone());
        tokio::spawn(async move {
            if let Ok(activity) = docker.activity().await {
                // The receiver is gone when the agent stops.
                let _ = observations.send(Observation::Activity(activity)).await;
            }
        });
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The image that runs, by name, and the digest of another one that the registry has under it.
async fn newer_image(docker: &Docker) -> Option<(String, String)> {
    let detail = docker.inspect().await.ok()?.detail?;
    let digest = match docker.newest_digest(&detail.image).await {
        Ok(digest) => digest?,
        Err(error) => {
            warn!(%error, "the registry was asked for a new image in vain");
            return None;
        }
    };
    // Without a digest it did not come from a registry.
    let (_, runs) = detail.pin.split_once('@')?;
    (runs != digest).then_some((detail.image, digest))
}
