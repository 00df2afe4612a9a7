//! A node under the core's eyes.

mod values;

pub(super) use self::values::{healthy_host, pause, restart, running, start};
use super::invariants::InvariantChecker;
pub(super) use super::node::Node;
use crate::event::{
    ActionFailure, Chain, Command, Container, DesiredSpec, Event, Exit, HostFacts, LifecycleAnswer, Outcome,
    ScrapeError, Time, Versions,
};
use crate::machine::{Action, Cause, Health, Machine, Phase, Policy};

pub(super) struct Harness {
    pub(super) machine: Machine,
    pub(super) now: Time,
    pub(super) para: Node,
    pub(super) relay: Node,
    pub(super) host: Option<HostFacts>,
    /// Everything that the core decided, with its time in seconds.
    pub(super) log: Vec<(u64, Action)>,
    /// Actions are carried out at once; otherwise they stay in flight.
    pub(super) obeys: bool,
    /// Actions that are carried out fail in this way.
    pub(super) failing: Option<ActionFailure>,
    /// What the databases say at rest.
    pub(super) databases: Versions,
    /// Whether that can be read.
    pub(super) databases_unreadable: bool,
    /// Start time of the newest run, Unix ms.
    pub(super) run: i64,
    /// How far the wall clock was set, ms.
    pub(super) wall_offset: i64,
    /// The container runs: exporters can answer.
    pub(super) up: bool,
    /// Everything that the core was fed, for feeding it again.
    pub(super) fed: Vec<(Time, Event)>,
    /// How many actions are being carried out, each one for the outcome of the one before.
    depth: usize,
    /// Checks every step against what may never happen.
    pub(super) invariants: Option<InvariantChecker>,
}

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;
/// Unix ms at time zero of the core's clock.
const WALL: i64 = 1_800_000_000_000;

impl Harness {
    /// A synced collator that the core has watched for two minutes.
    pub(super) fn synced() -> Self {
        let mut harness = Self::fresh();
        harness.runs_anew();
        harness.run(2 * MINUTE);
        harness.log.clear();
        harness
    }

    /// A crash loop that is over and not yet forgotten.
    pub(super) fn after_a_crash_loop() -> Self {
        let mut harness = Self::synced();
        for _ in 0..5 {
            harness.exits(101, &[]);
            harness.run(5);
            if harness.container_actions().is_empty() {
                harness.runs_anew();
                harness.run(MINUTE);
            }
        }
        harness.run(15 * MINUTE);
        assert_eq!(harness.container_actions().len(), 2);
        assert_eq!(harness.wrong(), [Cause::CrashLoop]);
        harness.log.clear();
        harness
    }

    /// Nothing is known yet.
    pub(super) fn fresh() -> Self {
        Self::with(Policy::default())
    }

    pub(super) fn with(policy: Policy) -> Self {
        Self {
            machine: Machine::new(policy, Time(0)),
            now: Time(0),
            para: Node::at(1_000_000),
            relay: Node::at(9_000_000),
            host: Some(healthy_host()),
            log: Vec::new(),
            obeys: true,
            failing: None,
            databases: Versions::new(),
            databases_unreadable: false,
            run: 0,
            wall_offset: 0,
            up: false,
            fed: Vec::new(),
            depth: 0,
            invariants: None,
        }
    }

    pub(super) fn seconds(&self) -> u64 {
        self.now.0 / 1000
    }

    /// Docker's clock.
    pub(super) fn wall(&self) -> i64 {
        WALL + i64::try_from(self.now.0).unwrap() + self.wall_offset
    }

    pub(super) fn event(&mut self, event: Event) {
        if self.invariants.is_some() {
            self.fed.push((self.now, event.clone()));
        }
        let actions = self.machine.step(self.now, event.clone());
        if let Some(invariants) = &mut self.invariants {
            invariants.check(self.now, &event, &actions, &self.machine);
            let leaves_host = |a: &&Action| {
                let complete = Some(LifecycleAnswer::Complete);
                matches!(a, Action::ReleaseIdentity { .. }) || **a == Action::AnswerLifecycle { answer: complete }
            };
            let given_up = actions.iter().find(leaves_host);
            assert!(given_up.is_none() || !self.up, "{given_up:?} while a collator runs");
        }
        for action in actions {
            self.log.push((self.now.0 / 1000, action.clone()));
            if self.obeys {
                self.carry_out(&action);
            }
        }
    }

    pub(super) fn container(&mut self, news: Container) {
        match news {
            Container::Running { .. } => self.up = true,
            Container::Exited { .. } | Container::Removed { .. } | Container::Missing | Container::Foreign => {
                self.up = false;
            }
            _ => {}
        }
        self.event(Event::Container(news));
    }

    pub(super) fn command(&mut self, command: Command) {
        self.event(Event::Operator(command));
    }

    /// The container ends by itself.
    pub(super) fn exits(&mut self, code: i64, log: &[&str]) {
        let exit = Exit {
            code: Some(code),
            oom: false,
            log: log.iter().map(ToString::to_string).collect(),
        };
        self.ends(exit);
    }

    pub(super) fn ends(&mut self, exit: Exit) {
        let at = Some(self.wall());
        self.container(Container::Exited {
            at,
            exit,
            spec_matches: true,
        });
    }

    /// It runs anew, by Docker's policy or by hand.
    pub(super) fn runs_anew(&mut self) {
        self.run = self.wall();
        self.container(running(self.run));
    }

    pub(super) fn signalled(&mut self, signal: i64) {
        let at = Some(self.wall());
        self.container(Container::Signalled { at, signal });
    }

    pub(super) fn stopped(&mut self) {
        let at = Some(self.wall());
        self.container(Container::Stopped { at });
    }

    /// A whole `docker stop` by a person, on time.
    pub(super) fn docker_stop(&mut self) {
        self.signalled(15);
        self.exits(0, &[]);
        self.stopped();
    }

    fn carry_out(&mut self, action: &Action) {
        self.depth += 1;
        assert!(self.depth < 50, "{action:?} again and again, without a pause");
        match self.failing {
            _ if !action.is_on_container() => {}
            Some(kind) => self.fails(kind),
            None => self.achieve(action),
        }
        self.depth -= 1;
    }

    fn achieve(&mut self, action: &Action) {
        match action {
            Action::Start { .. } | Action::Restart { .. } => {
                self.run = self.wall();
                self.up = true;
                self.done(running(self.run));
            }
            Action::Stop { .. } | Action::StopWithin { .. } | Action::Hold { .. } | Action::Backoff { .. } => {
                self.up = false;
                if action.cause().is_of_update() && !self.databases_unreadable {
                    self.event(Event::Databases(self.databases.clone()));
                }
                let at = Some(self.wall());
                self.done(Container::Exited {
                    at,
                    exit: Exit::default(),
                    spec_matches: true,
                });
            }
            _ => {}
        }
    }

    pub(super) fn done(&mut self, container: Container) {
        let at = Some(self.wall());
        self.event(Event::Finished(Outcome::Done { container, at }));
    }

    pub(super) fn fails(&mut self, kind: ActionFailure) {
        // What runs under that name is not the collator.
        self.up &= kind != ActionFailure::Foreign;
        let error = "it went wrong".to_owned();
        self.event(Event::Finished(Outcome::Failed { error, kind }));
    }

    /// Lets time pass with a look at both exporters every five seconds and at the host every minute.
    pub(super) fn run(&mut self, seconds: u64) {
        self.run_with(seconds, |_| {});
    }

    /// As [`Harness::run`]; `change` is called before every look.
    pub(super) fn run_with(&mut self, seconds: u64, mut change: impl FnMut(&mut Self)) {
        let until = self.now.0 + seconds * 1000;
        while self.now.0 < until {
            self.pass_to(Time(self.now.0 + 5000));
            if self.up {
                self.para.pass(5);
                self.relay.pass(5);
            }
            change(self);
            if let Some(host) = self.host.clone().filter(|_| self.seconds().is_multiple_of(60)) {
                self.event(Event::Host(host));
            }
            self.look(Chain::Parachain);
            self.look(Chain::Relaychain);
        }
    }

    pub(super) fn look(&mut self, chain: Chain) {
        let node = match chain {
            Chain::Parachain => &self.para,
            Chain::Relaychain => &self.relay,
        };
        if node.unseen {
            return;
        }
        let error = if self.up {
            node.error
        } else {
            Some(ScrapeError::Refused)
        };
        let event = match error {
            Some(error) => Event::ScrapeFailed { chain, error },
            None => Event::Sample {
                chain,
                sample: node.sample(),
            },
        };
        self.event(event);
    }

    /// Only the core's own deadlines fall due.
    pub(super) fn pass_to(&mut self, until: Time) {
        while let Some(due) = self.machine.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.event(Event::Tick);
        }
        self.now = until;
    }

    /// Nobody watches for so long; with the supervisor's word for it, or without.
    pub(super) fn gap(&mut self, seconds: u64, told: bool) {
        self.now = Time(self.now.0 + seconds * 1000);
        if told {
            self.event(Event::Gap);
        }
    }

    /// The agent is killed and comes back after so long, with what it had written down.
    pub(super) fn agent_dies(&mut self, seconds: u64) {
        let state = serde_json::to_string(self.machine.state()).unwrap();
        let policy = self.machine.policy.clone();
        self.now = Time(self.now.0 + seconds * 1000);
        self.machine = Machine::resume(policy, serde_json::from_str(&state).unwrap(), self.now);
        if let Some(invariants) = &mut self.invariants {
            invariants.agent_died(self.now);
        }
    }

    /// What was done to the container, oldest first.
    pub(super) fn container_actions(&self) -> Vec<Action> {
        let actions = self.log.iter().map(|(_, a)| a.clone());
        actions.filter(Action::is_on_container).collect()
    }

    /// How many seconds after `since` each deed came.
    pub(super) fn times(&self, since: u64) -> Vec<u64> {
        let times = self.log.iter().filter(|(t, a)| a.is_on_container() && *t >= since);
        times.map(|(t, _)| t - since).collect()
    }

    /// How often it was reported that this is wrong.
    pub(super) fn told(&self, cause: Cause) -> usize {
        let notice = Action::Notify { cause, over: false };
        self.log.iter().filter(|(_, a)| *a == notice).count()
    }

    /// How often it was reported that this is over.
    pub(super) fn over(&self, cause: Cause) -> usize {
        let notice = Action::Notify { cause, over: true };
        self.log.iter().filter(|(_, a)| *a == notice).count()
    }

    /// Latest answer to the auto scaling group.
    pub(super) fn answered(&self) -> Option<LifecycleAnswer> {
        let answers = self.log.iter().rev();
        let mut answers = answers.filter_map(|(_, a)| match a {
            Action::AnswerLifecycle { answer } => Some(*answer),
            _ => None,
        });
        answers.next().flatten()
    }

    /// What was ordered about the identity volume, oldest first.
    pub(super) fn volume_orders(&self) -> Vec<&'static str> {
        let orders = self.log.iter().map(|(_, a)| a);
        let orders = orders.filter(|a| matches!(a, Action::ReleaseIdentity { .. } | Action::HoldIdentity));
        orders.map(Action::kind).collect()
    }

    pub(super) fn judged(&self) -> Vec<(Cause, bool)> {
        let judged = self.log.iter().filter_map(|(_, a)| match a {
            Action::Judged { cause, helped } => Some((*cause, *helped)),
            _ => None,
        });
        judged.collect()
    }

    #[track_caller]
    pub(super) fn expect(&self, phase: Phase, health: Health) {
        assert_eq!((self.machine.phase(), self.machine.health()), (phase, health));
    }

    pub(super) fn wrong(&self) -> Vec<Cause> {
        self.machine.problems().into_iter().map(|p| p.cause).collect()
    }
}
