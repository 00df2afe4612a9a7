//! `t0rn-agent` keeps one collator container running *and making progress*.
//!
//! Modules in reading order: the vocabulary ([`event`]), the pure core ([`sync`], [`machine`],
//! [`signature`]), the one loop that executes what the core decides ([`supervisor`]), the adapters it
//! drives ([`docker`], [`exporter`], [`host`], `systemd`), what it leaves behind ([`state`], [`recorder`]), and the
//! edges ([`config`], [`api`], [`status`], [`cli`], [`check`], [`replay`], [`trace`]).

pub mod api;
pub mod check;
pub mod cli;
pub mod config;
pub mod docker;
pub mod event;
pub mod exporter;
pub mod host;
pub mod machine;
pub mod recorder;
pub mod replay;
pub mod signature;
pub mod state;
pub mod status;
pub mod supervisor;
pub mod sync;
mod systemd;
pub mod trace;
