//! The supervisor: keeps the collator running and making progress.
//!
//! ```text
//! inputs ──▶ event loop ──▶ Machine::step ──▶ actions ──▶ executor ──▶ completions (inputs again)
//!               │
//!               └──▶ publisher ──▶ status, metrics
//! ```
//!
//! `event_loop` turns every input into an event, `executor` carries out actions one at a time beside it, and
//! `publisher` publishes status and metrics. This module assembles the parts.

mod adapter_facts;
mod certificate;
mod clock;
mod configuration;
mod counters;
mod ec2_task;
mod event_loop;
mod executor;
mod identity_task;
mod image_cleanup;
mod incidents;
mod inputs;
mod known_secrets;
mod log_excerpt;
mod notifications;
mod permits;
#[cfg(test)]
mod planted_secrets;
mod probes;
mod publisher;
mod run;
mod state_store;
mod status;

use std::sync::Arc;
use std::time::Duration;

use agent_config::Config;
use agent_core::event::{Event, Time};
use agent_core::machine::{Machine, Policy};
use agent_docker::Docker;
use agent_runtime::disk::{self, Disk};
use agent_runtime::wall::{self, StepDetector};
use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::certificate::CertificateState;
use self::clock::AgentClock;
use self::configuration::Reloading;
pub use self::configuration::compare;
use self::ec2_task::Ec2Handle;
use self::event_loop::EventLoop;
use self::executor::Executor;
use self::identity_task::IdentityHandle;
#[cfg(any(test, fuzzing))]
pub(crate) use self::image_cleanup::PulledImages;
use self::incidents::Incidents;
use self::inputs::Inputs;
pub use self::known_secrets::{KnownSecrets, configured_secrets};
use self::notifications::Notifications;
use self::permits::Permits;
use self::probes::Probes;
use self::publisher::Publisher;
pub use self::run::{hangups, run};
use self::state_store::StateStore;
use crate::history::SharedHistory;
use crate::recorder::{self, Recorder};
use crate::state::{BootTime, Load, LoadedState};
use crate::systemd::ServiceManager;
use crate::{api, state, web};

/// Group whose members may use the socket.
const SOCKET_GROUP: &str = "t0rn-agent";
/// How long the agent's stop waits for hanging clients.
const SERVERS_GRACE: Duration = Duration::from_secs(2);

/// Runs the agent until `ended`. `serving` receives the API's handle as soon as the socket exists.
///
/// # Errors
/// As [`run()`].
pub async fn supervise(
    config: Config,
    ended: impl Future<Output = ()>,
    serving: impl FnOnce(api::Handle),
) -> anyhow::Result<()> {
    live(config, None, ended, serving).await.map(drop)
}

/// As [`supervise`]; returns the configuration with which the agent is to begin anew, where that ended it.
async fn live(
    config: Config,
    reloading: Option<&Reloading>,
    ended: impl Future<Output = ()>,
    serving: impl FnOnce(api::Handle),
) -> anyhow::Result<Option<Config>> {
    let config = Arc::new(config);
    // Held until the agent ends.
    let dir = config.agent.state_dir.clone();
    let _lock = disk::run(Disk::State, move || state::lock(&dir)).await??;
    let listener = api::bind(&config.agent.socket, SOCKET_GROUP)
        .await
        .with_context(|| format!("failed to listen on {}", config.agent.socket.display()))?;
    let docker = Docker::new(&config).context("failed to set up the docker client")?;
    let (commands, requests) = mpsc::channel(16);
    docker.read_registry_secrets().await;
    let secrets = KnownSecrets::of(&config, &docker);
    let (config_handle, configurations, _hangups) = configuration::requests(reloading);
    let (mut event_loop, inputs) = assemble(&config, &docker, &secrets, requests, configurations).await?;
    if let Some(error) = reloading.and_then(|reloading| reloading.refused.clone()) {
        event_loop.refuse(error);
    }

    let stop = CancellationToken::new();
    let handle = api::Handle {
        snapshot: event_loop.publisher.subscribe(),
        commands,
        docker,
        secrets,
        config: config_handle,
    };
    serving(handle.clone());
    let mut servers = JoinSet::new();
    servers.spawn(api::serve(listener, handle, stop.clone().cancelled_owned()));
    if let Some(address) = config.metrics.listen {
        let history = event_loop.history.clone();
        read_history_back(&config, &history);
        let state = web::WebState {
            snapshot: event_loop.publisher.subscribe(),
            late_after: web::LATE,
            history,
            incidents: recorder::incidents_dir(&config.agent.state_dir).into(),
            hosts: event_loop.hosts.subscribe(),
            stopped: stop.clone(),
        };
        servers.spawn(web::run(address, state, stop.clone().cancelled_owned()));
    }

    let mut manager = ServiceManager::from_environment();
    event_loop.run(inputs, &mut manager, std::pin::pin!(ended)).await;
    let renewal = event_loop.renewal.take();
    if renewal.is_none() {
        manager.stopping().await;
    }
    event_loop.save().await;
    event_loop.notifications.finish().await;
    event_loop.recorder.flush(disk::LIMIT).await;
    stop.cancel();
    drop(event_loop);
    // The socket is removed; a hanging client must not delay the end.
    let _ = tokio::time::timeout(SERVERS_GRACE, servers.join_all()).await;
    Ok(renewal)
}

/// Assembles the parts, with the core's saved state.
async fn assemble(
    config: &Arc<Config>,
    docker: &Docker,
    secrets: &KnownSecrets,
    requests: mpsc::Receiver<api::CommandRequest>,
    configurations: mpsc::Receiver<api::ConfigRequest>,
) -> anyhow::Result<(EventLoop, Inputs)> {
    let dir = &config.agent.state_dir;
    let Resumed {
        clock,
        machine,
        step,
        set_aside,
    } = resume(config).await?;
    let permits = Permits::new(&machine);
    let recorder = Arc::new(Recorder::open(
        &recorder::flight_dir(dir),
        recorder::RecorderLimits::default(),
    ));
    let incidents = Incidents::open(config, docker, &recorder).await;
    let (identity, identity_events) = IdentityHandle::start(config);
    let (ec2, metadata) = Ec2Handle::start(config);
    let mut publisher = Publisher::new(config, clock);
    publisher.facts.last_incident = incidents.last().cloned();
    publisher.publish(&machine);
    log_image(config, &machine);
    let (probes, observations) = Probes::start(config, clock, docker)?;
    let (save, publish) = inputs::intervals();
    let watch_from = machine
        .watch_from()
        .map(|at| at.saturating_add(step.unwrap_or_default()));
    let inputs = Inputs {
        engine: Box::pin(docker.watch(watch_from, permits.desired())),
        requests,
        configurations,
        metadata,
        identity: identity_events,
        observations,
        save,
        publish,
        disks: disk::stalled(),
        records: recorder.unsaved(),
    };
    let event_loop = EventLoop {
        config: Arc::clone(config),
        secrets: secrets.clone(),
        clock,
        executor: Executor::new(docker.clone(), config, &permits, incidents, identity, ec2).await,
        notifications: Notifications::start(config, docker),
        certificate: CertificateState::new(config),
        store: StateStore::new(dir.clone()),
        history: SharedHistory::default(),
        pending: step
            .map(|by_ms| Event::ClockStepped { by_ms })
            .into_iter()
            .chain(set_aside.map(Event::StateSetAside))
            .collect(),
        steps: StepDetector::begin(),
        reply: None,
        phase: machine.phase(),
        hosts: configuration::hosts(config),
        renewal: None,
        permits,
        machine,
        publisher,
        probes,
        recorder,
    };
    Ok((event_loop, inputs))
}

/// Clock and core as the saved state has them.
struct Resumed {
    clock: AgentClock,
    machine: Machine,
    /// How far the wall clock was set since, in milliseconds.
    step: Option<i64>,
    /// Why the saved state was not used, and where it is kept.
    set_aside: Option<String>,
}

async fn resume(config: &Config) -> anyhow::Result<Resumed> {
    let policy = Policy::from(config);
    let dir = config.agent.state_dir.clone();
    let loaded = disk::run(Disk::State, move || state::load::<agent_core::machine::State>(&dir)).await??;
    let set_aside = match loaded {
        Load::State(loaded) => {
            let (away, step) = absence(&loaded, BootTime::now().as_ref(), wall::unix_ms());
            let clock = AgentClock::starting_at(loaded.clock + away);
            return Ok(Resumed {
                clock,
                machine: Machine::resume(policy, loaded.value, clock.now()),
                step,
                set_aside: None,
            });
        }
        Load::Nothing => None,
        Load::SetAside(why) => Some(why),
    };
    let clock = AgentClock::starting_at(Time(0));
    Ok(Resumed {
        clock,
        machine: Machine::new(policy, clock.now()),
        step: None,
        set_aside,
    })
}

/// How long no agent watched, and how far the wall clock was set meanwhile, in milliseconds. Within one boot, the clock since
/// then is believed, which cannot be set.
fn absence<T>(loaded: &LoadedState<T>, now: Option<&BootTime>, unix_ms: i64) -> (Duration, Option<i64>) {
    let by_wall = unix_ms.saturating_sub(loaded.saved_unix_ms);
    match loaded.boot.as_ref().zip(now) {
        Some((then, now)) if then.id == now.id => {
            let away = now.since_ms.saturating_sub(then.since_ms);
            let step = wall::step_between(i64::try_from(away).unwrap_or(i64::MAX), by_wall);
            (Duration::from_millis(away), step)
        }
        _ => (Duration::from_millis(u64::try_from(by_wall).unwrap_or_default()), None),
    }
}

/// Logs which image is in force: the operator's last decision.
fn log_image(config: &Config, machine: &Machine) {
    let configured = &config.collator.image;
    if let Some(image) = machine.image() {
        info!(image = image.reference, configured, "an update is in force");
    } else if let Some(past) = machine.past_updates().next_back()
        && past.result.is_success()
        && past.image != *configured
    {
        info!(
            updated = past.image,
            configured, "the configuration wins over the last update"
        );
    }
}

/// Fills the history from the flight recorder, in the background.
fn read_history_back(config: &Config, history: &SharedHistory) {
    let (dir, history) = (recorder::flight_dir(&config.agent.state_dir), history.clone());
    let until = wall::unix_ms();
    tokio::spawn(async move {
        if let Err(error) = history.read_back(&dir, until).await {
            warn!(%error, "the page's history begins now");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_measured_by_a_clock_that_nobody_can_set() {
        let boot = |id: &str, since_ms| BootTime {
            id: id.to_owned(),
            since_ms,
        };
        let loaded = |boot| LoadedState {
            value: (),
            saved_unix_ms: 10_000_000,
            clock: Time(0),
            boot,
        };
        let minute = Duration::from_mins(1);
        for (now, step) in [
            (10_060_000, None),
            (2_860_000, Some(-7_200_000)),
            (17_260_000, Some(7_200_000)),
        ] {
            let here = boot("a", 160_000);
            let found = absence(&loaded(Some(boot("a", 100_000))), Some(&here), now);
            assert_eq!(found, (minute, step), "{now}");
        }
        // Of another boot, or by an earlier version: the wall clock is all there is.
        for then in [None, Some(boot("b", 100_000))] {
            let here = boot("a", 160_000);
            assert_eq!(absence(&loaded(then.clone()), Some(&here), 10_060_000), (minute, None));
            assert_eq!(absence(&loaded(then), Some(&here), 5_000_000), (Duration::ZERO, None));
        }
    }
}
