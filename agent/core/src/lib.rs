//! The decisions of the agent: [`event::Event`]s in, [`machine::Action`]s out, in live operation, in `replay` and in
//! simulation alike.
//!
//! Does no I/O, reads no clock, file or environment, starts no thread, writes no log: time is a parameter, the next
//! deadline a value. Nothing in its dependency tree can do any of it (`clippy.toml` refuses the rest).
//! Start at [`machine::Machine::step`]; the health of one chain is judged in [`chain_health`].

pub mod cause;
pub mod chain_health;
pub mod disk_forecast;
pub mod event;
pub mod exit_diagnosis;
pub mod history;
pub mod informant;
pub mod key_paths;
pub mod machine;
pub mod metrics;
pub mod notification;
pub mod published;
pub mod schema;
pub mod status;
pub mod trace;
pub mod units;

#[cfg(any(test, fuzzing))]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
#[cfg(test)]
mod tests;
