//! The world: a container, its two chains, Docker, the host, and the agent that looks at them.

use std::collections::BTreeMap;

use super::judge::Score;
use super::troubles::{Ailment, Event as Later};
use crate::event::{
    Activity, Chain, Command, Container, Event, Exit, Failure, HostFacts, Outcome, Sample, ScrapeError, Time,
};
use crate::machine::{Action, Machine, Policy};

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
/// Unix ms at time zero.
const WALL: i64 = 1_800_000_000_000;

/// A small generator of random numbers (`SplitMix64`): the same on every machine.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }
}

pub(super) struct Link {
    /// Thousandths of a block, so that slow chains add up.
    best: u64,
    head: u64,
    imported: u64,
    bytes_in: u64,
    pub(super) halted: bool,
}

impl Link {
    fn at(best: u64) -> Self {
        Self {
            best: best * 1000,
            head: best * 1000,
            imported: 0,
            bytes_in: 0,
            halted: false,
        }
    }

    pub(super) fn behind(&self) -> u64 {
        self.head / 1000 - self.best / 1000
    }

    pub(super) fn fall_behind(&mut self, blocks: u64) {
        self.head += blocks * 1000;
    }

    /// Milliseconds pass. Progress is limited to `rate` thousandths of a block a millisecond.
    fn pass(&mut self, ms: u64, block_ms: u64, rate: u64) {
        if !self.halted {
            self.head += ms * 1000 / block_ms;
        }
        let step = (rate * ms).min(self.head - self.best);
        self.imported += (self.best + step) / 1000 - self.best / 1000;
        self.best += step;
        self.bytes_in += 3 * ms + step;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    Up,
    Paused,
    Exited,
    Missing,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) now: u64,
    pub(super) policy: Policy,
    /// `None` while the agent is dead; then its state is on disk.
    pub(super) agent: Option<Machine>,
    disk: String,
    pub(super) para: Link,
    pub(super) relay: Link,
    pub(super) run: Run,
    pub(super) run_id: i64,
    /// When the newest run ended, Unix ms.
    pub(super) ended: i64,
    /// Docker's policy will not start it: it was stopped or killed through the API.
    pub(super) by_hand: bool,
    exporters_from: u64,
    pub(super) peers_from: u64,
    pub(super) docker_up: bool,
    pub(super) network_up: bool,
    pub(super) disk_free: u64,
    pub(super) clock_offset: f64,
    pub(super) ailment: Option<Ailment>,
    /// Percent of the scrapes that time out.
    pub(super) flaps: u64,
    pub(super) reorgs: bool,
    /// When to look closely until.
    pub(super) alert_until: u64,
    in_flight: Option<(Action, u64)>,
    pub(super) agenda: BTreeMap<(u64, u64), Later>,
    entries: u64,
    pub(super) last_look: u64,
    pub(super) score: Score,
    pub(super) log: std::collections::VecDeque<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let policy = Policy::default();
        let mut world = Self {
            dice: Dice(seed),
            now: 0,
            agent: Some(Machine::new(policy.clone(), Time(0))),
            policy,
            disk: String::new(),
            para: Link::at(1_000_000),
            relay: Link::at(9_000_000),
            run: Run::Missing,
            run_id: 0,
            ended: 0,
            by_hand: false,
            exporters_from: 0,
            peers_from: 0,
            docker_up: true,
            network_up: true,
            disk_free: 60 << 30,
            clock_offset: 0.5,
            ailment: None,
            flaps: 0,
            reorgs: false,
            alert_until: 0,
            in_flight: None,
            agenda: BTreeMap::new(),
            entries: 0,
            last_look: 0,
            score: Score::default(),
            log: std::collections::VecDeque::new(),
        };
        world.tell_container();
        world.later(HOUR, Later::Trouble);
        world.later(30 * MINUTE, Later::Nuisance);
        world.later(SECOND, Later::Look);
        world
    }

    pub(super) fn wall(&self) -> i64 {
        WALL + i64::try_from(self.now).unwrap()
    }

    pub(super) fn later(&mut self, wait: u64, event: Later) {
        self.entries += 1;
        self.agenda.insert((self.now + wait, self.entries), event);
    }

    pub(super) fn note(&mut self, what: String) {
        if self.log.len() >= 60 {
            self.log.pop_front();
        }
        let seconds = self.now / SECOND;
        let (days, hours) = (seconds / 86_400, seconds % 86_400);
        self.log.push_back(format!(
            "day {days} {:02}:{:02}:{:02} {what}",
            hours / 3600,
            hours / 60 % 60,
            hours % 60
        ));
    }

    pub(super) fn live_until(&mut self, end: u64) {
        while self.now < end {
            let mut next = self.agenda.first_key_value().map_or(end, |((at, _), _)| *at);
            let done = self.in_flight.as_ref().map(|(_, at)| *at);
            let due = self.agent.as_ref().and_then(Machine::next_deadline).map(|t| t.0);
            if let Some(at) = done.into_iter().chain(due).min() {
                next = next.min(at);
            }
            self.pass_to(next.max(self.now));
            if done.is_some_and(|at| at <= self.now) {
                self.finish();
            } else if due.is_some_and(|at| at <= self.now) {
                self.tell(Event::Tick);
            } else if let Some(entry) = self.agenda.first_entry().filter(|e| e.key().0 <= self.now) {
                let event = entry.remove();
                self.happen(event);
            }
        }
    }

    fn pass_to(&mut self, until: u64) {
        let ms = until - self.now;
        self.now = until;
        let alive = self.run == Run::Up;
        let connected = alive && self.has_peers(Chain::Relaychain);
        let relay_moves = connected && !self.ails(|a| matches!(a, Ailment::RelayStuck | Ailment::Frozen));
        let relay_rate = if self.ails(|a| *a == Ailment::RelayResyncs) {
            40
        } else {
            200
        };
        self.relay.pass(ms, 6000, if relay_moves { relay_rate } else { 0 });
        // The parachain follows the relay chain.
        let waits = self.relay.behind() > 20 || !relay_moves;
        let stuck = self.ails(Ailment::stops_parachain);
        let para_moves = alive && self.has_peers(Chain::Parachain) && !waits && !stuck;
        self.para.pass(ms, 12_000, if para_moves { 20 } else { 0 });
        if self.ails(|a| *a == Ailment::Rejecting) && alive {
            self.para.bytes_in += ms * 200;
        }
    }

    pub(super) fn ails(&self, what: impl Fn(&Ailment) -> bool) -> bool {
        self.ailment.as_ref().is_some_and(what)
    }

    pub(super) fn has_peers(&self, chain: Chain) -> bool {
        let deaf = self.ails(|a| matches!(a, Ailment::Deaf | Ailment::DeafForGood) && chain == Chain::Parachain);
        self.network_up && !deaf && self.now >= self.peers_from
    }

    /// One event to the agent, when there is one.
    pub(super) fn tell(&mut self, event: Event) {
        let Some(machine) = &mut self.agent else { return };
        let now = Time(self.now);
        let actions = machine.step(now, event);
        for action in actions {
            match action {
                Action::Notify { .. } => {}
                Action::Judged { cause, helped } => self.note(format!("{cause:?} helped: {helped}")),
                action => self.order(action),
            }
        }
    }

    fn order(&mut self, action: Action) {
        self.note(format!("the agent orders {action:?}"));
        self.judge_order(&action);
        self.alert_until = self.now + 20 * MINUTE;
        let takes = match action {
            Action::Start { .. } => self.dice.between(1, 5),
            _ => self.dice.between(2, 90),
        };
        self.in_flight = Some((action, self.now + takes * SECOND));
    }

    /// The action under way is done, or fails.
    fn finish(&mut self) {
        let Some((action, _)) = self.in_flight.take() else {
            return;
        };
        if !self.docker_up {
            self.tell(Event::Finished(Outcome::Failed {
                error: "no docker".to_owned(),
                kind: Failure::DockerUnreachable,
            }));
            return;
        }
        let starts = matches!(action, Action::Start { .. } | Action::Restart { .. });
        if !matches!(action, Action::Start { .. }) {
            self.stop_container();
        }
        if starts && !matches!(self.run, Run::Up | Run::Paused) {
            self.start_container();
        }
        let (container, at) = (self.container(), Some(self.wall()));
        self.tell(Event::Finished(Outcome::Done { container, at }));
    }

    /// Through the API: the events come as Docker sends them.
    pub(super) fn stop_container(&mut self) {
        if matches!(self.run, Run::Up | Run::Paused) {
            let at = Some(self.wall());
            self.container_news(Container::Signalled { at, signal: 15 });
            self.end(Exit {
                code: Some(0),
                oom: false,
                log: vec!["Essential task `txpool-background` failed. Shutting down service.".to_owned()],
            });
            self.container_news(Container::Stopped { at });
        }
        self.by_hand = true;
    }

    pub(super) fn end(&mut self, exit: Exit) {
        self.run = Run::Exited;
        self.now += 1;
        self.ended = self.wall();
        let at = Some(self.ended);
        self.container_news(Container::Exited {
            at,
            exit,
            spec_matches: true,
        });
    }

    pub(super) fn start_container(&mut self) {
        self.now += 1;
        self.run = Run::Up;
        self.by_hand = false;
        self.run_id = self.wall();
        (self.para.imported, self.para.bytes_in) = (0, 0);
        (self.relay.imported, self.relay.bytes_in) = (0, 0);
        let slow = self.dice.percent(10);
        let wait = if slow {
            self.dice.between(60, 540)
        } else {
            self.dice.between(10, 60)
        };
        self.exporters_from = self.now + wait * SECOND;
        self.peers_from = self.exporters_from + self.dice.between(0, 60) * SECOND;
        self.alert_until = self.alert_until.max(self.now + 20 * MINUTE);
        self.on_new_run();
        self.container_news(self.container());
    }

    pub(super) fn container(&self) -> Container {
        let started_at = Some(self.run_id);
        let spec_matches = true;
        match self.run {
            Run::Up => Container::Running {
                started_at,
                spec_matches,
            },
            Run::Paused => Container::Paused {
                started_at,
                spec_matches,
            },
            Run::Missing => Container::Missing,
            Run::Exited => Container::Exited {
                at: Some(self.ended),
                exit: Exit::default(),
                spec_matches,
            },
        }
    }

    /// Docker's news reach the agent only while both are there.
    pub(super) fn container_news(&mut self, news: Container) {
        if self.docker_up {
            self.tell(Event::Container(news));
        }
    }

    pub(super) fn tell_container(&mut self) {
        self.container_news(self.container());
    }

    pub(super) fn kill_agent(&mut self) {
        if let Some(machine) = self.agent.take() {
            self.disk = serde_json::to_string(machine.state()).unwrap();
            // What it had ordered goes on, or never began.
            if let Some((action, _)) = self.in_flight.take()
                && self.docker_up
                && self.dice.percent(50)
            {
                self.note(format!("{action:?} goes on without it"));
                if !matches!(action, Action::Start { .. }) {
                    self.stop_container();
                }
            }
        }
    }

    pub(super) fn revive_agent(&mut self) {
        let state = serde_json::from_str(&self.disk).unwrap();
        self.agent = Some(Machine::resume(self.policy.clone(), state, Time(self.now)));
        self.alert_until = self.now + 20 * MINUTE;
        if self.docker_up {
            self.tell(Event::Docker { reachable: true });
            self.tell_container();
        } else {
            self.tell(Event::Docker { reachable: false });
        }
        self.on_watch_anew();
    }

    pub(super) fn command(&mut self, command: Command) {
        self.note(format!("the operator says {command:?}"));
        self.tell(Event::Operator(command));
    }

    /// A look at everything.
    pub(super) fn look(&mut self) {
        let passed = self.now - self.last_look;
        self.last_look = self.now;
        if self.agent.is_some() {
            if self.now % (5 * MINUTE) < passed {
                self.tell_host();
            }
            let busy = self.ails(|a| *a == Ailment::Importing);
            if busy || self.ails(Ailment::stops_parachain) {
                self.tell(Event::Activity(Activity {
                    cpu_percent: Some(if busy { 150.0 } else { 8.0 }),
                    block_read_bytes: None,
                }));
            }
            let seen = [self.look_at(Chain::Parachain), self.look_at(Chain::Relaychain)];
            self.judge_look(passed, seen);
        }
    }

    pub(super) fn tell_host(&mut self) {
        self.tell(Event::Host(HostFacts {
            disk_free_bytes: Some(self.disk_free),
            disk_total_bytes: Some(100 << 30),
            memory_available_bytes: Some(1 << 30),
            load1: None,
            network_ok: Some(self.network_up),
            clock_offset_ms: Some(self.clock_offset),
        }));
    }

    /// Whether the exporter answered.
    fn look_at(&mut self, chain: Chain) -> bool {
        let dead = match self.run {
            Run::Exited | Run::Missing => Some(ScrapeError::Refused),
            Run::Paused => Some(ScrapeError::Timeout),
            Run::Up if self.now < self.exporters_from => Some(ScrapeError::Refused),
            Run::Up if self.ails(|a| *a == Ailment::NoExporter) => Some(ScrapeError::Refused),
            Run::Up if self.ails(|a| *a == Ailment::Frozen) => Some(ScrapeError::Timeout),
            Run::Up if self.ails(|a| *a == Ailment::OneExporterGone(chain)) => Some(ScrapeError::Refused),
            Run::Up => self.dice.percent(self.flaps).then_some(ScrapeError::Timeout),
        };
        if let Some(error) = dead {
            self.tell(Event::ScrapeFailed { chain, error });
            return false;
        }
        let back = if self.reorgs { self.dice.between(0, 3) } else { 0 };
        let peers = if self.has_peers(chain) { 8 } else { 0 };
        let link = match chain {
            Chain::Parachain => &self.para,
            Chain::Relaychain => &self.relay,
        };
        let best = (link.best / 1000).saturating_sub(back);
        let target = if peers == 0 { best } else { link.head / 1000 };
        let sample = Sample {
            best: Some(best),
            finalized: Some((link.best / 1000).saturating_sub(4)),
            target: Some(target),
            peers: Some(peers),
            major_syncing: Some(target - best > 5),
            queued_blocks: Some(0),
            imported_total: Some(link.imported),
            bytes_in: Some(link.bytes_in),
            process_start: Some(u64::try_from(self.run_id / 1000).unwrap()),
        };
        self.tell(Event::Sample { chain, sample });
        true
    }

    pub(super) fn is_acting(&self) -> bool {
        self.in_flight.is_some()
    }

    pub(super) fn exporters_up(&self) -> bool {
        self.now >= self.exporters_from
    }
}
