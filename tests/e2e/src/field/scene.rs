//! A simulated node seen from outside: heights, peers, traffic and work move on with time, and are sampled.

use agent_core::event::{
    Activity, Chain, Container, Event, Exit, HostFacts, Reading, ReferenceError, Sample, ScrapeError, Time,
};

use super::rng::Rng;
use super::{HOUR, time};

const GIB: u64 = 1 << 30;
/// Unix seconds at the begin of every case.
const BEGAN: u64 = 1_795_388_136;

/// What the exporter gives as `sync_target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The head of the chain, as the peers announce it.
    Head,
    /// The node's own best block.
    Best,
    /// The block whose state is downloaded, in thousandths.
    Block(u64),
}

/// One chain as its exporter shows it. Heights and counts of blocks are thousandths, rates are a second's.
#[derive(Debug, Clone)]
pub(super) struct Exporter {
    pub(super) head: u64,
    pub(super) head_rate: u64,
    pub(super) best: u64,
    /// How fast the best block can rise; never beyond the head.
    pub(super) best_rate: u64,
    pub(super) finalized: u64,
    /// How far the finalized block follows behind the best.
    pub(super) gap: u64,
    pub(super) finality_stands: bool,
    pub(super) target: Target,
    pub(super) peers: u64,
    pub(super) major_syncing: bool,
    pub(super) imported: u64,
    /// Imports of forks and known blocks.
    pub(super) other_imports: u64,
    pub(super) bytes: u64,
    pub(super) bytes_rate: u64,
    pub(super) built: Option<u64>,
    pub(super) error: Option<ScrapeError>,
    started: u64,
}

impl Exporter {
    fn at_head(height: u64, rate: u64, peers: u64, bytes_rate: u64) -> Self {
        let head = height * 1000;
        Self {
            head,
            head_rate: rate,
            best: head,
            best_rate: 50_000,
            finalized: head - 3000,
            gap: 3000,
            finality_stands: false,
            target: Target::Head,
            peers,
            major_syncing: false,
            imported: 0,
            other_imports: 0,
            bytes: 0,
            bytes_rate,
            built: None,
            error: None,
            started: BEGAN,
        }
    }

    /// An empty database: nothing is known but genesis.
    pub(super) fn begin_at_genesis(&mut self) {
        (self.best, self.finalized, self.best_rate) = (0, 0, 0);
        self.major_syncing = true;
    }

    /// The state is there: it stands at the head and follows.
    pub(super) fn arrive(&mut self) {
        (self.best, self.best_rate) = (self.head, 50_000);
        self.finalized = self.head.saturating_sub(self.gap);
        self.target = Target::Head;
        self.major_syncing = false;
    }

    fn advance(&mut self, seconds: u64) {
        self.head += self.head_rate * seconds;
        let risen = (self.best + self.best_rate * seconds).min(self.head).max(self.best);
        self.imported += risen - self.best + self.other_imports * seconds;
        self.best = risen;
        if !self.finality_stands {
            self.finalized = self.finalized.max(self.best.saturating_sub(self.gap));
        }
        self.bytes += self.bytes_rate * seconds;
    }

    fn sample(&self) -> Sample {
        let target = match self.target {
            Target::Head if self.peers > 0 => self.head,
            Target::Block(height) if self.peers > 0 => height,
            _ => self.best,
        };
        Sample {
            best: Some(self.best / 1000),
            finalized: Some(self.finalized / 1000),
            target: Some(target / 1000),
            peers: Some(self.peers),
            major_syncing: Some(self.major_syncing),
            imported_total: Some(self.imported / 1000),
            bytes_in: Some(self.bytes),
            built_total: self.built,
            process_start: Some(self.started),
        }
    }
}

/// What the container does: percent of a core, bytes a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) cpu: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
}

/// What a reference says, and how the sample of a page is falsified before it is seen.
pub(super) type Answer = Result<Reading, ReferenceError>;

#[derive(Debug)]
pub(super) struct Scene {
    pub(super) rng: Rng,
    pub(super) chains: Vec<Chain>,
    pub(super) para: Exporter,
    pub(super) relay: Exporter,
    pub(super) work: Work,
    pub(super) host: HostFacts,
    pub(super) references: Vec<(Chain, Answer)>,
    /// The newest line of the node's log.
    pub(super) log: Option<String>,
    /// Percent of the pages that show zeros.
    pub(super) zeros: u64,
    dense: bool,
    step: u64,
    now: u64,
    /// When the container was started, Unix ms.
    began: Option<i64>,
    read: u64,
    written: u64,
    events: Vec<(Time, Event)>,
}

impl Scene {
    /// A collator at the head of both chains.
    pub(super) fn new(kind: &str, seed: u64) -> Self {
        let rng = Rng::new(kind, seed);
        let (para, relay) = (rng.range(20_000, 9_000_000), rng.range(15_000_000, 30_000_000));
        let (para_rate, peers) = (rng.pick([83, 167]), rng.range(4, 40));
        let dense = seed.is_multiple_of(2);
        let mut scene = Self {
            chains: vec![Chain::Parachain, Chain::Relaychain],
            para: Exporter::at_head(para, para_rate, peers, 20_000),
            relay: Exporter::at_head(relay, 167, rng.range(8, 40), 200_000),
            work: Work {
                cpu: rng.range(15, 45),
                reads: 2000,
                writes: 60_000,
            },
            rng,
            host: HostFacts {
                disk_free_bytes: Some(200 * GIB),
                disk_total_bytes: Some(500 * GIB),
                memory_available_bytes: Some(8 * GIB),
                memory_full_percent: Some(0.0),
                io_full_percent: Some(0.5),
                load1: Some(0.6),
                network_ok: Some(true),
                clock_offset_ms: Some(0.5),
            },
            references: Vec::new(),
            log: None,
            zeros: 0,
            dense,
            step: if dense { 5 } else { 60 },
            now: 0,
            began: None,
            read: 0,
            written: 0,
            events: Vec::new(),
        };
        scene.started();
        scene
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// The distance of samples, seconds.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    pub(super) fn dense(&self) -> bool {
        self.dense
    }

    /// At most so far apart: for what passes between two samples a minute apart.
    pub(super) fn step_at_most(&mut self, seconds: u64) {
        self.step = self.step.min(seconds);
    }

    /// A long case is sampled more rarely, so that a debug build judges it in time.
    pub(super) fn lasts(&mut self, seconds: u64) {
        if self.dense && seconds > 3 * HOUR {
            self.step = 10;
        }
    }

    pub(super) fn busy(&mut self, cpu: u64, reads: u64, writes: u64) {
        self.work = Work { cpu, reads, writes };
    }

    /// What both exporters answer instead of a page.
    pub(super) fn silence(&mut self, error: Option<ScrapeError>) {
        (self.para.error, self.relay.error) = (error, error);
    }

    /// Time passes and nothing changes.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.run(seconds, |_, _| {});
    }

    /// Time passes; `change` is called before each sample with the seconds that have passed.
    pub(super) fn run(&mut self, seconds: u64, mut change: impl FnMut(&mut Self, u64)) {
        let began = self.now;
        while self.now < began + seconds {
            let next = (self.now / self.step + 1) * self.step;
            let next = next.min(began + seconds);
            self.advance(next - self.now);
            change(self, self.now - began);
            self.observe();
        }
    }

    fn advance(&mut self, seconds: u64) {
        self.now += seconds;
        self.para.advance(seconds);
        self.relay.advance(seconds);
        self.read += self.work.reads * seconds;
        self.written += self.work.writes * seconds;
    }

    fn observe(&mut self) {
        let (now, step) = (self.now, self.step);
        let due = |period: u64| now % period < step.min(period);
        if due(60) {
            self.tell(Event::Host(self.host.clone()));
            if let Some(line) = &self.log {
                self.tell(Event::Log(vec![line.clone()]));
            }
        }
        if due(step.max(30)) {
            self.activity();
            for (source, (chain, reading)) in self.references.clone().into_iter().enumerate() {
                self.tell(Event::Reference { chain, source, reading });
            }
        }
        for chain in self.chains.clone() {
            let zeros = self.rng.percent(self.zeros);
            let exporter = match chain {
                Chain::Parachain => &self.para,
                Chain::Relaychain => &self.relay,
            };
            let mut sample = exporter.sample();
            if zeros {
                (sample.best, sample.finalized, sample.target, sample.peers) = (Some(0), Some(0), Some(0), Some(0));
            }
            self.tell(match exporter.error {
                Some(error) => Event::ScrapeFailed { chain, error },
                None => Event::Sample { chain, sample },
            });
        }
    }

    fn activity(&mut self) {
        let cpu = u32::try_from(self.work.cpu).map_or(0.0, f64::from);
        self.tell(Event::Activity(Activity {
            cpu_percent: Some(cpu),
            block_read_bytes: Some(self.read),
            block_write_bytes: Some(self.written),
        }));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.push((time(self.now), event));
    }

    fn unix_ms(&self) -> Option<i64> {
        i64::try_from(1000 * (BEGAN + self.now)).ok()
    }

    /// Docker has started it: every counter begins anew.
    pub(super) fn started(&mut self) {
        for exporter in [&mut self.para, &mut self.relay] {
            (exporter.imported, exporter.bytes) = (0, 0);
            exporter.started = BEGAN + self.now;
        }
        (self.read, self.written) = (0, 0);
        self.began = self.unix_ms();
        self.running();
    }

    /// Docker says that it runs.
    pub(super) fn running(&mut self) {
        let started_at = self.began;
        self.tell(Event::Container(Container::Running {
            started_at,
            spec_matches: true,
        }));
    }

    pub(super) fn exited(&mut self, code: i64, oom: bool, log: &[&str]) {
        let exit = Exit {
            code: Some(code),
            oom,
            log: log.iter().map(ToString::to_string).collect(),
        };
        let at = self.unix_ms();
        self.tell(Event::Container(Container::Exited {
            at,
            exit,
            spec_matches: true,
        }));
    }

    /// Time in which nothing is sampled, since nothing runs.
    pub(super) fn skip(&mut self, seconds: u64) {
        self.advance(seconds);
    }

    pub(super) fn into_events(self) -> Vec<(Time, Event)> {
        self.events
    }
}
