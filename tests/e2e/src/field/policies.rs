//! Our reading of what else restarts nodes, from public documents, to compare with: simulated over the same events, open
//! loop. Each is read in its favour: a restart clears its timers, and Docker starts again what ended.

use agent_core::event::{Chain, Container, Event, Sample};

use super::Case;
use super::judge::{Act, Step};

/// Seconds between two looks of a simulated policy.
const TICK: u64 = 10;
/// Blocks behind from which a cron script restarts; those that are public have 10 to 200.
const DRIFT: u64 = 50;

/// What a policy sees of the node at one moment.
#[derive(Debug, Default)]
struct View {
    running: bool,
    started: u64,
    /// Whether the exporter of the watched chain answers; unknown before the first look.
    answers: Option<bool>,
    sample: Sample,
    /// The highest that the references say.
    reference: Option<u64>,
}

trait Policy {
    /// Whether it restarts the node now.
    fn restarts(&mut self, now: u64, view: &View) -> bool;
}

/// Name, and what it does in a case.
pub type Other = (&'static str, fn(&Case) -> Vec<Act>);

pub const OTHERS: &[Other] = &[
    ("docker", |case| run(case, Docker)),
    ("autoheal", |case| run(case, Autoheal::default())),
    ("doctor", |case| run(case, Doctor::default())),
    ("liveness", |case| run(case, Liveness::default())),
    ("drift", |case| run(case, Drift::default())),
];

/// Docker's restart policy: nothing while it runs, and a start after every end.
struct Docker;

impl Policy for Docker {
    fn restarts(&mut self, _: u64, _: &View) -> bool {
        false
    }
}

/// docker-autoheal: a health check every 30 s that asks the exporter; three failures are unhealthy, which restarts.
#[derive(Default)]
struct Autoheal {
    next: u64,
    failures: u32,
}

impl Policy for Autoheal {
    fn restarts(&mut self, now: u64, view: &View) -> bool {
        if !view.running {
            (self.failures, self.next) = (0, now + 30);
        }
        if now < self.next {
            return false;
        }
        self.next = now + 30;
        self.failures = if view.answers == Some(false) {
            self.failures + 1
        } else {
            0
        };
        let unhealthy = self.failures >= 3;
        if unhealthy {
            self.failures = 0;
        }
        unhealthy
    }
}

/// Since when a value has not changed, or nothing has answered.
#[derive(Default)]
struct Still {
    value: Option<u64>,
    since: u64,
}

impl Still {
    fn seconds(&mut self, now: u64, value: Option<u64>) -> u64 {
        if value.is_some() && value != self.value {
            (self.value, self.since) = (value, now);
        }
        now - self.since
    }
}

/// Kava's doctor: silent or no new block for 300 s; at least 45 min between two restarts.
#[derive(Default)]
struct Doctor {
    block: Still,
    next: u64,
}

impl Policy for Doctor {
    fn restarts(&mut self, now: u64, view: &View) -> bool {
        let best = view.sample.best.filter(|_| view.answers == Some(true));
        let due = view.running && self.block.seconds(now, best) >= 300 && now >= self.next;
        if due {
            (self.block.since, self.next) = (now, now + 2700);
        }
        due
    }
}

/// Darwinia's liveness probe behind a kubelet: from 60 s after the start, every 10 s, three failures in a row; it fails when
/// the node does not answer or the finalized block is the same for 300 s.
#[derive(Default)]
struct Liveness {
    finalized: Still,
    failures: u32,
    quiet_until: u64,
}

impl Policy for Liveness {
    fn restarts(&mut self, now: u64, view: &View) -> bool {
        let still = self.finalized.seconds(now, view.sample.finalized) >= 300;
        let delayed = now < self.quiet_until.max(view.started + 60);
        let failed = view.answers == Some(false) || still;
        self.failures = if view.running && failed && !delayed {
            self.failures + 1
        } else {
            0
        };
        let due = self.failures >= 3;
        if due {
            (self.failures, self.quiet_until, self.finalized.since) = (0, now + 60, now);
        }
        due
    }
}

/// Cron scripts: every five minutes; twice in a row too far behind a reference, or without one the target, or no answer.
#[derive(Default)]
struct Drift {
    next: u64,
    behind: bool,
}

impl Policy for Drift {
    fn restarts(&mut self, now: u64, view: &View) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + 300;
        let head = view.reference.or(view.sample.target).unwrap_or(0);
        // A script that gets no height takes none: it compares nothing.
        let drifts = view.sample.best.is_some_and(|best| head.saturating_sub(best) > DRIFT);
        let answers = view.answers == Some(true);
        let was = std::mem::replace(&mut self.behind, view.running && answers && drifts);
        let due = was && self.behind;
        if due {
            self.behind = false;
        }
        due
    }
}

fn run(case: &Case, mut policy: impl Policy) -> Vec<Act> {
    let watched = if case.policy.chains.contains(&Chain::Parachain) {
        Chain::Parachain
    } else {
        Chain::Relaychain
    };
    let (mut view, mut now, mut acts) = (View::default(), 0, Vec::new());
    let mut act = |at, step| {
        acts.push(Act { at, step, cause: None });
    };
    for (at, event) in &case.events {
        let at = at.0 / 1000;
        if matches!(event, Event::Gap) {
            now = at;
        }
        while now + TICK <= at {
            now += TICK;
            if policy.restarts(now, &view) {
                act(now, Step::Restart);
            }
        }
        match event {
            Event::Container(Container::Running { .. }) => {
                (view.running, view.started, view.answers) = (true, at, None);
            }
            Event::Container(Container::Exited { .. }) => {
                view.running = false;
                act(at, Step::Revive);
            }
            Event::Sample { chain, sample } if *chain == watched => {
                (view.answers, view.sample) = (Some(true), sample.clone());
            }
            Event::ScrapeFailed { chain, error } if *chain == watched => view.answers = Some(!error.is_silence()),
            // A script asks one.
            Event::Reference { reading, source: 0, .. } => {
                view.reference = reading.ok().and_then(|reading| reading.best).or(view.reference);
            }
            _ => {}
        }
    }
    acts
}
