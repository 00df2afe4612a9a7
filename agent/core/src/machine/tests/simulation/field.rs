//! What operators report from the field: long work that shows no block, idle chains, stuck finality, and references
//! that can and cannot be relied on.

use super::chain::Link;
use super::judge::EARLY;
use super::troubles::Ailment;
use super::world::{HOUR, MINUTE, Run, SECOND, World};
use crate::event::{Activity, Chain, Event, Reading, ReferenceError};

/// What kind of reference the parachain has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reference {
    #[default]
    Absent,
    Truthful,
    /// Truthful, and its hash at a common height was compared.
    Compared,
    Lags,
    Jumps,
    Forked,
    RateLimited,
    Dead,
    /// A truthful one, and one that stands still.
    Two,
}

impl Reference {
    const ALL: &[Self] = &[
        Self::Absent,
        Self::Truthful,
        Self::Compared,
        Self::Compared,
        Self::Lags,
        Self::Jumps,
        Self::Forked,
        Self::RateLimited,
        Self::Dead,
        Self::Two,
    ];
}

#[derive(Default)]
pub(super) struct Field {
    pub(super) reference: Reference,
    /// Its position in the configuration.
    source: usize,
    /// At the first address was a reference on a fork.
    distrusted: bool,
    lag: u64,
    stands_at: u64,
    sync: StateSync,
    /// All peers of an idle chain's node are evicted now.
    pub(super) evicted: bool,
    /// Where finality stands.
    finalized: u64,
    /// Imported forks since the process started.
    pub(super) forks: u64,
    /// Bytes read from and written to the disk, and bytes a millisecond while it works.
    disk_bytes: u64,
    disk_rate: u64,
}

#[derive(Default)]
struct StateSync {
    /// What the exporter reports as the target meanwhile.
    target: u64,
    /// Bytes a millisecond.
    traffic: u64,
    /// Milliseconds in all, and what is left in this run.
    download: u64,
    import: u64,
    download_left: u64,
    import_left: u64,
}

impl World {
    /// A new epoch: other references.
    pub(super) fn choose_reference(&mut self) {
        let reference = self.dice.pick(Reference::ALL);
        let own_address = reference as usize;
        self.field.source = if self.dice.percent(50) { 0 } else { own_address };
        if self.field.source == 0 {
            // What was seen on a fork is unknown until a block of it is compared and is the node's.
            match reference {
                Reference::Forked => self.field.distrusted = true,
                Reference::Compared => self.field.distrusted = false,
                _ if self.field.distrusted => self.field.source = own_address,
                _ => {}
            }
        }
        self.field.lag = self.dice.between(12, 500);
        self.field.stands_at = self.para.head();
        self.field.reference = reference;
        self.note(format!("reference: {reference:?}"));
    }

    /// The collator starts again with an empty database.
    pub(super) fn state_sync(&mut self) {
        self.stop_container();
        let head = self.para.head();
        self.para = Link::at(0);
        self.para.fall_behind(head);
        let (download, import) = (self.dice.between(HOUR, 8 * HOUR), self.dice.between(5, 90) * MINUTE);
        self.field.sync = StateSync {
            target: self.dice.pick(&[0, head]),
            traffic: self.dice.between(205, 1049),
            download,
            import,
            ..StateSync::default()
        };
        self.ails_from_now(Ailment::StateSync);
        self.start_container();
    }

    /// Finality stands, of this node alone or on the whole network.
    pub(super) fn finality_stands(&mut self) {
        self.field.finalized = self.para.best() - 4;
        let alone = self.dice.percent(50);
        self.passes_after(Ailment::FinalityStands { alone }, HOUR, 6 * HOUR);
    }

    /// A chain that nobody uses: its peers are evicted and return.
    pub(super) fn idles(&mut self) {
        self.para.halted = true;
        self.passes_after(Ailment::Evicted, 2 * HOUR, 10 * HOUR);
        self.peers_come_and_go();
    }

    pub(super) fn peers_come_and_go(&mut self) {
        if !self.ails(|a| a == Ailment::Evicted) {
            self.field.evicted = false;
            return;
        }
        self.field.evicted = !self.field.evicted;
        // Now and then somebody orders a block.
        if self.dice.percent(2) {
            self.para.fall_behind(1);
        }
        let wait = if self.field.evicted {
            self.dice.between(10, 120)
        } else {
            self.dice.between(20, 60)
        };
        self.later(wait * SECOND, super::course::Later::PeersComeAndGo);
    }

    pub(super) fn work_on_disk(&mut self, ailment: Ailment) {
        self.field.disk_rate = self.dice.between(300, 50_000);
        self.ails_from_now(ailment);
    }

    /// A new process: what was not persisted begins anew.
    pub(super) fn field_begins(&mut self) {
        let sync = &mut self.field.sync;
        (sync.download_left, sync.import_left) = (sync.download, sync.import);
        (self.field.forks, self.field.disk_bytes) = (0, 0);
    }

    /// Milliseconds pass.
    pub(super) fn field_passes(&mut self, ms: u64) {
        let alive = self.run == Run::Up;
        let works = match self.ailment {
            _ if !alive => false,
            Some(Ailment::SlowStart) if self.now >= self.exporters_from => {
                self.ailment = None;
                false
            }
            Some(Ailment::SilentAtWork | Ailment::SlowStart) => true,
            Some(Ailment::ForksOnly) => {
                // As the network makes blocks, or nearly so.
                self.field.forks += ms.div_ceil(15_000);
                false
            }
            Some(Ailment::StateSync) => self.syncs_state(ms),
            _ => false,
        };
        self.field.disk_bytes += ms * if works { self.field.disk_rate.max(300) } else { 20 };
    }

    fn syncs_state(&mut self, ms: u64) -> bool {
        let connected = self.has_peers(Chain::Parachain) && self.now >= self.exporters_from;
        let sync = &mut self.field.sync;
        if sync.download_left > 0 {
            if connected {
                sync.download_left = sync.download_left.saturating_sub(ms);
                self.para.bytes_in += ms * sync.traffic;
            }
            return false;
        }
        sync.import_left = sync.import_left.saturating_sub(ms);
        if sync.import_left == 0 {
            self.ailment = None;
            self.para.catch_up_to(50);
            self.alert();
        }
        true
    }

    /// What the exporter of the parachain reports as its target, and whether it is major-syncing.
    pub(super) fn para_target(&self, best: u64) -> (u64, bool) {
        let head = self.para.head();
        match self.ailment {
            Some(Ailment::StateSync) if self.field.sync.download_left > 0 => (self.field.sync.target, true),
            // Its peers stand as well.
            Some(Ailment::Eclipsed) => (best, false),
            Some(Ailment::StateSync | Ailment::SwingingLag) => (head, false),
            _ => (head, head - best > 5),
        }
    }

    pub(super) fn para_finalized(&self) -> u64 {
        match self.ailment {
            Some(Ailment::FinalityStands { .. }) => self.field.finalized,
            Some(Ailment::SwingingLag) => self.para.best().saturating_sub(34),
            _ => self.para.best().saturating_sub(4),
        }
    }

    pub(super) fn tell_activity(&mut self) {
        let importing = self.ails(|a| a == Ailment::StateSync) && self.field.sync.download_left == 0;
        let busy = importing || self.ails(|a| matches!(a, Ailment::Importing | Ailment::Rejecting));
        let bytes = Some(self.field.disk_bytes);
        self.tell(Event::Activity(Activity {
            cpu_percent: Some(if busy { 150.0 } else { 8.0 }),
            block_read_bytes: bytes,
            block_write_bytes: bytes,
        }));
    }

    pub(super) fn tell_reference(&mut self) {
        let (head, source) = (self.para.head(), self.field.source);
        let finalized = match self.ailment {
            Some(Ailment::FinalityStands { alone: false }) => self.field.finalized,
            _ => head.saturating_sub(4),
        };
        let reads = |best: u64, finalized: u64, forked: Option<bool>| {
            Ok(Reading {
                best: Some(best),
                finalized: Some(finalized),
                forked,
            })
        };
        let reading = match self.field.reference {
            Reference::Absent => return,
            Reference::Truthful => reads(head, finalized, None),
            Reference::Compared => reads(head, finalized, Some(false)),
            Reference::Lags => reads(head - self.field.lag, finalized - self.field.lag, None),
            Reference::Jumps => {
                let jump = 1_000_000 * self.dice.between(0, 6);
                reads(head + jump, finalized + jump, None)
            }
            // Blocks go on there, whatever this chain does.
            Reference::Forked => {
                let ahead = (self.now - self.judge.began()) / 6000;
                reads(head + ahead, head + ahead, Some(true))
            }
            Reference::RateLimited => Err(ReferenceError::RateLimited),
            Reference::Dead => Err(ReferenceError::Unreachable),
            Reference::Two => {
                let at = self.field.stands_at;
                let stands = reads(at, at - 4, None);
                self.reading(source + 10, stands);
                reads(head, finalized, None)
            }
        };
        self.reading(source, reading);
    }

    fn reading(&mut self, source: usize, reading: Result<Reading, ReferenceError>) {
        let chain = Chain::Parachain;
        self.tell(Event::Reference { chain, source, reading });
    }

    /// Whether a reference shows what the whole chain does.
    pub(super) fn reference_knows(&self) -> bool {
        matches!(self.field.reference, Reference::Truthful | Reference::Compared)
    }

    /// Whether it has to be relied on, at any time.
    pub(super) fn reference_compels(&self) -> bool {
        self.field.reference == Reference::Compared
    }

    /// Whether there is any truth in what the reference shows of a chain that goes on.
    pub(super) fn reference_may_know(&self) -> bool {
        use Reference::{Jumps, Lags, Two};
        self.reference_knows() || matches!(self.field.reference, Two | Lags | Jumps)
    }

    /// Whether finality has stood for long enough to try a restart, once.
    pub(super) fn may_restart_for_finality(&self) -> bool {
        let Some(Ailment::FinalityStands { alone }) = self.ailment else {
            return false;
        };
        let after = match alone {
            true if self.reference_may_know() => 30 * MINUTE,
            false if self.reference_knows() => return false,
            _ => 4 * HOUR,
        };
        self.is_worth_a_try() && self.judge.watched_for(self.now) + EARLY >= after
    }
}
