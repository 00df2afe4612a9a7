//! Tells people: one message when something happens to the collator, one when it is over, to a webhook.
//!
//! What is told ([`Message`], [`news`]), what waits ([`queue`]) and how the services want it ([`payload`]) are
//! pure. A task of its own delivers ([`delivery`], [`webhook`]): whatever the other end does, nobody here waits.

mod delivery;
#[cfg(test)]
mod tests;
mod webhook;

pub use delivery::{DeliveryTask, NotificationSender};

use agent_config::Notify;
use agent_core::notification::Message;
use agent_core::notification::queue::QueuedMessage;
use webhook::Webhook;

/// A message did not arrive. Its text names the reason and the remedy, and nothing of the webhook's URL.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("no webhook is configured: write its URL to notify.webhook")]
    NotConfigured,
    #[error("the webhook did not take the message: {0}")]
    Refused(String),
}

/// Sends one message, once, and waits for the answer: at most fifteen seconds.
pub async fn send_now(config: &Notify, message: Message) -> Result<(), DeliveryError> {
    let webhook = Webhook::new(config).ok_or(DeliveryError::NotConfigured)?;
    let queued = QueuedMessage { message, more: 0 };
    let sent = webhook.post(&queued, 0).await;
    sent.map_err(|refusal| DeliveryError::Refused(refusal.to_string()))
}
