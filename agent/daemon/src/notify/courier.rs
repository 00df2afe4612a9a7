//! The task that delivers. Nobody waits for it: what it cannot take in is counted, and told later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::webhook::{Refusal, Retry, Webhook};
use agent_config::NotifyConfig;
use agent_core::notification::message::NotificationMessage;
use agent_core::notification::queue::{QueuedMessage, RateLimitedQueue};
use agent_net::backoff::pauses;

/// Messages that may wait for the task to look.
const QUEUE: usize = 64;

/// How long a delivery is tried for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The first pause, and the longest.
    pub(super) first: Duration,
    pub(super) longest: Duration,
    /// The longest pause that a service may ask for.
    pub(super) asked: Duration,
    /// From the first try on; then the message is lost.
    pub(super) altogether: Duration,
}

const PATIENCE: Patience = Patience {
    first: Duration::from_secs(1),
    longest: Duration::from_mins(1),
    asked: Duration::from_mins(15),
    altogether: Duration::from_mins(30),
};

/// Where messages are handed in; never waits.
#[derive(Debug, Clone)]
pub struct Mailbox {
    queue: mpsc::Sender<NotificationMessage>,
    lost: Arc<AtomicU64>,
}

/// Delivers messages for as long as it is not told to finish.
#[derive(Debug)]
pub struct Notifier {
    mailbox: Mailbox,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Mailbox {
    /// Hands in a message. One that finds no room is counted as lost.
    pub fn send(&self, message: NotificationMessage) {
        if self.queue.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Notifier {
    /// Starts the task; `None` when no webhook is configured.
    pub fn start(config: &NotifyConfig) -> Option<Self> {
        Some(Self::with(Webhook::new(config)?, PATIENCE))
    }

    pub(super) fn with(webhook: Webhook, patience: Patience) -> Self {
        let (queue, letters) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let lost = Arc::new(AtomicU64::new(0));
        let courier = Courier {
            webhook,
            patience,
            lost: Arc::clone(&lost),
            stopped,
        };
        Self {
            mailbox: Mailbox { queue, lost },
            stop,
            task: tokio::spawn(courier.work(letters)),
        }
    }

    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Tries to deliver what still waits, each message once, for as long as `grace`.
    pub async fn finish(self, grace: Duration) {
        let Self {
            mailbox,
            stop,
            mut task,
        } = self;
        let _ = stop.send(true);
        if tokio::time::timeout(grace, &mut task).await.is_err() {
            task.abort();
            warn!(
                ?grace,
                "messages to the webhook could not be delivered in time before the end"
            );
        }
        drop(mailbox);
    }
}

struct Courier {
    webhook: Webhook,
    patience: Patience,
    lost: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
}

impl Courier {
    async fn work(self, mut queue: mpsc::Receiver<NotificationMessage>) {
        let mut outbox = RateLimitedQueue::new(Instant::now());
        let mut stopped = self.stopped.clone();
        while !*stopped.borrow() {
            if let Some(letter) = outbox.next(Instant::now()) {
                let mut delivery = Box::pin(self.deliver(letter));
                // Meanwhile the news go on.
                loop {
                    tokio::select! {
                        () = &mut delivery => break,
                        Some(message) = queue.recv() => outbox.push(message),
                    }
                }
                continue;
            }
            let deadline = outbox.deadline();
            tokio::select! {
                Some(message) = queue.recv() => outbox.push(message),
                () = sleep_until(deadline) => {}
                // The sender is gone with the supervisor.
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        while let Ok(message) = queue.try_recv() {
            outbox.push(message);
        }
        for letter in outbox.drain() {
            self.deliver(letter).await;
        }
    }

    /// Delivers one message, or loses it after a while.
    async fn deliver(&self, letter: QueuedMessage) {
        let began = Instant::now();
        let mut pauses = pauses(self.patience.first, self.patience.longest);
        let mut refused = false;
        let mut stopped = self.stopped.clone();
        loop {
            let lost = self.lost.load(Ordering::Relaxed);
            let Err(refusal) = self.webhook.post(&letter, lost).await else {
                // What was lost is told now.
                self.lost.fetch_sub(lost, Ordering::Relaxed);
                if refused {
                    info!("the webhook takes messages again");
                }
                return;
            };
            let pause = pauses.next().unwrap_or(self.patience.longest);
            let wait = match refusal.retry {
                Retry::Never => None,
                Retry::Soon => Some(pause),
                Retry::After(asked) => Some(asked.min(self.patience.asked).max(pause)),
            };
            let wait = wait.filter(|wait| began.elapsed() + *wait <= self.patience.altogether);
            let Some(wait) = wait.filter(|_| !*stopped.borrow()) else {
                return self.lose(&letter, &refusal);
            };
            if !std::mem::replace(&mut refused, true) {
                warn!(
                    reason = refusal.reason,
                    "the webhook did not take a message, trying again"
                );
            }
            // The end is near: one more try.
            let _ = tokio::time::timeout(wait, stopped.wait_for(|stopped| *stopped)).await;
        }
    }

    fn lose(&self, letter: &QueuedMessage, refusal: &Refusal) {
        self.lost.fetch_add(1 + letter.more, Ordering::Relaxed);
        let cause = letter.message.cause.map(|cause| cause.into_str());
        warn!(
            reason = refusal.reason,
            cause,
            about = letter.message.kind.into_str(),
            "a message to the webhook is lost; t0rn-agent notify test shows whether one arrives"
        );
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
