//! One run of the container, as its events tell of it, in Unix milliseconds of Docker's clock.

use crate::inspection::InspectedContainer;
use crate::logs::RUN_SLACK;
use agent_core::event::reports_end;

#[derive(Debug, Default)]
pub(super) struct Run {
    started_at: Option<i64>,
    before: Before,
    /// What a look at the running container said: when it was started, and when the run before ended.
    looked: Option<(i64, Option<i64>)>,
    /// Whether Docker reported the memory limit.
    oom: bool,
    /// The end of this run, when a look at the container has reported it already.
    told_end: Option<i64>,
}

/// What came before a run; its log begins there. Docker notes the start of a run only when the process
/// already writes, so the start itself says less.
#[derive(Debug, Default, Clone, Copy)]
enum Before {
    #[default]
    Unknown,
    /// The container was new.
    Nothing,
    /// Another run, until then.
    Run(i64),
}

/// What is known of a run by its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Whether a look has reported it: the event is no news then.
    pub(super) is_reported: bool,
    pub(super) oom: bool,
    /// Where its log begins; `None` is at the beginning.
    pub(super) since: Option<i64>,
}

impl Run {
    pub(super) fn interrupted(&mut self) {
        self.before = Before::Unknown;
    }

    pub(super) fn created(&mut self) {
        *self = Self {
            before: Before::Nothing,
            ..Self::default()
        };
    }

    pub(super) fn started(&mut self, at: Option<i64>) {
        self.started_at = at;
        self.told_end = None;
    }

    /// A look at the container. It may already see a later run than the events that are still to come.
    pub(super) fn seen(&mut self, found: &InspectedContainer) {
        if found.has_ended() {
            self.told_end = found.finished_at;
        } else if found.is_running() {
            self.started_at = self.started_at.into_iter().chain(found.started_at).min();
            self.looked = found.started_at.map(|started| (started, found.finished_at));
        }
    }

    /// Docker reported the memory limit. Its notices overtake each other: this one may come before the
    /// start, and after the end when it is about the run before: the end of that one is returned then.
    pub(super) fn out_of_memory(&mut self, at: Option<i64>) -> Option<i64> {
        let late = match (at, self.before) {
            (Some(at), Before::Run(end)) if (0..=RUN_SLACK).contains(&(at - end)) => Some(end),
            _ => None,
        };
        self.oom |= late.is_none();
        late
    }

    /// Whether an event of that time is about the end that a look has reported.
    pub(super) fn is_told_end(&self, at: Option<i64>) -> bool {
        reports_end(at, self.told_end)
    }

    /// Docker reported its end. `started_at` as the container says, if it has not been started again since.
    pub(super) fn ended(&mut self, at: Option<i64>, started_at: Option<i64>) -> Ended {
        let is_reported = self.is_told_end(at);
        let known = self.started_at.filter(|started| at.is_none_or(|at| *started <= at));
        let looked = self.looked.filter(|(started, _)| Some(*started) == started_at);
        let since = match (self.before, looked) {
            (Before::Run(end), _) => Some(end + 1),
            (Before::Nothing, _) => None,
            (Before::Unknown, Some((_, end))) => end.map(|end| end + RUN_SLACK),
            (Before::Unknown, None) => started_at.or(known).map(|started| started - RUN_SLACK),
        };
        let before = at.map_or(Before::Unknown, Before::Run);
        let ended = Ended {
            is_reported,
            oom: self.oom,
            since,
        };
        *self = Self {
            before,
            told_end: self.told_end,
            ..Self::default()
        };
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspection::tests::found_at;

    #[test]
    fn an_end_that_a_look_has_told_is_not_told_again() {
        let mut run = Run::default();
        run.seen(&found_at("exited", Some(9_500), Some(10_000)));
        assert!(!run.ended(Some(9_000), None).is_reported, "of the run before");
        run.started(Some(9_500));
        run.seen(&found_at("exited", Some(9_500), Some(10_000)));
        assert!(run.ended(Some(10_020), Some(9_500)).is_reported);
        run.started(Some(11_000));
        assert!(!run.ended(Some(11_020), Some(11_000)).is_reported, "of the run after");
    }

    #[test]
    fn a_run_is_blamed_for_its_own_memory_only() {
        let mut run = Run::default();
        assert_eq!(run.out_of_memory(Some(999)), None);
        run.started(Some(1_000));
        assert!(run.ended(Some(1_100), None).oom, "the notice may overtake the start");
        assert_eq!(run.out_of_memory(Some(1_110)), Some(1_100));
        run.started(Some(1_300));
        assert!(!run.ended(Some(2_000), None).oom, "the notice may come after the end");
    }

    #[test]
    fn the_log_of_a_run_begins_where_the_run_before_ended() {
        let mut run = Run::default();
        run.created();
        run.started(Some(1_000));
        assert_eq!(
            run.ended(Some(1_500), Some(998)).since,
            None,
            "a new container has no older lines"
        );
        run.started(Some(61_700));
        assert_eq!(run.ended(Some(61_800), None).since, Some(1_501));
    }

    #[test]
    fn after_an_interruption_the_container_itself_tells_what_came_before() {
        let mut run = Run::default();
        assert_eq!(
            run.ended(Some(900), Some(800)).since,
            Some(800 - RUN_SLACK),
            "it was not seen running"
        );
        run.interrupted();
        run.seen(&found_at("running", Some(60_000), Some(50_000)));
        assert_eq!(run.ended(Some(61_000), Some(60_000)).since, Some(50_000 + RUN_SLACK));
        run.interrupted();
        run.seen(&found_at("running", Some(70_000), None));
        assert_eq!(run.ended(Some(71_000), Some(70_000)).since, None, "its first run");
    }

    #[test]
    fn a_look_that_sees_the_next_run_says_nothing_about_this_one() {
        let mut run = Run::default();
        run.started(Some(1_000));
        run.seen(&found_at("running", Some(2_000), Some(1_490)));
        assert_eq!(run.ended(Some(1_500), None).since, Some(1_000 - RUN_SLACK));
        let mut run = Run::default();
        run.seen(&found_at("running", Some(2_000), Some(1_490)));
        assert_eq!(
            run.ended(Some(1_500), None).since,
            None,
            "unknown is not the next run's start"
        );
    }
}
