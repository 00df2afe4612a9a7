//! The daemon: event loop, adapters and servers around the decisions of `agent_core`.
//!
//! Turns every observation into an [`agent_core::event::Event`] and every [`agent_core::machine::Action`] into an effect,
//! one at a time. It must never decide about the collator by itself, wait in the event loop for a disk, a server or a
//! client, or write a secret to a log, an incident or a notification.
//! Begin with [`supervisor`], which assembles the parts, and its `event_loop`.

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests work on files of their own")
)]

pub mod api;
#[cfg(any(test, feature = "testing"))]
#[path = "tests/engine_stub.rs"]
pub mod engine_stub;
pub mod exporter;
#[cfg(any(test, fuzzing))]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
mod history;
pub mod host;
pub mod identity;
pub mod notify;
mod process;
pub mod recorder;
mod reference;
mod server;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod state;
pub mod supervisor;
mod systemd;
pub mod trace_reader;
mod web;
