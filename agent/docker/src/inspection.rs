//! What the engine says about the container, in the vocabulary of the core.

mod alterations;
mod renamed;

use std::collections::HashMap;
use std::sync::PoisonError;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status, EndpointSettings};
use jiff::Timestamp;

use self::alterations::alterations;
use super::logs::RUN_SLACK;
use super::spec::{AGENT, IMAGE, MANAGED, SPEC, Spec};
use super::{Docker, Error};
use agent_core::event::{Container, Exit};

/// Log lines that go with an exit: enough for the cause, and what led to it.
pub(super) const EXIT_LINES: usize = 200;

/// By how many milliseconds the start of a run may be noted late when the host is busy.
const LATE_START: i64 = 2_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    pub container: Container,
    /// `None` when there is no container of that name.
    pub detail: Option<Detail>,
}

/// Facts for people and reports; the core decides on [`Container`] alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// First 12 hex digits.
    pub id: String,
    pub name: String,
    /// Image reference as it was given when the container was created.
    pub image: String,
    /// `sha256:…` of the repository digest that it was created from, else of the image id.
    pub digest: Option<String>,
    /// What it was created from: a repository digest or an image id.
    pub pin: String,
    /// Id of its image, `sha256:…`.
    pub image_id: Option<String>,
    /// Hash of what was asked for when it was created; `None` on a container that is not ours.
    pub spec: Option<String>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Of the last run that ended; `None` while it runs.
    pub exit_code: Option<i64>,
    /// Whether the last run was ended for want of memory; false while it runs.
    pub oom: bool,
    /// How often Docker's own policy started it again.
    pub restart_count: i64,
    /// Of its first process, on the host; `None` while it does not run.
    pub pid: Option<i64>,
    /// What `docker rename` or `docker update` changed on it, with the remedy.
    pub altered: Option<String>,
    /// Docker's own word: created, running, paused, restarting, removing, exited, dead.
    pub status: String,
}

/// The container as the engine sent it, with what is asked of it again and again.
pub(super) struct InspectedContainer {
    pub(super) id: String,
    pub(super) ours: bool,
    pub(super) spec_matches: bool,
    pub(super) status: Status,
    /// Unix milliseconds of the last start and the last end.
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
    pub(super) exit_code: Option<i64>,
    pub(super) oom: bool,
    pub(super) detail: Detail,
}

impl Docker {
    /// The container as Docker has it now; one that has ended comes with the last log lines of that run.
    ///
    /// Fails when the engine does not answer.
    pub async fn inspect(&self) -> Result<Inspection, Error> {
        match Box::pin(self.find()).await? {
            Some(found) => self.inspection(found).await,
            None => Ok(Inspection {
                container: Container::Missing,
                detail: None,
            }),
        }
    }

    /// All that Docker reports about the container, as JSON; environment and arguments may hold secrets.
    ///
    /// Fails when the engine does not answer or there is no container.
    pub async fn inspect_json(&self) -> Result<String, Error> {
        let engine = self.engine().await?;
        let reference = self.reference();
        let answer = engine.inspect_container(&reference, None);
        let answer = self.within("inspect the container", self.limits.call, answer).await?;
        serde_json::to_string_pretty(&answer).map_err(|error| Error::Api {
            action: "inspect the container",
            status: None,
            reason: error.to_string(),
        })
    }

    pub(super) async fn find(&self) -> Result<Option<InspectedContainer>, Error> {
        let spec = &self.spec;
        let name = spec.name();
        match self.look_at_container(name).await? {
            // Docker also takes a name for the beginning of an id.
            Some(answer) if answer.name.as_deref().map(|found| found.trim_start_matches('/')) == Some(name) => {
                self.note_renamed(None);
                self.note_variables(&answer);
                Ok(Some(InspectedContainer::new(answer, spec)))
            }
            _ => Box::pin(self.find_renamed()).await,
        }
    }

    /// A container by its name or id, foreign or not; `None` when there is none.
    pub(super) async fn look_at_container(&self, reference: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        let engine = self.engine().await?;
        let answer = engine.inspect_container(reference, None);
        match self.within("inspect the container", self.limits.call, answer).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn note_variables(&self, answer: &ContainerInspectResponse) {
        let variables = answer.config.as_ref().and_then(|config| config.env.as_ref());
        let pairs = variables.into_iter().flatten().filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        *self.shared.variables.lock().unwrap_or_else(PoisonError::into_inner) = pairs;
    }

    /// Variables of the container as it was last inspected, those of its image included; they may be secrets.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.shared
            .variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) async fn inspection(&self, found: InspectedContainer) -> Result<Inspection, Error> {
        let log = if found.ours && found.has_ended() {
            match self.run_lines(found.started_at).await {
                // A log that cannot be read (removed by hand, say) must not hide how the run ended.
                Err(Error::Api { reason, .. }) => vec![format!("(no log: {reason})")],
                log => log?,
            }
        } else {
            Vec::new()
        };
        Ok(Inspection {
            container: found.container(log),
            detail: Some(found.detail),
        })
    }

    /// The last lines of the run that was started then.
    async fn run_lines(&self, started_at: Option<i64>) -> Result<Vec<String>, Error> {
        let since = |slack| started_at.map(|at| at - slack);
        let lines = self.lines(EXIT_LINES, since(RUN_SLACK), None).await?;
        if !lines.is_empty() {
            return Ok(lines);
        }
        // On a busy host Docker notes the start of a short run after its end.
        self.lines(EXIT_LINES, since(LATE_START), None).await
    }
}

impl InspectedContainer {
    pub(super) fn new(answer: ContainerInspectResponse, spec: &Spec) -> Self {
        let (state, config) = (answer.state.unwrap_or_default(), answer.config.unwrap_or_default());
        let labels = config.labels.unwrap_or_default();
        let status = state.status.unwrap_or(Status::EMPTY);
        let ended = matches!(
            status,
            Status::EXITED | Status::DEAD | Status::REMOVING | Status::RESTARTING
        );
        let (started_at, finished_at) = (time(state.started_at), time(state.finished_at));
        let id = answer.id.unwrap_or_default();
        let image = config.image.unwrap_or_default();
        let digest = image
            .split_once('@')
            .map(|(_, digest)| digest.to_owned())
            .or(answer.image.clone());
        let exit_code = state.exit_code.filter(|_| ended);
        let oom = ended && state.oom_killed.unwrap_or(false);
        let networks = answer.network_settings.and_then(|settings| settings.networks);
        let made = spec.made(&labels, &image);
        let name = answer.name.unwrap_or_default().trim_start_matches('/').to_owned();
        let ours = is_ours(&labels);
        let altered = ours
            .then(|| alterations(&name, &labels, answer.host_config.as_ref(), spec))
            .flatten();
        let cut_off = status == Status::RUNNING && !is_attached(networks.unwrap_or_default(), spec);
        Self {
            ours,
            spec_matches: made && !cut_off,
            status,
            started_at: started_at.map(Timestamp::as_millisecond),
            finished_at: finished_at.map(Timestamp::as_millisecond),
            exit_code,
            oom,
            detail: Detail {
                id: id.chars().take(12).collect(),
                name,
                image: labels.get(IMAGE).cloned().unwrap_or_else(|| image.clone()),
                digest,
                pin: image,
                image_id: answer.image,
                spec: labels.get(SPEC).cloned(),
                started_at,
                finished_at,
                exit_code,
                oom,
                restart_count: answer.restart_count.unwrap_or(0),
                pid: state.pid.filter(|pid| *pid > 0),
                altered,
                status: status.to_string(),
            },
            id,
        }
    }

    /// Whether its last run is over and Docker's policy does not mean to start another.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.status, Status::EXITED | Status::DEAD | Status::REMOVING)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.status, Status::RUNNING | Status::PAUSED | Status::STOPPING)
    }

    pub(super) fn container(&self, log: Vec<String>) -> Container {
        let spec_matches = self.spec_matches;
        if !self.ours {
            return Container::Foreign;
        }
        match self.status {
            Status::RUNNING | Status::STOPPING => Container::Running {
                started_at: self.started_at,
                spec_matches,
            },
            Status::PAUSED => Container::Paused {
                started_at: self.started_at,
                spec_matches,
            },
            Status::RESTARTING => Container::Restarting,
            Status::CREATED | Status::EMPTY => Container::Created { spec_matches },
            Status::EXITED | Status::DEAD | Status::REMOVING => Container::Exited {
                at: self.finished_at,
                exit: Exit {
                    code: self.exit_code,
                    oom: self.oom,
                    log,
                },
                spec_matches,
            },
        }
    }
}

/// Whether labels (of a container, or as an event repeats them) say that it is ours.
pub(super) fn is_ours(labels: &HashMap<String, String>) -> bool {
    labels.get(MANAGED).is_some_and(|value| value == "true")
}

/// Whether labels say that the container runs an agent, and no collator.
pub(super) fn is_agent(labels: &HashMap<String, String>) -> bool {
    labels.get(AGENT).is_some_and(|value| value == "true")
}

/// Whether a running container still has the network it was given: one can be taken away by hand.
fn is_attached(networks: HashMap<String, EndpointSettings>, spec: &Spec) -> bool {
    spec.network().is_none_or(|wanted| {
        let mut networks = networks.into_iter();
        networks.any(|(name, endpoint)| name == wanted || endpoint.network_id.as_deref() == Some(wanted))
    })
}

/// Docker writes the year 1 for "never".
pub(super) fn time(text: Option<String>) -> Option<Timestamp> {
    text?.parse::<Timestamp>().ok().filter(|at| at.as_second() > 0)
}

#[cfg(test)]
pub(super) mod tests;
