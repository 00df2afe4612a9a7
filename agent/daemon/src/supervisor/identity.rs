//! The identity on its way to the core, and what the core does on its way back.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Supervisor, ec2};
use crate::host::Host;
use crate::identity::{self, Setup, Wanted};
use agent_config::keyless::keyless;
use agent_config::{Config, WithoutVolume};
use agent_core::event::{Event, Identity};
use agent_core::machine::Machine;
use agent_docker::Docker;

/// The engine's client, which knows what to run without the keys if that is wanted.
pub(super) fn docker(config: &Config) -> anyhow::Result<Docker> {
    let docker = Docker::new(config)?;
    let full_node = config.identity.required && config.identity.without_volume == WithoutVolume::FullNode;
    if full_node {
        return Ok(docker.with_keyless(&keyless(config)?)?);
    }
    Ok(docker)
}

/// The task that holds the volume; none where no volume is asked for.
pub(super) struct Fence {
    news: mpsc::Receiver<Identity>,
    wanted: watch::Sender<Wanted>,
    released: watch::Receiver<bool>,
    task: Option<JoinHandle<()>>,
}

impl Fence {
    pub(super) fn start(config: &Config) -> Self {
        let (sender, news) = mpsc::channel(8);
        let wanted = watch::Sender::new(Wanted::default());
        let (done, released) = watch::channel(false);
        let requests = config.agent.socket.parent().unwrap_or(&config.agent.state_dir);
        let setup = Setup {
            host: Host::name(),
            volume: config.identity.volume.clone(),
            mount: config.identity.mount.clone(),
            imds: config.ec2.imds.clone(),
            endpoint: ec2::endpoint("EC2"),
            requests: requests.to_owned(),
        };
        let hold = || tokio::spawn(identity::hold(setup, sender, wanted.subscribe(), done));
        let task = config.identity.required.then(hold);
        Self {
            news,
            wanted,
            released,
            task,
        }
    }

    /// What is new; pending for ever when nothing more will be. Also returns when the volume was given back.
    pub(super) async fn next(&mut self) -> Option<Identity> {
        if self.task.is_none() {
            return std::future::pending().await;
        }
        tokio::select! {
            news = self.news.recv() => match news {
                Some(news) => Some(news),
                None => std::future::pending().await,
            },
            Ok(()) = self.released.changed() => None,
        }
    }

    /// Lets the task know what runs.
    pub(super) fn publish(&self, machine: &Machine) {
        let now = Wanted {
            // A full node has nothing of the volume.
            down: machine.is_down() || !machine.is_authority(),
            vacated: machine.is_vacated(),
        };
        self.wanted.send_if_modified(|last| std::mem::replace(last, now) != now);
    }

    /// Whether the volume does not keep this instance from ending.
    pub(super) fn is_released(&self) -> bool {
        self.task.is_none() || *self.released.borrow()
    }
}

impl Supervisor {
    /// What the core learns; given back, the group has to know.
    pub(super) fn on_identity(&mut self, news: Option<Identity>) -> Option<Event> {
        if news.is_none() {
            self.publish();
        }
        news.map(Event::Identity)
    }

    /// Which of the two specifications is wanted, and nothing with keys that are not here.
    pub(super) fn heed_fence(&self) {
        self.docker.use_keys(self.machine.wants_keys());
        if self.machine.must_give_up() {
            self.executor.give_up();
        }
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
