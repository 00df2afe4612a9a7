//! The adapter against emulated services on loopback.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

mod completions;
mod documents;
mod fake;
mod lifecycle;
mod metadata;
mod objects;
mod polling;
mod signature;
mod volumes;
