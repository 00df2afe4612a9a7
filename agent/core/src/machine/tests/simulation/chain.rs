//! A chain as the node follows it, and chance.

/// A small generator of random numbers (`SplitMix64`): the same on every machine.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
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

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let last = u64::try_from(from.len()).unwrap() - 1;
        from[usize::try_from(self.between(0, last)).unwrap()]
    }
}

/// Parts of a block, so that slow chains add up.
const PARTS: u64 = 1_000_000;

pub(super) struct Link {
    /// Of the node and of the network, in parts of a block.
    best: u64,
    head: u64,
    /// Blocks and bytes since the process started.
    pub(super) imported: u64,
    pub(super) bytes_in: u64,
    /// Nobody makes blocks.
    pub(super) halted: bool,
}

impl Link {
    pub(super) fn at(best: u64) -> Self {
        Self {
            best: best * PARTS,
            head: best * PARTS,
            imported: 0,
            bytes_in: 0,
            halted: false,
        }
    }

    pub(super) fn best(&self) -> u64 {
        self.best / PARTS
    }

    pub(super) fn head(&self) -> u64 {
        self.head / PARTS
    }

    pub(super) fn behind(&self) -> u64 {
        self.head() - self.best()
    }

    pub(super) fn fall_behind(&mut self, blocks: u64) {
        self.head += blocks * PARTS;
    }

    /// The node arrives at `behind` blocks behind the network.
    pub(super) fn catch_up_to(&mut self, behind: u64) {
        self.best = self.head - behind * PARTS;
        self.imported += 1;
    }

    /// A new process counts anew.
    pub(super) fn begin(&mut self) {
        (self.imported, self.bytes_in) = (0, 0);
    }

    /// Milliseconds pass. The network makes a block every `block_ms`; the node imports at most `rate` parts
    /// of a block a millisecond.
    pub(super) fn pass(&mut self, ms: u64, block_ms: u64, rate: u64) {
        if !self.halted {
            self.head += ms * PARTS / block_ms;
        }
        let before = self.best();
        let step = (rate * ms).min(self.head - self.best);
        self.best += step;
        self.imported += self.best() - before;
        self.bytes_in += 3 * ms + step / 1000;
    }
}
