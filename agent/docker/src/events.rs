//! The stream of events about the container, without a gap.
//!
//! An event stream can break, an engine can hang, and events can be missed while there is no connection. So every
//! connection begins with the events since the last one seen (Docker keeps the last 256 of them) and a
//! look at the container itself, and while the stream is silent the engine is asked whether it is there.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;

#[cfg(any(test, fuzzing))]
pub(crate) use self::container_event::translate as translate_event;
use self::container_event::{Change, ContainerEvent, Death, translate};
use self::run::Run;
use super::inspection::{EXIT_LINES, InspectedContainer};
use super::{Docker, Error};
use agent_core::event::{Container, DesiredSpec, Exit};
use agent_net::backoff::jitter;
use agent_runtime::Instant;
use agent_runtime::wall::{self, StepDetector};

mod container_event;
mod run;

/// Docker's events that say something about the container, or about its network.
const EVENTS: [&str; 12] = [
    "create",
    "destroy",
    "die",
    "disconnect",
    "kill",
    "oom",
    "pause",
    "rename",
    "start",
    "stop",
    "unpause",
    "update",
];
/// Looks at a container that Docker keeps locked, each as long as a call may take.
const LOOKS: u32 = 6;
/// Waits between connections, doubling. A connection that held this long was a good one.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_CAP: Duration = Duration::from_secs(5);
/// A new connection sends within this time what happened before it.
const REPLAY: Duration = Duration::from_secs(5);
/// An event later than now by so many milliseconds has the time of another clock.
const SKEW: i64 = 1_000;

#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    /// The engine answers (again). What the container is like follows.
    Reachable {
        api: String,
    },
    /// The engine does not answer; said once, until it does.
    Unreachable {
        error: String,
    },
    /// It answers still; said now and then while nothing happens.
    Answers,
    Container(Container),
}

impl Docker {
    /// Everything that happens to the container from now on, or from `since` (Docker's wall clock, Unix
    /// milliseconds: the last `at` that was seen); never ends.
    ///
    /// Each connection to the engine begins with [`EngineEvent::Reachable`] and the container as it is, and goes
    /// on with its events. Events that happened before that look may still follow it, and the events of one
    /// millisecond may come twice after an interruption: `at` shows it.
    ///
    /// Whether the container is what is wanted goes by what `desired` says at that moment.
    pub fn watch(
        &self,
        since: Option<i64>,
        desired: watch::Receiver<DesiredSpec>,
    ) -> impl Stream<Item = EngineEvent> + Send + 'static + use<> {
        let watch = Watch {
            docker: self.clone(),
            desired,
            queue: VecDeque::new(),
            events: None,
            from: since.map(|ms| ms.saturating_mul(1_000_000)),
            wait: Duration::ZERO,
            outage: false,
            gone: None,
            away: None,
            ping: Instant::now(),
            connected: None,
            run: Run::default(),
            end: None,
            id: None,
            steps: StepDetector::begin(),
            replay_ends: None,
        };
        stream::unfold(watch, |mut watch| async move { Some((watch.next().await, watch)) })
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, EngineError>> + Send>>;

struct Watch {
    docker: Docker,
    desired: watch::Receiver<DesiredSpec>,
    /// Events that are not yet taken; one of Docker's gives a handful at most.
    queue: VecDeque<EngineEvent>,
    events: Option<Events>,
    /// Where the next connection begins, Unix nanoseconds.
    from: Option<i64>,
    /// Before the next connection.
    wait: Duration,
    outage: bool,
    /// Since when there has been no engine to connect to, Docker's wall clock in Unix milliseconds.
    gone: Option<i64>,
    /// When that was, the last time.
    away: Option<RangeInclusive<i64>>,
    /// When the engine is asked next whether it is there.
    ping: Instant,
    /// Since when this connection, or the one before it, has held.
    connected: Option<Instant>,
    run: Run,
    /// The newest end that an event told of, without its log.
    end: Option<Container>,
    /// Id of the container that was seen last: it is ours under any name.
    id: Option<String>,
    steps: StepDetector,
    /// Until when events may come again that are of the clock before it was set back.
    replay_ends: Option<Instant>,
}

impl Watch {
    /// A handle for what is wanted now.
    fn docker(&self) -> Docker {
        // What cannot be asked for is never started either, and says so then.
        self.docker
            .asked_for(&self.desired.borrow())
            .unwrap_or_else(|_| self.docker.clone())
    }

    async fn next(&mut self) -> EngineEvent {
        loop {
            if let Some(notice) = self.queue.pop_front() {
                return notice;
            }
            if let Err(error) = self.advance().await {
                self.events = None;
                if matches!(error, Error::Unreachable { hangs: false, .. }) {
                    self.gone.get_or_insert_with(wall::unix_ms);
                }
                if !self.outage {
                    self.outage = true;
                    self.queue.push_back(EngineEvent::Unreachable {
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
            // Reported as an outage only if the next connection, at once, fails.
            Ok(Some(Err(_)) | None) => {
                self.events = None;
                Ok(())
            }
            Err(_) => {
                self.ping = Instant::now() + self.docker.limits.ping_every;
                self.docker.ping().await?;
                self.queue.push_back(EngineEvent::Answers);
                Ok(())
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let held = self.connected.take().map(|since| since.elapsed());
        if held.is_some_and(|held| held > BACKOFF_CAP) {
            self.wait = Duration::ZERO;
        }
        if !self.wait.is_zero() {
            tokio::time::sleep(jitter(self.wait)).await;
        }
        self.wait = (self.wait * 2).clamp(BACKOFF_FIRST, BACKOFF_CAP);
        let api = self.docker.version().await?;
        // The clock may have been set back in an earlier life of the agent, which this one cannot know.
        self.replay_ends = Some(Instant::now() + REPLAY);
        if let Some(by_ms) = self.steps.step() {
            // What happened meanwhile has times of both clocks.
            let before = self.from;
            self.on_clock_step(by_ms);
            self.from = self.from.min(before);
        }
        if let Some(gone) = self.gone.take() {
            self.away = Some(gone..=wall::unix_ms());
        }
        // The clock may have stepped back; events from the future would never come.
        let now = i64::try_from(wall::now().as_nanosecond()).unwrap_or(i64::MAX);
        let from = self.from.map_or(now, |from| from.min(now));
        self.from = Some(from);
        let filters = [
            ("type".to_owned(), vec!["container".to_owned(), "network".to_owned()]),
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
        self.run.interrupted();
        let look = self.look().await?;
        self.events = Some(Box::pin(events));
        self.connected = Some(Instant::now());
        self.ping = Instant::now() + self.docker.limits.ping_every;
        self.outage = false;
        self.queue.push_back(EngineEvent::Reachable { api });
        self.queue.push_back(look);
        Ok(())
    }

    /// The wall clock was set: bounds move along, and nothing else is compared across it.
    fn on_clock_step(&mut self, by_ms: i64) {
        self.from = self
            .from
            .map(|from| from.saturating_add(by_ms.saturating_mul(1_000_000)));
        self.gone = self.gone.map(|gone| gone.min(gone.saturating_add(by_ms)));
        self.away = None;
        self.run = Run::default();
    }

    /// Whether an event is of the time before the clock was set back, and known: its time is yet to come.
    fn is_of_before(&self, nanos: Option<i64>) -> bool {
        let may_be = self.replay_ends.is_some_and(|end| Instant::now() < end);
        may_be && nanos.is_some_and(|nanos| nanos / 1_000_000 > wall::unix_ms() + SKEW)
    }

    async fn look(&mut self) -> Result<EngineEvent, Error> {
        let mut busy = 0;
        let found = loop {
            match self.docker().find().await {
                Err(Error::Busy { .. }) if busy < LOOKS => busy += 1,
                found => break found?,
            }
        };
        let Some(found) = found else {
            return Ok(EngineEvent::Container(Container::Missing));
        };
        self.run.seen(&found);
        self.id = Some(found.id.clone()).filter(|_| found.ours);
        let found = self.docker.inspection(found).await?.container;
        Ok(EngineEvent::Container(found))
    }

    async fn take(&mut self, event: EventMessage) -> Result<(), Error> {
        let nanos = event.time_nano;
        if let Some(by_ms) = self.steps.step() {
            self.on_clock_step(by_ms);
        }
        let docker = self.docker();
        let translated = translate(&docker.spec, self.id.as_deref(), event);
        if self.is_of_before(nanos) {
            match translated {
                // What it tells is known. But one before it, by the same clock, may have counted as one of now: how things are
                // has the last word.
                Some(ContainerEvent::Look(_)) => {
                    let look = self.look().await?;
                    self.queue.push_back(look);
                }
                // A look told of the end, and the clock was set since.
                Some(ContainerEvent::Tell(stop @ Container::Stopped { at })) if self.run.is_told_end(at) => {
                    self.queue.push_back(EngineEvent::Container(stop));
                }
                _ => {}
            }
            return Ok(());
        }
        match translated {
            None => {}
            // An engine that was killed stops what outlived it when it is back. No other client can have asked it then.
            Some(ContainerEvent::Tell(
                Container::Signalled { at: Some(at), .. } | Container::Stopped { at: Some(at) },
            )) if self.away.as_ref().is_some_and(|away| away.contains(&at)) => {}
            Some(ContainerEvent::Tell(container)) => self.queue.push_back(EngineEvent::Container(container)),
            Some(ContainerEvent::Oom { at }) => {
                let late = self.run.out_of_memory(at);
                if let Some(Container::Exited {
                    at: Some(end), exit, ..
                }) = &mut self.end
                    && late == Some(*end)
                {
                    exit.oom = true;
                    self.queue.extend(self.end.take().map(EngineEvent::Container));
                }
            }
            Some(ContainerEvent::Died(death)) => {
                if let Some(container) = self.mourn(death).await {
                    self.queue.push_back(EngineEvent::Container(container));
                }
            }
            Some(ContainerEvent::Disconnected) => {
                if let Some(found) = docker
                    .find()
                    .await?
                    .filter(|found| found.is_running() && !found.spec_matches)
                {
                    let found = self.docker.inspection(found).await?.container;
                    self.queue.push_back(EngineEvent::Container(found));
                }
            }
            Some(ContainerEvent::Look(change)) => {
                match change {
                    Change::Created => self.run.created(),
                    Change::Started { at } => self.run.started(at),
                    Change::Other => {}
                }
                let look = self.look().await?;
                self.queue.push_back(look);
            }
        }
        // Only now: an event that could not be followed up is sent again by the next connection.
        if let Some(nanos) = nanos {
            self.from = self.from.max(Some(nanos + 1));
        }
        Ok(())
    }

    /// How the run ended that the event is about. `None` if a look at the container has reported it already.
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
        let ended = self.run.ended(at, same.as_ref().and_then(|found| found.started_at));
        if ended.is_reported {
            return None;
        }
        let oom = ended.oom || same.as_ref().is_some_and(|found| found.oom);
        let log = self.docker.lines(EXIT_LINES, ended.since, at).await.unwrap_or_default();
        let code = code.or(same.and_then(|found| found.exit_code));
        let end = |log| Container::Exited {
            at,
            exit: Exit { code, oom, log },
            spec_matches,
        };
        self.end = Some(end(Vec::new()));
        Some(end(log))
    }
}

/// Whether the container has not been started again since a death at `at`.
fn is_of_run(found: &InspectedContainer, at: Option<i64>) -> bool {
    !found.is_running() && found.started_at.zip(at).is_none_or(|(started, at)| started <= at)
}
