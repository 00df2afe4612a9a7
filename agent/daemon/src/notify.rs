//! Notifications to a webhook: one message when a problem begins, one when it ends.
//!
//! Messages are selected, queued and formatted in [`agent_core::notification`]. A task of its own delivers them
//! (`delivery`, `webhook`), so that a slow server delays nothing else.

mod delivery;
#[cfg(test)]
mod tests;
mod webhook;

pub use delivery::{DeliveryTask, NotificationSender};

use agent_config::NotifyConfig;
use agent_core::notification::NotificationMessage;
use agent_core::notification::queue::QueuedMessage;
pub(crate) use webhook::Webhook;

/// Why a message was not delivered, with the remedy and without any part of the webhook's URL.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("no webhook is configured: write its URL to notify.webhook")]
    NotConfigured,
    #[error("the webhook did not take the message: {0}")]
    Refused(String),
}

/// Sends one message, once. Takes at most fifteen seconds.
pub async fn send_now(config: &NotifyConfig, message: NotificationMessage) -> Result<(), DeliveryError> {
    let webhook = Webhook::new(config).ok_or(DeliveryError::NotConfigured)?;
    let queued = QueuedMessage { message, more: 0 };
    let sent = webhook.post(&queued, 0).await;
    sent.map_err(|refusal| DeliveryError::Refused(refusal.to_string()))
}
