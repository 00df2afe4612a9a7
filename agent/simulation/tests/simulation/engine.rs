//! A Docker engine: its containers, what happens to them, and the events about that.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::images::{IMAGE, lifetime};
use super::node::Node;
use super::world::{SECOND, State};

/// Events that Docker keeps.
const EVENTS: usize = 256;
/// Lines of a log that are kept.
const LINES: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Created,
    Running,
    Paused,
    Exited,
}

impl Run {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
        }
    }
}

pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Source and target.
    pub(crate) mounts: Vec<(PathBuf, PathBuf)>,
    /// `unless-stopped`; else `no`.
    pub(crate) restarts: bool,
    /// Stopped through the API: its policy leaves it alone.
    pub(crate) by_hand: bool,
    pub(crate) run: Run,
    /// The host's wall clock, Unix milliseconds.
    pub(crate) started: Option<i64>,
    pub(crate) finished: Option<i64>,
    pub(crate) exit_code: i64,
    pub(crate) restart_count: u64,
    pub(crate) log: VecDeque<(i64, String)>,
    /// When it ends after a signal, with which code, and whether the API asked for that.
    pub(crate) ending: Option<(u64, i64, bool)>,
    /// When Docker's policy starts it again.
    pub(crate) policy_start: Option<u64>,
    pub(crate) node: Node,
}

pub(crate) struct Engine {
    pub(crate) up: bool,
    /// Until when nothing is answered.
    pub(crate) hangs: u64,
    pub(crate) containers: Vec<Container>,
    pub(crate) images: Vec<String>,
    events: VecDeque<(u64, i64, Value)>,
    next_event: u64,
    made: u64,
    /// Connections of an earlier life of the engine are broken.
    pub(crate) life: u64,
    pub(crate) changed: Arc<Notify>,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            up: true,
            hangs: 0,
            containers: Vec::new(),
            images: vec![IMAGE.to_owned()],
            events: VecDeque::new(),
            next_event: 0,
            made: 0,
            life: 0,
            changed: Arc::default(),
        }
    }
}

impl Engine {
    pub(crate) fn find(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|c| c.name == name || c.id == name)
    }

    /// Events from `index` on; at first those since `since` (nanoseconds), as Docker finds them: back from the newest one to
    /// the first that is older.
    pub(crate) fn events(&self, index: u64, since: i64) -> (Vec<Value>, u64) {
        let newest = self.events.iter().rev();
        let found = newest.take_while(|(at, nanos, _)| *at >= index && *nanos >= since);
        let mut found: Vec<_> = found.map(|(_, _, event)| event.clone()).collect();
        found.reverse();
        (found, self.next_event)
    }

    fn tell(&mut self, wall: i64, action: &str, container: usize, more: &[(&str, String)]) {
        let container = &self.containers[container];
        let mut attributes: serde_json::Map<_, _> = serde_json::Map::new();
        for (key, value) in &container.labels {
            attributes.insert(key.clone(), json!(value));
        }
        attributes.insert("name".to_owned(), json!(container.name));
        attributes.insert("image".to_owned(), json!(container.image));
        for (key, value) in more {
            attributes.insert((*key).to_owned(), json!(value));
        }
        // Two events of one millisecond are told apart.
        let nanos = wall * 1_000_000 + i64::try_from(self.next_event % 1000).unwrap();
        let event = json!({
            "Type": "container", "Action": action, "scope": "local", "time": wall / 1000, "timeNano": nanos,
            "Actor": {"ID": container.id, "Attributes": attributes},
        });
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((self.next_event, nanos, event));
        self.next_event += 1;
        self.changed.notify_waiters();
    }

    /// The process of the engine dies, and its containers with it when `all`.
    fn forget(&mut self) {
        self.events.clear();
        self.life += 1;
        self.changed.notify_waiters();
    }
}

impl State {
    pub(crate) fn create(&mut self, host: usize, name: &str, body: &Value) -> Result<String, (u16, String)> {
        let wall = self.wall(host);
        let engine = &mut self.machines[host].engine;
        if engine.find(name).is_some() {
            return Err((
                409,
                format!("Conflict. The container name \"/{name}\" is already in use"),
            ));
        }
        let image = body["Image"].as_str().unwrap().to_owned();
        engine.made += 1;
        let id = format!("{:0>64x}", engine.made + 0x1000 * u64::try_from(host + 1).unwrap());
        let labels = body["Labels"].as_object().into_iter().flatten();
        let mounts = body["HostConfig"]["Mounts"].as_array().into_iter().flatten();
        let policy = body["HostConfig"]["RestartPolicy"]["Name"].as_str();
        let path = |mount: &Value, key: &str| PathBuf::from(mount[key].as_str().unwrap());
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            image,
            labels: labels
                .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
                .collect(),
            mounts: mounts.map(|m| (path(m, "Source"), path(m, "Target"))).collect(),
            restarts: matches!(policy, Some("always" | "unless-stopped" | "on-failure")),
            by_hand: false,
            run: Run::Created,
            started: None,
            finished: None,
            exit_code: 0,
            restart_count: 0,
            log: VecDeque::new(),
            ending: None,
            policy_start: None,
            node: Node::default(),
        };
        engine.containers.push(container);
        let last = engine.containers.len() - 1;
        engine.tell(wall, "create", last, &[]);
        Ok(id)
    }

    fn index(&mut self, host: usize, name: &str) -> Result<usize, (u16, String)> {
        let containers = &self.machines[host].engine.containers;
        let found = containers.iter().position(|c| c.name == name || c.id == name);
        found.ok_or_else(|| (404, format!("No such container: {name}")))
    }

    pub(crate) fn start(&mut self, host: usize, name: &str) -> Result<(), (u16, String)> {
        let index = self.index(host, name)?;
        let container = &self.machines[host].engine.containers[index];
        if matches!(container.run, Run::Running | Run::Paused) {
            return Ok(());
        }
        if let Some((source, _)) = container.mounts.iter().find(|(source, _)| !source.exists()) {
            let text = "invalid mount config for type \"bind\": bind source path does not exist";
            return Err((400, format!("{text}: {}", source.display())));
        }
        let (now, wall) = (self.now(), self.wall(host));
        let node = Node::start(&container.mounts, now, wall, &mut self.dice);
        let engine = &mut self.machines[host].engine;
        let container = &mut engine.containers[index];
        container.run = Run::Running;
        container.started = Some(wall);
        (container.policy_start, container.by_hand) = (None, false);
        container.ending = lifetime(&container.image).map(|time| (now + time, 1, false));
        let text = format!("{} starts with key {:?}", container.name, node.key);
        container.node = node;
        engine.tell(wall, "start", index, &[]);
        self.note_of(host, text);
        self.begin_run(host, index);
        self.judge_start(host, index);
        Ok(())
    }

    /// SIGTERM, and SIGKILL after `seconds`. Through the API it is the agent, or a person.
    pub(crate) fn stop(&mut self, host: usize, name: &str, seconds: u64) -> Result<(), (u16, String)> {
        let index = self.index(host, name)?;
        let now = self.now();
        let container = &mut self.machines[host].engine.containers[index];
        container.policy_start = None;
        container.by_hand = true;
        if !matches!(container.run, Run::Running | Run::Paused) {
            return Ok(());
        }
        let was_paused = std::mem::replace(&mut container.run, Run::Running) == Run::Paused;
        let kill = now + seconds * SECOND;
        let ends = now + container.node.shutdown;
        let ending = if ends <= kill {
            (ends, 0, true)
        } else {
            (kill, 137, true)
        };
        if container.ending.is_none_or(|(at, ..)| at > ending.0) {
            container.ending = Some(ending);
        }
        let text = format!("{} gets SIGTERM, and SIGKILL after {seconds} s", container.name);
        self.signal(host, index, 15);
        if was_paused {
            // Docker thaws what it ends.
            let wall = self.wall(host);
            self.machines[host].engine.tell(wall, "unpause", index, &[]);
        }
        self.note_of(host, text);
        Ok(())
    }

    pub(crate) fn set_paused(&mut self, host: usize, name: &str, paused: bool) -> Result<(), (u16, String)> {
        let index = self.index(host, name)?;
        let wall = self.wall(host);
        let engine = &mut self.machines[host].engine;
        let (from, to, action) = if paused {
            (Run::Running, Run::Paused, "pause")
        } else {
            (Run::Paused, Run::Running, "unpause")
        };
        if engine.containers[index].run != from {
            return Err((409, format!("Container {name} is not {}", from.name())));
        }
        engine.containers[index].run = to;
        engine.tell(wall, action, index, &[]);
        self.note_of(host, format!("{name}: {action}"));
        Ok(())
    }

    pub(crate) fn remove(&mut self, host: usize, name: &str, force: bool) -> Result<(), (u16, String)> {
        let index = self.index(host, name)?;
        let wall = self.wall(host);
        if matches!(
            self.machines[host].engine.containers[index].run,
            Run::Running | Run::Paused
        ) {
            if !force {
                return Err((409, "cannot remove a running container".to_owned()));
            }
            self.machines[host].engine.containers[index].by_hand = true;
            self.signal(host, index, 9);
            self.end(host, index, 137, false);
        }
        self.machines[host].engine.tell(wall, "destroy", index, &[]);
        self.machines[host].engine.containers.remove(index);
        self.note_of(host, format!("{name} is removed"));
        Ok(())
    }

    /// The event about a signal that somebody sends by the API.
    pub(crate) fn signal(&mut self, host: usize, index: usize, signal: u8) {
        let wall = self.wall(host);
        let signal = [("signal", signal.to_string())];
        self.machines[host].engine.tell(wall, "kill", index, &signal);
    }

    /// The main process of a container ends; `by_api` after a stop.
    pub(crate) fn end(&mut self, host: usize, index: usize, code: i64, by_api: bool) {
        let (now, wall) = (self.now(), self.wall(host));
        let engine = &mut self.machines[host].engine;
        let container = &mut engine.containers[index];
        container.run = Run::Exited;
        container.finished = Some(wall);
        container.exit_code = code;
        container.ending = None;
        if container.log.len() == LINES {
            container.log.pop_front();
        }
        container.log.push_back((wall, format!("the node ends with {code}")));
        if !by_api && container.restarts && !container.by_hand {
            container.policy_start = Some(now + SECOND);
        }
        let text = format!("{} ends with {code}", container.name);
        engine.tell(wall, "die", index, &[("exitCode", code.to_string())]);
        if by_api {
            engine.tell(wall, "stop", index, &[]);
        }
        self.note_of(host, text);
    }

    /// What was due on a host until now.
    pub(crate) fn tick_engine(&mut self, host: usize) {
        let now = self.now();
        for index in 0..self.machines[host].engine.containers.len() {
            let engine = &mut self.machines[host].engine;
            let up = engine.up;
            let container = &mut engine.containers[index];
            if let Some((at, code, by_api)) = container.ending
                && at <= now
            {
                self.end(host, index, code, by_api);
            } else if let Some(at) = container.policy_start
                && at <= now
                && up
            {
                container.policy_start = None;
                container.restart_count += 1;
                let id = container.id.clone();
                if self.start(host, &id).is_err() {
                    self.note_of(host, "Docker's policy could not start it");
                }
            }
        }
    }

    /// Power off, or the end of the engine and all in it.
    pub(crate) fn engine_dies(&mut self, host: usize) {
        self.lose_stops(host);
        for index in 0..self.machines[host].engine.containers.len() {
            let container = &mut self.machines[host].engine.containers[index];
            if matches!(container.run, Run::Running | Run::Paused) {
                let restarts = container.restarts && !container.by_hand;
                self.end(host, index, 137, true);
                let container = &mut self.machines[host].engine.containers[index];
                container.policy_start = restarts.then_some(0);
            }
        }
        self.machines[host].engine.forget();
    }

    /// Of a stop that is under way, or has just been carried out, an engine that goes down says nothing.
    fn lose_stops(&mut self, host: usize) {
        let wall = self.wall(host);
        let mut containers = self.machines[host].engine.containers.iter();
        let is_lost = |c: &Container| c.ending.is_some() || c.finished.is_some_and(|at| at >= wall - 2000);
        if containers.any(is_lost) {
            self.stop_is_lost();
        }
    }

    /// The engine is replaced, and its containers live on (`live-restore`).
    pub(crate) fn engine_restarts(&mut self, host: usize) {
        self.lose_stops(host);
        self.machines[host].engine.forget();
    }

    pub(crate) fn note_of(&mut self, host: usize, text: impl AsRef<str>) {
        let name = self.machines[host].name.clone();
        self.note(format!("{name}: {}", text.as_ref()));
    }
}
