//! One run of the container, as its events tell of it, in Unix milliseconds of Docker's clock.

use crate::docker::lines::RUN_SLACK;
use crate::event::Container;

/// Longest time between the end of a run, as Docker notes it, and its event: Docker waits up to 2 s for
/// the last output.
const EVENT_DELAY: i64 = 5_000;

#[derive(Debug, Default)]
pub(super) struct Run {
    started_at: Option<i64>,
    /// The end of the run before.
    previous_end: Option<i64>,
    /// Whether Docker told of the memory limit.
    oom: bool,
    /// The end of this run, when a look at the container has told it already.
    told_end: Option<i64>,
}

/// What is known of a run by its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Whether a look has told it: the event is no news then.
    pub(super) told: bool,
    pub(super) oom: bool,
    /// Where its log begins.
    pub(super) since: Option<i64>,
}

impl Run {
    /// Docker started it.
    pub(super) fn started(&mut self, at: Option<i64>) {
        self.started_at = at;
        self.told_end = None;
    }

    /// A look at the container. It may already see a later run than the events that are still to come.
    pub(super) fn seen(&mut self, container: &Container) {
        match container {
            Container::Exited { at, .. } => self.told_end = *at,
            Container::Running { started_at, .. } | Container::Paused { started_at, .. } => {
                self.started_at = self.started_at.into_iter().chain(*started_at).min();
            }
            _ => {}
        }
    }

    /// Docker told of the memory limit. Its notices overtake each other: this one may come before the
    /// start, and after the end when it is about the run before.
    pub(super) fn out_of_memory(&mut self, at: Option<i64>) {
        let late = at
            .zip(self.previous_end)
            .is_some_and(|(at, end)| (0..=RUN_SLACK).contains(&(at - end)));
        self.oom |= !late;
    }

    /// Docker told of its end. `started_at` as the container says, if it has not been started again since.
    pub(super) fn ended(&mut self, at: Option<i64>, started_at: Option<i64>) -> Ended {
        let told = at
            .zip(self.told_end)
            .is_some_and(|(at, end)| (0..EVENT_DELAY).contains(&(at - end)));
        let known = self.started_at.filter(|started| at.is_none_or(|at| *started <= at));
        let start = started_at.or(known);
        let since = match (start, self.previous_end) {
            // Closer than the start itself, as long as no run in between can have been missed.
            (Some(start), Some(end)) if (0..EVENT_DELAY).contains(&(start - end)) => Some(end + 1),
            (Some(start), _) => Some(start - RUN_SLACK),
            (None, end) => end.map(|end| end + 1),
        };
        let ended = Ended {
            told,
            oom: self.oom,
            since,
        };
        *self = Self {
            previous_end: at,
            told_end: self.told_end,
            ..Self::default()
        };
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Exit;

    fn running(started_at: i64) -> Container {
        Container::Running {
            started_at: Some(started_at),
            spec_matches: true,
        }
    }

    fn exited(at: i64) -> Container {
        Container::Exited {
            at: Some(at),
            exit: Exit::default(),
            spec_matches: true,
        }
    }

    #[test]
    fn an_end_that_a_look_has_told_is_not_told_again() {
        let mut run = Run::default();
        run.seen(&exited(10_000));
        assert!(!run.ended(Some(9_000), None).told, "of the run before");
        run.started(Some(9_500));
        run.seen(&exited(10_000));
        assert!(run.ended(Some(10_020), None).told);
        run.started(Some(11_000));
        assert!(!run.ended(Some(11_020), None).told, "of the run after");
    }

    #[test]
    fn a_run_is_blamed_for_its_own_memory_only() {
        let mut run = Run::default();
        run.out_of_memory(Some(999));
        run.started(Some(1_000));
        assert!(run.ended(Some(1_100), None).oom, "the notice may overtake the start");
        run.out_of_memory(Some(1_110));
        run.started(Some(1_300));
        assert!(!run.ended(Some(2_000), None).oom, "the notice may come after the end");
    }

    #[test]
    fn the_log_of_a_run_begins_after_the_run_before() {
        let mut run = Run::default();
        run.started(Some(1_000));
        assert_eq!(run.ended(Some(1_500), Some(998)).since, Some(998 - RUN_SLACK));
        run.started(Some(1_700));
        assert_eq!(run.ended(Some(1_800), None).since, Some(1_501));
        // A run between 1,800 and 60,000 was missed: its end is unknown.
        run.seen(&running(60_000));
        assert_eq!(run.ended(Some(61_000), None).since, Some(60_000 - RUN_SLACK));
    }

    #[test]
    fn a_look_that_sees_the_next_run_does_not_move_the_start_of_this_one() {
        let mut run = Run::default();
        run.started(Some(1_000));
        run.seen(&running(2_000));
        assert_eq!(run.ended(Some(1_500), None).since, Some(1_000 - RUN_SLACK));
        let mut run = Run::default();
        run.seen(&running(2_000));
        assert_eq!(
            run.ended(Some(1_500), None).since,
            None,
            "unknown is not the next run's start"
        );
    }
}
