//! The core's promises. Each test drives a small [`harness::Harness`]: a node whose behaviour the test sets, looked
//! at every five seconds, with every action of the core carried out at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::needless_pass_by_value,
    clippy::struct_excessive_bools,
    reason = "scenarios read best with their facts as plain arguments"
)]

mod clock_steps;
mod collation;
mod configuration;
mod faults;
mod field_reports;
mod harness;
mod holds;
mod host_faults;
mod interrupted;
mod invariants;
mod key_fence;
mod late_reports;
mod node;
mod operator;
mod outside_interference;
mod properties;
mod references;
mod restart_budget;
mod resume;
mod simulation;
mod termination;
mod told_once;
mod update_migrations;
mod update_refusals;
mod updates;
mod verdicts;
mod weighed_restarts;
