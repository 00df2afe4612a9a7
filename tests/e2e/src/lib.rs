//! What the end-to-end tests of t0rn-agent stand on: a simulated collator, and a harness around real engines.
//!
//! Run them through `tests/tools/with-engine.sh`, which gives them a Docker engine. Every test makes its own agent
//! ([`agent::Agent`]), container, ports and folders, so that all may run at a time.

pub mod agent;
pub mod browser;
pub mod credentials;
pub mod ebs;
pub mod ec2;
pub mod engine;
pub mod fake_engine;
pub mod fakes;
pub mod field;
pub mod http_client;
mod http_server;
pub mod moto;
pub mod nspawn;
pub mod operator_docs;
pub mod ports;
pub mod prometheus;
pub mod real_node;
pub mod recording;
pub mod registry;
pub mod repository;
pub mod s3;
pub mod sim;
pub mod sim_container;
pub mod sim_image;
pub mod sim_process;
pub mod skip;
pub mod wait;
pub mod webhook;
