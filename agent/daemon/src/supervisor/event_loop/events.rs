//! Inputs to events of the core.

use agent_aws::MetadataEvent;
use agent_core::chain_health::Verdict;
use agent_core::event::{Command, Container, Disk, Event, HostFacts, Outcome, PullError};
use agent_core::machine::CommandError;
use agent_core::status::ScrapeStatus;
use agent_docker::{Detail, EngineEvent, Inspection};
use agent_runtime::disk::{self, StalledDisks};
use agent_runtime::wall;
use tracing::{info, warn};

use super::EventLoop;
use crate::api;
use crate::identity::IdentityEvent;
use crate::recorder;
use crate::supervisor::executor::{CompletedAction, Completion};
use crate::supervisor::inputs::Input;
use crate::supervisor::probes::Observation;

impl EventLoop {
    /// The core's event for an input.
    pub(super) async fn event(&mut self, input: Input) -> Option<Event> {
        match input {
            Input::Engine(event) => self.on_engine(event),
            Input::Completion(Completion::Action(completed)) => Some(self.on_completed(*completed)),
            Input::Completion(Completion::Pulled { image, result }) => {
                let result =
                    result.map_err(|PullError(error)| PullError(recorder::redacted(&error, &self.secrets.texts())));
                match &result {
                    Ok(images) => info!(image, pin = images.to.pin, "the image is pulled"),
                    Err(error) => warn!(image, %error, "the image cannot be pulled"),
                }
                // Otherwise it belongs to an abandoned update.
                let awaited = self.machine.update().is_some_and(|update| update.image == image);
                awaited.then_some(Event::Pulled(result))
            }
            Input::Request(request) => {
                self.certificate.check_restore().await;
                self.compare_certificate();
                self.retry_save().await;
                self.settle().await;
                self.on_request(request)
            }
            Input::Configuration(request) => {
                Box::pin(self.on_configuration(request)).await;
                None
            }
            Input::Metadata(event) => self.on_metadata(event),
            Input::Identity(IdentityEvent::Holding(identity)) => Some(Event::Identity(identity)),
            Input::Identity(IdentityEvent::Released) => Some(Event::IdentityReleased),
            Input::Observation(observation) => self.on_observation(observation),
            Input::DisksChanged(stalled) => Some(disks_event(stalled)),
            Input::RecordsUnsaved(why) => Some(Event::RecordsUnsaved(why)),
            Input::Deadline => Some(Event::Tick),
            Input::End | Input::WatchdogDue | Input::SaveDue | Input::PublishDue => None,
        }
    }

    fn on_engine(&mut self, event: EngineEvent) -> Option<Event> {
        Some(match event {
            // An action may have found that it does not, for a moment that the watch did not notice.
            EngineEvent::Answers if self.machine.is_docker_down() => Event::Docker { reachable: true },
            EngineEvent::Answers => return None,
            EngineEvent::Reachable { api } => {
                info!(api, "docker answers");
                Event::Docker { reachable: true }
            }
            EngineEvent::Unreachable { error } => {
                warn!(error, "docker does not answer");
                Event::Docker { reachable: false }
            }
            EngineEvent::Container(mut container) => {
                redact(&mut container, &self.secrets.texts());
                match &container {
                    Container::Exited { exit, .. } => {
                        // It may have filled the disk.
                        self.probes.observe_host();
                        info!(code = exit.code, oom = exit.oom, "container exited");
                    }
                    container => info!(?container, "docker"),
                }
                self.probes.observe_container();
                Event::Container(container)
            }
        })
    }

    fn on_completed(&mut self, completed: CompletedAction) -> Event {
        let CompletedAction {
            action,
            result,
            databases,
            incident,
        } = completed;
        if let Some(incident) = incident {
            self.executor.incidents.note(incident);
        }
        self.publisher.facts.last_incident = self.executor.incidents.last().cloned();
        let (action, cause) = (action.kind(), action.cause().into_str());
        let finished = Event::Finished(match result {
            Ok(Inspection { mut container, detail }) => {
                redact(&mut container, &self.secrets.texts());
                info!(action, cause, "done");
                let altered = self.note_detail(detail);
                self.pending.extend(altered);
                Outcome::Done {
                    container,
                    at: Some(wall::unix_ms()),
                }
            }
            Err((error, kind)) => {
                let error = recorder::redacted(&error, &self.secrets.texts());
                warn!(action, cause, error, "failed");
                Outcome::Failed { error, kind }
            }
        });
        // Before the outcome, which is judged by them.
        self.pending.extend(databases.map(Event::Databases));
        finished
    }

    fn on_request(&mut self, request: api::CommandRequest) -> Option<Event> {
        if let Some(reason) = self.rejects(&request.command) {
            let _ = request.reply.send(Err(reason));
            return None;
        }
        let answer = self.machine.acknowledge(&request.command);
        info!(command = ?request.command, ?answer, "operator");
        self.reply = Some((request.reply, answer));
        if matches!(request.command, Command::Stop { .. }) {
            self.executor.cancel_start();
        }
        Some(Event::Operator(request.command))
    }

    /// Why a command is rejected before it reaches the core.
    fn rejects(&self, command: &Command) -> Option<CommandError> {
        let starts = matches!(
            command,
            Command::Start { .. } | Command::Restart { .. } | Command::Update { .. }
        );
        if self.certificate.is_copying() && starts {
            let why = "a snapshot or a restore is at work on the data, and starts the collator when it is done";
            return Some(CommandError(why.to_owned()));
        }
        if let Command::Update { image, .. } = command
            && let Err(error) = self.config.allow_image(image)
        {
            return Some(CommandError(error.to_string()));
        }
        let unsaved = self.store.unsaved();
        unsaved
            .filter(|_| matches!(command, Command::Update { .. }))
            .map(|error| CommandError(format!("an update that is interrupted would be forgotten: {error}")))
    }

    fn on_metadata(&mut self, event: MetadataEvent) -> Option<Event> {
        match event {
            MetadataEvent::Instance { id } => {
                self.publisher.facts.instance = Some(id);
                None
            }
            MetadataEvent::Unseen(why) => {
                self.publisher.facts.notices_unseen = why;
                None
            }
            MetadataEvent::HookUnanswered(why) => {
                self.publisher.facts.hook_unanswered = why;
                None
            }
            MetadataEvent::Notice(None) if self.machine.notice().is_none() => None,
            MetadataEvent::Notice(notice) => {
                info!(?notice, "EC2");
                Some(Event::Ec2(notice))
            }
        }
    }

    fn on_observation(&mut self, observation: Observation) -> Option<Event> {
        match observation {
            Observation::Page { chain, began, result } => {
                let (ended, took) = match &result {
                    Ok(page) => (ScrapeStatus::Ok, page.elapsed),
                    Err(error) => (error.kind.into(), self.clock.now().since(began)),
                };
                self.publisher.counters.scrape(chain, ended, took);
                if self.machine.in_doubt() {
                    self.probes.measure_activity();
                    self.probes.read_log(self.machine.run());
                }
                // A page from before this run does not describe it, nor one of another exporter.
                if self.machine.up_since().is_some_and(|up| began < up) || !self.probes.is_current(began) {
                    return None;
                }
                Some(match result {
                    Ok(page) => {
                        self.publisher.facts.note_page(self.clock.now(), chain, &page);
                        let sample = page.sample;
                        Event::Sample { chain, sample }
                    }
                    Err(error) => Event::ScrapeFailed {
                        chain,
                        error: error.kind,
                    },
                })
            }
            Observation::Reference { began, .. } if !self.probes.is_current(began) => None,
            Observation::Reference {
                chain, source, reading, ..
            } => Some(Event::Reference { chain, source, reading }),
            Observation::Host(facts, unknown) => {
                self.publisher.facts.unknown = unknown;
                self.note_disk(&facts);
                Some(Event::Host(facts))
            }
            Observation::Sharer(sharer) => {
                if let Some(sharer) = &sharer {
                    warn!(sharer, "another container has the collator's files");
                }
                Some(Event::Shared(sharer))
            }
            Observation::Activity(activity) => Some(Event::Activity(activity)),
            // Lines of an earlier run do not describe this one.
            Observation::Log { run, .. } if run != self.machine.run() => None,
            Observation::Log { lines, .. } => self.probes.new_log(lines).map(Event::Log),
            Observation::NewerImage { image, digest } => {
                let is_allowed = self.config.allow_image(&image).is_ok();
                if !is_allowed || !self.machine.may_update_to(&digest) || self.store.unsaved().is_some() {
                    return None;
                }
                info!(image, digest, "the registry has a new image");
                Some(Event::Operator(Command::Update { image, automatic: true }))
            }
            Observation::Container(detail) => {
                let altered = self.note_detail(detail);
                self.note_images();
                self.publisher.publish(&self.machine);
                altered
            }
        }
    }

    /// Records the container's details; an event when it was changed from outside, or is as configured again.
    fn note_detail(&mut self, detail: Option<Detail>) -> Option<Event> {
        let altered = detail.as_ref().and_then(|detail| detail.altered.clone());
        self.publisher.facts.detail = detail;
        if altered.as_deref() == self.machine.altered() {
            return None;
        }
        if let Some(what) = &altered {
            warn!(what, "the container was changed from outside");
        }
        Some(Event::Altered(altered))
    }

    /// Records the free disk space, and logs a larger file system.
    fn note_disk(&mut self, facts: &HostFacts) {
        if let Some(free) = facts.disk_free_bytes {
            let now = self.clock.now();
            let syncing = self
                .machine
                .trackers()
                .filter(|(chain, _)| self.machine.verdict(now, *chain) == Verdict::Syncing);
            let sync_seconds = syncing.filter_map(|(_, tracker)| tracker.speed().1).max();
            self.publisher.facts.disk.note(now, free, sync_seconds);
        }
        let sizes = self.machine.host().disk_total_bytes.zip(facts.disk_total_bytes);
        if let Some((before, now)) = sizes.filter(|(before, now)| now > before) {
            info!(before, now, "the file system of data.path has grown, bytes");
        }
    }
}

/// The disks that the core knows.
fn disks_event(stalled: StalledDisks) -> Event {
    let disks = [
        (disk::Disk::State, Disk::State),
        (disk::Disk::Data, Disk::Data),
        (disk::Disk::Identity, Disk::Identity),
    ];
    let stalled = disks.into_iter().filter(|(used, _)| stalled.contains(*used));
    Event::DisksStalled(stalled.map(|(_, known)| known).collect())
}

/// Redacts the last lines of a container that ended.
pub(in crate::supervisor) fn redact(container: &mut Container, secrets: &[String]) {
    if let Container::Exited { exit, .. } = container {
        recorder::redact_lines(&mut exit.log, secrets);
    }
}
