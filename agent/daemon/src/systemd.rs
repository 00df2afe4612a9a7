//! Notifications to the service manager: watchdog, status line, readiness and stop.
//!
//! Without `NOTIFY_SOCKET` nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::debug;

/// Longest interval of messages; a watchdog may need a shorter one.
const PERIOD: Duration = Duration::from_secs(10);
/// Messages within one watchdog period, so that a late or lost one does no harm.
const BEATS: u32 = 3;
/// How long the last message waits for the one before it.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The service manager that started this process.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// `None` without a manager that expects messages.
    beat: Option<Interval>,
    ready: bool,
    sending: Option<JoinHandle<()>>,
}

impl ServiceManager {
    /// As the environment names it. Must be called within a tokio runtime.
    pub(crate) fn from_environment() -> Self {
        let asked = std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        let beat = asked.then(|| {
            let watchdog = sd_notify::watchdog_enabled().filter(|period| !period.is_zero());
            let mut beat = tokio::time::interval(watchdog.map_or(PERIOD, |period| (period / BEATS).min(PERIOD)));
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beat
        });
        Self {
            beat,
            ready: false,
            sending: None,
        }
    }

    /// Returns when [`Self::alive`] is due; never without a manager.
    pub(crate) async fn due(&mut self) {
        match &mut self.beat {
            Some(beat) => drop(beat.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Reports the agent as ready, at once.
    pub(crate) fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true)
            && let Some(beat) = &mut self.beat
        {
            beat.reset_immediately();
        }
    }

    /// Sends the watchdog's keep-alive and the one-line `status`.
    pub(crate) fn alive(&mut self, status: String) {
        // Every message is complete, so that none depends on an earlier one.
        let ready = self.ready.then_some(NotifyState::Ready);
        self.send(move || {
            let messages = [NotifyState::Watchdog, NotifyState::Status(&status)];
            sd_notify::notify(&ready.into_iter().chain(messages).collect::<Vec<_>>())
        });
    }

    /// Reports a requested stop. Takes a second at most.
    pub(crate) async fn stopping(&mut self) {
        if let Some(sending) = self.sending.take() {
            let _ = tokio::time::timeout(LAST_WAIT, sending).await;
        }
        self.send(|| sd_notify::notify(&[NotifyState::Stopping]));
    }

    /// Sends in a thread of its own: a manager that does not read must not hold up the loop.
    fn send(&mut self, send: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
        if self.beat.is_none() || self.sending.as_ref().is_some_and(|sending| !sending.is_finished()) {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "it blocks on a socket, and one at a time")]
        let sending = tokio::task::spawn_blocking(move || {
            if let Err(error) = send() {
                debug!(%error, "the message to the service manager failed");
            }
        });
        self.sending = Some(sending);
    }
}
