//! The world: a container, its two chains, Docker, the host, and the agent that looks at them.

use std::collections::{BTreeMap, VecDeque};

use super::chain::{Dice, Link};
use super::course::Later;
use super::field::Field;
use super::judge::Judge;
use super::troubles::Ailment;
use crate::event::{Chain, Container, Event, Exit, HostFacts, Sample, ScrapeError, Time};
use crate::machine::{Action, Machine, Policy};

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
/// Unix ms at time zero.
const WALL: i64 = 1_800_000_000_000;
/// What the node can import, in parts of a block a millisecond: 200, 40 and 20 blocks a second.
const RELAY_RATE: u64 = 200_000;
const RESYNC_RATE: u64 = 40_000;
const PARA_RATE: u64 = 20_000;
/// A block in thirty seconds where the network makes one in twelve.
const SLOW_RATE: u64 = 33;
const FAST_BLOCK_MS: u64 = 500;

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
    pub(super) disk: String,
    /// What the agent last wrote, when it is about to die without a last word.
    pub(super) saved: Option<Machine>,
    /// Until then the agent may take an end for what it ordered in its former life.
    pub(super) ignore_own_events_until: u64,
    pub(super) para: Link,
    pub(super) relay: Link,
    pub(super) run: Run,
    pub(super) run_id: i64,
    /// When and how the newest run ended, Unix ms.
    pub(super) ended: i64,
    pub(super) last_exit: Exit,
    /// Docker's policy will not start it: it was stopped or killed through the API.
    pub(super) by_hand: bool,
    pub(super) exporters_from: u64,
    pub(super) peers_from: u64,
    /// Until then no start succeeds, or nothing at all.
    pub(super) no_starts_until: u64,
    pub(super) refuses_until: u64,
    /// What Docker remembers, with its own time, and what the agent has heard of it, Unix ms.
    pub(super) events: VecDeque<(i64, Container)>,
    pub(super) heard_until: i64,
    pub(super) docker_up: bool,
    pub(super) network_up: bool,
    pub(super) disk_free: u64,
    pub(super) clock_offset: f64,
    pub(super) ailment: Option<Ailment>,
    /// When it passes by itself.
    pub(super) ailment_until: u64,
    pub(super) field: Field,
    /// Percent of the scrapes that time out.
    pub(super) flaps: u64,
    pub(super) reorgs: bool,
    /// Until then looks are as close as in life.
    alert_until: u64,
    pub(super) in_flight: Option<(Action, u64)>,
    agenda: BTreeMap<(u64, u64), Later>,
    entries: u64,
    pub(super) last_look: u64,
    next_look: u64,
    pub(super) judge: Judge,
    pub(super) log: VecDeque<String>,
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
            saved: None,
            ignore_own_events_until: 0,
            para: Link::at(1_000_000),
            relay: Link::at(9_000_000),
            run: Run::Missing,
            run_id: 0,
            ended: 0,
            last_exit: Exit::default(),
            by_hand: false,
            exporters_from: 0,
            peers_from: 0,
            no_starts_until: 0,
            refuses_until: 0,
            events: VecDeque::new(),
            heard_until: 0,
            docker_up: true,
            network_up: true,
            disk_free: 60 << 30,
            clock_offset: 0.5,
            ailment: None,
            ailment_until: u64::MAX,
            field: Field::default(),
            flaps: 0,
            reorgs: false,
            alert_until: 0,
            in_flight: None,
            agenda: BTreeMap::new(),
            entries: 0,
            last_look: 0,
            next_look: SECOND,
            judge: Judge::default(),
            log: VecDeque::new(),
        };
        world.connected(None);
        world.later(HOUR, Later::Trouble);
        world.later(30 * MINUTE, Later::Nuisance);
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
            let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let done = self.in_flight.as_ref().map(|(_, at)| *at);
            let due = self.agent.as_ref().and_then(Machine::next_deadline).map(|t| t.0);
            let next = [planned, done, due]
                .into_iter()
                .flatten()
                .fold(self.next_look, u64::min);
            self.pass_to(next.max(self.now));
            if done.is_some_and(|at| at <= self.now) {
                self.finish();
            } else if due.is_some_and(|at| at <= self.now) {
                self.tell(Event::Tick);
            } else if let Some(entry) = self.agenda.first_entry().filter(|e| e.key().0 <= self.now) {
                let event = entry.remove();
                self.happen(event);
            } else {
                let wait = self.look();
                self.next_look = self.now + wait;
            }
        }
    }

    fn pass_to(&mut self, until: u64) {
        let ms = until - self.now;
        self.now = until;
        let alive = self.run == Run::Up;
        let relay_stuck = self.ails(|a| matches!(a, Ailment::RelayStuck | Ailment::Frozen));
        let relay_moves = alive && self.has_peers(Chain::Relaychain) && !relay_stuck;
        let resyncs = self.ails(|a| a == Ailment::RelayResyncs);
        let rate = if resyncs { RESYNC_RATE } else { RELAY_RATE };
        self.relay.pass(ms, 6000, if relay_moves { rate } else { 0 });
        // The parachain follows the relay chain.
        let waits = self.relay.behind() > 20 || !relay_moves;
        let stuck = self.ails(Ailment::stops_parachain);
        let para_moves = alive && self.has_peers(Chain::Parachain) && !waits && !stuck;
        let slow = self.ails(|a| a == Ailment::Slow);
        let rate = if slow { SLOW_RATE } else { PARA_RATE };
        let block_ms = if self.ails(|a| a == Ailment::SwingingLag) {
            FAST_BLOCK_MS
        } else {
            12_000
        };
        self.para.pass(ms, block_ms, if para_moves { rate } else { 0 });
        self.field_passes(ms);
        if self.ails(|a| a == Ailment::Rejecting) && alive {
            self.para.bytes_in += ms * 200;
        }
    }

    pub(super) fn ails(&self, what: impl Fn(Ailment) -> bool) -> bool {
        self.ailment.is_some_and(what)
    }

    pub(super) fn has_peers(&self, chain: Chain) -> bool {
        let deaf = self.ails(|a| match a {
            Ailment::Deaf | Ailment::DeafForGood => chain == Chain::Parachain,
            Ailment::BothDeaf => true,
            Ailment::Evicted => chain == Chain::Parachain && self.field.evicted,
            _ => false,
        });
        self.network_up && !deaf && self.now >= self.peers_from
    }

    /// Something happens: look closely for a while.
    pub(super) fn alert(&mut self) {
        self.alert_until = self.now + 12 * MINUTE;
        self.next_look = self.next_look.min(self.now + 5 * SECOND);
    }

    /// A look at everything, and when to look again: every five seconds as in life when anything is going on,
    /// else as rarely as nothing is lost by it.
    fn look(&mut self) -> u64 {
        let passed = self.now - self.last_look;
        self.last_look = self.now;
        let closely = self.now < self.alert_until || self.flaps > 0;
        if self.agent.is_some() {
            let seen = [self.look_at(Chain::Parachain), self.look_at(Chain::Relaychain)];
            let host_every = if closely { MINUTE } else { 5 * MINUTE };
            if self.now % host_every < passed {
                self.tell_host();
            }
            if self.now % (30 * SECOND) < passed && self.agent.as_ref().is_some_and(Machine::in_doubt) {
                self.tell_activity();
            }
            if self.now % (30 * SECOND) < passed {
                self.tell_reference();
            }
            self.judge_look(passed, seen);
        }
        match self.ailment {
            _ if closely => 5 * SECOND,
            Some(Ailment::SwingingLag) => 10 * SECOND,
            Some(Ailment::StateSync | Ailment::FinalityStands { .. }) | None => MINUTE,
            Some(_) => 15 * SECOND,
        }
    }

    fn tell_host(&mut self) {
        self.tell(Event::Host(HostFacts {
            disk_free_bytes: Some(self.disk_free),
            disk_total_bytes: Some(100 << 30),
            memory_available_bytes: Some(1 << 30),
            memory_full_percent: None,
            io_full_percent: None,
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
            Run::Up => match self.ailment {
                Some(Ailment::NoExporter | Ailment::NoExporterForGood) => Some(ScrapeError::Refused),
                Some(Ailment::Frozen | Ailment::SilentAtWork) => Some(ScrapeError::Timeout),
                Some(Ailment::OneExporterGone(gone)) if gone == chain => Some(ScrapeError::Refused),
                _ => self.dice.percent(self.flaps).then_some(ScrapeError::Timeout),
            },
        };
        if let Some(error) = dead {
            self.tell(Event::ScrapeFailed { chain, error });
            return false;
        }
        let swings = chain == Chain::Parachain
            && self.ails(|a| a == Ailment::SwingingLag)
            && !self.judge.is_new_trouble(self.now);
        let back = if swings {
            self.dice.between(12, 30)
        } else if self.reorgs && self.dice.percent(30) {
            self.dice.between(1, 3)
        } else {
            0
        };
        let peers = if self.has_peers(chain) { 8 } else { 0 };
        let link = match chain {
            Chain::Parachain => &self.para,
            Chain::Relaychain => &self.relay,
        };
        let best = link.best().saturating_sub(back);
        // An exporter without peers tells its own best as the target.
        let (target, major_syncing) = match chain {
            _ if peers == 0 => (best, false),
            Chain::Parachain => self.para_target(best),
            Chain::Relaychain => (link.head(), link.head() - best > 5),
        };
        let finalized = match chain {
            Chain::Parachain => self.para_finalized(),
            Chain::Relaychain => link.best().saturating_sub(4),
        };
        let forks = match chain {
            Chain::Parachain => self.field.forks,
            Chain::Relaychain => 0,
        };
        let sample = Sample {
            best: Some(best),
            finalized: Some(finalized),
            target: Some(target),
            peers: Some(peers),
            major_syncing: Some(major_syncing),
            imported_total: Some(link.imported + forks),
            bytes_in: Some(link.bytes_in),
            // One of eight collators.
            built_total: (chain == Chain::Parachain).then_some(link.imported / 8),
            process_start: Some(u64::try_from(self.run_id / 1000).unwrap()),
        };
        self.tell(Event::Sample { chain, sample });
        true
    }
}
