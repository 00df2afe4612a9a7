//! What the end-to-end tests of t0rn-agent stand on: a simulated collator, and a harness around real engines.

pub mod sim;
