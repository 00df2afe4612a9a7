//! The daemon: what the adapters learn becomes an [`agent_core::event::Event`], one place executes what the core decides.

pub mod api;
#[cfg(any(test, feature = "testing"))]
#[path = "tests/engine_stub.rs"]
pub mod engine_stub;
pub mod exporter;
mod history;
pub mod host;
pub mod identity;
pub mod notify;
pub mod recorder;
mod server;
pub mod state;
pub mod supervisor;
mod systemd;
pub mod trace_reader;
mod web;
