//! Notifications: which are sent ([`filter`]), their text ([`message`]), the rate limit ([`queue`]) and the formats of the
//! services ([`payload`]).

pub mod filter;
pub mod message;
pub mod payload;
pub mod queue;
#[cfg(test)]
mod tests;

pub use message::{NotificationKind, NotificationMessage};

/// The service that takes the messages, which decides on the form of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyFormat {
    Json,
    Slack,
    Discord,
    Telegram,
}
