//! A small random generator whose seed gives the same case for ever (splitmix64).

use std::cell::Cell;

#[derive(Debug)]
pub(super) struct Rng(Cell<u64>);

impl Rng {
    /// The name keeps two kinds of one seed apart (FNV-1a over both).
    pub(super) fn new(name: &str, seed: u64) -> Self {
        let hash = name
            .bytes()
            .chain(seed.to_le_bytes())
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
            });
        Self(Cell::new(hash))
    }

    fn next(&self) -> u64 {
        let mut z = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(z);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(super) fn range(&self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(super) fn pick<T: Copy, const N: usize>(&self, from: [T; N]) -> T {
        let index = usize::try_from(self.next() >> 32).unwrap_or(0) % N;
        from[index]
    }

    pub(super) fn percent(&self, chance: u64) -> bool {
        self.range(1, 100) <= chance
    }
}
