//! Traces: what the core saw, as one JSON object a line.
//!
//! The flight recorder writes them, `replay` reads them, and they may be made by hand or from other
//! records: fields may be null or absent, unknown fields are ignored, numbers may be written as floats.

mod line;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::parse_line;
pub use write::{write_action, write_clock, write_line};

use crate::event::Event;

/// What one line holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Something the core learned.
    Event(Event),
    /// The wall clock at that moment, Unix milliseconds: for display only.
    Clock { unix_ms: i64 },
    /// What the agent that recorded this did then; `helped` where it judged what it had done before.
    Action {
        action: String,
        cause: String,
        helped: Option<bool>,
    },
}

/// Why a line is no part of a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Broken JSON, a value of the wrong type, an event or a state that does not exist.
    #[error("{reason} (column {column})")]
    Json { reason: String, column: usize },
    #[error("`t` is {0}, expected seconds from 0 to 100000000000")]
    Time(f64),
    #[error("a {event} event needs {what}")]
    Missing { event: &'static str, what: &'static str },
}
