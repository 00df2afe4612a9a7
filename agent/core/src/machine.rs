//! Decides what is done to the container, in one place.
//!
//! Pure: [`Machine::step`] takes the time and one [`Event`](crate::event::Event) and returns the [`Action`]s to execute;
//! [`Machine::next_deadline`] says when to call again if nothing happens. It reads no clock, does no I/O
//! and logs nothing, so a trace replayed through it takes the same decisions as the live agent did.
//!
//! ```text
//!                      ┌────────────── exit, kill, removal ──────────────┐
//!                      ▼                                                 │
//!   missing ──Start──▶ starting ──exporter answers──▶ running, judged ───┤
//!                      ▲   ▲                            │   │   │        │
//!        Start, after  │   └── progress clears tries ◀──┘   │   │        │
//!        backoff       │        Restart (frozen, stalled,   │   │        │
//!                      │        isolated; within budget) ◀──┘   │        │
//!   backoff ◀──────────┤                                        │        │
//!                      │                       Hold (no restart │        │
//!   stopped ◀── stop ──┤◀── start ── holding ◀── can help) ◀────┴────────┘
//!   (a person's wish)  │                │
//!                      ├── room again ◀─┼── Stop (disk below its floor)
//!                      └── called off ◀─┴── Stop within the time left (EC2 takes the instance)
//! ```
//!
//! An update takes it over in between (`machine/update.rs`).
//!
//! Every action is executed one at a time and comes back as [`Event::Finished`](crate::event::Event::Finished).

mod action;
mod action_result;
mod collation;
mod container;
mod decide;
mod explain;
mod fault;
mod handover;
mod health;
mod key_fence;
mod opinion;
mod policy;
mod report;
mod restart_budget;
mod step;
mod termination;
#[cfg(test)]
mod tests;
mod update;
mod view;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::cause::Cause;
use crate::chain_health::ChainTracker;
use crate::event::{ActionFailure, Activity, Chain, Conflict, Disk, HostFacts, Identity, LifecycleAnswer, Time};
use crate::exit_diagnosis::Diagnosis;
pub use action::Action;
use collation::Collation;
pub use explain::CommandError;
pub use health::{Health, Phase, PlannedAction, Problem};
pub use policy::{GAP_AFTER, Idle, Policy, UNPERSISTED_AFTER, WithoutVolume};
use report::Absence;
pub use restart_budget::RestartBudget;
pub use update::{CompletedUpdate, UpdateProgress, UpdateResult, UpdateStep};
pub use work::Work;

/// What Docker needs beyond the collator's own stop timeout to kill it and to clean up.
pub const STOP_MARGIN: Duration = Duration::from_secs(30);
/// The same for who waits until an agent has stopped the collator. It may have to end another action first, and its own
/// error, which says more, has to come before theirs.
pub const AGENT_STOP_MARGIN: Duration = STOP_MARGIN.saturating_mul(4);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    #[default]
    Running,
    /// `t0rn-agent stop`.
    StoppedByOperator,
    /// `docker stop`.
    StoppedByPerson,
}

/// The container as far as known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    #[default]
    Unknown,
    Missing,
    Foreign,
    Created,
    Running,
    /// Frozen by `docker pause`.
    Paused,
    /// Docker's policy is about to start it.
    Restarting,
    Exited,
}

impl ContainerState {
    fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// An end that something may still follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct GracePeriod {
    until: Time,
    cause: Cause,
    /// Not requested: Docker's policy may start it again. Otherwise it is not known yet who ended it.
    #[serde(default)]
    mendable: bool,
}

/// A terminating signal sent through Docker from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Signalled {
    at: Time,
    signal: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub until: Time,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    pub at: Time,
    pub code: Option<i64>,
    /// It was killed for memory.
    pub oom: bool,
}

/// Everything the core remembers; it survives the agent.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with a name of its own"
)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    now: Time,
    desired: Desired,
    seen: ContainerState,
    /// The container was seen since the agent started.
    observed: bool,
    /// Docker's start time of this run, Unix milliseconds.
    started_at: Option<i64>,
    /// When this run began, as far as known.
    up_since: Option<Time>,
    spec_matches: bool,
    docker_down: bool,
    /// Docker is back; until then its report about the container is awaited.
    unconfirmed_until: Option<Time>,
    docker_back: Option<Time>,
    in_flight: Option<Action>,
    /// Docker events at or before this wall time (Unix milliseconds) were caused by the agent.
    #[serde(rename = "ours_until")]
    own_events_until: Option<i64>,
    /// When the newest stop of the agent's ended this run, Unix milliseconds of Docker's clock at that time.
    #[serde(default)]
    own_end: Option<i64>,
    /// A signal was sent to this run through Docker from outside.
    signalled: Option<Signalled>,
    settle: Option<GracePeriod>,
    /// What ended the last run, while it is down.
    #[serde(rename = "down_by")]
    stop_cause: Option<Cause>,
    /// The run (by its start time) that is known to have ended.
    ended: Option<i64>,
    /// A stop of ours is complete: Docker's policy will not start it, only a person can.
    #[serde(rename = "parked")]
    stopped_by_agent: bool,
    hold: Option<Cause>,
    /// What the bake certificate says against running: no `start` gets past it.
    conflict: Option<Conflict>,
    disk_stop: bool,
    pause: Option<Pause>,
    trackers: BTreeMap<Chain, ChainTracker>,
    #[serde(default)]
    collation: Collation,
    host: HostFacts,
    /// When looks at the host began to find its network down, and when the last one did.
    #[serde(default)]
    network_down: Option<(Time, Time)>,
    activity: Option<(Time, Activity)>,
    #[serde(default)]
    work: Work,
    /// By chain, then by position in the configuration.
    #[serde(default)]
    references: BTreeMap<Chain, BTreeMap<usize, opinion::Reference>>,
    /// Unrequested exits within the last ten minutes.
    crashes: VecDeque<Time>,
    crash_loop: bool,
    /// Starts of ours since the container last ran for `backoff_reset`.
    attempts: u32,
    next_start: Option<Time>,
    last_failure: Option<(ActionFailure, String)>,
    last_exit: Option<LastExit>,
    /// The newest end was for want of memory, and no run has lasted since.
    #[serde(default)]
    out_of_memory: bool,
    /// What the last lines of the newest end showed.
    #[serde(default)]
    diagnosis: Option<Diagnosis>,
    /// When that was by Docker's clock, Unix milliseconds.
    exited_at: Option<i64>,
    #[serde(rename = "cures")]
    restart_budget: RestartBudget,
    crash_restarts: u64,
    health_restarts: u64,
    /// Problems that were reported and are not over.
    #[serde(rename = "told")]
    active_problems: Vec<Cause>,
    /// Those of them that are away and may come back.
    #[serde(default)]
    absent_problems: BTreeMap<Cause, Absence>,
    /// An operator asked for a start: that also goes while automatic actions are paused.
    #[serde(rename = "asked")]
    start_requested: bool,
    /// An operator asked for a start of a container that ran when Docker was heard last: what Docker reports next may be older.
    #[serde(default)]
    start_unheard: bool,
    /// Until then, a stop that was ordered and whose end was not reported may still be finishing: by a former life of the
    /// agent, or when the engine went away.
    #[serde(rename = "echo_until")]
    ignore_own_events_until: Option<Time>,
    /// An operator's restart that an absent engine did not carry out.
    #[serde(default)]
    restart_owed: bool,
    /// Docker's wall clock of the newest event heard, Unix milliseconds.
    heard_at: Option<i64>,
    /// The wall clock was set during this run, or while no agent watched: its start identifies it, and is neither before nor
    /// after another time of Docker's.
    #[serde(default)]
    clock_stepped: bool,
    notice: Option<termination::ActiveNotice>,
    #[serde(default)]
    update: update::UpdateState,
    /// Latest identity-volume state since the agent started.
    identity: Option<Identity>,
    /// The newest run, or the one under way, may sign with the keys.
    #[serde(default = "key_fence::assumed")]
    authority: bool,
    /// Release of the identity volume in this life of the agent.
    #[serde(default)]
    release: handover::Release,
    /// Latest answer to the auto scaling group in this life of the agent.
    lifecycle: Option<LifecycleAnswer>,
    unsaved: Option<String>,
    /// Why the state of an earlier life was not used, until an operator says what is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set_aside: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    records_unsaved: Option<String>,
    /// Disks that do not answer.
    #[serde(default)]
    stalled: Vec<Disk>,
    certificate_error: Option<String>,
    #[serde(default)]
    configuration_error: Option<String>,
    #[serde(default)]
    shared: Option<String>,
    #[serde(default)]
    altered: Option<String>,
    /// The log of this run names a peer on another chain.
    #[serde(default)]
    names_other_chain: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    policy: Policy,
    state: State,
}

impl Machine {
    /// A core that knows nothing yet.
    pub fn new(policy: Policy, now: Time) -> Self {
        let state = State {
            now,
            spec_matches: true,
            trackers: policy.trackers(),
            authority: true,
            ..State::default()
        };
        Self { policy, state }
    }

    /// What has to be kept so that [`Machine::resume`] goes on from here.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Resumes from the state that an earlier agent process saved. Windows start anew: the time in between was not
    /// observed.
    ///
    /// `now` is on the clock of that earlier life.
    pub fn resume(policy: Policy, mut state: State, now: Time) -> Self {
        policy.retain_trackers(&mut state.trackers);
        let stopping = state
            .in_flight
            .take()
            .is_some_and(|a| !matches!(a, Action::Start { .. }));
        state.observed = false;
        state.identity = None;
        state.release = handover::Release::default();
        state.lifecycle = None;
        state.unsaved = None;
        state.records_unsaved = None;
        state.stalled.clear();
        state.certificate_error = None;
        state.configuration_error = None;
        state.shared = None;
        state.altered = None;
        state.settle = None;
        state.signalled = None;
        state.now = state.now.max(now);
        if stopping {
            state.ignore_own_events_until = Some(state.now + policy.stop_bound());
        }
        if let Some(notice) = &mut state.notice {
            notice.doubt();
        }
        let mut machine = Self { policy, state };
        machine.resume_update();
        machine.forget_windows();
        machine
    }

    /// From when on Docker's events are to be read, Unix milliseconds: `None` is from now.
    pub fn watch_from(&self) -> Option<i64> {
        // Reports about earlier runs do not concern this one: a `docker restart` reports that it stopped.
        let started_at = self.state.started_at.filter(|_| !self.state.clock_stepped);
        let known = self.state.heard_at.max(started_at);
        known.filter(|_| !self.state.echoes(self.state.now))
    }
}

impl State {
    /// Whose doing an end was shows a moment later: until then nothing is said, and nothing done that a
    /// person's `docker stop` would be lost by.
    fn is_author_clear(&self) -> bool {
        self.settle.is_none_or(|s| s.mendable)
    }

    /// The wall clock was set: bounds move along, and what identifies a run or an end is compared for equality only.
    fn on_clock_step(&mut self, by_ms: i64) {
        for bound in [&mut self.own_events_until, &mut self.heard_at] {
            *bound = bound.map(|at| at.saturating_add(by_ms));
        }
        self.clock_stepped = self.started_at.is_some() || self.exited_at.is_some();
    }

    /// Whether a report may still be about an action of an earlier agent process.
    fn echoes(&self, now: Time) -> bool {
        self.ignore_own_events_until.is_some_and(|until| now < until)
    }

    /// The end that a failed restart had asked for was reported.
    fn confirm_restart(&mut self) {
        self.health_restarts += u64::from(self.restart_budget.confirm());
    }
}
