//! What the end-to-end tests of t0rn-agent stand on: a simulated collator, and a harness around real engines.
//!
//! Run them through `tests/tools/with-engine.sh`, which gives them a Docker engine. Every test makes its own agent
//! ([`agent::Agent`]), container, ports and folders, so that all may run at a time.

pub mod agent;
pub mod browser;
pub mod client;
pub mod container;
pub mod documents;
pub mod ec2;
pub mod engine;
pub mod fakes;
pub mod hook;
pub mod image;
pub mod machine;
pub mod moto;
pub mod objects;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod real_node;
pub mod registry;
pub mod repository;
mod server;
mod setup;
pub mod sim;
pub mod skip;
pub mod volume;
pub mod wait;
