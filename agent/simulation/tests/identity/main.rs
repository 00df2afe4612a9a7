//! The identity volume under EC2's odd answers: early, late, stale, refused and stuck ones, on virtual time.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

mod ec2;
mod refusals;
mod transitions;
