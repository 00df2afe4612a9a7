//! What befalls the collator, and who mends it when the agent cannot.

use super::world::{HOUR, MINUTE, Run, SECOND, World};
use crate::event::{Chain, Command, Container, Event as Seen, Exit};

/// What is wrong with the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ailment {
    Stuck,
    RelayStuck,
    Deaf,
    Frozen,
    /// The port was taken when it started.
    NoExporter,
    // no restart cures these
    StuckForGood,
    /// Downloads and rejects the same blocks for ever.
    Rejecting,
    DeafForGood,
    Corrupt,
    CrashLoop(u8),
    // these pass by themselves
    RelayResyncs,
    Importing,
    OneExporterGone(Chain),
}

impl Ailment {
    pub(super) fn stops_parachain(&self) -> bool {
        matches!(
            self,
            Self::Stuck | Self::StuckForGood | Self::Rejecting | Self::Frozen | Self::Importing | Self::RelayStuck
        )
    }

    fn is_cured_by_a_restart(self) -> bool {
        matches!(
            self,
            Self::Stuck | Self::RelayStuck | Self::Deaf | Self::Frozen | Self::NoExporter | Self::Importing
        )
    }
}

/// What happens later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Look,
    Trouble,
    Nuisance,
    PolicyStarts,
    Crash,
    AilmentPasses,
    /// An operator mends what no restart cures, and says so.
    Mended(bool),
    PersonStarts,
    PersonUnpauses,
    NetworkBack,
    HaltEnds,
    DiskFreed,
    DockerBack,
    AgentBack,
    Calm,
}

const TROUBLES: [&str; 33] = [
    "crash",
    "crash that docker does not mend",
    "out of memory",
    "docker kill",
    "docker rm",
    "docker stop",
    "stuck at the head",
    "stuck while syncing",
    "stuck for good",
    "rejects every block",
    "no peers",
    "no peers for good",
    "network of the host down",
    "chain-wide halt",
    "frozen",
    "frozen for a moment",
    "one exporter gone",
    "relay chain syncs",
    "relay chain stuck",
    "corrupted database",
    "disk full",
    "engine restarted",
    "docker away",
    "busy import",
    "crash loop",
    "exporter never up",
    "paused for a moment",
    "paused and forgotten",
    "maintenance",
    "stopped by the operator",
    "restarted by the operator",
    "scrapes fail",
    "far behind",
];

impl World {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Look => {
                self.look();
                let closely = self.now < self.alert_until || self.flaps > 0 || self.ailment.is_some();
                let wait = match self.flaps {
                    0 if closely => 15,
                    0 => 60,
                    _ => 5,
                };
                self.later(wait * SECOND, Event::Look);
            }
            Event::Trouble => {
                let calm = self.is_calm();
                if calm {
                    let kind = usize::try_from(self.dice.between(0, TROUBLES.len() as u64 - 1)).unwrap();
                    let name = TROUBLES[kind];
                    self.note(format!("trouble: {name}"));
                    *self.score.met.entry(name).or_default() += 1;
                    self.alert_until = self.now + 20 * MINUTE;
                    self.befall(name);
                }
                let wait = if calm {
                    self.dice.between(2, 10) * HOUR
                } else {
                    20 * MINUTE
                };
                self.later(wait, Event::Trouble);
            }
            Event::Nuisance => {
                self.nuisance();
                let wait = self.dice.between(10 * MINUTE, 8 * HOUR);
                self.later(wait, Event::Nuisance);
            }
            Event::PolicyStarts => {
                if self.run == Run::Exited && !self.by_hand && self.docker_up {
                    self.note("docker's policy starts it".to_owned());
                    self.start_container();
                }
            }
            Event::Crash => self.crash(),
            Event::AilmentPasses => self.ailment = None,
            Event::Mended(starts) => self.mended(starts),
            Event::PersonStarts => self.person_starts(),
            Event::PersonUnpauses => {
                if self.run == Run::Paused {
                    self.run = Run::Up;
                    self.tell_container();
                }
            }
            Event::NetworkBack => {
                self.network_up = true;
                self.peers_from = self.now + self.dice.between(5, 150) * SECOND;
                self.on_watch_anew();
            }
            Event::HaltEnds => {
                self.para.halted = false;
                let jump = self.dice.between(0, 300);
                self.para.fall_behind(jump);
            }
            Event::DiskFreed => self.disk_free = 60 << 30,
            Event::DockerBack => {
                self.docker_up = true;
                self.tell(Seen::Docker { reachable: true });
                self.tell_container();
                self.on_watch_anew();
                let wait = self.dice.between(2, 20) * SECOND;
                self.later(wait, Event::PolicyStarts);
            }
            Event::AgentBack => self.revive_agent(),
            Event::Calm => (self.flaps, self.reorgs, self.clock_offset) = (0, false, 0.5),
        }
    }

    /// Nothing is wrong: one trouble at a time, so that it is clear what has to follow.
    fn is_calm(&self) -> bool {
        self.agent.is_some()
            && self.run == Run::Up
            && self.exporters_up()
            && self.ailment.is_none()
            && self.score.is_wanted()
            && self.now >= self.score.maintenance_until
            && (self.docker_up && self.network_up && self.disk_free > 3 << 30)
            && !self.para.halted
            && self.para.behind() < 5
            && self.flaps == 0
    }

    fn ails_from_now(&mut self, ailment: Ailment) {
        self.ailment = Some(ailment);
        self.score.begin(self.now);
    }

    fn passes_after(&mut self, ailment: Ailment, low: u64, high: u64) {
        self.ails_from_now(ailment);
        let wait = self.dice.between(low, high);
        self.later(wait, Event::AilmentPasses);
    }

    fn operator_mends(&mut self, ailment: Ailment) {
        self.ails_from_now(ailment);
        let wait = self.dice.between(2 * HOUR, 10 * HOUR);
        self.later(wait, Event::Mended(ailment == Ailment::Corrupt));
    }

    fn befall(&mut self, trouble: &str) {
        match trouble {
            "crash" => self.crash(),
            "crash that docker does not mend" => self.end(failed(1, false, "Thread 'main' panicked at 'x'")),
            "out of memory" => {
                self.end(failed(137, true, "Killed"));
                self.later(2 * SECOND, Event::PolicyStarts);
            }
            "docker kill" | "docker rm" => {
                let at = Some(self.wall());
                self.by_hand = true;
                self.container_news(Container::Signalled { at, signal: 9 });
                self.end(failed(137, false, ""));
                if trouble == "docker rm" {
                    self.run = Run::Missing;
                    let at = Some(self.wall());
                    self.container_news(Container::Removed { at });
                }
            }
            "docker stop" => {
                self.score.person_stopped = true;
                self.stop_container();
                let wait = self.dice.between(HOUR, 12 * HOUR);
                self.later(wait, Event::PersonStarts);
            }
            "stuck at the head" => self.ails_from_now(Ailment::Stuck),
            "stuck while syncing" => {
                self.para.fall_behind(50_000);
                self.ails_from_now(Ailment::Stuck);
            }
            "stuck for good" => self.operator_mends(Ailment::StuckForGood),
            "rejects every block" => self.operator_mends(Ailment::Rejecting),
            "no peers" => self.ails_from_now(Ailment::Deaf),
            "no peers for good" => self.operator_mends(Ailment::DeafForGood),
            "network of the host down" => {
                self.network_up = false;
                let wait = self.dice.between(MINUTE, 3 * HOUR);
                self.later(wait, Event::NetworkBack);
            }
            "chain-wide halt" => {
                self.para.halted = true;
                let wait = self.dice.between(10 * MINUTE, 24 * HOUR);
                self.later(wait, Event::HaltEnds);
            }
            "frozen" => self.ails_from_now(Ailment::Frozen),
            "frozen for a moment" => self.passes_after(Ailment::Frozen, 10 * SECOND, 90 * SECOND),
            "one exporter gone" => {
                let chain = Chain::ALL[usize::from(self.dice.percent(50))];
                self.passes_after(Ailment::OneExporterGone(chain), HOUR, 10 * HOUR);
            }
            "relay chain syncs" => {
                self.relay.fall_behind(100_000);
                self.passes_after(Ailment::RelayResyncs, HOUR, 2 * HOUR);
            }
            "relay chain stuck" => self.ails_from_now(Ailment::RelayStuck),
            "corrupted database" => {
                self.operator_mends(Ailment::Corrupt);
                self.end(failed(1, false, "Backend error: Corruption: block checksum mismatch"));
                self.later(2 * SECOND, Event::PolicyStarts);
            }
            "disk full" => {
                self.disk_free = 1 << 30;
                let wait = self.dice.between(HOUR, 5 * HOUR);
                self.later(wait, Event::DiskFreed);
            }
            "engine restarted" => {
                self.docker_leaves(5 * SECOND, MINUTE);
                self.run = Run::Exited;
                self.ended = self.wall();
            }
            "docker away" => self.docker_leaves(10 * SECOND, 30 * MINUTE),
            "busy import" => {
                self.para.fall_behind(5000);
                self.passes_after(Ailment::Importing, 6 * MINUTE, 13 * MINUTE);
            }
            "crash loop" => {
                let times = u8::try_from(self.dice.between(6, 10)).unwrap();
                self.ails_from_now(Ailment::CrashLoop(times));
                self.crash();
            }
            "exporter never up" => {
                self.crash();
                self.ails_from_now(Ailment::NoExporter);
            }
            "paused for a moment" | "paused and forgotten" => {
                self.run = Run::Paused;
                self.score.begin(self.now);
                self.tell_container();
                if trouble == "paused for a moment" {
                    let wait = self.dice.between(10, 90) * SECOND;
                    self.later(wait, Event::PersonUnpauses);
                }
            }
            "maintenance" => {
                let seconds = self.dice.between(600, 7200);
                self.score.maintenance_until = self.now + seconds * SECOND;
                let reason = "maintenance".to_owned();
                self.command(Command::Pause { seconds, reason });
                self.ails_from_now(Ailment::Stuck);
            }
            "stopped by the operator" => {
                self.score.operator_stopped = true;
                self.command(Command::Stop);
                let wait = self.dice.between(HOUR, 12 * HOUR);
                self.later(wait, Event::PersonStarts);
            }
            "restarted by the operator" => self.command(Command::Restart { reason: String::new() }),
            "scrapes fail" => {
                self.flaps = self.dice.between(20, 60);
                self.later(HOUR, Event::Calm);
            }
            _ => self.para.fall_behind(3000),
        }
    }

    /// What may come at any time, also in the middle of a trouble.
    fn nuisance(&mut self) {
        match self.dice.between(0, 4) {
            0 | 1 if self.agent.is_some() => {
                self.note("the agent is killed".to_owned());
                self.kill_agent();
                let wait = self.dice.between(SECOND, 10 * MINUTE);
                self.later(wait, Event::AgentBack);
            }
            2 => {
                let gap = self.dice.between(2 * MINUTE, 3 * HOUR);
                self.note(format!("suspended for {} s", gap / SECOND));
                self.now += gap;
                self.last_look = self.now;
                self.para.fall_behind(if self.para.halted { 0 } else { gap / 12_000 });
                self.relay.fall_behind(gap / 6000);
                self.peers_from = self.now + self.dice.between(0, 60) * SECOND;
                if self.dice.percent(50) {
                    self.tell(Seen::Gap);
                }
                self.on_watch_anew();
            }
            3 => {
                self.reorgs = true;
                self.later(HOUR, Event::Calm);
            }
            _ => {
                self.clock_offset = 900.0;
                self.later(HOUR, Event::Calm);
            }
        }
    }

    fn docker_leaves(&mut self, low: u64, high: u64) {
        self.docker_up = false;
        self.tell(Seen::Docker { reachable: false });
        let wait = self.dice.between(low, high);
        self.later(wait, Event::DockerBack);
    }

    fn crash(&mut self) {
        if self.run != Run::Up {
            return;
        }
        if let Some(Ailment::CrashLoop(left)) = self.ailment {
            self.ailment = Some(Ailment::CrashLoop(left.saturating_sub(1)));
        }
        let corrupt = self.ails(|a| *a == Ailment::Corrupt);
        let line = if corrupt {
            "Backend error: Corruption: x"
        } else {
            "Thread 'main' panicked at 'x'"
        };
        self.end(failed(1, false, line));
        let wait = self.dice.between(1, 10) * SECOND;
        self.later(wait, Event::PolicyStarts);
    }

    fn mended(&mut self, starts: bool) {
        if self.agent.is_none() {
            self.later(10 * MINUTE, Event::Mended(starts));
            return;
        }
        self.ailment = None;
        self.score.begin(self.now);
        self.command(if starts { Command::Start } else { Command::Resume });
    }

    fn person_starts(&mut self) {
        if self.agent.is_none() || !self.docker_up {
            self.later(10 * MINUTE, Event::PersonStarts);
            return;
        }
        (self.score.person_stopped, self.score.operator_stopped) = (false, false);
        if self.dice.percent(50) && self.run == Run::Exited {
            self.note("a person says docker start".to_owned());
            self.start_container();
        } else {
            self.command(Command::Start);
        }
    }

    /// A new process: what a restart cures is cured.
    pub(super) fn on_new_run(&mut self) {
        if self.ailment.is_some_and(Ailment::is_cured_by_a_restart) && !self.score.is_new_trouble(self.now) {
            self.ailment = None;
        }
        if self.ails(|a| *a == Ailment::CrashLoop(0)) {
            self.ailment = None;
        }
        self.score.begin_run(self.now);
        if self.ails(|a| matches!(a, Ailment::CrashLoop(_) | Ailment::Corrupt)) {
            let wait = self.dice.between(5, 40) * SECOND;
            self.later(wait, Event::Crash);
        }
    }

    /// The core's windows start anew, and so does the judge's patience.
    pub(super) fn on_watch_anew(&mut self) {
        self.score.observed = 0;
    }
}

fn failed(code: i64, oom: bool, line: &str) -> Exit {
    Exit {
        code: Some(code),
        oom,
        log: vec![line.to_owned()],
    }
}
