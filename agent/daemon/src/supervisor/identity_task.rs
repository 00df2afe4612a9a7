//! The task that holds the identity volume, and the handle that orders its release.

use agent_config::Config;
use agent_core::machine::Machine;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::ec2_task;
use crate::host::Host;
use crate::identity::{self, IdentityEvent, Setup, Wanted};

/// Events that wait for the event loop.
const QUEUE: usize = 8;

/// Orders to the task; without effect where no identity is asked for.
pub(super) struct IdentityHandle {
    wanted: watch::Sender<Wanted>,
    task: Option<JoinHandle<()>>,
}

impl IdentityHandle {
    /// Starts the task where `identity.required` asks for it.
    pub(super) fn start(config: &Config) -> (Self, mpsc::Receiver<IdentityEvent>) {
        let (events, receiver) = mpsc::channel(QUEUE);
        let wanted = watch::Sender::new(Wanted::default());
        let requests = config.agent.socket.parent().unwrap_or(&config.agent.state_dir);
        let setup = Setup {
            host: Host::name(),
            volume: config.identity.volume.clone(),
            mount: config.identity.mount.clone(),
            imds: config.ec2.imds.clone(),
            endpoint: ec2_task::endpoint("EC2"),
            requests: requests.to_owned(),
        };
        let hold = || tokio::spawn(identity::hold(setup, events, wanted.subscribe()));
        let task = config.identity.required.then(hold);
        (Self { wanted, task }, receiver)
    }

    /// Whether something runs that uses the volume: until then it may be attached, mounted and unmounted.
    pub(super) fn set_idle(&self, machine: &Machine) {
        // A full node has nothing of the volume.
        let down = machine.is_down() || !machine.is_authority();
        self.wanted
            .send_if_modified(|wanted| std::mem::replace(&mut wanted.down, down) != down);
    }

    /// Orders the volume to be given back, or to be held again.
    pub(super) fn set_vacated(&self, vacated: bool) {
        self.wanted
            .send_if_modified(|wanted| std::mem::replace(&mut wanted.vacated, vacated) != vacated);
    }
}

impl Drop for IdentityHandle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
