//! Notifications about the core's actions; without a webhook, none.

use std::sync::Arc;
use std::time::Duration;

use agent_config::Config;
use agent_core::machine::{Action, Machine};
use agent_core::notification::filter::{Notification, NotificationFilter};
use agent_core::notification::{NotificationKind, NotificationMessage};
use agent_docker::Docker;
use agent_runtime::wall;

use super::known_secrets::secrets;
use crate::host::HostProbe;
use crate::notify::{DeliveryTask, NotificationSender};
use crate::recorder;

/// How long the agent's stop waits for undelivered messages.
const GRACE: Duration = Duration::from_secs(5);

/// Filters, formats and sends notifications.
pub(super) struct Notifications {
    docker: Docker,
    webhook: Option<WebhookNotifier>,
}

struct WebhookNotifier {
    filter: NotificationFilter,
    delivery: DeliveryTask,
    config: Arc<Config>,
    docker: Docker,
    host: String,
}

impl Notifications {
    /// Starts the delivery when a webhook is configured.
    pub(super) fn start(config: &Arc<Config>, docker: &Docker) -> Self {
        Self {
            docker: docker.clone(),
            webhook: WebhookNotifier::start(config, docker, NotificationFilter::default()),
        }
    }

    /// Goes on with another configuration. What waits for the former webhook is still delivered, within a few seconds.
    pub(super) fn set_config(&mut self, config: &Arc<Config>) {
        let notify = &config.notify;
        if let Some(webhook) = &mut self.webhook {
            let former = std::mem::replace(&mut webhook.config, Arc::clone(config));
            if (&former.notify.webhook, former.notify.format) == (&notify.webhook, notify.format) {
                return;
            }
        }
        let mut filter = NotificationFilter::default();
        if let Some(former) = self.webhook.take() {
            tokio::spawn(former.delivery.finish(GRACE));
            filter = former.filter;
        }
        self.webhook = WebhookNotifier::start(config, &self.docker, filter);
    }

    /// Messages about the actions of one step.
    pub(super) fn select(&mut self, actions: &[Action], machine: &Machine) -> Vec<NotificationMessage> {
        let Some(webhook) = &mut self.webhook else {
            return Vec::new();
        };
        let selected = webhook.filter.select(actions, |cause| machine.is_tried(cause));
        let messages = selected
            .into_iter()
            .map(|notification| webhook.message(notification, machine));
        messages.collect()
    }

    pub(super) fn send(&self, message: NotificationMessage) {
        if let Some(webhook) = &self.webhook {
            webhook.delivery.sender().send(message);
        }
    }

    /// A sender for other tasks; `None` without a webhook.
    pub(super) fn sender(&self) -> Option<NotificationSender> {
        self.webhook.as_ref().map(|webhook| webhook.delivery.sender().clone())
    }

    /// Delivers the remaining messages, within a few seconds.
    pub(super) async fn finish(&mut self) {
        if let Some(webhook) = self.webhook.take() {
            webhook.delivery.finish(GRACE).await;
        }
    }
}

impl WebhookNotifier {
    /// `None` without a webhook.
    fn start(config: &Arc<Config>, docker: &Docker, filter: NotificationFilter) -> Option<Self> {
        Some(Self {
            filter,
            delivery: DeliveryTask::start(&config.notify)?,
            config: Arc::clone(config),
            docker: docker.clone(),
            host: HostProbe::name(),
        })
    }

    fn message(&self, notification: Notification, machine: &Machine) -> NotificationMessage {
        let Notification {
            kind,
            cause,
            action,
            helped,
        } = notification;
        let is_wrong = kind != NotificationKind::Over && helped != Some(true);
        let text = match (kind, machine.returns(cause)) {
            (NotificationKind::Over, returns @ 1..) => format!("it came and went {} times", returns + 1),
            _ if is_wrong => machine.explain(cause),
            _ => String::new(),
        };
        NotificationMessage {
            at: wall::now(),
            kind,
            host: self.host.clone(),
            container: self.config.collator.container.clone(),
            cause: Some(cause),
            severity: is_wrong.then(|| machine.severity(cause)),
            health: machine.health(),
            text: recorder::redacted(&text, &secrets(&self.config, &self.docker)),
            action,
            incident: None,
            helped,
        }
    }
}
