//! The binary as operators and scripts use it: exit codes, streams, and errors.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod agent;
mod harness;
mod offline;
mod output;
mod report;
