//! The delivery task. Its senders never wait: messages that do not fit are counted, and the count is sent later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::webhook::{Retry, Webhook, WebhookError};
use agent_config::NotifyConfig;
use agent_core::notification::message::NotificationMessage;
use agent_core::notification::queue::{QueuedMessage, RateLimitedQueue};
use agent_net::backoff::pauses;
use agent_runtime::Instant;

/// Most messages that wait for the task.
const QUEUE: usize = 64;

/// Pauses and limit of the attempts to deliver one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    /// The first pause, and the longest.
    pub(super) first: Duration,
    pub(super) longest: Duration,
    /// The longest pause that a service may request.
    pub(super) asked: Duration,
    /// Limit of all attempts; then the message is lost.
    pub(super) altogether: Duration,
}

const RETRY_POLICY: RetryPolicy = RetryPolicy {
    first: Duration::from_secs(1),
    longest: Duration::from_mins(1),
    asked: Duration::from_mins(15),
    altogether: Duration::from_mins(30),
};

/// Queues messages; never waits.
#[derive(Debug, Clone)]
pub struct NotificationSender {
    queue: mpsc::Sender<NotificationMessage>,
    lost: Arc<AtomicU64>,
}

/// Handle of the task that delivers messages.
#[derive(Debug)]
pub struct DeliveryTask {
    sender: NotificationSender,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl NotificationSender {
    /// Queues a message. One that does not fit is counted as lost.
    pub fn send(&self, message: NotificationMessage) {
        if self.queue.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl DeliveryTask {
    /// Starts the task; `None` when no webhook is configured.
    pub fn start(config: &NotifyConfig) -> Option<Self> {
        Some(Self::with(Webhook::new(config)?, RETRY_POLICY))
    }

    pub(super) fn with(webhook: Webhook, retry_policy: RetryPolicy) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let lost = Arc::new(AtomicU64::new(0));
        let delivery = Delivery {
            webhook,
            retry_policy,
            lost: Arc::clone(&lost),
            stopped,
        };
        Self {
            sender: NotificationSender { queue, lost },
            stop,
            task: tokio::spawn(delivery.run(messages)),
        }
    }

    pub fn sender(&self) -> &NotificationSender {
        &self.sender
    }

    /// Tries to deliver the remaining messages, each once, within `grace`.
    pub async fn finish(mut self, grace: Duration) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
            warn!(
                ?grace,
                "messages to the webhook could not be delivered in time before the end"
            );
        }
    }
}

struct Delivery {
    webhook: Webhook,
    retry_policy: RetryPolicy,
    lost: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
}

impl Delivery {
    async fn run(self, mut messages: mpsc::Receiver<NotificationMessage>) {
        let mut queue = RateLimitedQueue::new(Instant::now().into_std());
        let mut stopped = self.stopped.clone();
        while !*stopped.borrow() {
            if let Some(queued) = queue.next(Instant::now().into_std()) {
                let mut delivery = Box::pin(self.deliver(queued));
                // New messages are accepted meanwhile.
                loop {
                    tokio::select! {
                        () = &mut delivery => break,
                        Some(message) = messages.recv() => queue.push(message),
                    }
                }
                continue;
            }
            let deadline = queue.deadline().map(|at| tokio::time::sleep_until(at.into()));
            tokio::select! {
                Some(message) = messages.recv() => queue.push(message),
                Some(()) = OptionFuture::from(deadline) => {}
                // The sender is gone with the supervisor.
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        while let Ok(message) = messages.try_recv() {
            queue.push(message);
        }
        for queued in queue.drain() {
            self.deliver(queued).await;
        }
    }

    /// Delivers one message, or drops it after [`RetryPolicy::altogether`].
    async fn deliver(&self, queued: QueuedMessage) {
        let began = Instant::now();
        let mut pauses = pauses(self.retry_policy.first, self.retry_policy.longest);
        let mut refused = false;
        let mut stopped = self.stopped.clone();
        loop {
            let lost = self.lost.load(Ordering::Relaxed);
            let Err(refusal) = self.webhook.post(&queued, lost).await else {
                // The message contained the count.
                self.lost.fetch_sub(lost, Ordering::Relaxed);
                if refused {
                    info!("the webhook takes messages again");
                }
                return;
            };
            let pause = pauses.next().unwrap_or(self.retry_policy.longest);
            let wait = match refusal.retry {
                Retry::Never => None,
                Retry::Soon => Some(pause),
                Retry::After(asked) => Some(asked.min(self.retry_policy.asked).max(pause)),
            };
            let wait = wait.filter(|wait| began.elapsed() + *wait <= self.retry_policy.altogether);
            let Some(wait) = wait.filter(|_| !*stopped.borrow()) else {
                return self.lose(&queued, &refusal);
            };
            if !std::mem::replace(&mut refused, true) {
                warn!(
                    reason = refusal.reason,
                    "the webhook did not take a message, trying again"
                );
            }
            // When the agent stops, one last attempt.
            let _ = tokio::time::timeout(wait, stopped.wait_for(|stopped| *stopped)).await;
        }
    }

    fn lose(&self, queued: &QueuedMessage, refusal: &WebhookError) {
        self.lost.fetch_add(1 + queued.more, Ordering::Relaxed);
        let cause = queued.message.cause.map(|cause| cause.into_str());
        warn!(
            reason = refusal.reason,
            cause,
            about = queued.message.kind.into_str(),
            "a message to the webhook is lost; t0rn-agent notify test shows whether one arrives"
        );
    }
}
