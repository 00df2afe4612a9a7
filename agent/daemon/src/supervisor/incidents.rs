//! Incidents: the evidence of a fault, written before the action that answers it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_config::Config;
use agent_core::event::{Chain, HostFacts, Time};
use agent_core::machine::{Action, Cause, Machine};
use agent_core::status::{LastIncident, Status};
use agent_docker::Docker;
use agent_runtime::disk::{self, Disk};
use agent_runtime::wall;
use anyhow::anyhow;
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::{info, warn};

use super::known_secrets::secrets;
use super::status::chain_evidence;
use crate::exporter::ExporterClient;
use crate::recorder::incident::{self, Incident, IncidentBundle, IncidentIds};
use crate::recorder::{self, Recorder};

/// An incident never delays its action by more than this.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Log lines of the container kept.
const LOG_LINES: usize = 500;
/// How far back the flight record reaches.
const FLIGHT: Duration = Duration::from_mins(30);
/// The most of an exporter page that is kept, bytes.
const PAGE_CAP: usize = 1 << 20;

/// The core's knowledge when it decided.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) id: String,
    at: Timestamp,
    now: Time,
    facts: Vec<String>,
    host: HostFacts,
    /// The status document.
    status: String,
}

/// The incidents of this state directory: the newest, and those whose action is not judged yet.
pub(super) struct Incidents {
    writer: IncidentWriter,
    ids: IncidentIds,
    /// Newest open incident by cause.
    open: BTreeMap<String, String>,
    last: Option<LastIncident>,
}

/// Collects and writes the evidence, in the action's task.
#[derive(Clone)]
pub(super) struct IncidentWriter {
    dir: PathBuf,
    config: Arc<Config>,
    docker: Docker,
    recorder: Arc<Recorder>,
}

impl Incidents {
    /// Those that are on disk; none of them where that does not answer.
    pub(super) async fn open(config: &Arc<Config>, docker: &Docker, recorder: &Arc<Recorder>) -> Self {
        let dir = recorder::incidents_dir(&config.agent.state_dir);
        let listed = dir.clone();
        let kept = disk::run_long(Disk::State, TIMEOUT, move || incident::list(&listed)).await;
        let kept = kept.map_err(anyhow::Error::from).and_then(|kept| Ok(kept?));
        let kept = kept.unwrap_or_else(|error| {
            warn!(%error, "the incidents are unknown");
            Vec::new()
        });
        let read = |incident: Result<_, _>| {
            incident
                .inspect_err(|error| warn!(%error, "an incident is unknown"))
                .ok()
        };
        let kept: Vec<Incident> = kept.into_iter().filter_map(read).collect();
        let mut open = BTreeMap::new();
        for incident in kept.iter().filter(|incident| incident.helped.is_none()) {
            // Listed newest first.
            open.entry(incident.cause.clone())
                .or_insert_with(|| incident.id.clone());
        }
        let last = kept.into_iter().next().map(|incident| LastIncident {
            at: incident.at.parse().ok(),
            id: Some(incident.id),
            cause: Some(incident.cause),
            helped: incident.helped,
        });
        Self {
            writer: IncidentWriter {
                dir,
                config: Arc::clone(config),
                docker: docker.clone(),
                recorder: Arc::clone(recorder),
            },
            ids: IncidentIds::default(),
            open,
            last,
        }
    }

    pub(super) fn set_config(&mut self, config: &Arc<Config>) {
        self.writer.config = Arc::clone(config);
    }

    pub(super) fn writer(&self) -> IncidentWriter {
        self.writer.clone()
    }

    /// The newest incident, as status shows it.
    pub(super) fn last(&self) -> Option<&LastIncident> {
        self.last.as_ref()
    }

    /// The evidence for `action` now, under the id of a new incident.
    pub(super) fn begin(&mut self, now: Time, action: &Action, machine: &Machine, status: &Status) -> Evidence {
        let (at, cause) = (wall::now(), action.cause());
        let id = self.ids.next(at.as_millisecond(), cause.into_str());
        let mut facts = vec![machine.explain(cause)];
        facts.extend(
            machine
                .trackers()
                .map(|(chain, tracker)| chain_evidence(chain, tracker)),
        );
        Evidence {
            id,
            at,
            now,
            facts,
            host: machine.host().clone(),
            status: status.to_json(),
        }
    }

    /// Records a written incident.
    pub(super) fn note(&mut self, kept: LastIncident) {
        if let Some((cause, id)) = kept.cause.clone().zip(kept.id.clone()) {
            self.open.insert(cause, id);
        }
        self.last = Some(kept);
    }

    /// Records in the newest open incident for `cause` whether its action helped. Returns its id.
    pub(super) fn judge(&mut self, cause: Cause, helped: bool) -> Option<String> {
        let id = self.open.remove(cause.into_str())?;
        if let Some(last) = self.last.as_mut().filter(|last| last.id.as_ref() == Some(&id)) {
            last.helped = Some(helped);
        }
        let (dir, noted) = (self.writer.dir.clone(), id.clone());
        tokio::spawn(async move {
            let set = disk::run_long(Disk::State, TIMEOUT, move || incident::set_helped(&dir, &noted, helped)).await;
            if let Err(error) = set.map_err(anyhow::Error::from).and_then(|set| Ok(set?)) {
                warn!(%error, "failed to record whether it helped");
            }
        });
        Some(id)
    }
}

impl IncidentWriter {
    /// Writes the incident that `action` answers; `None` when that failed, which does not stop the action.
    pub(super) async fn keep(&self, action: &Action, evidence: Evidence) -> Option<LastIncident> {
        let (id, at) = (evidence.id.clone(), evidence.at);
        let kept = timeout(TIMEOUT, self.write(action, evidence)).await;
        let kept = kept.unwrap_or_else(|_| Err(anyhow!("incident {id:?} was not kept within {TIMEOUT:?}")));
        if let Err(error) = kept {
            warn!(%error, "failed to keep the incident");
            self.recorder.note_incident(Some(error.to_string()));
            return None;
        }
        info!(id, "incident kept");
        self.recorder.note_incident(None);
        Some(LastIncident {
            at: Timestamp::from_second(at.as_second()).ok(),
            id: Some(id),
            cause: Some(action.cause().into_str().to_owned()),
            helped: None,
        })
    }

    async fn write(&self, action: &Action, evidence: Evidence) -> anyhow::Result<()> {
        let page = async |chain: Chain| {
            let exporter = self.config.chains.get(&chain)?;
            let exporter = ExporterClient::new(chain, exporter, self.config.health.scrape_timeout).ok()?;
            let page = exporter.raw_page(PAGE_CAP).await;
            Some(page.unwrap_or_else(|failure| format!("# {failure}\n")).into_bytes())
        };
        let (log, inspect, parachain, relaychain) = tokio::join!(
            self.docker.last_lines(LOG_LINES),
            self.docker.inspect_json(),
            page(Chain::Parachain),
            page(Chain::Relaychain)
        );
        self.docker.read_registry_secrets().await;
        let mut bundle = IncidentBundle {
            id: evidence.id,
            unix_ms: evidence.at.as_millisecond(),
            cause: action.cause().into_str().to_owned(),
            action: action.kind().to_owned(),
            evidence: evidence.facts,
            flight: Vec::new(),
            log: log.unwrap_or_else(|error| vec![format!("no log: {error}")]),
            inspect: inspect.ok(),
            parachain,
            relaychain,
            host: serde_json::to_value(&evidence.host).ok(),
            status: serde_json::from_str(&evidence.status).ok(),
            secrets: secrets(&self.config, &self.docker),
        };
        let (dir, flight) = (self.dir.clone(), recorder::flight_dir(&self.config.agent.state_dir));
        let since = evidence.now - FLIGHT;
        if !disk::stalled().borrow().contains(Disk::State) {
            self.recorder.flush(Duration::from_secs(1)).await;
        }
        let written = disk::run_long(Disk::State, TIMEOUT, move || {
            bundle.flight = recorder::tail(&flight, since).unwrap_or_default();
            incident::write(&dir, &bundle)
        });
        Ok(written.await??)
    }
}
