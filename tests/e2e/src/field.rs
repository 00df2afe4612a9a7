//! Cases from the field: what operators of Polkadot-SDK nodes report, made anew for any size, time and seed, each with a
//! label that says what a supervisor has to do. The agent is judged by them, and so are other policies, to compare with.

mod exits;
pub mod export;
mod finality;
mod idle;
pub mod judge;
mod lag;
mod modes;
mod noise;
pub mod policies;
mod reference;
mod rng;
mod scene;
mod silence;
mod sync;
pub mod table;

use std::time::Duration;

use agent_core::cause::Cause;
use agent_core::event::{Event, Time};
use agent_core::machine::{Phase, Policy};

use scene::Scene;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// One observed run of a node, and what has to be done about it.
#[derive(Debug)]
pub struct Case {
    pub kind: &'static str,
    pub seed: u64,
    pub policy: Policy,
    pub events: Vec<(Time, Event)>,
    pub label: Label,
}

/// What has to be done: the first such action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Nothing,
    /// `None`: for whatever cause.
    Restart(Option<Cause>),
    Hold(Cause),
}

/// What is right about a case. Times are seconds of its clock.
#[derive(Debug, Clone)]
pub struct Label {
    pub expect: Expect,
    /// The action before this time is a false one.
    pub from: u64,
    /// The action after this time is a missed one.
    pub until: u64,
    /// Restarts that are allowed although none is asked for.
    pub max_restarts: usize,
    /// Messages that a condition has begun, at most.
    pub notify_max: Option<usize>,
    /// A message has to come between `from` and this time.
    pub tells_by: Option<u64>,
    /// Phases that must not be shown.
    pub never: &'static [Phase],
    /// Spans in which a restart throws work away or damages the database.
    pub fragile: Vec<(u64, u64)>,
}

impl Label {
    fn new(expect: Expect, from: u64, until: u64) -> Self {
        Self {
            expect,
            from,
            until,
            max_restarts: 0,
            notify_max: None,
            tells_by: None,
            never: &[],
            fragile: Vec::new(),
        }
    }

    /// Nothing has to be done, and so many messages may be sent.
    fn nothing(notify_max: usize) -> Self {
        Self {
            notify_max: Some(notify_max),
            ..Self::new(Expect::Nothing, 0, 0)
        }
    }

    fn restart(cause: Cause, from: u64, until: u64) -> Self {
        Self::new(Expect::Restart(Some(cause)), from, until)
    }

    fn told(mut self, from: u64, by: u64) -> Self {
        self.from = from;
        self.tells_by = Some(by);
        self
    }

    fn never(mut self, phases: &'static [Phase]) -> Self {
        self.never = phases;
        self
    }

    fn fragile(mut self, from: u64, until: u64) -> Self {
        self.fragile.push((from, until));
        self
    }
}

/// A kind of case: its name, and what makes one.
type Kind = (&'static str, fn(&mut Scene) -> Label);

fn all() -> impl Iterator<Item = &'static Kind> {
    [
        sync::KINDS,
        idle::KINDS,
        finality::KINDS,
        silence::KINDS,
        lag::KINDS,
        modes::KINDS,
        noise::KINDS,
        exits::KINDS,
        reference::KINDS,
    ]
    .into_iter()
    .flatten()
}

/// Names of all kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    all().map(|(name, _)| *name)
}

/// The case of a kind and a seed; even seeds are sampled as the agent does, odd ones once a minute.
pub fn case(kind: &str, seed: u64) -> Option<Case> {
    let (kind, make) = all().find(|(name, _)| *name == kind)?;
    let mut scene = Scene::new(kind, seed);
    let label = make(&mut scene);
    let policy = Policy {
        chains: scene.chains.clone(),
        ..Policy::default()
    };
    Some(Case {
        kind,
        seed,
        policy,
        events: scene.into_events(),
        label,
    })
}

/// Seeds of each kind that are tried: `FIELD_SEEDS`, or so many.
pub fn seeds(default: u64) -> u64 {
    std::env::var("FIELD_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn time(seconds: u64) -> Time {
    Time(0) + Duration::from_secs(seconds)
}
