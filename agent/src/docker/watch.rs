//! News about the container, from Docker's events, without a gap.
//!
//! An event stream can break, an engine can hang, and events can be missed while nobody listens. So every
//! connection begins with the events since the last one seen (Docker keeps the last 256 of them) and a
//! look at the container itself, and while the stream is silent the engine is asked whether it is there.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use self::news::{Death, News, translate};
use super::inspection::{EXIT_LINES, Found};
use super::{Docker, Error};
use crate::event::{Container, Exit};

mod news;

/// Docker's events that say something about the container.
const EVENTS: [&str; 10] = [
    "create", "destroy", "die", "kill", "oom", "pause", "rename", "start", "stop", "unpause",
];
/// Waits between connections, doubling. A connection that held this long was a good one.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_CAP: Duration = Duration::from_secs(5);
/// Longest time between the end of a run, as Docker notes it, and its event: Docker waits this long for
/// the last output, and then some.
const DEATH_EVENT_DELAY: i64 = 5_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The engine answers (again). What the container is like follows.
    Reachable {
        api: String,
    },
    /// The engine does not answer; said once, until it does.
    Unreachable {
        error: String,
    },
    Container(Container),
}

impl Docker {
    /// Everything that happens to the container from now on, or from `since` (Docker's wall clock, Unix
    /// milliseconds: the last `at` that was seen); never ends.
    ///
    /// Each connection to the engine begins with [`Notice::Reachable`] and the container as it is, and goes
    /// on with its events. Events that happened before that look may still follow it, and the events of one
    /// millisecond may come twice after an interruption: `at` tells.
    pub fn watch(&self, since: Option<i64>) -> impl Stream<Item = Notice> + Send + 'static + use<> {
        let watch = Watch {
            docker: self.clone(),
            notices: VecDeque::new(),
            events: None,
            from: since.map(|ms| ms.saturating_mul(1_000_000)),
            wait: Duration::ZERO,
            outage: false,
            ping: Instant::now(),
            connected: Instant::now(),
            run: Run::default(),
        };
        stream::unfold(watch, |mut watch| async move { Some((watch.next().await, watch)) })
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, EngineError>> + Send>>;

struct Watch {
    docker: Docker,
    /// Found out and not yet taken; what one event gives, so a handful at most.
    notices: VecDeque<Notice>,
    events: Option<Events>,
    /// Where the next connection begins, Unix nanoseconds.
    from: Option<i64>,
    /// Before the next connection.
    wait: Duration,
    outage: bool,
    /// When the engine is asked next whether it is there.
    ping: Instant,
    connected: Instant,
    run: Run,
}

/// What is known of the container's current run, all in Unix milliseconds.
#[derive(Default)]
struct Run {
    started_at: Option<i64>,
    /// The end of the run before: no later line is that run's.
    previous_end: Option<i64>,
    /// Whether Docker told of the memory limit.
    oom: bool,
    /// The end of this run, once a look at the container has told it.
    told_end: Option<i64>,
}

impl Watch {
    async fn next(&mut self) -> Notice {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return notice;
            }
            if let Err(error) = self.advance().await {
                self.events = None;
                if !self.outage {
                    self.outage = true;
                    self.notices.push_back(Notice::Unreachable {
                        error: error.to_string(),
                    });
                }
            }
        }
    }

    /// One step: connect, or wait for the next event or ping.
    async fn advance(&mut self) -> Result<(), Error> {
        let Some(events) = &mut self.events else {
            return self.connect().await;
        };
        match tokio::time::timeout_at(self.ping, events.next()).await {
            Ok(Some(Ok(event))) => self.take(event).await,
            // Told as an outage only if the next connection, at once, fails.
            Ok(Some(Err(_)) | None) => {
                if self.connected.elapsed() > BACKOFF_CAP {
                    self.wait = Duration::ZERO;
                }
                self.events = None;
                Ok(())
            }
            Err(_) => {
                let limits = *self.docker.limits();
                self.ping = Instant::now() + limits.ping_every;
                let engine = self.docker.engine().await?;
                self.docker.within("ping", limits.ping, engine.ping()).await.map(drop)
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        if !self.wait.is_zero() {
            tokio::time::sleep(jitter(self.wait)).await;
        }
        self.wait = (self.wait * 2).clamp(BACKOFF_FIRST, BACKOFF_CAP);
        let api = self.docker.version().await?;
        // The clock may have stepped back; events from the future would never come.
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let from = self.from.map_or(now, |from| from.min(now));
        self.from = Some(from);
        let filters = [
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), EVENTS.map(str::to_owned).to_vec()),
        ];
        let options = EventsOptionsBuilder::default()
            .since(&format!(
                "{}.{:09}",
                from.div_euclid(1_000_000_000),
                from.rem_euclid(1_000_000_000)
            ))
            .filters(&filters.into_iter().collect())
            .build();
        // The subscription takes effect with the first poll, after the look; Docker sends what happened
        // since `from`, so nothing falls in between.
        let events = self.docker.engine().await?.events(Some(options));
        let look = self.look().await?;
        self.events = Some(Box::pin(events));
        self.connected = Instant::now();
        self.ping = Instant::now() + self.docker.limits().ping_every;
        self.outage = false;
        self.notices.push_back(Notice::Reachable { api });
        self.notices.push_back(look);
        Ok(())
    }

    /// The container as it is.
    async fn look(&mut self) -> Result<Notice, Error> {
        let found = self.docker.inspect().await?.container;
        match &found {
            Container::Exited { at, .. } => self.run.told_end = *at,
            Container::Running { started_at, .. } | Container::Paused { started_at, .. } => {
                self.run.started_at = *started_at;
            }
            _ => {}
        }
        Ok(Notice::Container(found))
    }

    async fn take(&mut self, event: EventMessage) -> Result<(), Error> {
        let nanos = event.time_nano;
        match translate(self.docker.spec(), event) {
            None => {}
            Some(News::Tell(container)) => self.notices.push_back(Notice::Container(container)),
            Some(News::Oom) => self.run.oom = true,
            Some(News::Died(death)) => {
                if let Some(container) = self.mourn(death).await {
                    self.notices.push_back(Notice::Container(container));
                }
            }
            Some(News::Look { started: at }) => {
                if at.is_some() {
                    self.run = Run {
                        started_at: at,
                        previous_end: self.run.previous_end,
                        ..Run::default()
                    };
                }
                let look = self.look().await?;
                self.notices.push_back(look);
            }
        }
        // Only now: an event that could not be followed up is sent again by the next connection.
        if let Some(nanos) = nanos {
            self.from = self.from.max(Some(nanos + 1));
        }
        Ok(())
    }

    /// How the run ended that the event is about. `None` if a look at the container has told it already.
    ///
    /// The event alone is enough: what else is wanted may be gone with the container.
    async fn mourn(&mut self, death: Death) -> Option<Container> {
        let Death {
            id,
            at,
            code,
            spec_matches,
        } = death;
        let found = self.docker.find().await.ok().flatten();
        let same = found.filter(|found| found.id == id && is_of_run(found, at));
        let told = self
            .run
            .told_end
            .zip(at)
            .is_some_and(|(end, at)| (0..DEATH_EVENT_DELAY).contains(&(at - end)));
        let oom = self.run.oom || same.as_ref().is_some_and(|found| found.oom);
        let started_at = same.as_ref().map_or(self.run.started_at, |found| found.started_at);
        let begin = self
            .run
            .previous_end
            .or(started_at.map(|started| started - super::inspection::START_SLACK));
        self.run = Run {
            previous_end: at,
            told_end: self.run.told_end,
            ..Run::default()
        };
        if told {
            return None;
        }
        // The log of a run that is the last needs no end, and its last lines may be stamped late.
        let end = at.filter(|_| same.is_none());
        let log = self.docker.lines(EXIT_LINES, begin, end).await.unwrap_or_default();
        let code = code.or(same.and_then(|found| found.exit_code));
        Some(Container::Exited {
            at,
            exit: Exit { code, oom, log },
            spec_matches,
        })
    }
}

/// Whether the container has not been started again since a death at `at`.
fn is_of_run(found: &Found, at: Option<i64>) -> bool {
    !found.is_running() && found.started_at.zip(at).is_none_or(|(started, at)| started <= at)
}

/// Between half of `wait` and all of it, so that many agents do not come back in step.
fn jitter(wait: Duration) -> Duration {
    let half = wait / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(RandomState::new().hash_one(0u8) % micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_below_their_cap() {
        for _ in 0..100 {
            let wait = jitter(BACKOFF_CAP);
            assert!(wait >= BACKOFF_CAP / 2 && wait <= BACKOFF_CAP, "{wait:?}");
        }
    }
}
