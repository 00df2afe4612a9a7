//! Publishes status and metrics. Has no other effect.

use std::sync::Arc;

use agent_config::Config;
use agent_core::machine::Machine;
use agent_core::published::AgentSnapshot;
use agent_core::status::Status;
use agent_runtime::{Instant, wall};
use jiff::Timestamp;
use tokio::sync::watch;

use super::adapter_facts::AdapterFacts;
use super::clock::AgentClock;
use super::counters::Counters;
use super::status;
use crate::process;

pub(super) struct Publisher {
    config: Arc<Config>,
    clock: AgentClock,
    started: (Instant, Timestamp),
    pub(super) facts: AdapterFacts,
    pub(super) counters: Counters,
    published: watch::Sender<Arc<AgentSnapshot>>,
}

impl Publisher {
    pub(super) fn new(config: &Arc<Config>, clock: AgentClock) -> Self {
        let (started, at) = (wall::now(), Instant::now());
        Self {
            config: Arc::clone(config),
            clock,
            started: (at, started),
            facts: AdapterFacts::default(),
            counters: Counters::new(config.chains.keys().copied()),
            published: watch::Sender::new(Arc::new(AgentSnapshot::of(Status::default(), started, at.into_std()))),
        }
    }

    pub(super) fn set_config(&mut self, config: &Arc<Config>) {
        self.config = Arc::clone(config);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<AgentSnapshot>> {
        self.published.subscribe()
    }

    /// The status in one line, for the service manager.
    pub(super) fn answer(&self) -> String {
        self.published.borrow().status.answer()
    }

    /// The status published last.
    pub(super) fn status(&self) -> Status {
        process::status_now(&self.published.borrow())
    }

    pub(super) fn publish(&self, machine: &Machine) {
        let (began, started) = self.started;
        self.published.send_replace(Arc::new(AgentSnapshot {
            status: status::status(machine, &self.facts, &self.config, &self.clock, began),
            problems: machine.problems().iter().map(|p| (p.cause, p.health)).collect(),
            running: machine.is_running(),
            nodes: self.facts.nodes.clone(),
            sync: machine.sync_evidence(),
            counters: self.counters.totals().clone(),
            started,
            at: Instant::now().into_std(),
        }));
    }
}
