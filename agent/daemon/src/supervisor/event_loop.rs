//! The event loop: every input becomes an [`Event`], [`Machine::step`] decides, the executor does it.

use std::collections::VecDeque;
use std::sync::Arc;

use agent_aws::MetadataEvent;
use agent_config::Config;
use agent_core::event::{Command, Container, Event, HostFacts, Outcome};
use agent_core::machine::{Action, Cause, Machine, Phase};
use agent_core::notification::{Kind, Message};
use agent_core::status::Scrape;
use agent_docker::{EngineEvent, Inspection};
use jiff::Timestamp;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::certificate::CertificateState;
use super::clock::Clock;
use super::executor::{Circumstances, CompletedAction, Completion, Executor};
use super::inputs::{Input, Inputs};
use super::notifications::Notifications;
use super::permits::Permits;
use super::probes::{Observation, Probes};
use super::publisher::Publisher;
use super::state_store::StateStore;
use crate::api;
use crate::history::Keeper;
use crate::identity::IdentityEvent;
use crate::recorder::Recorder;
use crate::systemd::Manager;

pub(super) struct EventLoop {
    pub(super) config: Arc<Config>,
    pub(super) clock: Clock,
    pub(super) machine: Machine,
    pub(super) permits: Permits,
    pub(super) executor: Executor,
    pub(super) publisher: Publisher,
    pub(super) notifications: Notifications,
    pub(super) probes: Probes,
    pub(super) certificate: CertificateState,
    pub(super) store: StateStore,
    pub(super) recorder: Arc<Recorder>,
    pub(super) history: Keeper,
    /// What followed from an event and comes after it.
    pub(super) pending: VecDeque<Event>,
    /// What an operator is answered once the command is taken in, on disk, and to be seen in the status.
    pub(super) reply: Option<(oneshot::Sender<api::Answer>, api::Answer)>,
    /// The phase that was logged last.
    pub(super) phase: Phase,
}

impl EventLoop {
    /// Runs until `ended`.
    pub(super) async fn run(
        &mut self,
        mut inputs: Inputs,
        manager: &mut Manager,
        mut ended: impl Future<Output = ()> + Unpin,
    ) {
        self.read_certificate().await;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            container = self.config.collator.container,
            "agent started"
        );
        self.settle().await;
        loop {
            let deadline = self.machine.next_deadline().map(|t| self.clock.instant(t));
            let input = inputs.next(&mut self.executor, manager, deadline, &mut ended).await;
            match input {
                Input::End => break,
                Input::WatchdogDue => manager.alive(self.publisher.answer()),
                Input::SaveDue => self.save().await,
                Input::PublishDue => {
                    self.save_again().await;
                    self.publisher.publish(&self.machine);
                }
                input => {
                    let looked = matches!(
                        input,
                        Input::Engine(EngineEvent::Reachable { .. } | EngineEvent::Unreachable { .. })
                    );
                    if let Some(event) = self.event(input).await {
                        self.pending.push_back(event);
                    }
                    self.settle().await;
                    if looked {
                        manager.ready();
                    }
                }
            }
            self.settle().await;
        }
    }

    /// What the core learns from an input.
    async fn event(&mut self, input: Input) -> Option<Event> {
        match input {
            Input::Engine(event) => Some(self.on_engine(event)),
            Input::Completion(Completion::Action(completed)) => Some(self.on_completed(*completed)),
            Input::Completion(Completion::Pulled { image, result }) => {
                match &result {
                    Ok(images) => info!(image, pin = images.to.pin, "the image is here"),
                    Err(error) => warn!(image, error, "the image cannot be had"),
                }
                // Otherwise it belongs to an update that was given up.
                let awaited = self.machine.update().is_some_and(|update| update.image == image);
                awaited.then_some(Event::Pulled(result))
            }
            Input::Request(request) => {
                self.certificate.look_for_restore().await;
                self.compare_certificate();
                self.save_again().await;
                self.settle().await;
                self.on_request(request)
            }
            Input::Metadata(event) => self.on_metadata(event),
            Input::Identity(IdentityEvent::Holding(identity)) => Some(Event::Identity(identity)),
            Input::Identity(IdentityEvent::Released) => Some(Event::IdentityReleased),
            Input::Observation(observation) => self.on_observation(observation),
            Input::Deadline => Some(Event::Tick),
            Input::End | Input::WatchdogDue | Input::SaveDue | Input::PublishDue => None,
        }
    }

    fn on_engine(&mut self, event: EngineEvent) -> Event {
        match event {
            EngineEvent::Reachable { api } => {
                info!(api, "docker answers");
                Event::Docker { reachable: true }
            }
            EngineEvent::Unreachable { error } => {
                warn!(error, "docker does not answer");
                Event::Docker { reachable: false }
            }
            EngineEvent::Container(container) => {
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
        }
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
            Ok(Inspection { container, detail }) => {
                info!(action, cause, "done");
                self.publisher.facts.detail = detail;
                Outcome::Done {
                    container,
                    at: Some(Timestamp::now().as_millisecond()),
                }
            }
            Err((error, kind)) => {
                warn!(action, cause, error, "failed");
                Outcome::Failed { error, kind }
            }
        });
        // Before the outcome: that is judged by them.
        self.pending.extend(databases.map(Event::Databases));
        finished
    }

    fn on_request(&mut self, request: api::Request) -> Option<Event> {
        if let Some(reason) = self.declines(&request.command) {
            let _ = request.reply.send(Err(reason));
            return None;
        }
        let answer = self.machine.acknowledge(&request.command);
        info!(command = ?request.command, ?answer, "operator");
        self.reply = Some((request.reply, answer));
        if request.command == Command::Stop {
            self.executor.cancel_start();
        }
        Some(Event::Operator(request.command))
    }

    /// Why a command is not even shown to the core.
    fn declines(&self, command: &Command) -> Option<String> {
        let starts = matches!(
            command,
            Command::Start | Command::Restart { .. } | Command::Update { .. }
        );
        if self.certificate.is_copying() && starts {
            return Some(
                "a snapshot or a restore is at work on the data, and starts the collator when it is done".to_owned(),
            );
        }
        let unsaved = self.store.unsaved();
        unsaved
            .filter(|_| matches!(command, Command::Update { .. }))
            .map(|error| format!("an update that is interrupted would be forgotten: {error}"))
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
                    Ok(page) => (Scrape::Ok, page.elapsed),
                    Err(failure) => (failure.error.into(), self.clock.now().since(began)),
                };
                self.publisher.counters.scrape(chain, ended, took);
                if self.machine.in_doubt() {
                    self.probes.measure_activity();
                }
                // A page of before this run says nothing about this run.
                if self.machine.up_since().is_some_and(|up| began < up) {
                    return None;
                }
                Some(match result {
                    Ok(page) => {
                        self.publisher.facts.note_page(self.clock.now(), chain, &page);
                        let sample = page.sample;
                        Event::Sample { chain, sample }
                    }
                    Err(failure) => {
                        let error = failure.error;
                        Event::ScrapeFailed { chain, error }
                    }
                })
            }
            Observation::Host(facts) => {
                self.note_disk(&facts);
                Some(Event::Host(facts))
            }
            Observation::Activity(activity) => Some(Event::Activity(activity)),
            Observation::NewerImage { image, digest } => {
                if !self.machine.may_update_to(&digest) || self.store.unsaved().is_some() {
                    return None;
                }
                info!(image, digest, "the registry has a new image");
                Some(Event::Operator(Command::Update { image, automatic: true }))
            }
            Observation::Container(detail) => {
                self.publisher.facts.detail = detail;
                self.note_images();
                self.publisher.publish(&self.machine);
                None
            }
        }
    }

    /// Notes how full the disk is, and says when it was enlarged.
    fn note_disk(&mut self, facts: &HostFacts) {
        if let Some(free) = facts.disk_free_bytes {
            self.publisher.facts.disk.note(self.clock.now(), free);
        }
        let sizes = self.machine.host().disk_total_bytes.zip(facts.disk_total_bytes);
        if let Some((before, now)) = sizes.filter(|(before, now)| now > before) {
            info!(before, now, "the file system of data.path has grown, bytes");
        }
    }

    fn note_images(&mut self) {
        let detail = self.publisher.facts.detail.as_ref();
        let running = detail.and_then(|detail| detail.image_id.clone());
        self.executor.note_images(running.as_deref(), &self.machine);
    }

    /// Takes everything that is pending through the core, and what follows from it.
    async fn settle(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            self.handle(event).await;
            self.compare_certificate();
        }
    }

    /// Takes one event through the core, and does what follows from it.
    async fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        self.recorder.event(now, &event);
        self.history.event(&event);
        self.publisher.counters.event(&event);
        let turn = matches!(event, Event::Operator(_) | Event::Finished(_));
        let actions = self.machine.step(now, event);
        self.permits.republish(&self.machine);
        self.executor.give_way(&self.machine);
        self.publisher.counters.outcome(now, &self.machine);
        if turn || !actions.is_empty() {
            // Budgets and wishes are on disk before anything is done about them; what was done is, before the
            // next agent might do it again.
            self.save().await;
        }
        self.carry_out(actions);
        let phase = self.machine.phase();
        if phase != std::mem::replace(&mut self.phase, phase) {
            info!(
                phase = phase.into_str(),
                health = self.machine.health().into_str(),
                "phase"
            );
        }
        self.publisher.publish(&self.machine);
        if let Some((reply, answer)) = self.reply.take() {
            // A client that has gone away does not take its command with it.
            let _ = reply.send(answer);
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        let now = self.clock.now();
        let messages = self.notifications.select(&actions, &self.machine);
        // What is told of an action on the container waits for its incident.
        let (mut with_action, mut messages): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.kind == Kind::Action);
        for action in actions {
            self.recorder.action(now, &action);
            self.history.action(&action);
            match action {
                Action::Notify { cause, over: true } => info!(cause = cause.into_str(), "over"),
                Action::Notify { cause, over: false } => {
                    warn!(cause = cause.into_str(), "{}", self.machine.explain(cause));
                }
                Action::Judged { cause, helped } => self.on_judged(cause, helped, &mut messages),
                Action::Pull { image } => self.executor.pull(image),
                Action::Updated { result } => {
                    let why = self.machine.explain(result.cause());
                    info!(result = result.into_str(), why, "update");
                    self.publisher.counters.update(result);
                    self.note_images();
                    self.executor.remove_old_images(&self.machine);
                }
                Action::ReleaseIdentity { .. } | Action::HoldIdentity | Action::AnswerLifecycle { .. } => {
                    self.executor.hand_over(&action);
                }
                action => self.act(action, with_action.pop()),
            }
        }
        for message in messages {
            self.notifications.send(message);
        }
    }

    fn on_judged(&mut self, cause: Cause, helped: bool, messages: &mut [Message]) {
        info!(cause = cause.into_str(), helped, "the restart was judged");
        let incident = self.executor.incidents.judge(cause, helped);
        let judged = |m: &&mut Message| m.kind == Kind::Judged && m.cause == Some(cause);
        if let Some(message) = messages.iter_mut().find(judged) {
            message.incident = incident;
        }
        self.publisher.facts.last_incident = self.executor.incidents.last().cloned();
    }

    /// Begins an action on the container.
    fn act(&mut self, action: Action, message: Option<Message>) {
        let (kind, cause) = (action.kind(), action.cause());
        info!(
            action = kind,
            cause = cause.into_str(),
            why = self.machine.explain(cause),
            "acting"
        );
        // An update changes nothing that is not on disk first.
        let forward = cause == Cause::Update && matches!(action, Action::Stop { .. } | Action::Start { .. });
        if let Some(error) = self.store.unsaved().filter(|_| forward) {
            return self.executor.refuse(action, error.to_owned());
        }
        let evidence = action.answers_fault().then(|| {
            self.publisher.counters.incident(cause);
            let now = self.clock.now();
            self.executor.incidents.begin(now, &action, &self.machine)
        });
        let message = message.map(|message| Message {
            incident: evidence.as_ref().map(|evidence| evidence.id.clone()),
            ..message
        });
        let message = message.zip(self.notifications.mailbox());
        self.executor.begin(action, Circumstances { evidence, message });
    }

    /// Reads the certificate, and looks for an interrupted restore.
    async fn read_certificate(&mut self) {
        match self.certificate.read().await {
            Ok(bake) => self.publisher.facts.bake = bake,
            Err(error) => {
                warn!(%error, "the bake certificate says nothing, going on without it");
                self.pending.push_back(Event::CertificateUnreadable(error));
            }
        }
        self.certificate.look_for_restore().await;
        self.compare_certificate();
    }

    /// Tells the core when something speaks against running on the data, or no longer does.
    fn compare_certificate(&mut self) {
        let conflict = self.certificate.conflict(&self.publisher.facts.nodes);
        let told = self.pending.iter().rev().find_map(|event| match event {
            Event::Certificate(conflict) => Some(*conflict),
            _ => None,
        });
        if conflict != told.unwrap_or(self.machine.conflict()) {
            self.pending.push_back(Event::Certificate(conflict));
        }
    }

    /// Saves the state; whether that works is an event of its own.
    pub(super) async fn save(&mut self) {
        let changed = self.store.save(self.clock.now(), self.machine.state()).await;
        self.pending.extend(changed);
    }

    /// Saves what could not be saved, as soon as there is room.
    async fn save_again(&mut self) {
        if self.store.unsaved().is_some() {
            self.save().await;
        }
    }
}
