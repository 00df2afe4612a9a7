//! Periodic probes: exporters, host, container and registry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_config::Config;
use agent_core::event::{Activity, Chain, HostFacts, Reading, ReferenceError, Time};
use agent_core::informant::{self, Informant};
use agent_docker::{Detail, Docker};
use agent_net::backoff::jitter;
use agent_runtime::Instant;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use super::clock::AgentClock;
use super::known_secrets::secrets;
use super::log_excerpt::excerpt;
use crate::exporter::{self, ExporterClient, ExporterPage};
use crate::host::{HostProbe, UnknownFacts};
use crate::recorder;
use crate::reference::{OwnBlock, ReferenceClient};

/// Interval of host probes.
const HOST_INTERVAL: Duration = Duration::from_mins(1);
/// Interval of measurements of the container's resource use, while its chains do not move.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(30);
/// Interval of reads of the container's log, while the core wants it.
const LOG_INTERVAL: Duration = Duration::from_secs(30);
/// Interval of looks at what else has the collator's files.
const SHARER_INTERVAL: Duration = Duration::from_mins(1);
/// Log lines read at a time.
const LOG_LINES: usize = 60;
/// Most time for one read of the log; less than its interval.
const LOG_TIMEOUT: Duration = Duration::from_secs(10);
/// Most observations that wait for the event loop.
const QUEUE: usize = 32;

/// The result of one probe.
#[derive(Debug)]
pub(super) enum Observation {
    Page {
        chain: Chain,
        /// When the scrape began.
        began: Time,
        result: Result<ExporterPage, exporter::ExporterError>,
    },
    /// A reading of a reference; `source` is its index in the configuration.
    Reference {
        chain: Chain,
        source: usize,
        /// When the reading began.
        began: Time,
        reading: Result<Reading, ReferenceError>,
    },
    Host(HostFacts, UnknownFacts),
    Activity(Activity),
    /// Log lines of the run that [`agent_core::machine::Machine::run`] identifies, redacted.
    Log {
        run: Option<i64>,
        lines: Vec<String>,
    },
    /// The container's details; `None` when there is no container.
    Container(Option<Detail>),
    /// Which other container has the collator's files now, and where; it was another one before.
    Sharer(Option<String>),
    /// The registry has another image under the running one's name.
    NewerImage {
        image: String,
        digest: String,
    },
}

/// The probe tasks, and single probes on demand.
pub(super) struct Probes {
    config: Arc<Config>,
    docker: Docker,
    observations: mpsc::Sender<Observation>,
    /// Requests a host probe before its interval is over.
    host_requested: Arc<Notify>,
    activity_measured: Instant,
    log_read: Instant,
    /// The log lines that were passed on last.
    log: Vec<String>,
    /// This node's newest finalized block by its log, for the references.
    own_blocks: BTreeMap<Chain, watch::Sender<Option<OwnBlock>>>,
    /// Those that no change of the configuration ends. Aborted when dropped.
    tasks: JoinSet<()>,
    /// Those of the exporters, the references and the registry, and when they began.
    polls: JoinSet<()>,
    polls_since: Time,
}

impl Probes {
    /// Starts a task for each exporter and each reference, one for the host, and one for the registry with `update.auto`.
    ///
    /// # Errors
    /// An exporter's address cannot be used.
    pub(super) fn start(
        config: &Arc<Config>,
        clock: AgentClock,
        docker: &Docker,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Observation>)> {
        let (observations, receiver) = mpsc::channel(QUEUE);
        let mut probes = Self {
            config: Arc::clone(config),
            docker: docker.clone(),
            observations,
            host_requested: Arc::default(),
            activity_measured: Instant::now(),
            log_read: Instant::now(),
            log: Vec::new(),
            own_blocks: BTreeMap::new(),
            tasks: JoinSet::new(),
            polls: JoinSet::new(),
            polls_since: clock.now(),
        };
        probes.poll_chains(clock)?;
        probes.poll_host(HostProbe::new(config));
        probes.poll_sharer();
        probes.poll_registry();
        Ok((probes, receiver))
    }

    /// Goes on with another configuration of exporters, references and registry, and looks at all of them and at the host
    /// anew.
    ///
    /// # Errors
    /// An exporter's address cannot be used.
    pub(super) fn set_config(&mut self, config: &Arc<Config>, clock: AgentClock) -> anyhow::Result<()> {
        self.config = Arc::clone(config);
        self.polls.abort_all();
        self.polls_since = clock.now();
        self.poll_chains(clock)?;
        self.poll_registry();
        self.observe_host();
        Ok(())
    }

    /// Whether an observation that began at this time is one of the configuration in force.
    pub(super) fn is_current(&self, began: Time) -> bool {
        began >= self.polls_since
    }

    fn poll_chains(&mut self, clock: AgentClock) -> anyhow::Result<()> {
        let config = Arc::clone(&self.config);
        for (chain, exporter) in &config.chains {
            for (source, url) in exporter.references.iter().enumerate() {
                let reference = ReferenceClient::new(*chain, source, url.clone());
                self.poll_reference(*chain, source, reference, clock);
            }
            let exporter = ExporterClient::new(*chain, exporter, config.health.scrape_timeout)?;
            self.poll_exporter(*chain, exporter, config.health.scrape_interval, clock);
        }
        Ok(())
    }

    fn poll_exporter(&mut self, chain: Chain, exporter: ExporterClient, every: Duration, clock: AgentClock) {
        let (observations, mut interval) = (self.observations.clone(), interval(every));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.polls.spawn(async move {
            loop {
                interval.tick().await;
                let began = clock.now();
                let result = exporter.scrape().await;
                let page = Observation::Page { chain, began, result };
                if observations.send(page).await.is_err() {
                    return;
                }
            }
        });
    }

    fn poll_reference(&mut self, chain: Chain, source: usize, mut reference: ReferenceClient, clock: AgentClock) {
        let observations = self.observations.clone();
        let own = self.own_blocks.entry(chain).or_default().subscribe();
        self.polls.spawn(async move {
            loop {
                let (block, began) = (own.borrow().clone(), clock.now());
                let (reading, pause) = reference.poll(block.as_ref()).await;
                let observation = Observation::Reference {
                    chain,
                    source,
                    began,
                    reading,
                };
                if observations.send(observation).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        });
    }

    fn poll_host(&mut self, mut host: HostProbe) {
        let (observations, wanted) = (self.observations.clone(), Arc::clone(&self.host_requested));
        let mut interval = interval(HOST_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    () = wanted.notified() => {}
                }
                let facts = host.observe().await;
                let observation = Observation::Host(facts, host.unknown());
                if observations.send(observation).await.is_err() {
                    return;
                }
            }
        });
    }

    fn poll_sharer(&mut self) {
        let (docker, observations) = (self.docker.clone(), self.observations.clone());
        let mut interval = interval(SHARER_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks.spawn(async move {
            let mut known = None;
            loop {
                interval.tick().await;
                // An engine that does not answer is no news about its containers.
                let Ok(sharer) = docker.sharer().await else {
                    continue;
                };
                // Said again while it lasts: a start, which looks for others itself, ends the report.
                if sharer.is_some() || sharer != known {
                    known.clone_from(&sharer);
                    if observations.send(Observation::Sharer(sharer)).await.is_err() {
                        return;
                    }
                }
            }
        });
    }

    fn poll_registry(&mut self) {
        if !self.config.update.auto {
            return;
        }
        let (docker, observations) = (self.docker.clone(), self.observations.clone());
        let every = self.config.update.check_every;
        self.polls.spawn(async move {
            loop {
                // Jitter keeps many agents from querying one registry in step.
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
        });
    }

    /// Observes the host now.
    pub(super) fn observe_host(&self) {
        self.host_requested.notify_one();
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

    /// Measures the container's resource use, unless that was done recently.
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

    /// Reads the log of the container's `run`, unless that was done recently. A log that cannot be read is no
    /// observation.
    pub(super) fn read_log(&mut self, run: Option<i64>) {
        if self.log_read.elapsed() < LOG_INTERVAL {
            return;
        }
        self.log_read = Instant::now();
        let (config, docker) = (Arc::clone(&self.config), self.docker.clone());
        let observations = self.observations.clone();
        tokio::spawn(async move {
            if let Ok(Ok(log)) = timeout(LOG_TIMEOUT, docker.last_lines_of_run(LOG_LINES, run)).await {
                let log = recorder::redacted(&log.join("\n"), &secrets(&config, &docker));
                let lines = excerpt(&log.lines().collect::<Vec<_>>());
                // The receiver is gone when the agent stops.
                let _ = observations.send(Observation::Log { run, lines }).await;
            }
        });
    }

    /// The log lines that were not passed on last time; `None` when there is none.
    pub(super) fn new_log(&mut self, lines: Vec<String>) -> Option<Vec<String>> {
        for (chain, block) in finalized_blocks(&lines, &self.config) {
            if let Some(own) = self.own_blocks.get(&chain) {
                own.send_replace(Some(block));
            }
        }
        let new: Vec<String> = lines.iter().filter(|line| !self.log.contains(line)).cloned().collect();
        self.log = lines;
        (!new.is_empty()).then_some(new)
    }
}

/// The finalized block of each chain that has an informant line.
fn finalized_blocks(lines: &[String], config: &Config) -> Vec<(Chain, OwnBlock)> {
    let chains: Vec<Chain> = config.chains.keys().copied().collect();
    let block = |(chain, informant): (Chain, Informant)| {
        let (height, hash) = informant.finalized.filter(|(height, _)| *height > 0)?;
        Some((chain, OwnBlock { height, hash }))
    };
    informant::by_chain(lines, &chains).filter_map(block).collect()
}

/// The running image's name, and the registry's digest of that name where it differs.
async fn newer_image(docker: &Docker) -> Option<(String, String)> {
    let detail = docker.inspect().await.ok()?.detail?;
    let digest = match docker.newest_digest(&detail.image).await {
        Ok(digest) => digest?,
        Err(error) => {
            warn!(%error, "the query for a new image failed");
            return None;
        }
    };
    // An image without a digest did not come from a registry.
    let (_, runs) = detail.pin.split_once('@')?;
    (runs != digest).then_some((detail.image, digest))
}

#[cfg(test)]
mod tests;
