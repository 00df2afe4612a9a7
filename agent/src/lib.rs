//! `t0rn-agent` keeps one collator container running *and making progress*.
//!
//! Modules in reading order: the vocabulary ([`event`]), the pure core ([`sync`], [`machine`],
//! [`signature`]), the one loop that executes what the core decides ([`supervisor`]), the adapters it
//! drives ([`docker`], [`exporter`], [`host`], `ec2`, [`notify`], `systemd`; [`forecast`]), what it leaves
//! behind ([`state`], [`recorder`]), and the edges ([`config`], [`snapshot`], [`status`], [`api`],
//! [`web`], [`metrics`], [`cli`], [`check`], [`replay`], [`trace`]); [`bake`] makes the data for an image, [`chaindata`]
//! copies data and puts it back.

pub mod api;
mod backoff;
pub mod bake;
pub mod chaindata;
pub mod check;
pub mod cli;
pub mod config;
mod databases;
pub mod docker;
mod ec2;
pub mod event;
pub mod exporter;
pub mod forecast;
pub mod history;
pub mod host;
mod http;
mod identity;
pub mod machine;
pub mod metrics;
pub mod notify;
pub mod recorder;
pub mod replay;
mod server;
pub mod signature;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod supervisor;
pub mod sync;
mod systemd;
pub mod trace;
pub mod web;
mod wire;
