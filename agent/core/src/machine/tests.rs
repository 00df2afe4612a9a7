//! The core's promises. Each test drives a small [`rig::Rig`]: a node whose behaviour the test sets, looked
//! at every five seconds, with every action of the core carried out at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::needless_pass_by_value,
    clippy::struct_excessive_bools,
    reason = "a rig and a world read best when told in one breath"
)]

mod collation;
mod cures;
mod faults;
mod hands;
mod holds;
mod identity;
mod interrupted;
mod notices;
mod operator;
mod properties;
mod resume;
mod rig;
mod simulation;
mod updates;
mod verdicts;
mod witness;
