//! Executes the core's actions; each ends in a completion.
//!
//! One action on the container at a time, beside the event loop. Decides nothing: an action is complete in itself.

mod docker_action;
mod start_permit;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_chaindata::database_versions::read_database_versions;
use agent_config::Config;
use agent_core::event::{ActionFailure, DesiredSpec, Images, PullError, Versions};
use agent_core::machine::{Action, Machine};
use agent_core::notification::NotificationMessage;
use agent_core::status::LastIncident;
use agent_docker::{Docker, Inspection, KeyPermit};
use agent_runtime::Instant;
use agent_runtime::disk::{self, Disk, DiskError};
use futures_util::future::OptionFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use self::docker_action::{error_chain, execute};
use self::start_permit::StartGate;
use super::ec2_task::Ec2Handle;
use super::identity_task::IdentityHandle;
use super::image_cleanup::ImageCleanup;
use super::incidents::{Evidence, Incidents};
use super::permits::Permits;
use crate::notify::NotificationSender;

/// Each look at the versions of the databases, the time for which a disk that stalls is asked again, and how often. Where they stay
/// unknown, an update that fails is held instead of taken back.
const DATABASES_TIMEOUT: Duration = Duration::from_secs(10);
const DATABASES_PATIENCE: Duration = Duration::from_mins(5);
const DATABASES_POLL: Duration = Duration::from_secs(5);
/// A stop is not restarted to end it less than so many seconds earlier.
const LATE_ENOUGH: u64 = 2;

/// A finished task of the executor.
#[derive(Debug)]
pub(super) enum Completion {
    /// An action on the container.
    Action(Box<CompletedAction>),
    /// The image of an update is on this host, or why not.
    Pulled {
        image: String,
        result: Result<Images, PullError>,
    },
}

#[derive(Debug)]
pub(super) struct CompletedAction {
    pub(super) action: Action,
    pub(super) result: Result<Inspection, (String, ActionFailure)>,
    /// Versions of the databases at rest, where an update asks for them.
    pub(super) databases: Option<Versions>,
    /// The incident that was kept before it.
    pub(super) incident: Option<LastIncident>,
}

/// Evidence and message of an action on the container.
pub(super) struct Circumstances {
    /// Evidence for it, where it answers a fault.
    pub(super) evidence: Option<Evidence>,
    /// The message about it, sent once its incident is kept.
    pub(super) message: Option<(NotificationMessage, NotificationSender)>,
}

struct RunningAction {
    action: Action,
    began: Instant,
    /// Aborted when dropped: the next life of the agent looks at what Docker has.
    task: AbortOnDropHandle<CompletedAction>,
}

pub(super) struct Executor {
    docker: Docker,
    config: Arc<Config>,
    desired: watch::Receiver<DesiredSpec>,
    keys: KeyPermit,
    pub(super) incidents: Incidents,
    images: ImageCleanup,
    gate: Arc<StartGate>,
    identity: IdentityHandle,
    ec2: Ec2Handle,
    running: Option<RunningAction>,
    pulls: JoinSet<(String, Result<Images, PullError>)>,
}

impl Executor {
    pub(super) async fn new(
        docker: Docker,
        config: &Arc<Config>,
        permits: &Permits,
        incidents: Incidents,
        identity: IdentityHandle,
        ec2: Ec2Handle,
    ) -> Self {
        Self {
            docker,
            config: Arc::clone(config),
            desired: permits.desired(),
            keys: permits.keys(),
            incidents,
            images: ImageCleanup::open(&config.agent.state_dir).await,
            gate: Arc::new(StartGate::new(&config.agent.state_dir, &config.data.path)),
            identity,
            ec2,
            running: None,
            pulls: JoinSet::new(),
        }
    }

    pub(super) fn set_config(&mut self, config: &Arc<Config>) {
        self.config = Arc::clone(config);
        self.incidents.set_config(config);
    }

    /// Begins an action on the container. Where it answers a fault, its incident is written first.
    pub(super) fn begin(&mut self, action: Action, circumstances: Circumstances) {
        let (incidents, docker, desired) = (
            self.incidents.writer(),
            self.docker.clone(),
            self.desired.borrow().clone(),
        );
        let (keys, gate) = (self.keys.clone(), Arc::clone(&self.gate));
        let data = self.config.data.path.clone();
        let doing = action.clone();
        let task = tokio::spawn(async move {
            let Circumstances { evidence, message } = circumstances;
            let kept = match evidence {
                Some(evidence) => incidents.keep(&doing, evidence).await,
                None => None,
            };
            if let Some((mut message, sender)) = message {
                // No id of an incident that was not written.
                message.incident.take_if(|_| kept.is_none());
                sender.send(message);
            }
            let permit = match doing {
                Action::Start { .. } => gate.permit(false).await,
                Action::Restart { .. } => gate.permit(true).await,
                _ => Ok(None),
            };
            let result = match &permit {
                Ok(_) => {
                    let result = execute(&docker, &doing, &desired, &keys).await;
                    result.map_err(|error| (error_chain(&error), error.failure()))
                }
                Err(refusal) => Err((refusal.to_string(), ActionFailure::Other)),
            };
            drop(permit);
            let databases = match &doing {
                Action::Stop { cause } if cause.is_of_update() && result.is_ok() => read_versions(data).await,
                _ => None,
            };
            CompletedAction {
                action: doing,
                result,
                databases,
                incident: kept,
            }
        });
        self.running = Some(RunningAction {
            action,
            began: Instant::now(),
            task: AbortOnDropHandle::new(task),
        });
    }

    /// Completes `action` as failed with `error`, without doing it.
    pub(super) fn refuse(&mut self, action: Action, error: String) {
        let completed = CompletedAction {
            action: action.clone(),
            result: Err((error, ActionFailure::Other)),
            databases: None,
            incident: None,
        };
        self.running = Some(RunningAction {
            action,
            began: Instant::now(),
            task: AbortOnDropHandle::new(tokio::spawn(async { completed })),
        });
    }

    /// Pulls the image of an update, in the background.
    pub(super) fn pull(&mut self, image: String) {
        self.images.interrupt();
        let (docker, desired) = (self.docker.clone(), self.desired.borrow().clone());
        self.pulls.spawn(async move {
            let fetched = async { docker.asked_for(&desired)?.fetch(&image).await };
            let result = fetched.await.map_err(|error| PullError(error_chain(&error)));
            (image, result)
        });
    }

    /// Passes on orders for the identity volume and the auto scaling group.
    pub(super) fn hand_over(&self, action: &Action) {
        match action {
            Action::ReleaseIdentity { .. } => self.identity.set_vacated(true),
            Action::HoldIdentity => self.identity.set_vacated(false),
            Action::AnswerLifecycle { answer } => self.ec2.answer(*answer),
            _ => {}
        }
    }

    /// Aborts the running action where the core needs a more urgent one.
    pub(super) fn give_way(&self, machine: &Machine) {
        self.identity.set_idle(machine);
        let Some(RunningAction { action, began, task }) = &self.running else {
            return;
        };
        let starts = matches!(action, Action::Start { .. } | Action::Restart { .. });
        // It would start with keys that are no longer held.
        let loses_keys = starts && machine.must_give_up();
        let gives_way = machine
            .urgent_stop()
            .is_some_and(|stop| !ends_as_early(action, *began, &stop));
        if loses_keys || gives_way {
            task.abort();
        }
    }

    /// Aborts a start or restart under way (a long pull, a long stop) for an operator's stop.
    pub(super) fn cancel_start(&self) {
        if let Some(RunningAction {
            action: Action::Start { .. } | Action::Restart { .. },
            task,
            ..
        }) = &self.running
        {
            task.abort();
        }
    }

    /// Records running and pulled images, and removes old ones when due.
    pub(super) fn note_images(&mut self, running: Option<&str>, machine: &Machine) {
        self.images.note(self.docker.take_fetched(), running);
        if self.images.is_due() {
            self.remove_old_images(machine);
        }
    }

    /// Removes unneeded images in the background, except during an update.
    pub(super) fn remove_old_images(&mut self, machine: &Machine) {
        if machine.update().is_none() {
            let needed = machine.kept_images().map(|image| image.pin.clone()).collect();
            self.images
                .begin(self.docker.clone(), self.config.update.keep_images, needed);
        }
    }

    /// The next completion; pending while nothing is under way.
    pub(super) async fn completed(&mut self) -> Completion {
        loop {
            let running = OptionFuture::from(self.running.as_mut().map(|running| &mut running.task));
            tokio::select! {
                Some(ended) = running => {
                    let Some(RunningAction { action, .. }) = self.running.take() else { continue };
                    let completed = ended.unwrap_or_else(|error| CompletedAction {
                        action,
                        result: Err(if error.is_cancelled() {
                            ("cancelled for something more urgent".to_owned(), ActionFailure::Cancelled)
                        } else {
                            (error.to_string(), ActionFailure::Other)
                        }),
                        databases: None,
                        incident: None,
                    });
                    return Completion::Action(Box::new(completed));
                }
                Some(pulled) = self.pulls.join_next() => match pulled {
                    Ok((image, result)) => return Completion::Pulled { image, result },
                    Err(error) => warn!(%error, "a pull ended without a result"),
                },
                () = self.images.finish() => {}
            }
        }
    }
}

/// Versions of the databases at rest; `None` is unknown, which is logged.
async fn read_versions(data: PathBuf) -> Option<Versions> {
    let end = Instant::now() + DATABASES_PATIENCE;
    let read = loop {
        let data = data.clone();
        match disk::run_long(Disk::Data, DATABASES_TIMEOUT, move || read_database_versions(&data)).await {
            Err(DiskError::Stalled(_)) if Instant::now() < end => sleep(DATABASES_POLL).await,
            read => break read.map_err(anyhow::Error::from).flatten(),
        }
    };
    read.inspect_err(|error| warn!("the versions of the databases are unknown: {error:#}"))
        .ok()
}

/// Whether `action`, begun at `began`, stops the collator about as early as `stop` would.
fn ends_as_early(action: &Action, began: Instant, stop: &Action) -> bool {
    match (action, stop) {
        (Action::StopWithin { seconds, .. }, Action::StopWithin { seconds: left, .. }) => {
            seconds.saturating_sub(began.elapsed().as_secs()) <= left + LATE_ENOUGH
        }
        _ => false,
    }
}
