//! Notifications: one when a condition begins, one when it is over for good.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Cause, Machine};
use crate::event::Time;

/// What has to stay away for this long is over. It may come back before: then it was never over.
const OVER_AFTER: Duration = Duration::from_mins(10);
/// The same for conditions of the host, which swing around their thresholds.
const HOST_OVER_AFTER: Duration = Duration::from_hours(2);
/// A condition that begins again so soon after its end flaps: each time it has to stay away [`LONGER`] times as long, up to
/// [`HOST_OVER_AFTER`].
const FLAPS_WITHIN: Duration = Duration::from_hours(6);
const LONGER: u32 = 3;

/// The absences of a reported condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Absence {
    /// When it went away; `None` while it is back.
    since: Option<Time>,
    /// How often it has come back.
    returns: u32,
    /// When it was reported to be over.
    #[serde(default)]
    over_at: Option<Time>,
    /// How often it was over, and began again soon.
    #[serde(default)]
    flaps: u32,
}

impl Absence {
    /// What is known of a condition that begins.
    fn of_next(before: Option<&Self>, now: Time) -> Self {
        let flaps = before.filter(|before| before.over_at.is_some_and(|at| now.since(at) < FLAPS_WITHIN));
        Self {
            flaps: flaps.map_or(0, |before| before.flaps.saturating_add(1)),
            ..Self::default()
        }
    }

    /// How long the condition has to stay away before it is over.
    fn over_after(&self, cause: Cause) -> Duration {
        let first = over_after(cause);
        let longer = first.saturating_mul(LONGER.saturating_pow(self.flaps.min(8)));
        longer.min(first.max(HOST_OVER_AFTER))
    }
}

impl Machine {
    /// Adds the notifications of what begins and of what is over.
    pub(super) fn report(&mut self, now: Time, actions: &mut Vec<Action>) {
        let causes = self.causes();
        let is_young = self.is_young(now);
        let lags = self.state.active_problems.contains(&Cause::FallingBehind) && self.lags_behind(now);
        let state = &mut self.state;
        if causes == state.active_problems && state.absent_problems.values().all(|absence| absence.since.is_none()) {
            return;
        }
        let (absences, budget) = (&mut state.absent_problems, &state.restart_budget);
        state.active_problems.retain(|cause| {
            let absence = absences.entry(*cause).or_default();
            if causes.contains(cause) {
                if absence.since.take().is_some() {
                    absence.returns = absence.returns.saturating_add(1);
                }
                return true;
            }
            // A chain that has yet to catch up may fall further behind.
            if is_young && shows_late(*cause) || lags && *cause == Cause::FallingBehind {
                absence.since = Some(now);
            }
            let since = *absence.since.get_or_insert(now);
            // A restart that has yet to show whether it helps ends nothing.
            let is_over = now.since(since) >= absence.over_after(*cause) && !budget.keeps(*cause);
            if is_over {
                (absence.since, absence.over_at) = (None, Some(now));
                actions.push(Action::Notify {
                    cause: *cause,
                    over: true,
                });
            }
            !is_over
        });
        for cause in causes.iter().filter(|cause| !state.active_problems.contains(cause)) {
            let next = Absence::of_next(state.absent_problems.get(cause), now);
            state.absent_problems.insert(*cause, next);
            actions.push(Action::Notify {
                cause: *cause,
                over: false,
            });
        }
        let away = state.active_problems.iter().filter(|cause| !causes.contains(cause));
        state.active_problems = causes.iter().chain(away).copied().collect();
    }

    /// When the next reported condition is over if it stays away.
    pub(super) fn next_report(&self) -> Option<Time> {
        let due = |(cause, absence): (&Cause, &Absence)| {
            let since = absence.since.filter(|_| !self.state.restart_budget.keeps(*cause))?;
            Some(since + absence.over_after(*cause))
        };
        self.state.absent_problems.iter().filter_map(due).min()
    }

    /// How often a reported condition, or the last one that is over, has gone and come back.
    pub fn returns(&self, cause: Cause) -> u32 {
        self.state
            .absent_problems
            .get(&cause)
            .map_or(0, |absence| absence.returns)
    }
}

/// Whether a new process cannot show yet that the condition is still there.
fn shows_late(cause: Cause) -> bool {
    use Cause::{Blind, FallingBehind, Quiet, SyncTooSlow, UnsteadyPeers};
    matches!(cause, Quiet | FallingBehind | SyncTooSlow | UnsteadyPeers | Blind)
}

/// How long a condition has to stay away before it is over. What people, updates and EC2 decide is over at once.
fn over_after(cause: Cause) -> Duration {
    match cause {
        Cause::DiskLow | Cause::ClockOff | Cause::MemoryPressure => HOST_OVER_AFTER,
        Cause::Frozen
        | Cause::Stalled
        | Cause::Isolated
        | Cause::NoExporter
        | Cause::FinalityStalled
        | Cause::Exited
        | Cause::Killed
        | Cause::Removed
        | Cause::OutOfMemory
        | Cause::CrashLoop
        | Cause::RelayRpcUnreachable
        | Cause::PortInUse
        | Cause::NotHelping
        | Cause::ActionFailed
        | Cause::NetworkDown
        | Cause::DockerUnreachable
        | Cause::Quiet
        | Cause::FallingBehind
        | Cause::SyncTooSlow
        | Cause::UnsteadyPeers
        | Cause::NeverConnected
        | Cause::SlowStart
        | Cause::Blind
        | Cause::BudgetSpent
        | Cause::StateDiskStalled
        | Cause::DataDiskStalled
        | Cause::IdentityDiskStalled
        | Cause::StateUnsaved
        | Cause::RecordsUnsaved => OVER_AFTER,
        _ => Duration::ZERO,
    }
}
