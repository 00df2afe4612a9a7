//! The loop: the only place where what the core decides is done.
//!
//! Every arm of the select only builds an [`Event`]; [`Machine::step`] decides; [`actions`] executes, one
//! action at a time, beside the loop, and what became of it comes back as an event.

mod actions;
mod baked;
mod clock;
mod ec2;
mod identity;
mod images;
mod looks;
mod news;
mod rounds;
mod snapshot;
mod tally;
mod update;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::api;
use crate::history::Keeper;
use crate::recorder::{self, Recorder};
use crate::state::{self, Lock};
use crate::systemd::Manager;
use crate::web;
use actions::{Evidence, Executor, Finished};
use agent_config::Config;
use agent_core::event::{Command, Container, Event, Image, Outcome, Time};
use agent_core::machine::{Action, Machine, Phase, Policy};
use agent_core::notification::Message;
use agent_core::snapshot::Snapshot;
use agent_core::status::{Scrape, Status};
use agent_docker::{Docker, Inspection, Notice};
use baked::Baked;
use clock::Clock;
use ec2::Ec2;
use identity::Fence;
use images::Images;
use news::Newsroom;
use rounds::Look;
use snapshot::Facts;
use tally::Tally;

/// Its members may talk to the agent.
const SOCKET_GROUP: &str = "t0rn-agent";
/// Between two looks at what the container uses, while its chains do not move.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(30);
/// The state is saved at least this often, so that windows and history survive a power cut.
const SAVE_INTERVAL: Duration = Duration::from_mins(1);
/// Something is published at least this often, also while nothing happens: who hears nothing knows that the loop hangs.
const BEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Runs the agent until SIGTERM or SIGINT; the collator goes on running.
///
/// Fails when another agent holds the state directory, or when the state directory or the socket cannot be
/// used.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ended = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("agent stops; the collator goes on running");
    };
    supervise(config, ended, drop).await
}

/// As [`run`], until `ended`. `tell` gets what clients talk to as soon as somebody listens.
pub async fn supervise(
    config: Config,
    ended: impl Future<Output = ()>,
    tell: impl FnOnce(api::Handle),
) -> anyhow::Result<()> {
    let lock = state::lock(&config.agent.state_dir)?;
    let listener = api::bind(&config.agent.socket, SOCKET_GROUP)
        .with_context(|| format!("failed to listen on {}", config.agent.socket.display()))?;
    let docker = identity::docker(&config).context("failed to set up the docker client")?;
    let (mut supervisor, mut looks) = Supervisor::new(config, docker.clone(), lock)?;
    let (commands, mut requests) = mpsc::channel(16);
    let (stop_serving, stopped) = watch::channel(());
    let shutdown = || {
        let mut stopped = stopped.clone();
        // Over when the sender is gone.
        async move { drop(stopped.changed().await) }
    };
    let handle = api::Handle {
        snapshot: supervisor.published.subscribe(),
        commands,
        docker: docker.clone(),
    };
    tell(handle.clone());
    let mut servers = JoinSet::new();
    servers.spawn(api::serve(listener, handle, shutdown()));
    if let Some(address) = supervisor.config.metrics.listen {
        let history = supervisor.history.clone();
        supervisor.read_back();
        let app = web::App::new(supervisor.published.subscribe(), history, stopped.clone());
        servers.spawn(web::run(address, app, shutdown()));
    }

    let mut manager = Manager::from_environment();
    let mut notices = Box::pin(docker.watch(supervisor.machine.watch_from()));
    let mut save = tokio::time::interval(SAVE_INTERVAL);
    save.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beat = tokio::time::interval(BEAT_INTERVAL);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = std::pin::pin!(ended);
    supervisor.read_certificate().await;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        container = supervisor.config.collator.container,
        "agent started"
    );
    loop {
        let deadline = supervisor.machine.next_deadline().map(|t| supervisor.clock.instant(t));
        let event = tokio::select! {
            biased;
            () = &mut ended => break,
            () = manager.due() => { manager.alive(supervisor.published.borrow().status.answer()); None }
            Some(notice) = notices.next() => Some(supervisor.on_notice(notice)),
            finished = supervisor.executor.finished() => Some(supervisor.on_finished(finished).await),
            Some(request) = requests.recv() => { supervisor.take_stock().await; supervisor.on_request(request) }
            news = supervisor.ec2.next() => supervisor.ec2.event(news, &supervisor.machine),
            news = supervisor.fence.next() => supervisor.on_identity(news),
            Some(found) = looks.recv() => supervisor.on_look(found),
            () = sleep_until(deadline) => Some(Event::Tick),
            _ = save.tick() => { supervisor.save().await; None }
            _ = beat.tick() => { supervisor.save_again().await; supervisor.publish(); None }
        };
        if let Some(event) = event {
            let looked = matches!(event, Event::Docker { .. });
            supervisor.handle(event).await;
            supervisor.compare_certificate().await;
            if looked {
                manager.ready();
            }
        }
    }
    manager.stopping().await;
    supervisor.save().await;
    supervisor.news.finish().await;
    drop(stop_serving);
    drop(notices);
    // The socket is removed; a client that hangs must not keep the agent.
    let _ = tokio::time::timeout(Duration::from_secs(2), servers.join_all()).await;
    Ok(())
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

struct Supervisor {
    config: Arc<Config>,
    clock: Clock,
    started: (Instant, Timestamp),
    machine: Machine,
    facts: Facts,
    baked: Baked,
    ec2: Ec2,
    fence: Fence,
    tally: Tally,
    executor: Executor,
    recorder: Arc<Recorder>,
    history: Keeper,
    news: Newsroom,
    docker: Docker,
    /// What it runs instead of the configured image.
    image: Option<Image>,
    images: Images,
    published: watch::Sender<Arc<Snapshot>>,
    looks: mpsc::Sender<Look>,
    /// Somebody wants to know about the host before its next round.
    host_wanted: Arc<Notify>,
    phase: Phase,
    rounds: Vec<JoinHandle<()>>,
    /// What an operator is told once the command is taken in, on disk, and to be seen in the status.
    reply: Option<(oneshot::Sender<api::Answer>, api::Answer)>,
    active_since: Instant,
    /// Held for as long as the agent lives.
    _lock: Lock,
}

impl Supervisor {
    fn new(config: Config, docker: Docker, lock: Lock) -> anyhow::Result<(Self, mpsc::Receiver<Look>)> {
        let config = Arc::new(config);
        let policy = Policy::from(&*config);
        let dir = &config.agent.state_dir;
        let (clock, machine) = if let Some(loaded) = state::load::<agent_core::machine::State>(dir)? {
            let away = Timestamp::now().as_millisecond().saturating_sub(loaded.saved_unix_ms);
            let away = Duration::from_millis(u64::try_from(away).unwrap_or_default());
            let clock = Clock::starting_at(loaded.clock + away);
            (clock, Machine::resume(policy, loaded.value, clock.now()))
        } else {
            let clock = Clock::starting_at(Time(0));
            (clock, Machine::new(policy, clock.now()))
        };
        let recorder = Arc::new(Recorder::open(&dir.join("flight"), recorder::Limits::default())?);
        let (looks, receiver) = mpsc::channel(32);
        let executor = Executor::new(docker.clone(), Arc::clone(&config), Arc::clone(&recorder));
        let mut supervisor = Self {
            clock,
            started: (Instant::now(), Timestamp::now()),
            tally: Tally::new(config.chains.keys().copied()),
            phase: machine.phase(),
            machine,
            facts: Facts::default(),
            baked: Baked::default(),
            ec2: Ec2::start(&config),
            fence: Fence::start(&config),
            executor,
            recorder,
            history: Keeper::default(),
            news: Newsroom::open(&config, &docker),
            docker,
            image: None,
            images: Images::open(dir),
            published: watch::Sender::new(Arc::new(Snapshot::of(
                Status::default(),
                Timestamp::now(),
                Instant::now(),
            ))),
            looks,
            host_wanted: Arc::default(),
            rounds: Vec::new(),
            reply: None,
            active_since: Instant::now(),
            config,
            _lock: lock,
        };
        supervisor.facts.last_incident = actions::last_incident(&supervisor.config.agent.state_dir);
        supervisor.heed_fence();
        supervisor.adopt_image();
        supervisor.say_which_image();
        supervisor.publish();
        supervisor.start_rounds()?;
        supervisor.start_asking();
        Ok((supervisor, receiver))
    }

    fn on_notice(&mut self, notice: Notice) -> Event {
        match notice {
            Notice::Reachable { api } => {
                info!(api, "docker answers");
                Event::Docker { reachable: true }
            }
            Notice::Unreachable { error } => {
                warn!(error, "docker does not answer");
                Event::Docker { reachable: false }
            }
            Notice::Container(container) => {
                match &container {
                    Container::Exited { exit, .. } => {
                        // It may have filled the disk.
                        self.host_wanted.notify_one();
                        info!(code = exit.code, oom = exit.oom, "container exited");
                    }
                    container => info!(?container, "docker"),
                }
                self.look_at_container();
                Event::Container(container)
            }
        }
    }

    async fn on_finished(&mut self, finished: Finished) -> Event {
        if let Some(versions) = finished.databases {
            self.handle(Event::Databases(versions)).await;
        }
        self.facts.last_incident = actions::last_incident(&self.config.agent.state_dir);
        let outcome = match finished.result {
            Ok(Inspection { container, detail }) => {
                info!(
                    action = finished.action.kind(),
                    cause = finished.action.cause().name(),
                    "done"
                );
                self.facts.detail = detail;
                Outcome::Done {
                    container,
                    at: Some(Timestamp::now().as_millisecond()),
                }
            }
            Err((error, kind)) => {
                warn!(
                    action = finished.action.kind(),
                    cause = finished.action.cause().name(),
                    error,
                    "failed"
                );
                Outcome::Failed { error, kind }
            }
        };
        Event::Finished(outcome)
    }

    fn on_request(&mut self, request: api::Request) -> Option<Event> {
        if let Some(reason) = self.declines(&request.command) {
            let _ = request.reply.send(Err(reason));
            return None;
        }
        let answer = self.machine.acknowledge(&request.command);
        info!(command = ?request.command, ?answer, "operator");
        self.reply = Some((request.reply, answer));
        if request.command == Command::Stop {
            self.executor.cancel_start();
        }
        Some(Event::Operator(request.command))
    }

    fn on_look(&mut self, look: Look) -> Option<Event> {
        match look {
            Look::Page { chain, began, result } => {
                let (ended, took) = match &result {
                    Ok(page) => (Scrape::Ok, page.elapsed),
                    Err(failure) => (failure.error.into(), self.clock.now().since(began)),
                };
                self.tally.scrape(chain, ended, took);
                self.look_at_activity();
                // A page of before this run says nothing about this run.
                if self.machine.up_since().is_some_and(|up| began < up) {
                    return None;
                }
                match result {
                    Ok(page) => {
                        self.facts.note_page(self.clock.now(), chain, &page);
                        Some(Event::Sample {
                            chain,
                            sample: page.sample,
                        })
                    }
                    Err(failure) => Some(Event::ScrapeFailed {
                        chain,
                        error: failure.error,
                    }),
                }
            }
            Look::Host(facts) => {
                self.note_disk(&facts);
                Some(Event::Host(facts))
            }
            Look::Activity(activity) => Some(Event::Activity(activity)),
            Look::Pulled { image, result } => self.on_pulled(&image, result),
            Look::Newer { image, digest } => self.on_newer(image, &digest),
            Look::Needed(images) => {
                self.remove_images(&images);
                None
            }
            Look::Pruned(gone) => {
                self.on_pruned(&gone);
                None
            }
            Look::Detail(detail) => {
                self.facts.detail = detail;
                self.note_images();
                self.publish();
                None
            }
        }
    }

    /// One event through the core, and what follows from it.
    async fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        self.recorder.event(now, &event);
        self.history.event(&event);
        self.tally.event(&event);
        let turn = matches!(event, Event::Operator(_) | Event::Finished(_));
        let actions = self.machine.step(now, event);
        self.heed_fence();
        if let Some(stop) = self.machine.leaving() {
            self.executor.give_way(&stop);
        }
        self.tally.outcome(now, &self.machine);
        self.adopt_image();
        if turn || !actions.is_empty() {
            // Budgets and wishes are on disk before anything is done about them; what was done is, before the
            // next agent might do it again.
            self.save().await;
        }
        let mut news = self.news.about(&actions, &self.machine);
        for action in actions {
            self.recorder.action(now, &action);
            self.history.action(&action);
            self.take(action, &mut news);
        }
        self.news.send(news);
        let phase = self.machine.phase();
        if phase != std::mem::replace(&mut self.phase, phase) {
            info!(phase = phase.name(), health = self.machine.health().name(), "phase");
        }
        self.publish();
        if let Some((reply, answer)) = self.reply.take() {
            // A client that has gone away does not take its command with it.
            let _ = reply.send(answer);
        }
    }

    fn take(&mut self, action: Action, news: &mut Vec<Message>) {
        match action {
            Action::Notify { cause, over: true } => info!(cause = cause.name(), "over"),
            Action::Notify { cause, over: false } => warn!(cause = cause.name(), "{}", self.machine.explain(cause)),
            Action::Judged { cause, helped } => {
                info!(cause = cause.name(), helped, "the restart was judged");
                let incident = actions::judge(&self.config.agent.state_dir, cause, helped);
                news::note_incident(news, cause, incident);
                self.facts.last_incident = actions::last_incident(&self.config.agent.state_dir);
            }
            Action::Pull { image } => self.pull(image),
            Action::Updated { result } => self.on_updated(result),
            action => {
                let why = self.machine.explain(action.cause());
                info!(action = action.kind(), cause = action.cause().name(), why, "acting");
                if actions::is_incident(&action) {
                    self.tally.incident(action.cause());
                }
                let mut facts = vec![why];
                facts.extend(
                    self.machine
                        .trackers()
                        .map(|(chain, tracker)| snapshot::evidence(chain, tracker)),
                );
                let evidence = Evidence {
                    now: self.clock.now(),
                    facts,
                    host: self.machine.host().clone(),
                };
                let letter = self.news.letter(&action, news);
                match self.is_unsafe(&action) {
                    Some(reason) => self.executor.refuse(action, reason),
                    None => self.executor.execute(action, evidence, letter),
                }
            }
        }
    }

    fn publish(&mut self) {
        let (began, started) = self.started;
        self.fence.publish(&self.machine);
        self.ec2.publish(&self.machine, self.fence.is_released());
        let snapshot = Snapshot {
            status: Status {
                ec2: self.ec2.status(&self.machine),
                ..snapshot::status(&self.machine, &self.facts, &self.config, &self.clock, began)
            },
            problems: self.machine.problems().iter().map(|p| (p.cause, p.health)).collect(),
            running: self.machine.is_running(),
            nodes: self.facts.nodes.clone(),
            counters: self.tally.counters().clone(),
            started,
            at: Instant::now(),
        };
        self.published.send_replace(Arc::new(snapshot));
    }

    async fn save(&mut self) {
        let now = self.clock.now();
        let (dir, state) = (self.config.agent.state_dir.clone(), self.machine.state().clone());
        let saved = tokio::task::spawn_blocking(move || state::save(&dir, now, &state)).await;
        self.facts.unsaved = match saved {
            Ok(Err(error)) => {
                if self.facts.unsaved.is_none() {
                    warn!(%error, "failed to save the state");
                }
                Some(error.to_string())
            }
            _ => None,
        };
    }

    /// Fills the history from the flight recorder, beside the loop.
    fn read_back(&self) {
        let (dir, history) = (self.config.agent.state_dir.join("flight"), self.history.clone());
        let until = Timestamp::now().as_millisecond();
        tokio::task::spawn_blocking(move || history.read_back(&dir, until));
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.rounds.iter().for_each(JoinHandle::abort);
    }
}
