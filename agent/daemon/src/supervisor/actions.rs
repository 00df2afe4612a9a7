//! Executes what the core decided: one action at a time, beside the loop, with a capsule around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::news::Letter;
use crate::exporter::Exporter;
use crate::recorder::incident::{self, Capsule};
use crate::recorder::{self, Recorder};
use agent_chaindata::databases;
use agent_config::Config;
use agent_core::event::{Chain, Failure, HostFacts, Time, Versions};
use agent_core::machine::{Action, Cause};
use agent_core::status;
use agent_docker::{Docker, Inspection};

/// A disk that hangs must not keep the collator down.
const DATABASES_TIMEOUT: Duration = Duration::from_secs(10);
/// A capsule never delays the cure by more than this.
const CAPSULE_TIMEOUT: Duration = Duration::from_secs(5);
/// Log lines of the container kept in a capsule.
const CAPSULE_LINES: usize = 500;
/// How far back a capsule's flight record reaches.
const FLIGHT: Duration = Duration::from_mins(30);
/// A stop is not begun anew to end it so few seconds earlier: they are kept in reserve.
const LATE_ENOUGH: u64 = 2;
/// The most of an exporter page that a capsule keeps, bytes.
const PAGE_CAP: usize = 1 << 20;

/// What the core knew when it decided.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) now: Time,
    pub(super) facts: Vec<String>,
    pub(super) host: HostFacts,
}

/// An action that ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) action: Action,
    pub(super) result: Result<Inspection, (String, Failure)>,
    /// What the databases say at rest, where an update wants to know.
    pub(super) databases: Option<Versions>,
}

/// Runs actions against Docker and keeps their incidents.
#[derive(Debug)]
pub(super) struct Executor {
    docker: Docker,
    config: Arc<Config>,
    recorder: Arc<Recorder>,
    /// What runs, and since when.
    running: Option<(Action, Instant, JoinHandle<Finished>)>,
}

impl Executor {
    pub(super) fn new(docker: Docker, config: Arc<Config>, recorder: Arc<Recorder>) -> Self {
        Self {
            docker,
            config,
            recorder,
            running: None,
        }
    }

    /// Begins `action`: first the capsule where it answers a fault, then the deed.
    /// `letter` tells people of it, once the incident has its id.
    pub(super) fn execute(&mut self, action: Action, evidence: Evidence, letter: Option<Letter>) {
        let (docker, config, recorder) = (
            self.docker.clone(),
            Arc::clone(&self.config),
            Arc::clone(&self.recorder),
        );
        let doing = action.clone();
        let task = tokio::spawn(async move {
            if is_incident(&doing) {
                let capsule = keep(&docker, &config, recorder, &doing, evidence);
                let kept = tokio::time::timeout(CAPSULE_TIMEOUT, capsule).await;
                if let Some(letter) = letter {
                    letter.send(kept.as_ref().ok().and_then(|kept| kept.as_ref().ok()).cloned());
                }
                match kept {
                    Ok(Ok(id)) => info!(id, "incident kept"),
                    Ok(Err(error)) => warn!(%error, "failed to keep the incident"),
                    Err(_) => warn!(limit = ?CAPSULE_TIMEOUT, "failed to keep the incident in time"),
                }
            }
            let result = match &doing {
                // The old one runs on for as long as a new one cannot be had.
                Action::Start { .. }
                | Action::Restart {
                    cause: Cause::SpecChanged,
                } => docker.ensure_running().await,
                Action::Restart { .. } => docker.restart().await,
                Action::StopWithin { seconds, .. } => docker.stop_within(Duration::from_secs(*seconds)).await,
                _ => docker.stop().await,
            };
            let databases = match &doing {
                Action::Stop { cause } if cause.is_of_update() && result.is_ok() => {
                    database_versions(config.data.path.clone()).await
                }
                _ => None,
            };
            Finished {
                action: doing,
                result: result.map_err(|e| (chain(&e), e.failure())),
                databases,
            }
        });
        self.running = Some((action, Instant::now(), task));
    }

    /// `action` is not to be done: it fails with `error`.
    pub(super) fn refuse(&mut self, action: Action, error: String) {
        let finished = Finished {
            action: action.clone(),
            result: Err((error, Failure::Other)),
            databases: None,
        };
        self.running = Some((action, Instant::now(), tokio::spawn(async { finished })));
    }

    /// The action that ended; pending for ever while none runs.
    pub(super) async fn finished(&mut self) -> Finished {
        let Some((action, _, task)) = &mut self.running else {
            return std::future::pending().await;
        };
        let ended = task.await;
        let finished = ended.unwrap_or_else(|error| {
            let failed = if error.is_cancelled() {
                ("cancelled for something more urgent".to_owned(), Failure::Cancelled)
            } else {
                (error.to_string(), Failure::Other)
            };
            Finished {
                action: action.clone(),
                result: Err(failed),
                databases: None,
            }
        });
        self.running = None;
        finished
    }

    /// Whatever is under way gives way to `stop`, unless it ends the collator as early.
    pub(super) fn give_way(&self, stop: &Action) {
        let Some((running, began, task)) = &self.running else {
            return;
        };
        let as_early = match (running, stop) {
            (Action::StopWithin { seconds, .. }, Action::StopWithin { seconds: left, .. }) => {
                seconds.saturating_sub(began.elapsed().as_secs()) <= left + LATE_ENOUGH
            }
            _ => false,
        };
        if !as_early {
            task.abort();
        }
    }

    /// What is under way would run with keys that are not here any more.
    pub(super) fn give_up(&self) {
        if let Some((Action::Start { .. } | Action::Restart { .. }, _, task)) = &self.running {
            task.abort();
        }
    }

    /// A start that is under way (a long pull) gives way to `stop`.
    pub(super) fn cancel_start(&self) {
        if let Some((Action::Start { .. }, _, task)) = &self.running {
            task.abort();
        }
    }
}

/// Notes on the newest open incident for `cause` whether its action helped. Returns its id.
pub(super) fn judge(state_dir: &Path, cause: Cause, helped: bool) -> Option<String> {
    let dir = incidents(state_dir);
    let open = incident::list(&dir)
        .into_iter()
        .find(|i| i.cause == cause.name() && i.helped.is_none());
    let id = open?.id;
    if let Err(error) = incident::set_helped(&dir, &id, helped) {
        warn!(%error, "failed to note whether it helped");
    }
    Some(id)
}

/// The newest incident, as status shows it.
pub(super) fn last_incident(state_dir: &Path) -> Option<status::LastIncident> {
    let incident = incident::list(&incidents(state_dir)).into_iter().next()?;
    Some(status::LastIncident {
        at: incident.at.parse().ok(),
        id: Some(incident.id),
        cause: Some(incident.cause),
        helped: incident.helped,
    })
}

/// Where incidents are kept.
pub(super) fn incidents(state_dir: &Path) -> PathBuf {
    state_dir.join("incidents")
}

/// Whether an action answers a fault; what people, configuration and EC2 ask for does not.
pub(super) fn is_incident(action: &Action) -> bool {
    // The stop before it has kept the evidence.
    let restores = matches!(
        action,
        Action::Start {
            cause: Cause::UpdateFailed
        }
    );
    !restores
        && !matches!(
            action.cause(),
            Cause::Operator
                | Cause::Update
                | Cause::SpecChanged
                | Cause::Missing
                | Cause::DiskFreed
                | Cause::Rebalance
                | Cause::Maintenance
                | Cause::ScheduledStop
                | Cause::SpotInterruption
                | Cause::Termination
                | Cause::NoticeOver
                | Cause::IdentityHeld
                | Cause::IdentityMissing
                // The stop does not wait for a capsule: another host may have the keys by now.
                | Cause::IdentityLost
        )
}

async fn keep(
    docker: &Docker,
    config: &Config,
    recorder: Arc<Recorder>,
    action: &Action,
    evidence: Evidence,
) -> anyhow::Result<String> {
    let page = async |chain: Chain| {
        let exporter = Exporter::new(chain, config.chains.get(&chain)?, config.health.scrape_timeout).ok()?;
        let page = exporter.raw_page(PAGE_CAP).await;
        Some(page.unwrap_or_else(|failure| format!("# {failure}\n")).into_bytes())
    };
    let (log, inspect, parachain, relaychain) = tokio::join!(
        docker.last_lines(CAPSULE_LINES, None),
        docker.inspect_json(),
        page(Chain::Parachain),
        page(Chain::Relaychain)
    );
    let secrets = secrets(config, docker);
    let mut capsule = Capsule {
        unix_ms: Timestamp::now().as_millisecond(),
        cause: action.cause().name().to_owned(),
        action: action.kind().to_owned(),
        evidence: evidence.facts,
        flight: Vec::new(),
        log: log.unwrap_or_else(|error| vec![format!("no log: {error}")]),
        inspect: inspect.ok(),
        parachain,
        relaychain,
        host: serde_json::to_value(&evidence.host).ok(),
        secrets,
    };
    let state_dir = config.agent.state_dir.clone();
    let since = evidence.now - FLIGHT;
    let written = tokio::task::spawn_blocking(move || {
        recorder.flush(Duration::from_secs(1));
        capsule.flight = recorder::tail(&state_dir.join("flight"), since).unwrap_or_default();
        incident::write(&incidents(&state_dir), &capsule)
    });
    Ok(written.await??)
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

/// Texts that nobody is told: neither an incident nor a message may hold them.
pub(super) fn secrets(config: &Config, docker: &Docker) -> Vec<String> {
    let mut secrets = recorder::secrets(&config.collator.command, &config.collator.env);
    secrets.extend(config.notify.webhook.clone());
    secrets.extend(docker.registry_password());
    secrets
}

/// Versions of the databases below `data`, by file; `None` when they could not be read in time.
async fn database_versions(data: PathBuf) -> Option<Versions> {
    let reading = tokio::task::spawn_blocking(move || databases::versions(&data));
    timeout(DATABASES_TIMEOUT, reading).await.ok()?.ok()
}
