//! The process around the daemon's parts: its clocks, and disks that may not answer.
//!
//! Asynchronous code takes time from here only, so that one clock governs a test or a simulation: [`Instant`] is tokio's,
//! which can be paused, [`wall`] the wall clock, [`boottime`] the clock that no one can set. It touches a disk through
//! [`disk`] only: off the thread and within a bound. It must never depend on another crate of the agent.

pub mod boottime;
pub mod disk;
pub mod program;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod wall;

pub use tokio::time::Instant;
