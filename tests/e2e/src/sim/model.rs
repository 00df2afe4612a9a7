//! Two chains that sync toward moving networks. Pure: time goes in, heights come out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Chain;
use super::args::ChainArgs;

/// Blocks behind the target above which the node calls it a major sync.
const MAJOR_SYNC: u64 = 5;
/// Longest step in which work is done: over a longer one the process was stopped or suspended.
const LONGEST_STEP: Duration = Duration::from_secs(1);
/// Traffic of an idle node, and of one block while syncing, bytes.
const IDLE_BYTES: f64 = 3072.0;
const BLOCK_BYTES: f64 = 1300.0;
/// One block in so many is this collator's own, once it is synced.
const AUTHORS: f64 = 3.0;

#[derive(Debug, Clone)]
pub struct Model {
    pub chains: [ChainModel; 2],
    pub relay_first: bool,
    pub peers: u64,
    /// Nothing is done, though the networks go on.
    pub frozen: bool,
    last: Duration,
}

#[derive(Debug, Clone)]
pub struct ChainModel {
    pub args: ChainArgs,
    pub fault: Fault,
    /// Added to the reported target.
    pub target_bias: i64,
    /// Blocks are built here, once it is synced.
    pub collates: bool,
    best: f64,
    network: Network,
    imported: f64,
    rejected: f64,
    bytes_in: f64,
    built: f64,
    queued: u64,
}

/// The height of the chain that everybody else sees: `height` at `since`, growing unless halted.
#[derive(Debug, Clone, Copy)]
struct Network {
    height: f64,
    since: Duration,
    halted: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[default]
    None,
    Stalled {
        bytes_per_second: f64,
    },
    Isolated,
}

/// What one exporter tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct View {
    pub best: u64,
    pub finalized: u64,
    pub target: u64,
    pub peers: u64,
    pub major_syncing: bool,
    pub queued: u64,
    pub imported: u64,
    pub rejected: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Blocks of the parachain that this collator built.
    pub built: u64,
}

/// What is kept on disk for one chain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    pub best: u64,
    pub network: u64,
    pub halted: bool,
}

impl Model {
    /// Two chains at their saved heights, or at zero. `away` is the time since they were saved.
    pub fn new(args: [ChainArgs; 2], saved: [Option<Saved>; 2], away: Duration, now: Duration) -> Self {
        let chain = |args: ChainArgs, saved: Option<Saved>| {
            let mut network = Network {
                height: real(args.target),
                since: now,
                halted: false,
            };
            if let Some(saved) = saved {
                network = Network {
                    height: real(saved.network),
                    since: now,
                    halted: saved.halted,
                };
                if !saved.halted {
                    network.height += blocks(away, args.block_time);
                }
            }
            ChainModel {
                args,
                fault: Fault::None,
                target_bias: 0,
                collates: true,
                best: saved.map_or(0.0, |s| real(s.best)),
                network,
                imported: 0.0,
                rejected: 0.0,
                bytes_in: 0.0,
                built: 0.0,
                queued: 0,
            }
        };
        let [para, relay] = args;
        let [para_saved, relay_saved] = saved;
        Self {
            chains: [chain(para, para_saved), chain(relay, relay_saved)],
            relay_first: false,
            peers: 8,
            frozen: false,
            last: now,
        }
    }

    /// Brings everything to `now`.
    pub fn advance(&mut self, now: Duration) {
        let step = now.saturating_sub(self.last);
        self.last = now;
        if self.frozen || step > LONGEST_STEP {
            return;
        }
        let [parachain, relaychain] = &mut self.chains;
        relaychain.advance(now, step, false);
        let wait = self.relay_first && relaychain.network.at(now, relaychain.args) - relaychain.best > real(MAJOR_SYNC);
        parachain.advance(now, step, wait);
    }

    /// What the exporter of `chain` tells at the time of the last [`Self::advance`].
    pub fn view(&self, chain: Chain) -> View {
        let own = &self.chains[chain.index()];
        let best = whole(own.best);
        let (peers, target) = match own.fault {
            Fault::None => (self.peers, whole(own.network.at(self.last, own.args))),
            Fault::Stalled { .. } => (self.peers.min(1), whole(own.network.at(self.last, own.args))),
            Fault::Isolated => (0, best),
        };
        // Without peers the node knows no target but its own height.
        let target = if peers == 0 {
            best
        } else {
            target.max(best).saturating_add_signed(own.target_bias)
        };
        View {
            best,
            finalized: best.saturating_sub(if chain == Chain::Parachain { 2 } else { 3 }),
            target,
            peers,
            major_syncing: target.saturating_sub(best) > MAJOR_SYNC,
            queued: own.queued,
            imported: whole(own.imported),
            rejected: whole(own.rejected),
            bytes_in: whole(own.bytes_in),
            bytes_out: whole(own.bytes_in / 90.0),
            built: whole(self.chains[Chain::Parachain.index()].built),
        }
    }

    pub fn saved(&self, chain: Chain) -> Saved {
        let own = &self.chains[chain.index()];
        Saved {
            best: whole(own.best),
            network: whole(own.network.at(self.last, own.args)),
            halted: own.network.halted,
        }
    }
}

impl ChainModel {
    fn advance(&mut self, now: Duration, step: Duration, wait: bool) {
        let seconds = step.as_secs_f64();
        self.queued = 0;
        match self.fault {
            Fault::Isolated => return,
            Fault::Stalled { bytes_per_second } => {
                self.bytes_in += bytes_per_second * seconds;
                self.rejected += seconds;
                return;
            }
            Fault::None => self.bytes_in += IDLE_BYTES * seconds,
        }
        let target = self.network.at(now, self.args).floor();
        let distance = target - self.best;
        if wait || distance <= 0.0 {
            return;
        }
        let behind = distance > real(MAJOR_SYNC);
        let imported = if behind {
            distance.min(self.args.speed * seconds)
        } else {
            distance
        };
        self.best += imported;
        self.imported += imported;
        self.bytes_in += BLOCK_BYTES * imported;
        if behind {
            self.queued = 128.min(whole(distance));
        } else if self.collates {
            self.built += imported / AUTHORS;
        }
    }

    /// Sets the height of the network, which goes on from there.
    pub fn set_target(&mut self, target: u64, now: Duration) {
        self.network = Network {
            height: real(target),
            since: now,
            ..self.network
        };
    }

    /// Changes how often the network makes a block, from now on.
    pub fn set_block_time(&mut self, block_time: Duration, now: Duration) {
        self.network = Network {
            height: self.network.at(now, self.args),
            since: now,
            ..self.network
        };
        self.args.block_time = block_time;
    }

    /// Stops the network at its height, or lets it go on from there.
    pub fn halt(&mut self, halted: bool, now: Duration) {
        self.network = Network {
            height: self.network.at(now, self.args),
            since: now,
            halted,
        };
    }
}

impl Network {
    fn at(self, now: Duration, args: ChainArgs) -> f64 {
        if self.halted {
            return self.height;
        }
        self.height + blocks(now.saturating_sub(self.since), args.block_time)
    }
}

fn blocks(time: Duration, block_time: Duration) -> f64 {
    time.as_secs_f64() / block_time.as_secs_f64().max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "block heights stay far below 2^52")]
fn real(height: u64) -> f64 {
    height as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are never negative nor above 2^52"
)]
fn whole(height: f64) -> u64 {
    height as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn args() -> [ChainArgs; 2] {
        let chain = |target, speed| ChainArgs {
            target,
            speed,
            block_time: 1000 * MS,
        };
        [chain(1000, 100.0), chain(200, 100.0)]
    }

    fn run(model: &mut Model, from_ms: u32, to_ms: u32) {
        for ms in (from_ms..=to_ms).step_by(100) {
            model.advance(ms * MS);
        }
    }

    fn fresh() -> Model {
        Model::new(args(), [None, None], Duration::ZERO, Duration::ZERO)
    }

    #[test]
    fn it_syncs_at_its_speed_and_then_follows() {
        let mut model = fresh();
        run(&mut model, 0, 5_000);
        let view = model.view(Chain::Parachain);
        assert_eq!(
            (view.best, view.target, view.major_syncing, view.peers),
            (500, 1005, true, 8)
        );
        run(&mut model, 5_100, 30_000);
        let view = model.view(Chain::Parachain);
        assert_eq!((view.best, view.target, view.major_syncing), (1030, 1030, false));
        assert!(view.built > 0, "a synced collator builds blocks");
        assert_eq!(view.imported, 1030);
    }

    #[test]
    fn a_stall_holds_best_while_the_target_moves() {
        let mut model = fresh();
        run(&mut model, 0, 2_000);
        model.chains[0].fault = Fault::Stalled {
            bytes_per_second: 1000.0,
        };
        let before = model.view(Chain::Parachain);
        run(&mut model, 2_100, 12_000);
        let after = model.view(Chain::Parachain);
        assert_eq!((after.best, after.imported), (before.best, before.imported));
        assert_eq!((after.target, after.peers, after.major_syncing), (1012, 1, true));
        assert_eq!(after.bytes_in - before.bytes_in, 10_000);
    }

    #[test]
    fn without_peers_it_looks_synced() {
        let mut model = fresh();
        run(&mut model, 0, 2_000);
        model.chains[0].fault = Fault::Isolated;
        run(&mut model, 2_100, 9_000);
        let view = model.view(Chain::Parachain);
        assert_eq!(
            (view.best, view.target, view.peers, view.major_syncing),
            (200, 200, 0, false)
        );
    }

    #[test]
    fn a_halted_network_stands_still_and_goes_on_from_there() {
        let mut model = fresh();
        run(&mut model, 0, 20_000);
        model.chains[0].halt(true, 20_000 * MS);
        run(&mut model, 20_100, 60_000);
        let view = model.view(Chain::Parachain);
        assert_eq!((view.best, view.target), (1020, 1020));
        assert!(model.view(Chain::Relaychain).best > 250, "the relay chain goes on");
        model.chains[0].halt(false, 60_000 * MS);
        run(&mut model, 60_100, 70_000);
        assert_eq!(model.view(Chain::Parachain).best, 1030);
    }

    #[test]
    fn the_parachain_waits_for_the_relay_chain_when_told_to() {
        let mut model = fresh();
        model.relay_first = true;
        run(&mut model, 0, 1_000);
        assert_eq!(model.view(Chain::Parachain).best, 0);
        run(&mut model, 1_100, 5_000);
        assert!(model.view(Chain::Parachain).best > 0);
    }

    #[test]
    fn a_stopped_process_does_not_leap_forward() {
        let mut model = fresh();
        run(&mut model, 0, 1_000);
        model.advance(60_000 * MS);
        let view = model.view(Chain::Parachain);
        assert_eq!((view.best, view.target), (100, 1060));
    }

    #[test]
    fn a_restart_resumes_and_the_network_went_on_meanwhile() {
        let mut model = fresh();
        run(&mut model, 0, 5_000);
        let saved = [
            Some(model.saved(Chain::Parachain)),
            Some(model.saved(Chain::Relaychain)),
        ];
        let model = Model::new(args(), saved, 10_000 * MS, Duration::ZERO);
        let view = model.view(Chain::Parachain);
        assert_eq!((view.best, view.target, view.imported), (500, 1015, 0));
    }
}
