//! The container and Docker: what is done to it, and what is told of it.

use super::troubles::Ailment;
use super::world::{MINUTE, Run, SECOND, World};
use crate::event::{ActionFailure, Container, Event, Exit, Outcome, Time};
use crate::machine::{Action, Cause, Machine};

impl World {
    /// One event to the agent, when there is one.
    pub(super) fn tell(&mut self, event: Event) {
        let Some(machine) = &mut self.agent else { return };
        let turn = matches!(event, Event::Operator(_) | Event::Finished(_));
        let actions = machine.step(Time(self.now), event);
        if self.saved.is_some() && (turn || !actions.is_empty()) {
            self.saved = Some(machine.clone());
        }
        for action in actions {
            match action {
                Action::Notify { cause, over } => self.judge_message(cause, over),
                Action::Judged { cause, helped } => self.note(format!("{cause:?} helped: {helped}")),
                action => self.order(action),
            }
        }
    }

    fn order(&mut self, action: Action) {
        self.note(format!("the agent orders {action:?}"));
        self.judge_order(&action);
        self.alert();
        let takes = match action {
            Action::Start { .. } => self.dice.between(1, 5),
            _ => self.dice.between(2, 90),
        };
        self.in_flight = Some((action, self.now + takes * SECOND));
    }

    /// The action under way is done, or fails.
    pub(super) fn finish(&mut self) {
        let Some((action, _)) = self.in_flight.take() else {
            return;
        };
        if !self.docker_up {
            self.judge.was_not_done(&action);
            self.fails("no docker", ActionFailure::DockerUnreachable);
            return;
        }
        if self.now < self.refuses_until {
            self.fails("docker refuses", ActionFailure::Other);
            return;
        }
        let starts = matches!(action, Action::Start { .. } | Action::Restart { .. });
        if !matches!(action, Action::Start { .. }) {
            self.stop_container();
        }
        if starts && self.ails(|a| a == Ailment::Held(Cause::MissingExecutable)) {
            self.judge.hold_known = true;
            self.fails("no such file", ActionFailure::Executable);
            return;
        }
        if starts && self.now < self.no_starts_until {
            let kind = self.dice.pick(&[ActionFailure::Image, ActionFailure::Other]);
            self.fails("it does not start", kind);
            return;
        }
        if starts && !self.is_up() {
            self.start_container();
        }
        let (container, at) = (self.container(), Some(self.wall()));
        self.tell(Event::Finished(Outcome::Done { container, at }));
    }

    fn fails(&mut self, error: &str, kind: ActionFailure) {
        self.note(format!("that fails: {error}"));
        let error = error.to_owned();
        self.tell(Event::Finished(Outcome::Failed { error, kind }));
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.run, Run::Up | Run::Paused)
    }

    /// How long the present run lasts, ms.
    pub(super) fn runs_for(&self) -> u64 {
        u64::try_from(self.wall() - self.run_id).unwrap()
    }

    /// Through the API: the events come as Docker sends them.
    pub(super) fn stop_container(&mut self) {
        if self.is_up() {
            let at = Some(self.wall());
            self.container_news(Container::Signalled { at, signal: 15 });
            self.end(Exit {
                code: Some(0),
                oom: false,
                log: vec!["Essential task `txpool-background` failed. Shutting down service.".to_owned()],
            });
            self.container_news(Container::Stopped { at });
        }
        self.by_hand = true;
    }

    pub(super) fn end(&mut self, exit: Exit) {
        self.run = Run::Exited;
        self.now += 1;
        self.ended = self.wall();
        self.last_exit = exit;
        let news = self.container();
        self.container_news(news);
    }

    pub(super) fn start_container(&mut self) {
        self.now += 1;
        self.run = Run::Up;
        self.by_hand = false;
        self.run_id = self.wall();
        self.para.begin();
        self.relay.begin();
        let slow = self.dice.percent(10);
        let wait = if self.ails(|a| a == Ailment::SlowStart) {
            self.dice.between(15 * 60, 75 * 60)
        } else if slow {
            self.dice.between(60, 540)
        } else {
            self.dice.between(10, 60)
        };
        self.exporters_from = self.now + wait * SECOND;
        self.peers_from = self.exporters_from + self.dice.between(0, 60) * SECOND;
        self.alert();
        self.on_new_run();
        let news = self.container();
        self.container_news(news);
    }

    pub(super) fn container(&self) -> Container {
        let started_at = Some(self.run_id);
        let spec_matches = true;
        match self.run {
            Run::Up => Container::Running {
                started_at,
                spec_matches,
            },
            Run::Paused => Container::Paused {
                started_at,
                spec_matches,
            },
            Run::Missing => Container::Missing,
            Run::Exited => Container::Exited {
                at: Some(self.ended),
                exit: self.last_exit.clone(),
                spec_matches,
            },
        }
    }

    /// Docker's news reach the agent only while both are there; Docker remembers them.
    pub(super) fn container_news(&mut self, news: Container) {
        let at = self.wall();
        if self.events.len() >= 256 {
            self.events.pop_front();
        }
        self.events.push_back((at, news.clone()));
        if self.docker_up {
            self.heard_until = at;
            self.tell(Event::Container(news));
        }
    }

    /// The agent is connected to Docker: what the container is like, then what has happened `since`, if
    /// that is asked for.
    pub(super) fn connected(&mut self, since: Option<i64>) {
        self.tell(Event::Docker { reachable: true });
        let events: Vec<_> = self.events.iter().cloned().collect();
        let now = self.container();
        self.tell(Event::Container(now));
        for (at, news) in events {
            if since.is_some_and(|since| at >= since) {
                self.tell(Event::Container(news));
            }
        }
        self.heard_until = self.wall();
    }

    pub(super) fn docker_leaves(&mut self, low: u64, high: u64) {
        self.docker_up = false;
        self.tell(Event::Docker { reachable: false });
        let wait = self.dice.between(low, high);
        self.later(wait, super::course::Later::DockerBack);
    }

    /// The engine takes its containers along.
    pub(super) fn engine_dies(&mut self) {
        self.docker_leaves(5 * SECOND, MINUTE);
        self.events.clear();
        if self.is_up() {
            self.run = Run::Exited;
            self.ended = self.wall();
            self.last_exit = Exit {
                code: Some(137),
                ..Exit::default()
            };
        }
    }

    pub(super) fn kill_agent(&mut self) {
        let Some(machine) = self.agent.take() else { return };
        let saved = self.saved.take().unwrap_or(machine);
        self.disk = serde_json::to_string(saved.state()).unwrap();
        let Some((action, _)) = self.in_flight.take() else {
            return;
        };
        if matches!(action, Action::Start { .. }) {
            return;
        }
        // What it had ordered goes on, or never began.
        self.ignore_own_events_until = self.now + 6 * MINUTE;
        let goes_on = self.docker_up && self.dice.percent(50);
        if goes_on {
            self.note(format!("{action:?} goes on without it"));
            self.stop_container();
        }
    }

    pub(super) fn revive_agent(&mut self) {
        if self.agent.is_some() {
            return;
        }
        let state = serde_json::from_str(&self.disk).unwrap();
        self.agent = Some(Machine::resume(self.policy.clone(), state, Time(self.now)));
        self.judge.watch_anew(self.now);
        self.alert();
        if self.docker_up {
            let since = self.agent.as_ref().and_then(Machine::watch_from);
            self.connected(since);
        } else {
            self.tell(Event::Docker { reachable: false });
        }
        self.tell_notice();
    }
}
