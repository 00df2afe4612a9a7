//! One chain of a simulated node.

use crate::event::{Sample, ScrapeError};

/// One chain as its exporter tells it.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) best: u64,
    /// Distance to the target; a halted chain keeps it.
    pub(super) behind: u64,
    pub(super) peers: Option<u64>,
    /// Blocks are imported.
    pub(super) moves: bool,
    /// The rest of the network goes on, whether we follow or not.
    pub(super) network_moves: bool,
    pub(super) major_syncing: Option<bool>,
    /// Bytes a second.
    pub(super) traffic: u64,
    /// Finality follows best.
    pub(super) finality_moves: bool,
    pub(super) finalized: u64,
    /// The exporter says that it is syncing, whatever the heights.
    pub(super) always_syncing: bool,
    /// Blocks built here since the process started.
    pub(super) built: Option<u64>,
    bytes_in: u64,
    pub(super) error: Option<ScrapeError>,
    /// Nobody looks.
    pub(super) unseen: bool,
}

impl Node {
    pub(super) fn at(best: u64) -> Self {
        Self {
            best,
            behind: 0,
            peers: Some(8),
            moves: true,
            network_moves: true,
            major_syncing: Some(false),
            traffic: 3 << 10,
            finality_moves: true,
            finalized: best.saturating_sub(3),
            always_syncing: false,
            built: None,
            bytes_in: 0,
            error: None,
            unseen: false,
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        // One block every five seconds at the head, four while behind.
        let blocks = seconds / 5;
        self.bytes_in += self.traffic * seconds;
        if self.moves {
            let imported = if self.behind > 0 { 4 * blocks } else { blocks };
            self.best += imported;
            self.behind = (self.behind + if self.network_moves { blocks } else { 0 }).saturating_sub(imported);
        } else if self.network_moves {
            self.behind += blocks;
        }
        if self.finality_moves {
            self.finalized = self.best.saturating_sub(3);
        }
    }

    pub(super) fn sample(&self) -> Sample {
        let alone = self.peers == Some(0);
        Sample {
            best: Some(self.best),
            finalized: Some(self.finalized),
            // An exporter without peers tells its own best as the target.
            target: Some(if alone { self.best } else { self.best + self.behind }),
            peers: self.peers,
            major_syncing: self
                .major_syncing
                .map(|_| self.always_syncing || self.behind > 5 && !alone),
            imported_total: Some(self.best),
            bytes_in: Some(self.bytes_in),
            built_total: self.built,
            process_start: None,
        }
    }
}
