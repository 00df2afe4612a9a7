//! Whether what is wrong is also said, and nothing else is.

use super::troubles::Ailment;
use super::world::{HOUR, MINUTE, Run, World};
use crate::event::Chain;
use crate::machine::Cause;

/// Looks are up to a minute apart, and a run may end or begin in between.
const SLACK: u64 = 3 * MINUTE;
/// Looks at the host are up to five minutes apart.
const HOST_SLACK: u64 = 6 * MINUTE;
/// So long a thing may be said that is no longer so.
pub(super) const LINGERS: u64 = 20 * MINUTE;

impl World {
    pub(super) fn judge_reports(&mut self, passed: u64, seen: [bool; 2]) {
        if seen[0] {
            let at_target = self.para.behind() <= 10 && self.has_peers(Chain::Parachain);
            self.judge.note_sample(self.para.imported, at_target);
        }
        self.note_conditions();
        let truths = self.truths(seen);
        let Some(machine) = &self.agent else { return };
        let told = &machine.causes();
        let mut blames = Vec::new();
        let judge = &mut self.judge;
        judge
            .untold
            .retain(|cause, _| truths.iter().any(|(truth, _)| truth == cause));
        for (cause, patience) in truths {
            let untold = judge.untold.entry(cause).or_default();
            *untold = if told.contains(&cause) { 0 } else { *untold + passed };
            if *untold > patience {
                *untold = 0;
                blames.push((false, cause));
            }
        }
        judge.baseless.retain(|cause, _| told.contains(cause));
        let told: Vec<_> = told.clone();
        for cause in told {
            let so = self.is_so(cause);
            let baseless = self.judge.baseless.entry(cause).or_default();
            *baseless = if so { 0 } else { *baseless + passed };
            if *baseless > LINGERS {
                *baseless = 0;
                blames.push((true, cause));
            }
        }
        for (said, cause) in blames {
            if said {
                self.blame(|s| &mut s.wrong, format!("{cause:?} is said but not so"));
            } else {
                self.blame(|s| &mut s.missed, format!("{cause:?} is so but not said"));
            }
        }
    }

    /// What is wrong as far as it can be seen, and for how long it may be so unsaid, ms of watched time.
    fn truths(&self, [para, relay]: [bool; 2]) -> Vec<(Cause, u64)> {
        let judge = &self.judge;
        let mut truths = Vec::new();
        let mut add = |so: bool, cause: Cause, patience: u64| {
            if so {
                truths.push((cause, patience));
            }
        };
        add(!self.docker_up, Cause::DockerUnreachable, SLACK);
        add(judge.operator_stopped, Cause::Operator, SLACK);
        if let Some(kind) = judge.notice {
            add(true, kind.cause(), SLACK);
        }
        add(judge.person_stopped, Cause::StoppedByPerson, SLACK);
        add(self.now < judge.maintenance_until, Cause::Paused, SLACK);
        add(self.is_full(), Cause::DiskFull, HOST_SLACK);
        add(!self.is_full() && self.disk_free < 10 << 30, Cause::DiskLow, HOST_SLACK);
        add(!self.network_up, Cause::NetworkDown, HOST_SLACK);
        add(self.clock_offset > 500.0, Cause::ClockOff, HOST_SLACK);
        if let Some(Ailment::Held(cause)) = self.ailment {
            add(judge.hold_known, cause, SLACK);
        }
        if !self.is_up() || !self.docker_up || self.in_flight.is_some() {
            return truths;
        }
        let both = para && relay && self.network_up && self.has_peers(Chain::Parachain);
        let quiet = self.para.halted && self.ailment.is_none() && both && self.para.behind() == 0;
        add(quiet, Cause::Quiet, 5 * MINUTE + SLACK);
        // An exporter may come late.
        let one_gone = para != relay && self.flaps == 0 && judge.run_lasts(self.now) > 10 * MINUTE;
        add(one_gone, Cause::Blind, 2 * MINUTE + SLACK);
        let falls = self.ails(|a| a == Ailment::Slow) && judge.was_synced && both && self.para.behind() > 10;
        add(falls, Cause::FallingBehind, 10 * MINUTE + SLACK);
        let evicted = self.ails(|a| a == Ailment::Evicted) && para && relay && self.network_up;
        add(evicted, Cause::UnsteadyPeers, 20 * MINUTE + SLACK);
        let opens = self.ails(|a| a == Ailment::SlowStart) && self.run == Run::Up;
        add(opens, Cause::SlowStart, 10 * MINUTE + SLACK);
        let finality = self.ails(|a| matches!(a, Ailment::FinalityStands { .. }));
        add(
            finality && both && self.para.behind() < 5,
            Cause::FinalityStalled,
            30 * MINUTE + SLACK,
        );
        if !self.is_worth_a_try() {
            let (cause, window) = match self.ailment {
                Some(Ailment::StuckForGood) if both => (Cause::NotHelping, 5 * MINUTE),
                Some(Ailment::Rejecting) if both => (Cause::NotHelping, 15 * MINUTE),
                Some(Ailment::DeafForGood) if self.network_up && para => (Cause::NotHelping, 5 * MINUTE),
                Some(Ailment::NoExporterForGood) => (Cause::Blind, 10 * MINUTE),
                _ => return truths,
            };
            truths.push((cause, window + SLACK));
        }
        truths
    }

    /// Whether there is any ground for saying so.
    pub(super) fn is_so(&self, cause: Cause) -> bool {
        let evicted = |a: Ailment| a == Ailment::Evicted;
        let finality = |a: Ailment| matches!(a, Ailment::FinalityStands { .. });
        let deaf = |a: Ailment| matches!(a, Ailment::Deaf | Ailment::BothDeaf | Ailment::DeafForGood);
        let no_exporter = |a: Ailment| matches!(a, Ailment::NoExporter | Ailment::NoExporterForGood);
        let one_gone = |a: Ailment| matches!(a, Ailment::OneExporterGone(_));
        match cause {
            _ if !self.docker_up => true,
            Cause::DockerUnreachable
            | Cause::NoCollation
            | Cause::SyncTooSlow
            | Cause::NeverConnected
            | Cause::MemoryPressure => false,
            Cause::Operator => self.judge.operator_stopped,
            Cause::Rebalance
            | Cause::Maintenance
            | Cause::ScheduledStop
            | Cause::SpotInterruption
            | Cause::Termination => self.judge.notice.is_some_and(|kind| kind.cause() == cause),
            Cause::StoppedByPerson => self.judge.person_stopped,
            Cause::Paused => self.now < self.judge.maintenance_until,
            Cause::DiskFull => self.is_full(),
            Cause::DiskLow => self.disk_free < 10 << 30,
            Cause::NetworkDown => !self.network_up,
            Cause::ClockOff => self.clock_offset > 500.0,
            Cause::Quiet => self.para.halted || self.ails(|a| a == Ailment::Eclipsed),
            Cause::UnsteadyPeers => self.ails(evicted),
            Cause::SlowStart => self.ails(|a| a == Ailment::SlowStart),
            Cause::FinalityStalled => self.ails(finality),
            // Also what a restart has not cured.
            Cause::Blind => self.ails(|a| one_gone(a) || no_exporter(a) && !self.is_worth_a_try()),
            Cause::NoExporter => self.ails(no_exporter),
            Cause::FallingBehind => self.ails(|a| a == Ailment::Slow),
            Cause::Stalled => self.ails(Ailment::is_stall),
            Cause::Isolated => !self.network_up || self.ails(deaf),
            Cause::NotHelping => self.ails(|a| a.is_stall() || deaf(a) || finality(a)),
            Cause::Frozen => self.run != Run::Up || self.ails(|a| a == Ailment::Frozen),
            Cause::CrashLoop => self.judge.looping,
            Cause::BudgetSpent => self.run == Run::Paused || self.ailment.is_some(),
            Cause::ActionFailed => self.now < self.no_starts_until.max(self.refuses_until) + HOUR,
            Cause::DatabaseCorrupted
            | Cause::DatabaseNewer
            | Cause::DatabaseForeign
            | Cause::DataInUse
            | Cause::PruningMode
            | Cause::NoNetworkKey
            | Cause::BadArguments
            | Cause::MissingExecutable => self.ails(|a| a == Ailment::Held(cause)),
            Cause::OutOfMemory => self.last_exit.oom && (!self.is_up() || self.runs_for() < HOUR / 2),
            // While it is down.
            Cause::Exited | Cause::Killed | Cause::Removed | Cause::Missing => !self.is_up(),
            _ => true,
        }
    }
}
