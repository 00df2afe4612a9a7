//! The task that holds the identity volume, and its handle.

use agent_config::Config;
use agent_core::machine::Machine;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::ec2_task;
use crate::host::HostProbe;
use crate::identity::{self, IdentityEvent, VolumeSettings, VolumeUse};

/// Most events that wait for the event loop.
const QUEUE: usize = 8;

/// Handle of the task; without effect where no identity is required.
pub(super) struct IdentityHandle {
    volume_use: watch::Sender<VolumeUse>,
    /// Aborted when dropped.
    _task: Option<AbortOnDropHandle<()>>,
}

impl IdentityHandle {
    /// Starts the task where `identity.required` is set.
    pub(super) fn start(config: &Config) -> (Self, mpsc::Receiver<IdentityEvent>) {
        let (events, receiver) = mpsc::channel(QUEUE);
        let volume_use = watch::Sender::new(VolumeUse::default());
        let requests = config.agent.socket.parent().unwrap_or(&config.agent.state_dir);
        let settings = VolumeSettings {
            host: HostProbe::name(),
            volume: config.identity.volume.clone(),
            mount: config.identity.mount.clone(),
            imds: config.ec2.imds.clone(),
            endpoint: ec2_task::endpoint("EC2"),
            requests: requests.to_owned(),
        };
        let hold = || AbortOnDropHandle::new(tokio::spawn(identity::hold(settings, events, volume_use.subscribe())));
        let task = config.identity.required.then(hold);
        (
            Self {
                volume_use,
                _task: task,
            },
            receiver,
        )
    }

    /// Publishes whether nothing uses the volume, so that it may be attached, mounted and unmounted.
    pub(super) fn set_idle(&self, machine: &Machine) {
        // A full node does not use the volume.
        let idle = machine.is_down() || !machine.is_authority();
        self.volume_use
            .send_if_modified(|current| std::mem::replace(&mut current.idle, idle) != idle);
    }

    /// Requests that the volume is given back, or held again.
    pub(super) fn set_vacated(&self, vacated: bool) {
        self.volume_use
            .send_if_modified(|current| std::mem::replace(&mut current.vacated, vacated) != vacated);
    }
}
