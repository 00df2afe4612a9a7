//! What the network adapters share: HTTP clients, and the pauses between attempts.
//!
//! Decides nothing: deadlines and retries belong to the caller. It must never follow a redirect that the caller did not
//! allow, read a response without a size limit, or show a URL, which may be a secret, in an error.
//! Begin with [`http::local`] and [`http::internet`].

pub mod backoff;
pub mod http;
#[cfg(feature = "simulation")]
pub mod simulation;
