//! What the core knows, for the status document and the shell: read-only.

use std::collections::BTreeMap;

use super::{Action, Cause, ContainerState, Desired, LastExit, Machine};
use crate::chain_health::{ChainTracker, SyncEvidence};
use crate::event::{Chain, Conflict, HostFacts, Time};

impl Machine {
    /// The evidence about each chain that has an exporter.
    pub fn trackers(&self) -> impl Iterator<Item = (Chain, &ChainTracker)> {
        self.state.trackers.iter().map(|(chain, tracker)| (*chain, tracker))
    }

    /// Whether each chain is in sync, and for how long.
    pub fn sync_evidence(&self) -> BTreeMap<Chain, SyncEvidence> {
        let windows = &self.policy.windows;
        let evidence = |(chain, tracker): (Chain, &ChainTracker)| (chain, tracker.sync_evidence(windows));
        self.trackers().map(evidence).collect()
    }

    pub fn host(&self) -> &HostFacts {
        &self.state.host
    }

    /// The word for a container that Docker has no state of: there is none, or another one has its name.
    pub fn absence(&self) -> Option<&'static str> {
        match self.state.seen {
            ContainerState::Missing => Some("missing"),
            ContainerState::Foreign => Some("foreign"),
            _ => None,
        }
    }

    pub fn last_exit(&self) -> Option<&LastExit> {
        self.state.last_exit.as_ref()
    }

    /// Until when automatic actions are suspended, and why.
    pub fn pause(&self) -> Option<(Time, &str)> {
        self.state.pause.as_ref().map(|p| (p.until, p.reason.as_str()))
    }

    /// Whether Docker did not answer when it was asked last.
    pub fn is_docker_down(&self) -> bool {
        self.state.docker_down
    }

    /// The conflict with the bake certificate, from the last event.
    pub fn conflict(&self) -> Option<Conflict> {
        self.state.conflict
    }

    /// What was changed on the container from outside, from the last event.
    pub fn altered(&self) -> Option<&str> {
        self.state.altered.as_deref()
    }

    pub fn health_restarts(&self) -> u64 {
        self.state.health_restarts
    }

    /// Unrequested exits so far.
    pub fn crash_restarts(&self) -> u64 {
        self.state.crash_restarts
    }

    /// When the running container was first seen running; `None` while it is not.
    pub fn up_since(&self) -> Option<Time> {
        self.state.up_since
    }

    /// Whether the container runs; `None` while unknown.
    pub fn is_running(&self) -> Option<bool> {
        let known = !self.state.docker_down && self.state.observed && self.state.seen != ContainerState::Unknown;
        known.then_some(self.state.seen == ContainerState::Running)
    }

    /// The run that goes on, by its start on Docker's clock (Unix milliseconds).
    pub fn run(&self) -> Option<i64> {
        self.state.started_at.filter(|_| self.state.seen.is_up())
    }

    /// What the next run of the container would be owed to; `None` while it runs and is left alone.
    pub fn stop_cause(&self) -> Option<Cause> {
        let state = &self.state;
        let action = state.in_flight.as_ref().map(Action::cause);
        if state.seen.is_up() {
            return action;
        }
        let wish = match state.desired {
            Desired::Running => None,
            Desired::StoppedByOperator => Some(Cause::Operator),
            Desired::StoppedByPerson => Some(Cause::StoppedByPerson),
        };
        let end = state.settle.map(|s| s.cause).or(state.stop_cause);
        let notice = state
            .notice
            .filter(|_| self.leaves(state.now))
            .map(super::termination::ActiveNotice::cause);
        action.or(wish).or(state.hold).or(notice).or(self.fenced()).or(end)
    }

    /// Whether a restart for `cause` has yet to show what it was good for.
    pub fn is_tried(&self, cause: Cause) -> bool {
        self.state.restart_budget.is_tried(cause)
    }

    /// Whether it would help to know what the container uses and logs: it runs, and a chain does not move or is silent.
    pub fn in_doubt(&self) -> bool {
        // A relay chain by RPC answers and has no height that could move.
        let heightless = |t: &ChainTracker| t.last_error().is_none() && t.sample().is_some_and(|s| s.best.is_none());
        let still = |t: &ChainTracker| !t.progressing(self.policy.windows.stall_after / 4) && !heightless(t);
        let silent = |t: &ChainTracker| t.silent.is_some();
        self.state.seen.is_up() && self.state.trackers.values().any(|t| still(t) || silent(t))
    }
}
