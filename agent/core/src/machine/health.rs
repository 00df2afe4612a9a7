//! Phase, health, problems and the next planned action.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::fault::Fault;
use super::{Action, Cause, ContainerState, Desired, Machine};
use crate::chain_health::Verdict;
use crate::event::{Chain, Disk, Time};

/// What the collator is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Phase {
    Pulling,
    Starting,
    Syncing,
    Synced,
    WaitingForRelay,
    Quiet,
    Isolated,
    Stalled,
    Frozen,
    Restarting,
    Backoff,
    Holding,
    Paused,
    Stopped,
    DockerUnreachable,
}

/// So far apart are the looks at the host that have to find its network down, less some delay.
const NETWORK_DOWN_AFTER: Duration = Duration::from_secs(50);

/// How well it is. Unknown is neither good nor bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Health {
    Ok,
    Degraded,
    Critical,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub cause: Cause,
    pub health: Health,
    pub text: String,
}

/// What the core will do if nothing changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedAction {
    /// `start`, `restart`, `stop` or `resume`.
    pub action: &'static str,
    pub at: Time,
    pub cause: Cause,
}

impl Machine {
    pub fn phase(&self) -> Phase {
        let state = &self.state;
        if state.docker_down {
            return Phase::DockerUnreachable;
        }
        match &state.in_flight {
            Some(Action::Restart { .. }) => return Phase::Restarting,
            Some(Action::Start { .. }) if matches!(state.seen, ContainerState::Missing) => return Phase::Pulling,
            Some(Action::Start { .. }) if !state.seen.is_up() => return Phase::Starting,
            _ => {}
        }
        if state.desired != Desired::Running {
            return Phase::Stopped;
        }
        if self.leaves(state.now) || self.fenced().is_some() {
            return Phase::Holding;
        }
        if state.pause.is_some() {
            return Phase::Paused;
        }
        if state.hold.is_some() || state.seen == ContainerState::Foreign || state.disk_stop {
            return Phase::Holding;
        }
        match state.seen {
            ContainerState::Unknown => Phase::Starting,
            ContainerState::Running | ContainerState::Paused => self.running_phase(),
            _ if state.last_exit.is_none() && state.last_failure.is_none() => Phase::Starting,
            _ => Phase::Backoff,
        }
    }

    fn running_phase(&self) -> Phase {
        let verdicts = self.verdicts(self.state.now);
        let fault = self.fault(verdicts);
        if let Some(fault) = fault.filter(Fault::is_due) {
            match fault.cause {
                Cause::Isolated => return Phase::Isolated,
                Cause::Stalled => return Phase::Stalled,
                Cause::Frozen | Cause::NoExporter => return Phase::Frozen,
                // Blocks arrive all the same.
                _ => {}
            }
        }
        // The relay chain alone is no evidence about a parachain that is observed and unknown.
        let parachain = self.state.trackers.get(&Chain::Parachain);
        let unseen = matches!(verdicts.of(Chain::Parachain), Verdict::Unknown | Verdict::Starting)
            && parachain.is_some_and(|t| t.answered || t.last_error().is_some());
        let counts = |verdict| {
            if unseen && verdict == Verdict::Synced {
                return false;
            }
            let mut chains = verdicts.iter().filter(|(_, found)| *found == verdict);
            chains.any(|(chain, _)| verdict != Verdict::Isolated || !self.blocks_arrive_beside(chain))
        };
        let order = [
            (Verdict::Isolated, Phase::Isolated),
            (Verdict::Stalled, Phase::Stalled),
            (Verdict::WaitingForRelay, Phase::WaitingForRelay),
            (Verdict::Quiet, Phase::Quiet),
            (Verdict::Syncing, Phase::Syncing),
            (Verdict::Synced, Phase::Synced),
        ];
        // Nothing is known: it has fallen silent, or it has not come up yet.
        let unknown = match fault {
            Some(fault) if fault.cause == Cause::Frozen => Phase::Frozen,
            _ => Phase::Starting,
        };
        order
            .into_iter()
            .find(|(verdict, _)| counts(*verdict))
            .map_or(unknown, |(_, phase)| phase)
    }

    pub fn health(&self) -> Health {
        if let Some(worst) = self.causes().into_iter().map(|c| self.severity(c)).max() {
            return worst;
        }
        let known = |(_, verdict)| !matches!(verdict, Verdict::Unknown | Verdict::Starting);
        if self.state.seen.is_up() && self.verdicts(self.state.now).iter().any(known) {
            Health::Ok
        } else {
            Health::Unknown
        }
    }

    /// Everything that is wrong now, the worst first, each with its remedy.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self
            .causes()
            .into_iter()
            .map(|cause| Problem {
                cause,
                health: self.severity(cause),
                text: self.explain(cause),
            })
            .collect();
        problems.sort_by_key(|p| std::cmp::Reverse(p.health));
        problems
    }

    /// What will be done next if nothing changes, and when.
    pub fn next(&self) -> Option<PlannedAction> {
        let both = [self.next_of_health(), self.next_stop()];
        both.into_iter().flatten().min_by_key(|next| next.at)
    }

    fn next_of_health(&self) -> Option<PlannedAction> {
        let state = &self.state;
        if self.leaves(state.now) || state.update.is_at_work() || !self.may_start() {
            return None;
        }
        if let Some(pause) = &state.pause {
            return Some(PlannedAction {
                action: "resume",
                at: pause.until,
                cause: Cause::Paused,
            });
        }
        let idle = state.desired == Desired::Running && state.hold.is_none() && !state.disk_stop && !state.docker_down;
        if !idle || state.in_flight.is_some() || state.seen == ContainerState::Foreign {
            return None;
        }
        if !state.seen.is_up() {
            let at = state.settle.map(|s| s.until).or(state.next_start)?;
            return Some(PlannedAction {
                action: "start",
                at,
                cause: self.start_cause(),
            });
        }
        let Fault {
            cause, lasted, window, ..
        } = self.fault(self.verdicts(state.now))?;
        if state.restart_budget.given_up(cause) {
            return None;
        }
        let stretched = window.saturating_mul(state.restart_budget.stretch(cause));
        let mut at = state.now + stretched.saturating_sub(lasted);
        if self.budget_left() == 0 {
            at = at.max(state.restart_budget.next_refill(self.policy.budget_window)?);
        }
        Some(PlannedAction {
            action: "restart",
            at,
            cause,
        })
    }

    /// Health restarts that may still be spent within the budget's window.
    pub fn budget_left(&self) -> u32 {
        self.state
            .restart_budget
            .left(self.state.now, self.policy.budget, self.policy.budget_window)
    }

    pub(super) fn causes(&self) -> Vec<Cause> {
        let Self { state, policy } = self;
        let mut causes = Vec::new();
        let mut add = |wrong: bool, cause: Cause| {
            if wrong {
                causes.push(cause);
            }
        };
        let host = &state.host;
        let percent_low =
            |free: u64, total: u64| u128::from(free) * 100 < u128::from(total) * u128::from(policy.disk_warn_percent);
        let disk_low = host
            .disk_free_bytes
            .zip(host.disk_total_bytes)
            .is_some_and(|(f, t)| percent_low(f, t));
        let clock_off = host
            .clock_offset_ms
            .is_some_and(|ms| ms.abs() > policy.clock_warn.as_secs_f64() * 1000.0);
        let memory_short = policy.memory_warn_percent > 0
            && host
                .memory_full_percent
                .is_some_and(|percent| percent >= f64::from(policy.memory_warn_percent));
        add(state.docker_down, Cause::DockerUnreachable);
        add(state.seen == ContainerState::Foreign, Cause::Foreign);
        add(state.desired == Desired::StoppedByOperator, Cause::Operator);
        add(state.desired == Desired::StoppedByPerson, Cause::StoppedByPerson);
        add(state.pause.is_some(), Cause::Paused);
        add(state.disk_stop, Cause::DiskFull);
        add(disk_low && !state.disk_stop, Cause::DiskLow);
        add(clock_off, Cause::ClockOff);
        add(memory_short, Cause::MemoryPressure);
        let network_down = |(since, seen): (Time, Time)| seen.since(since) >= NETWORK_DOWN_AFTER;
        add(state.network_down.is_some_and(network_down), Cause::NetworkDown);
        add(state.crash_loop, Cause::CrashLoop);
        add(
            state.last_failure.is_some() && state.hold.is_none() && state.seen != ContainerState::Foreign,
            Cause::ActionFailed,
        );
        let leaves = self.leaves(state.now) || self.fenced().is_some();
        let wanted = state.desired == Desired::Running && state.hold.is_none() && !state.disk_stop && !leaves;
        let stop_cause = state.stop_cause.filter(|_| state.is_author_clear());
        if let Some(cause) = stop_cause.filter(|_| wanted && !state.crash_loop) {
            let is_problem = !matches!(
                cause,
                Cause::DiskFreed | Cause::NoticeOver | Cause::IdentityHeld | Cause::OutOfMemory
            );
            add(is_problem, cause);
        }
        add(state.out_of_memory, Cause::OutOfMemory);
        add(state.collation.is_lacking(), Cause::NoCollation);
        add(state.update.goes_back(), Cause::UpdateFailed);
        causes.extend(state.notice.map(super::termination::ActiveNotice::cause));
        causes.extend(self.identity_cause());
        causes.extend(
            state
                .hold
                .filter(|cause| !(state.disk_stop && *cause == Cause::DiskFull)),
        );
        causes.extend(state.stalled.iter().map(|disk| disk.stalled()));
        // A stalled disk is why.
        let answers = !state.stalled.contains(&Disk::State);
        let own = [
            (state.unsaved.is_some() && answers, Cause::StateUnsaved),
            (state.set_aside.is_some(), Cause::StateSetAside),
            (state.records_unsaved.is_some() && answers, Cause::RecordsUnsaved),
            (state.certificate_error.is_some(), Cause::CertificateUnreadable),
            (state.configuration_error.is_some(), Cause::ConfigurationRefused),
            (state.shared.is_some() && state.seen.is_up(), Cause::Shared),
            (state.altered.is_some() && state.seen.is_up(), Cause::Altered),
        ];
        causes.extend(own.into_iter().filter_map(|(holds, cause)| holds.then_some(cause)));
        match &state.in_flight {
            // Being cured is not being well.
            Some(Action::Restart { cause, .. }) if Cause::HEALTH.contains(cause) => causes.push(*cause),
            None if state.seen.is_up() && !leaves => self.running_causes(&mut causes),
            _ => {}
        }
        causes
    }

    fn running_causes(&self, causes: &mut Vec<Cause>) {
        let Self { state, policy } = self;
        let now = state.now;
        let verdicts = self.verdicts(now);
        let fault = self.fault(verdicts);
        // One falls silent a moment before the other: that is no trouble of its own.
        let all_silent = fault.is_some_and(|fault| matches!(fault.cause, Cause::Frozen | Cause::NoExporter));
        if let Some(Fault { cause, .. }) = fault.filter(Fault::is_due) {
            let given_up = state.restart_budget.given_up(cause);
            match cause {
                Cause::NoExporter if given_up => causes.push(Cause::Blind),
                _ => causes.push(cause),
            }
            if given_up && cause != Cause::NoExporter {
                causes.push(Cause::NotHelping);
            } else if self.budget_left() == 0 {
                causes.push(Cause::BudgetSpent);
            }
            return;
        }
        if fault.is_some_and(|fault| self.starts_slowly(&fault)) {
            causes.push(Cause::SlowStart);
        }
        for (chain, tracker) in &state.trackers {
            let verdict = verdicts.of(*chain);
            // With `--sync warp` the parachain's exporter comes up only after the relay chain has synced.
            let may_be_late =
                !tracker.answered && (self.is_young(now) || verdicts.of(Chain::Relaychain) == Verdict::Syncing);
            let silent = tracker.blind_for >= policy.frozen_after;
            // A relay chain by RPC has an exporter without heights beside one that has some; a node of its own has had some.
            // Where no height is expected, none is missed while that page does not answer.
            let without_heights =
                tracker.without_heights && state.trackers.values().any(|other| other.sample().is_some());
            causes.extend(self.conditions(*chain, tracker, verdict));
            if silent && !may_be_late && !all_silent && !without_heights {
                causes.push(Cause::Blind);
            }
        }
        causes.sort_unstable();
        causes.dedup();
    }

    pub fn severity(&self, cause: Cause) -> Health {
        match cause {
            // Not, or not yet, a fault: the parachain's blocks arrive, or the network is in doubt.
            Cause::Isolated if self.fault(self.verdicts(self.state.now)).is_none_or(|f| !f.is_due()) => {
                Health::Degraded
            }
            Cause::ScheduledStop if !self.leaves(self.state.now) => Health::Degraded,
            // A full node is what was asked for then, and not knowing is not yet losing.
            Cause::IdentityMissing | Cause::IdentityLost if self.fenced().is_none() => Health::Degraded,
            Cause::Quiet
            | Cause::FallingBehind
            | Cause::SyncTooSlow
            | Cause::UnsteadyPeers
            | Cause::NeverConnected
            | Cause::SlowStart
            | Cause::FinalityStalled
            | Cause::ClockOff
            | Cause::MemoryPressure
            | Cause::DiskLow
            | Cause::DockerUnreachable
            | Cause::Blind
            | Cause::NoCollation
            | Cause::OutOfMemory
            | Cause::Altered
            | Cause::Paused
            | Cause::Rebalance
            | Cause::Maintenance
            | Cause::NetworkDown
            | Cause::ActionFailed
            | Cause::Exited
            | Cause::RelayRpcUnreachable
            | Cause::PortInUse
            | Cause::Killed
            | Cause::Removed
            | Cause::Update
            | Cause::UpdateFailed
            | Cause::NoExporter
            | Cause::StateUnsaved
            | Cause::StateSetAside
            | Cause::RecordsUnsaved
            | Cause::StateDiskStalled
            | Cause::IdentityDiskStalled
            | Cause::CertificateUnreadable
            | Cause::ConfigurationRefused => Health::Degraded,
            _ => Health::Critical,
        }
    }
}
