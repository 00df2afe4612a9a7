//! What the network adapters share: HTTP clients, and the waits between attempts.

pub mod backoff;
pub mod http;
