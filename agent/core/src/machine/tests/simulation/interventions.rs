//! What operators, EC2 and the host do to the collator and its agent.

use super::course::{Later, PANIC, failed};
use super::troubles::Ailment;
use super::world::{HOUR, MINUTE, Run, SECOND, World};
use crate::event::{Command, Container, Event, Notice, NoticeKind};
use crate::machine::Cause;

impl World {
    pub(super) fn held(&mut self, cause: Cause) {
        self.operator_mends(Ailment::Held(cause));
        self.crash();
    }

    pub(super) fn agent_stops(&mut self) {
        self.kill_agent();
        let wait = self.dice.between(SECOND, 10 * MINUTE);
        self.later(wait, Later::AgentBack);
    }

    /// And calls it off some time later.
    pub(super) fn announce(&mut self, kind: NoticeKind) {
        self.judge.notice = Some(kind);
        self.tell_notice();
        let wait = self.dice.between(3, 120) * MINUTE;
        self.later(wait, Later::CalledOff);
    }

    pub(super) fn tell_notice(&mut self) {
        let seconds = Some(120);
        let notice = self.judge.notice.map(|kind| Notice { kind, seconds });
        self.alert();
        self.tell(Event::Ec2(notice));
    }

    pub(super) fn docker_stop(&mut self) {
        self.judge.person_stopped = true;
        self.stop_container();
        let wait = self.dice.between(HOUR, 12 * HOUR);
        self.later(wait, Later::PersonStarts);
    }

    pub(super) fn docker_kill(&mut self) {
        let at = Some(self.wall());
        self.by_hand = true;
        self.container_news(Container::Signalled { at, signal: 9 });
        self.end(failed(137, ""));
    }

    pub(super) fn docker_remove(&mut self) {
        self.docker_kill();
        self.run = Run::Missing;
        let at = Some(self.wall());
        self.container_news(Container::Removed { at });
    }

    pub(super) fn disk_fills(&mut self, free: u64) {
        self.disk_free = free;
        let wait = self.dice.between(HOUR, 5 * HOUR);
        self.later(wait, Later::DiskFreed);
    }

    /// Automatic actions are paused, and meanwhile something breaks.
    pub(super) fn maintenance(&mut self) {
        let seconds = self.dice.between(600, 7200);
        self.judge.maintenance_until = self.now + seconds * SECOND;
        let reason = "maintenance".to_owned();
        self.command(Command::Pause { seconds, reason });
        match self.dice.between(0, 3) {
            0 => self.ails_from_now(Ailment::Stuck),
            1 => self.ails_from_now(Ailment::Frozen),
            2 => self.ails_from_now(Ailment::Deaf),
            _ => self.crash_with(failed(1, PANIC)),
        }
    }

    pub(super) fn suspended(&mut self) {
        let gap = self.dice.between(2 * MINUTE, 3 * HOUR);
        self.note(format!("for {} s", gap / SECOND));
        self.now += gap;
        self.last_look = self.now;
        self.para.fall_behind(if self.para.halted { 0 } else { gap / 12_000 });
        self.relay.fall_behind(gap / 6000);
        self.peers_from = self.now + self.dice.between(0, 60) * SECOND;
        self.alert();
        if self.dice.percent(50) {
            self.tell(Event::Gap);
        }
        self.judge.watch_anew(self.now);
    }
}
