//! Counts what only Prometheus is told: restarts, incidents, scrapes.

use std::time::Duration;

use strum::VariantArray as _;

use agent_core::event::{Chain, Container, Event, Time};
use agent_core::machine::{Cause, Machine, UpdateResult};
use agent_core::published::CounterTotals;
use agent_core::status::ScrapeStatus;

/// Why a run of the container follows another. Counted from 0, so that also the first one is a rise.
const RESTARTS: [Cause; 17] = [
    Cause::Frozen,
    Cause::Stalled,
    Cause::Isolated,
    Cause::NoExporter,
    Cause::Exited,
    Cause::Killed,
    Cause::Removed,
    Cause::OutOfMemory,
    Cause::CrashLoop,
    Cause::SpecChanged,
    Cause::Update,
    Cause::UpdateFailed,
    Cause::DiskFreed,
    Cause::NoticeOver,
    Cause::IdentityHeld,
    Cause::Operator,
    Cause::StoppedByPerson,
];

#[derive(Debug)]
pub(super) struct Counters {
    totals: CounterTotals,
    /// The run that goes on, by its start on Docker's clock (Unix milliseconds).
    run: Option<i64>,
    /// Whether a run was seen in this life of the agent.
    ran: bool,
    /// When the last run was seen to end.
    ended: Option<Time>,
    /// The same by Docker's clock.
    ended_at: Option<i64>,
    /// Why the next run will be.
    cause: Option<Cause>,
}

impl Counters {
    pub(super) fn new(chains: impl IntoIterator<Item = Chain>) -> Self {
        let mut totals = CounterTotals::default();
        totals.restarts.extend(RESTARTS.map(|cause| (cause, 0)));
        totals.incidents.extend(Cause::HEALTH.map(|cause| (cause, 0)));
        totals
            .updates
            .extend(UpdateResult::VARIANTS.iter().map(|result| (*result, 0)));
        for chain in chains {
            let results = ScrapeStatus::VARIANTS.iter().map(|result| ((chain, *result), 0));
            totals.scrapes.extend(results);
        }
        Self {
            totals,
            run: None,
            ran: false,
            ended: None,
            ended_at: None,
            cause: None,
        }
    }

    pub(super) fn totals(&self) -> &CounterTotals {
        &self.totals
    }

    /// A look at an exporter.
    pub(super) fn scrape(&mut self, chain: Chain, result: ScrapeStatus, took: Duration) {
        *self.totals.scrapes.entry((chain, result)).or_default() += 1;
        self.totals.scrape_seconds.insert(chain, took.as_secs_f64());
    }

    /// An action that answers a fault.
    pub(super) fn incident(&mut self, cause: Cause) {
        *self.totals.incidents.entry(cause).or_default() += 1;
    }

    /// An update that is over.
    pub(super) fn update(&mut self, result: UpdateResult) {
        *self.totals.updates.entry(result).or_default() += 1;
    }

    /// What is about to be told to the core.
    pub(super) fn event(&mut self, event: &Event) {
        if let Event::Container(Container::Exited { at, .. }) = event {
            self.ended_at = *at;
        }
    }

    /// What the core made of it.
    pub(super) fn outcome(&mut self, now: Time, machine: &Machine) {
        if machine.is_running().is_some() {
            self.turn(now, machine.run(), machine.stop_cause());
        }
    }

    fn turn(&mut self, now: Time, run: Option<i64>, down_by: Option<Cause>) {
        let before = std::mem::replace(&mut self.run, run);
        match run {
            None if before.is_some() => self.ended = Some(now),
            Some(started) if before != run => {
                let cause = self.cause.take().unwrap_or(Cause::Exited);
                let (ended, ended_at) = (self.ended.take(), self.ended_at.take());
                if std::mem::replace(&mut self.ran, true) {
                    *self.totals.restarts.entry(cause).or_default() += 1;
                    // Docker's own two times are closer to the truth than those of the news.
                    let docker = ended_at.and_then(|ended| u64::try_from(started - ended).ok());
                    let gap = docker
                        .map(Duration::from_millis)
                        .or(ended.map(|ended| now.since(ended)));
                    self.totals.restart_seconds = gap.map(|gap| gap.as_secs_f64());
                }
            }
            _ => {}
        }
        self.cause = down_by.or(self.cause.filter(|_| run.is_none()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXITED: Event = Event::Container(Container::Exited {
        at: Some(5_000),
        exit: agent_core::event::Exit {
            code: None,
            oom: false,
            log: Vec::new(),
        },
        spec_matches: true,
    });

    fn restarts(counters: &Counters) -> Vec<(&'static str, u64)> {
        let restarts = counters.totals().restarts.iter();
        restarts
            .filter(|(_, n)| **n > 0)
            .map(|(c, n)| (c.into_str(), *n))
            .collect()
    }

    #[test]
    fn the_first_run_is_no_restart() {
        let mut counters = Counters::new(Chain::VARIANTS.iter().copied());
        counters.turn(Time(0), None, Some(Cause::Missing));
        counters.turn(Time(1), Some(1), None);
        assert_eq!(restarts(&counters), []);
        assert_eq!(counters.totals().restart_seconds, None);
    }

    #[test]
    fn a_run_that_follows_another_is_counted_once_with_what_ended_that_and_the_time_between() {
        let mut counters = Counters::new([]);
        counters.turn(Time(0), Some(1_000), None);
        counters.event(&EXITED);
        counters.turn(Time(7_000), None, Some(Cause::Exited));
        counters.turn(Time(7_100), Some(5_250), None);
        counters.turn(Time(7_200), Some(5_250), None);
        assert_eq!(restarts(&counters), [("exited", 1)]);
        assert_eq!(counters.totals().restart_seconds, Some(0.25));
        // Without Docker's times, or with a clock that was set back, those of the news.
        for exited in [None, Some(&EXITED)] {
            counters.turn(Time(10_000), None, Some(Cause::Removed));
            if let Some(event) = exited {
                counters.event(event);
            }
            counters.turn(Time(12_000), Some(4_000), None);
            assert_eq!(counters.totals().restart_seconds, Some(2.0));
        }
        assert_eq!(restarts(&counters), [("exited", 1), ("removed", 2)]);
    }

    #[test]
    fn a_restart_that_only_its_end_tells_of_has_its_cause_and_no_time() {
        let mut counters = Counters::new([]);
        counters.turn(Time(0), Some(1), None);
        counters.turn(Time(1), Some(1), Some(Cause::Stalled));
        counters.turn(Time(2), Some(2), None);
        assert_eq!(restarts(&counters), [("stalled", 1)]);
        assert_eq!(counters.totals().restart_seconds, None);
    }

    #[test]
    fn scrapes_are_counted_from_zero_by_chain_and_result() {
        let mut counters = Counters::new([Chain::Relaychain]);
        counters.scrape(Chain::Relaychain, ScrapeStatus::Timeout, Duration::from_secs(3));
        let scrapes = &counters.totals().scrapes;
        assert_eq!(scrapes.len(), ScrapeStatus::VARIANTS.len());
        assert_eq!(scrapes[&(Chain::Relaychain, ScrapeStatus::Timeout)], 1);
        assert_eq!(scrapes[&(Chain::Relaychain, ScrapeStatus::Ok)], 0);
        assert_eq!(counters.totals().scrape_seconds, [(Chain::Relaychain, 3.0)].into());
    }
}
