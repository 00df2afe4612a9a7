//! The event loop: every input becomes an [`Event`], [`Machine::step`] decides, the executor does it.

mod actions;
mod events;

#[cfg(test)]
pub(super) use self::events::redact;

use std::collections::VecDeque;
use std::sync::Arc;

use agent_config::Config;
use agent_core::event::Event;
use agent_core::machine::{Machine, Phase};
use agent_docker::EngineEvent;
use agent_runtime::wall::StepDetector;
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use super::certificate::CertificateState;
use super::clock::AgentClock;
use super::executor::Executor;
use super::inputs::{Input, Inputs};
use super::known_secrets::KnownSecrets;
use super::notifications::Notifications;
use super::permits::Permits;
use super::probes::Probes;
use super::publisher::Publisher;
use super::state_store::StateStore;
use crate::api;
use crate::history::SharedHistory;
use crate::recorder::Recorder;
use crate::systemd::ServiceManager;

pub(super) struct EventLoop {
    pub(super) config: Arc<Config>,
    /// What no text of the container may bring into events, and so into traces, the state and the status.
    pub(super) secrets: KnownSecrets,
    pub(super) clock: AgentClock,
    pub(super) machine: Machine,
    pub(super) permits: Permits,
    pub(super) executor: Executor,
    pub(super) publisher: Publisher,
    pub(super) notifications: Notifications,
    pub(super) probes: Probes,
    pub(super) certificate: CertificateState,
    pub(super) store: StateStore,
    pub(super) recorder: Arc<Recorder>,
    pub(super) history: SharedHistory,
    pub(super) steps: StepDetector,
    /// Events that follow from another one, in order.
    pub(super) pending: VecDeque<Event>,
    /// The reply to an operator, sent once the command is saved and its effect published.
    pub(super) reply: Option<(oneshot::Sender<api::CommandReply>, api::CommandReply)>,
    /// The phase that was logged last.
    pub(super) phase: Phase,
    /// `metrics.hosts`, for the port of the metrics.
    pub(super) hosts: watch::Sender<Arc<[String]>>,
    /// The configuration with which the agent is to begin anew.
    pub(super) renewal: Option<Config>,
}

impl EventLoop {
    /// Runs until `ended`, or until there is another configuration to begin anew with.
    pub(super) async fn run(
        &mut self,
        mut inputs: Inputs,
        manager: &mut ServiceManager,
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
            // Before anything that bears a time of the new clock.
            if let Some(by_ms) = self.steps.step() {
                warn!(by_ms, "the wall clock was set");
                self.pending.push_back(Event::ClockStepped { by_ms });
                self.settle().await;
            }
            match input {
                Input::End => break,
                Input::WatchdogDue => manager.alive(self.publisher.answer()),
                Input::SaveDue => self.save().await,
                Input::PublishDue => {
                    self.retry_save().await;
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
                    if self.renewal.is_some() {
                        break;
                    }
                    if looked {
                        manager.ready();
                    }
                }
            }
            self.settle().await;
        }
    }

    /// Handles all pending events, and those that follow from them.
    pub(super) async fn settle(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            self.handle(event).await;
            self.compare_certificate();
        }
    }

    /// Passes one event to the core and carries out its actions.
    async fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        self.recorder.event(now, &event);
        self.history.event(&event);
        self.publisher.counters.event(&event);
        let turn = matches!(event, Event::Operator(_) | Event::Finished(_) | Event::Container(_));
        let actions = self.machine.step(now, event);
        self.permits.republish(&self.machine);
        self.executor.give_way(&self.machine);
        self.publisher.counters.outcome(now, &self.machine);
        if turn || !actions.is_empty() {
            // Budgets and commands are on disk before their actions begin, and results and Docker's reports before a restarted
            // agent could take what was owed for what is.
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
        if let Some((reply, mut answer)) = self.reply.take() {
            if let (Ok(text), Some(_)) = (&mut answer, self.store.unsaved()) {
                text.push_str("; it could not be saved, and another agent will not know of it");
            }
            // The client may have disconnected; its command still counts.
            let _ = reply.send(answer);
        }
    }

    /// Reads the certificate, and checks for an interrupted restore.
    async fn read_certificate(&mut self) {
        match self.certificate.read().await {
            Ok(bake) => self.publisher.facts.bake = bake,
            Err(error) => {
                warn!(%error, "the bake certificate cannot be read, going on without it");
                self.pending.push_back(Event::CertificateUnreadable(error.to_string()));
            }
        }
        self.certificate.check_restore().await;
        self.compare_certificate();
    }

    /// Queues an event when the conflict with the data changed.
    fn compare_certificate(&mut self) {
        let conflict = self.certificate.conflict(&self.publisher.facts.nodes);
        let queued = self.pending.iter().rev().find_map(|event| match event {
            Event::Certificate(conflict) => Some(*conflict),
            _ => None,
        });
        if conflict != queued.unwrap_or(self.machine.conflict()) {
            self.pending.push_back(Event::Certificate(conflict));
        }
    }

    /// Saves the state; a change of whether that works is an event.
    pub(super) async fn save(&mut self) {
        let changed = self.store.save(self.clock.now(), self.machine.state()).await;
        self.pending.extend(changed);
    }

    /// Saves the state again after a failure.
    async fn retry_save(&mut self) {
        if self.store.unsaved().is_some() {
            self.save().await;
        }
    }
}
