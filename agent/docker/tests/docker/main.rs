//! The Docker adapter against a real engine: the one at `T0RN_TEST_DOCKER`, else at `/var/run/docker.sock`.
//! Without an engine each test says so and passes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests work on files of their own")]

mod calls;
mod engine;
mod events;
mod fake;
mod hanging;
mod lifecycle;
mod registry;
mod restart;
mod scripted;
mod sharing;
mod stopping;
mod told;
