//! What the service manager is told: that the loop turns, how it is, when the agent is ready and when it
//! stops.
//!
//! Nothing happens where no manager asked for news (`NOTIFY_SOCKET`).

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::debug;

/// Between two messages at most; a watchdog may want them sooner.
const PERIOD: Duration = Duration::from_secs(10);
/// Messages within one period of the watchdog: one that is late or lost does no harm.
const BEATS: u32 = 3;
/// How long the last message waits for the one before it.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The service manager that started this process.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// `None` when there is none, or none that wants news.
    beat: Option<Interval>,
    ready: bool,
    telling: Option<JoinHandle<()>>,
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
            telling: None,
        }
    }

    /// Returns when [`Self::alive`] is due; never when nobody waits for it.
    pub(crate) async fn due(&mut self) {
        match &mut self.beat {
            Some(beat) => drop(beat.tick().await),
            None => std::future::pending().await,
        }
    }

    /// From now on the agent is ready, which the manager is told at once.
    pub(crate) fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true)
            && let Some(beat) = &mut self.beat
        {
            beat.reset_immediately();
        }
    }

    /// Says that the loop turns, and in `status`, one line, how it is.
    pub(crate) fn alive(&mut self, status: String) {
        // Every message says all of it, so that none depends on an earlier one.
        let ready = self.ready.then_some(NotifyState::Ready);
        self.tell(move || {
            let news = [NotifyState::Watchdog, NotifyState::Status(&status)];
            sd_notify::notify(&ready.into_iter().chain(news).collect::<Vec<_>>())
        });
    }

    /// Says that the agent ends because it was asked to. Takes a second at most.
    pub(crate) async fn stopping(&mut self) {
        if let Some(telling) = self.telling.take() {
            let _ = tokio::time::timeout(LAST_WAIT, telling).await;
        }
        self.tell(|| sd_notify::notify(&[NotifyState::Stopping]));
    }

    /// Sends in a thread of its own: a manager that does not read must not hold up the loop.
    fn tell(&mut self, send: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
        if self.beat.is_none() || self.telling.as_ref().is_some_and(|telling| !telling.is_finished()) {
            return;
        }
        self.telling = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = send() {
                debug!(%error, "the service manager cannot be told");
            }
        }));
    }
}
