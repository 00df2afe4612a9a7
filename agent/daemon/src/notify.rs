//! Tells people: one message when something happens to the collator, one when it is over, to a webhook.
//!
//! What is told ([`NotificationMessage`], [`news`]), what waits ([`outbox`]) and how the services want it ([`payload`]) are
//! pure. A task of its own delivers ([`courier`], [`webhook`]): whatever the other end does, nobody here waits.

mod courier;
#[cfg(test)]
mod tests;
mod webhook;

pub use courier::{Mailbox, Notifier};

use agent_config::NotifyConfig;
use agent_core::notification::NotificationMessage;
use agent_core::notification::queue::QueuedMessage;
use webhook::Webhook;

/// A message did not arrive. Its text names the reason and the remedy, and nothing of the webhook's URL.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    #[error("no webhook is configured: write its URL to notify.webhook")]
    NotConfigured,
    #[error("the webhook did not take the message: {0}")]
    Refused(String),
}

/// Sends one message, once, and waits for the answer: at most fifteen seconds.
pub async fn send_now(config: &NotifyConfig, message: NotificationMessage) -> Result<(), Undelivered> {
    let webhook = Webhook::new(config).ok_or(Undelivered::NotConfigured)?;
    let letter = QueuedMessage { message, more: 0 };
    let sent = webhook.post(&letter, 0).await;
    sent.map_err(|refusal| Undelivered::Refused(refusal.to_string()))
}
