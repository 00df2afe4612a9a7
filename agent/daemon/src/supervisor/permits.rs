//! The core's permits for the adapters, republished after every step.

use agent_core::event::DesiredSpec;
use agent_core::machine::Machine;
use agent_docker::KeyPermit;
use tokio::sync::watch;

pub(super) struct Permits {
    desired: watch::Sender<DesiredSpec>,
    keys: watch::Sender<bool>,
}

impl Permits {
    pub(super) fn new(machine: &Machine) -> Self {
        Self {
            desired: watch::Sender::new(machine.desired_spec()),
            keys: watch::Sender::new(machine.holds()),
        }
    }

    pub(super) fn republish(&self, machine: &Machine) {
        replace(&self.desired, machine.desired_spec());
        replace(&self.keys, machine.holds());
    }

    /// The specification that the container is compared with.
    pub(super) fn desired(&self) -> watch::Receiver<DesiredSpec> {
        self.desired.subscribe()
    }

    /// Whether a collator with its keys may be created, started or thawed.
    pub(super) fn keys(&self) -> KeyPermit {
        KeyPermit::new(self.keys.subscribe())
    }
}

/// Sends a value that differs from the last one.
fn replace<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|last| {
        let differs = *last != value;
        if differs {
            *last = value;
        }
        differs
    });
}
