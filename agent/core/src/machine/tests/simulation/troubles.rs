//! What befalls the collator: every row of the table of faults, and what no row should be mistaken for.

use strum::VariantArray as _;

use super::course::{Later, PANIC, failed};
use super::world::{HOUR, MINUTE, Run, SECOND, World};
use crate::event::{Chain, Command, Exit, NoticeKind};
use crate::machine::Cause;

/// What is wrong with the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ailment {
    Stuck,
    RelayStuck,
    Deaf,
    BothDeaf,
    Frozen,
    /// The port was taken when it started.
    NoExporter,
    // no restart cures these
    StuckForGood,
    /// Downloads and rejects the same blocks for ever.
    Rejecting,
    DeafForGood,
    NoExporterForGood,
    Held(Cause),
    /// So many crashes are still to come.
    CrashLoop(u8),
    // these pass by themselves
    RelayResyncs,
    Importing,
    Slow,
    OneExporterGone(Chain),
    /// An empty database: the state is downloaded and imported, and nothing is persisted until the end.
    StateSync,
    /// An idle chain: peers without anything to say are evicted and return.
    Evicted,
    /// Of this node alone, or on the whole network.
    FinalityStands {
        alone: bool,
    },
    /// Forks and known blocks are imported, and best stands.
    ForksOnly,
    /// The database is compacted.
    SilentAtWork,
    /// The database is opened.
    SlowStart,
    /// A fast chain, whose distance swings.
    SwingingLag,
    /// It stands at its target, and its peers stand with it.
    Eclipsed,
}

impl Ailment {
    pub(super) fn stops_parachain(self) -> bool {
        use Ailment::{Importing, SilentAtWork, SlowStart, StateSync};
        self.is_stall() || matches!(self, Importing | SilentAtWork | SlowStart | StateSync)
    }

    /// It stands still, and no work explains it.
    pub(super) fn is_stall(self) -> bool {
        use Ailment::{Eclipsed, ForksOnly, Frozen, Rejecting, RelayStuck, Stuck, StuckForGood};
        matches!(
            self,
            Stuck | StuckForGood | Rejecting | Frozen | RelayStuck | ForksOnly | Eclipsed
        )
    }

    pub(super) fn is_cured_by_a_restart(self) -> bool {
        use Ailment::{
            BothDeaf, Deaf, Eclipsed, FinalityStands, ForksOnly, Frozen, Importing, NoExporter, RelayStuck,
            SilentAtWork, Stuck,
        };
        matches!(
            self,
            Stuck | RelayStuck | Deaf | BothDeaf | Frozen | NoExporter | Importing
        ) || matches!(
            self,
            ForksOnly | Eclipsed | SilentAtWork | FinalityStands { alone: true }
        )
    }

    pub(super) fn is_held(self) -> bool {
        matches!(self, Self::Held(_))
    }
}

/// An enum that knows all its members.
macro_rules! all {
    ($(#[$meta:meta])* $type:ident { $($member:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum $type { $($member,)+ }

        impl $type {
            pub(super) const ALL: &[Self] = &[$(Self::$member),+];
        }
    };
}

all! {
    /// In the order of the table of faults.
    Trouble {
        Crash,
        CrashThatDockerDoesNotMend,
        StartsFail,
        DockerKill,
        DockerRemove,
        DockerStop,
        DockerRestart,
        Frozen,
        FrozenForAMoment,
        PausedForAMoment,
        PausedAndForgotten,
        StuckAtTheHead,
        StuckWhileSyncing,
        StuckForGood,
        RejectsEveryBlock,
        RelayChainStuck,
        NoPeers,
        NoPeersOnEitherChain,
        NoPeersForGood,
        NetworkDown,
        ExporterNeverUp,
        ExporterNeverUpForGood,
        ScrapesFail,
        OneExporterGone,
        ChainWideHalt,
        DatabaseCorrupted,
        DatabaseNewer,
        DatabaseForeign,
        DataInUse,
        PruningMode,
        NoNetworkKey,
        BadArguments,
        MissingExecutable,
        ExecutableGoneFromImage,
        OutOfMemory,
        DiskLow,
        DiskFull,
        DiskFullAtOnce,
        CrashLoop,
        FallingBehind,
        ClockOff,
        DockerAway,
        EngineRestarted,
        HostRebooted,
        AgentStopped,
        AgentKilled,
        CrashWhileAgentAway,
        DockerStopWhileAgentAway,
        Suspended,
        // what EC2 announces
        InterruptionCalledOff,
        TerminationCalledOff,
        Rebalance,
        // no faults at all
        FarBehind,
        BusyImport,
        RelayChainSyncs,
        Reorganisations,
        // what the field reports
        StateSync,
        PeersEvicted,
        FinalityStands,
        ForksOnly,
        SilentAtWork,
        SlowStart,
        SwingingLag,
        Eclipsed,
        // the operator wins
        Maintenance,
        StoppedByOperator,
        RestartedByOperator,
        RestartRefused,
    }
}

impl Trouble {
    /// What may come at any time, also in the middle of another trouble.
    pub(super) const NUISANCES: &[Self] = &[
        Self::AgentStopped,
        Self::AgentKilled,
        Self::Suspended,
        Self::HostRebooted,
        Self::Reorganisations,
        Self::ClockOff,
    ];
}

impl World {
    pub(super) fn ails_from_now(&mut self, ailment: Ailment) {
        self.ailment = Some(ailment);
        self.ailment_until = u64::MAX;
        self.judge.begin(self.now);
    }

    pub(super) fn passes_after(&mut self, ailment: Ailment, low: u64, high: u64) {
        self.ails_from_now(ailment);
        let wait = self.dice.between(low, high);
        self.ailment_until = self.now + wait;
        self.later(wait, Later::AilmentPasses);
    }

    pub(super) fn operator_mends(&mut self, ailment: Ailment) {
        self.ails_from_now(ailment);
        let wait = self.dice.between(2 * HOUR, 10 * HOUR);
        self.later(wait, Later::Mended);
    }

    #[expect(clippy::too_many_lines, reason = "a line or two for each kind")]
    pub(super) fn befall(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Crash => self.crash(),
            Trouble::CrashThatDockerDoesNotMend => self.crash_with(failed(1, PANIC)),
            Trouble::StartsFail => {
                self.no_starts_until = self.now + self.dice.between(MINUTE, HOUR);
                self.crash_with(failed(1, PANIC));
            }
            Trouble::DockerKill => self.docker_kill(),
            Trouble::DockerRemove => self.docker_remove(),
            Trouble::DockerStop => self.docker_stop(),
            Trouble::DockerRestart => {
                self.stop_container();
                self.start_container();
            }
            Trouble::Frozen => self.ails_from_now(Ailment::Frozen),
            Trouble::FrozenForAMoment => self.passes_after(Ailment::Frozen, 10 * SECOND, 90 * SECOND),
            Trouble::PausedForAMoment | Trouble::PausedAndForgotten => {
                self.run = Run::Paused;
                self.judge.begin(self.now);
                let news = self.container();
                self.container_news(news);
                if trouble == Trouble::PausedForAMoment {
                    let wait = self.dice.between(10, 90) * SECOND;
                    self.later(wait, Later::PersonUnpauses);
                }
            }
            Trouble::StuckAtTheHead => self.ails_from_now(Ailment::Stuck),
            Trouble::StuckWhileSyncing => {
                self.para.fall_behind(50_000);
                self.ails_from_now(Ailment::Stuck);
            }
            Trouble::StuckForGood => self.operator_mends(Ailment::StuckForGood),
            Trouble::RejectsEveryBlock => self.operator_mends(Ailment::Rejecting),
            Trouble::RelayChainStuck => self.ails_from_now(Ailment::RelayStuck),
            Trouble::NoPeers => self.ails_from_now(Ailment::Deaf),
            Trouble::NoPeersOnEitherChain => self.ails_from_now(Ailment::BothDeaf),
            Trouble::NoPeersForGood => self.operator_mends(Ailment::DeafForGood),
            Trouble::NetworkDown => {
                self.network_up = false;
                let wait = self.dice.between(MINUTE, 3 * HOUR);
                self.later(wait, Later::NetworkBack);
            }
            Trouble::ExporterNeverUp => {
                self.crash();
                self.ails_from_now(Ailment::NoExporter);
            }
            Trouble::ExporterNeverUpForGood => {
                self.crash();
                self.operator_mends(Ailment::NoExporterForGood);
            }
            Trouble::ScrapesFail => {
                self.flaps = self.dice.between(20, 60);
                self.later(HOUR, Later::Calm);
            }
            Trouble::OneExporterGone => {
                let chain = self.dice.pick(Chain::VARIANTS);
                self.passes_after(Ailment::OneExporterGone(chain), HOUR, 10 * HOUR);
            }
            Trouble::ChainWideHalt => {
                self.para.halted = true;
                let wait = self.dice.between(10 * MINUTE, 24 * HOUR);
                self.later(wait, Later::HaltEnds);
            }
            Trouble::DatabaseCorrupted => self.held(Cause::DatabaseCorrupted),
            Trouble::DatabaseNewer => self.held(Cause::DatabaseNewer),
            Trouble::DatabaseForeign => self.held(Cause::DatabaseForeign),
            Trouble::DataInUse => self.held(Cause::DataInUse),
            Trouble::PruningMode => self.held(Cause::PruningMode),
            Trouble::NoNetworkKey => self.held(Cause::NoNetworkKey),
            Trouble::BadArguments => self.held(Cause::BadArguments),
            Trouble::MissingExecutable => self.held(Cause::MissingExecutable),
            Trouble::ExecutableGoneFromImage => {
                self.operator_mends(Ailment::Held(Cause::MissingExecutable));
                self.judge.hold_known = false;
                self.docker_remove();
            }
            Trouble::OutOfMemory => {
                self.crash_with(Exit {
                    oom: true,
                    ..failed(137, "Killed")
                });
                self.later(2 * SECOND, Later::PolicyStarts);
            }
            Trouble::DiskLow => self.disk_fills(9 << 30),
            Trouble::DiskFull => self.disk_fills(1 << 30),
            Trouble::DiskFullAtOnce => {
                self.disk_fills(0);
                self.crash_with(failed(1, "IO error: No space left on device"));
                self.later(2 * SECOND, Later::PolicyStarts);
            }
            Trouble::CrashLoop => {
                let times = u8::try_from(self.dice.between(6, 10)).unwrap();
                self.ails_from_now(Ailment::CrashLoop(times));
                self.crash();
            }
            Trouble::InterruptionCalledOff => self.announce(NoticeKind::SpotInterruption),
            Trouble::TerminationCalledOff => self.announce(NoticeKind::Termination),
            Trouble::Rebalance => self.announce(NoticeKind::Rebalance),
            Trouble::FallingBehind => self.passes_after(Ailment::Slow, HOUR, 4 * HOUR),
            Trouble::DockerAway => self.docker_leaves(10 * SECOND, 30 * MINUTE),
            Trouble::EngineRestarted => {
                let tidily = self.dice.percent(50);
                if tidily {
                    // Docker stops its containers before it goes, and starts them again when it is back.
                    self.stop_container();
                    self.by_hand = false;
                }
                self.engine_dies();
            }
            Trouble::FarBehind => self.para.fall_behind(3000),
            Trouble::BusyImport => {
                self.para.fall_behind(5000);
                self.passes_after(Ailment::Importing, 6 * MINUTE, 13 * MINUTE);
            }
            Trouble::RelayChainSyncs => {
                self.relay.fall_behind(100_000);
                self.passes_after(Ailment::RelayResyncs, HOUR, 2 * HOUR);
            }
            Trouble::StateSync => self.state_sync(),
            Trouble::PeersEvicted => self.idles(),
            Trouble::FinalityStands => self.finality_stands(),
            Trouble::ForksOnly => self.ails_from_now(Ailment::ForksOnly),
            Trouble::SilentAtWork => {
                self.work_on_disk(Ailment::SilentAtWork);
                self.passes_after(Ailment::SilentAtWork, 2 * MINUTE, 15 * MINUTE);
            }
            Trouble::SlowStart => {
                self.work_on_disk(Ailment::SlowStart);
                self.crash();
            }
            Trouble::SwingingLag => self.passes_after(Ailment::SwingingLag, HOUR, 4 * HOUR),
            Trouble::Eclipsed => self.passes_after(Ailment::Eclipsed, HOUR, 4 * HOUR),
            Trouble::Maintenance => self.maintenance(),
            Trouble::StoppedByOperator => {
                self.judge.operator_stopped = true;
                self.command(Command::STOP);
                let wait = self.dice.between(HOUR, 12 * HOUR);
                self.later(wait, Later::PersonStarts);
            }
            Trouble::RestartedByOperator => self.command(Command::Restart { reason: String::new() }),
            Trouble::RestartRefused => {
                self.refuses_until = self.now + 5 * MINUTE;
                self.command(Command::Restart { reason: String::new() });
            }
            Trouble::HostRebooted => {
                let agent = self.agent.as_ref();
                let noted = agent.is_some_and(|m| m.state().active_problems.contains(&Cause::StoppedByPerson));
                if self.judge.person_stopped && !noted {
                    // Docker forgets who stopped it, so nobody could know.
                    return;
                }
                self.kill_agent();
                let wait = self.dice.between(10, 90) * SECOND;
                self.later(wait, Later::AgentBack);
                if self.docker_up {
                    self.engine_dies();
                }
            }
            Trouble::AgentStopped => self.agent_stops(),
            Trouble::AgentKilled => {
                // It writes down what it knows once a minute, and whenever it decides.
                self.saved.clone_from(&self.agent);
                let wait = self.dice.between(0, 60) * SECOND;
                self.later(wait, Later::AgentDies);
            }
            Trouble::CrashWhileAgentAway => {
                self.agent_stops();
                self.crash_with(failed(1, PANIC));
            }
            Trouble::DockerStopWhileAgentAway => {
                self.agent_stops();
                self.docker_stop();
            }
            Trouble::Suspended => self.suspended(),
            Trouble::Reorganisations => {
                self.reorgs = true;
                self.later(HOUR, Later::Calm);
            }
            Trouble::ClockOff => {
                self.clock_offset = 900.0;
                self.later(HOUR, Later::Calm);
            }
        }
    }
}
