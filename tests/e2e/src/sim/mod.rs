//! A simulated collator: two chains, their exporters, a database directory, and faults on request.
//!
//! It stands in for the real node wherever a test needs a fault at a chosen moment. It takes the node's own command
//! line (flags it does not know are ignored), logs to stderr as the node does, and keeps its height under
//! `--base-path` in the node's layout, so that a restart resumes where the last run was.
//!
//! # Flags of its own
//!
//! | flag | default | meaning |
//! |---|---|---|
//! | `--sim-target N` | 5000 | height of the parachain's network at the first start |
//! | `--sim-speed R` | 500 | blocks imported per second while behind |
//! | `--sim-block-time MS` | 6000 | the network makes a block this often |
//! | `--sim-relay-target N`, `--sim-relay-speed R`, `--sim-relay-block-time MS` | 20000, 2000, 6000 | the same for the relay chain |
//! | `--sim-relay-first` | off | the parachain waits until the relay chain is synced |
//! | `--sim-peers N` | 8 | peers of both chains |
//! | `--sim-prefix P` | `substrate` | prefix of the metric names |
//! | `--sim-start-delay MS` | 0 | from start until the exporters listen |
//! | `--sim-stop-delay MS` | 300 | from SIGTERM until exit 0 |
//! | `--sim-control-port N` | 7999 | port of the control server, 0 turns it off |
//! | `--sim-db-version N` | none | written into the parachain's database at every start, as a migration does |
//! | `--sim-fault F` | | a command as below, or only its name; applied at every start; may be repeated |
//!
//! `--prometheus-port` before and after `--`, and `--base-path`, mean what they mean to the node. An unknown `--sim-…`
//! flag ends it with code 2, as a bad command line ends the node.
//!
//! # Control server
//!
//! `GET /state` tells what it is doing. `POST /control` takes one JSON object (see [`control::Command`]):
//!
//! | command | effect |
//! |---|---|
//! | `{"do":"crash","code":101,"log":["…"]}` | logs the lines and exits with the code (default 1) |
//! | `{"do":"freeze","mode":"hang"}` | chains and log stand still; the exporters accept and never answer (`hang`, the default) or do not listen (`refuse`) |
//! | `{"do":"stall","chain":"parachain","cure":"restart","bytes_per_second":3072}` | best stands still, the target moves on, one peer, major syncing; a restart cures it (default) or `"cure":"never"` |
//! | `{"do":"isolate","cure":"restart"}` | no peers; target equals best, not major syncing |
//! | `{"do":"halt","chain":"parachain"}` | the network makes no blocks; survives restarts |
//! | `{"do":"exporter","chain":"relaychain","answer":"refuse"}` | one exporter: `ok`, `refuse`, `hang`, `reset`, `drip`, `garbage`, `truncated`, `cut`, `empty`, `{"slow":{"delay_ms":N}}`, `{"status":{"code":N}}`, `{"huge":{"bytes":N,"newlines":true}}` |
//! | `{"do":"log","lines":["…"],"bytes":10485760}` | logs the lines, then one line of that many bytes |
//! | `{"do":"sigterm","obey":false}` | ignores SIGTERM and SIGINT |
//! | `{"do":"eat","bytes_per_second":200000000}` | takes memory until it is killed |
//! | `{"do":"burn","percent":80}` | uses that much of one core; 0 ends it |
//! | `{"do":"fail_starts","count":3,"code":1,"log":["…"]}` | the next starts log the lines and exit; without `count`, every start |
//! | `{"do":"set","speed":…,"target":…,"block_time_ms":…,"peers":…,"target_bias":…,"stop_delay_ms":…,"collates":…,"chain":…}` | changes what is given; `target_bias` is added to the reported target; with `"collates":false` no block is built here |
//! | `{"do":"recover"}` | ends every fault, remembered ones too |
//!
//! Any command may carry `"after_seconds": N` (it waits that long) and `"once": true` (with `--sim-fault`: only at the
//! first start on this directory). What survives a restart stands in `<base-path>/chains/t0rn_testnet/db/full/000103.log`; deleting that file
//! is the cure from outside.
//!
//! Two live processes never share a directory: the second one logs `Database file is in use.`, leaves a line in
//! `<base-path>/chains/t0rn_testnet/db/full/000102.log` and exits with code 1.

pub mod args;
pub mod control;
mod control_server;
mod data;
mod exporter;
mod filler_metrics;
mod log;
pub mod model;
mod page;
mod process;

pub use process::run;

use serde::{Deserialize, Serialize};

/// One of the two chains of a collator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chain {
    Parachain,
    Relaychain,
}

impl Chain {
    pub const BOTH: [Self; 2] = [Self::Parachain, Self::Relaychain];

    /// The chain specification's id: label of every metric and name of the database's folder.
    pub fn id(self) -> &'static str {
        match self {
            Self::Parachain => "t0rn_testnet",
            Self::Relaychain => "rococo_v2_2",
        }
    }

    /// Hash of the chain's first block, as the names of its protocols tell it.
    pub fn genesis(self) -> &'static str {
        match self {
            Self::Parachain => "d493ef65eab133cbda3b6a4e1ddb05e09d9a6c1a4b7c5e2f80a1b2c3d4e5f607",
            Self::Relaychain => "6408de7737c59c238890533af25896a2c20608d8b380bb01029acb392781063e",
        }
    }

    /// The mark that the node puts before this chain's log lines.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Parachain => "[Parachain]",
            Self::Relaychain => "[Relaychain]",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}
