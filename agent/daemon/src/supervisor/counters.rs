//! Counters that appear only in `/metrics`: restarts, incidents, scrapes.

use std::time::Duration;

use strum::VariantArray as _;

use agent_core::event::{Chain, Container, Event, Time};
use agent_core::machine::{Cause, Machine, UpdateResult};
use agent_core::published::CounterTotals;
use agent_core::status::ScrapeStatus;

/// Causes of restarts. All begin at 0, so that the first restart is an increase.
const RESTARTS: [Cause; 19] = [
    Cause::Frozen,
    Cause::Stalled,
    Cause::Isolated,
    Cause::NoExporter,
    Cause::Exited,
    Cause::Killed,
    Cause::Removed,
    Cause::OutOfMemory,
    Cause::RelayRpcUnreachable,
    Cause::PortInUse,
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
    /// The current run, by its start on Docker's clock (Unix milliseconds).
    run: Option<i64>,
    /// Whether a run was seen since the agent started.
    ran: bool,
    /// When the last run was seen to end.
    ended: Option<Time>,
    /// The same on Docker's clock.
    ended_at: Option<i64>,
    /// Cause of the next run.
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

    /// Counts a scrape.
    pub(super) fn scrape(&mut self, chain: Chain, result: ScrapeStatus, took: Duration) {
        *self.totals.scrapes.entry((chain, result)).or_default() += 1;
        self.totals.scrape_seconds.insert(chain, took.as_secs_f64());
    }

    /// Counts an action that answers a fault.
    pub(super) fn incident(&mut self, cause: Cause) {
        *self.totals.incidents.entry(cause).or_default() += 1;
    }

    /// Counts a completed update.
    pub(super) fn update(&mut self, result: UpdateResult) {
        *self.totals.updates.entry(result).or_default() += 1;
    }

    /// Records an event before the core handles it.
    pub(super) fn event(&mut self, event: &Event) {
        if let Event::Container(Container::Exited { at, .. }) = event {
            self.ended_at = *at;
        }
    }

    /// Records the core's state after the event.
    pub(super) fn outcome(&mut self, now: Time, machine: &Machine) {
        if machine.is_running().is_some() {
            self.track_run(now, machine.run(), machine.stop_cause());
        }
    }

    fn track_run(&mut self, now: Time, run: Option<i64>, stop_cause: Option<Cause>) {
        let before = std::mem::replace(&mut self.run, run);
        match run {
            None if before.is_some() => self.ended = Some(now),
            Some(started) if before != run => {
                let cause = self.cause.take().unwrap_or(Cause::Exited);
                let (ended, ended_at) = (self.ended.take(), self.ended_at.take());
                if std::mem::replace(&mut self.ran, true) {
                    *self.totals.restarts.entry(cause).or_default() += 1;
                    // Docker's two times are more precise than those of its events.
                    let docker = ended_at.and_then(|ended| u64::try_from(started - ended).ok());
                    let gap = docker
                        .map(Duration::from_millis)
                        .or(ended.map(|ended| now.since(ended)));
                    self.totals.restart_seconds = gap.map(|gap| gap.as_secs_f64());
                }
            }
            _ => {}
        }
        self.cause = stop_cause.or(self.cause.filter(|_| run.is_none()));
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
    fn first_run_is_not_a_restart() {
        let mut counters = Counters::new(Chain::VARIANTS.iter().copied());
        counters.track_run(Time(0), None, Some(Cause::Missing));
        counters.track_run(Time(1), Some(1), None);
        assert_eq!(restarts(&counters), []);
        assert_eq!(counters.totals().restart_seconds, None);
    }

    #[test]
    fn second_run_is_counted_once_with_its_cause_and_duration() {
        let mut counters = Counters::new([]);
        counters.track_run(Time(0), Some(1_000), None);
        counters.event(&EXITED);
        counters.track_run(Time(7_000), None, Some(Cause::Exited));
        counters.track_run(Time(7_100), Some(5_250), None);
        counters.track_run(Time(7_200), Some(5_250), None);
        assert_eq!(restarts(&counters), [("exited", 1)]);
        assert_eq!(counters.totals().restart_seconds, Some(0.25));
        // Without Docker's times, or with a clock that was set back, those of the events.
        for exited in [None, Some(&EXITED)] {
            counters.track_run(Time(10_000), None, Some(Cause::Removed));
            if let Some(event) = exited {
                counters.event(event);
            }
            counters.track_run(Time(12_000), Some(4_000), None);
            assert_eq!(counters.totals().restart_seconds, Some(2.0));
        }
        assert_eq!(restarts(&counters), [("exited", 1), ("removed", 2)]);
    }

    #[test]
    fn restart_without_a_seen_stop_has_its_cause_and_no_duration() {
        let mut counters = Counters::new([]);
        counters.track_run(Time(0), Some(1), None);
        counters.track_run(Time(1), Some(1), Some(Cause::Stalled));
        counters.track_run(Time(2), Some(2), None);
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
