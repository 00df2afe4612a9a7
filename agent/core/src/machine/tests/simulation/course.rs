//! What happens in the course of time, and who mends what the agent cannot.

use super::troubles::{Ailment, Trouble};
use super::world::{HOUR, MINUTE, Run, SECOND, World};
use crate::event::{Command, Event, Exit};
use crate::machine::Cause;

/// What happens later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    Trouble,
    Nuisance,
    PolicyStarts,
    Crash,
    AilmentPasses,
    PeersComeAndGo,
    /// An operator mends what no restart cures, and says so.
    Mended,
    PersonStarts,
    PersonUnpauses,
    NetworkBack,
    HaltEnds,
    DiskFreed,
    DockerBack,
    AgentDies,
    AgentBack,
    CalledOff,
    Calm,
}

impl World {
    pub(super) fn happen(&mut self, event: Later) {
        match event {
            Later::Trouble => self.trouble(),
            Later::Nuisance => {
                let trouble = self.dice.pick(Trouble::NUISANCES);
                self.begin(trouble);
                let wait = self.dice.between(10 * MINUTE, 8 * HOUR);
                self.later(wait, Later::Nuisance);
            }
            Later::PolicyStarts => {
                if self.run == Run::Exited && !self.by_hand && self.docker_up {
                    self.note("docker's policy starts it".to_owned());
                    self.start_container();
                }
            }
            Later::Crash => self.crash(),
            Later::AilmentPasses => {
                if self.now >= self.ailment_until {
                    if self.ails(|a| a == Ailment::Evicted) {
                        self.happen(Later::HaltEnds);
                    }
                    self.ailment = None;
                    self.alert();
                }
            }
            Later::PeersComeAndGo => self.peers_come_and_go(),
            Later::Mended => self.mended(),
            Later::PersonStarts => self.person_starts(),
            Later::PersonUnpauses => {
                if self.run == Run::Paused {
                    self.run = Run::Up;
                    let news = self.container();
                    self.container_news(news);
                }
            }
            Later::NetworkBack => {
                self.network_up = true;
                self.peers_from = self.now + self.dice.between(5, 150) * SECOND;
                self.alert();
                self.judge.observed = 0;
            }
            Later::HaltEnds => {
                self.para.halted = false;
                let jump = self.dice.between(0, 300);
                self.para.fall_behind(jump);
                self.alert();
            }
            Later::DiskFreed => {
                self.disk_free = 60 << 30;
                self.alert();
            }
            Later::DockerBack => {
                self.docker_up = true;
                self.connected(Some(self.heard_until));
                self.alert();
                self.judge.observed = 0;
                let wait = self.dice.between(2, 20) * SECOND;
                self.later(wait, Later::PolicyStarts);
            }
            Later::AgentDies => {
                if self.saved.is_some() {
                    self.kill_agent();
                    let wait = self.dice.between(SECOND, 10 * MINUTE);
                    self.later(wait, Later::AgentBack);
                }
            }
            Later::CalledOff => {
                self.judge.notice = None;
                self.tell_notice();
            }
            Later::AgentBack => self.revive_agent(),
            Later::Calm => (self.flaps, self.reorgs, self.clock_offset) = (0, false, 0.5),
        }
    }

    /// One trouble at a time, so that it is clear what has to follow.
    fn trouble(&mut self) {
        let calm = self.agent.is_some()
            && self.run == Run::Up
            && self.in_flight.is_none()
            && self.now >= self.ignore_own_events_until
            && self.judge.has_seen_this_run()
            && self.ailment.is_none()
            && self.judge.is_wanted()
            && self.now >= self.judge.maintenance_until
            && (self.docker_up && self.network_up && self.disk_free > 20 << 30)
            && !self.para.halted
            && self.para.behind() < 5
            && self.flaps == 0;
        let wait = if calm {
            self.choose_reference();
            let trouble = self.dice.pick(Trouble::ALL);
            self.begin(trouble);
            // Now and then one comes upon the heels of another: that is what the budget is for.
            let soon = self.dice.percent(20);
            if soon {
                self.dice.between(5, 40) * MINUTE
            } else {
                self.dice.between(2 * HOUR, 10 * HOUR)
            }
        } else {
            10 * MINUTE
        };
        self.later(wait, Later::Trouble);
    }

    fn begin(&mut self, trouble: Trouble) {
        self.note(format!("trouble: {trouble:?}"));
        *self.judge.score.met.entry(trouble).or_default() += 1;
        self.alert();
        self.befall(trouble);
    }

    pub(super) fn crash(&mut self) {
        if self.run != Run::Up {
            return;
        }
        if let Some(Ailment::CrashLoop(left)) = self.ailment {
            self.ailment = Some(Ailment::CrashLoop(left.saturating_sub(1)));
        }
        let exit = match self.ailment {
            Some(Ailment::Held(cause)) => diagnose(cause),
            _ => failed(1, PANIC),
        };
        self.crash_with(exit);
        let wait = self.dice.between(1, 10) * SECOND;
        self.later(wait, Later::PolicyStarts);
    }

    /// An end that nobody asked for.
    pub(super) fn crash_with(&mut self, exit: Exit) {
        self.judge.note_crash(self.now);
        self.judge.hold_known |= self.agent.is_some() && self.docker_up && self.ails(Ailment::is_held);
        self.end(exit);
    }

    fn mended(&mut self) {
        if self.agent.is_none() {
            self.later(10 * MINUTE, Later::Mended);
            return;
        }
        let held = self.ails(Ailment::is_held);
        self.ailment = None;
        self.judge.begin(self.now);
        self.command(if held { Command::START } else { Command::Resume });
    }

    fn person_starts(&mut self) {
        if self.agent.is_none() || !self.docker_up {
            self.later(10 * MINUTE, Later::PersonStarts);
            return;
        }
        (self.judge.person_stopped, self.judge.operator_stopped) = (false, false);
        if self.dice.percent(50) && self.run == Run::Exited && self.in_flight.is_none() {
            self.note("a person says docker start".to_owned());
            self.start_container();
        } else {
            self.command(Command::START);
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        self.note(format!("the operator says {command:?}"));
        self.alert();
        self.judge.note_command(self.now, &command);
        self.tell(Event::Operator(command));
    }

    /// A new process: what a restart cures is cured.
    pub(super) fn on_new_run(&mut self) {
        // The taken port comes with the run that the trouble began with.
        let comes = self.ails(|a| a == Ailment::NoExporter) && self.judge.is_new_trouble(self.now);
        if self.ailment.is_some_and(Ailment::is_cured_by_a_restart) && !comes {
            self.ailment = None;
        }
        if self.ails(|a| a == Ailment::CrashLoop(0)) {
            self.ailment = None;
        }
        self.field_begins();
        self.judge.begin_run(self.now);
        if self.ails(|a| matches!(a, Ailment::CrashLoop(_) | Ailment::Held(_))) {
            let wait = self.dice.between(5, 40) * SECOND;
            self.later(wait, Later::Crash);
        }
    }
}

pub(super) const PANIC: &str = "Thread 'main' panicked at 'x'";

pub(super) fn failed(code: i64, line: &str) -> Exit {
    Exit {
        code: Some(code),
        oom: false,
        log: vec![line.to_owned()],
    }
}

/// How the node ends when it has a fault that no restart cures.
pub(super) fn diagnose(cause: Cause) -> Exit {
    match cause {
        Cause::DatabaseNewer => failed(1, "Database version comes from future version of the client"),
        Cause::DatabaseForeign => failed(1, "Database version cannot be read from existing db_version file"),
        Cause::DataInUse => failed(1, "While lock file: /d/LOCK: Resource temporarily unavailable"),
        Cause::PruningMode => failed(
            1,
            "State Database error: Incompatible pruning modes [stored: x; requested: y]",
        ),
        Cause::NoNetworkKey => failed(1, "Error: NetworkKeyNotFound(\"/data/network/secret_ed25519\")"),
        Cause::BadArguments => failed(2, "error: unexpected argument '--x' found"),
        Cause::MissingExecutable => failed(127, ""),
        _ => failed(1, "Backend error: Corruption: block checksum mismatch"),
    }
}
