//! The machine of a simulation: one for each thread, in place of the kernel's. Never in the release binary.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;

use agent_core::event::HostFacts;
use agent_net::simulation::Answer;

use crate::identity::block_device::{BlockDevice, MountState};

/// What the agent asks of the machine it runs on.
pub trait Machine: Send + Sync {
    /// The host's name.
    fn name(&self) -> String;
    fn facts(&self) -> HostFacts;
    /// The topmost mount at `path`.
    fn mounted(&self, path: &Path) -> io::Result<Option<MountState>>;
    /// The device of an EBS volume.
    fn device(&self, volume: &str) -> Option<BlockDevice>;
    fn mount(&self, device: &BlockDevice, at: &Path) -> Answer<()>;
    fn unmount(&self, at: &Path) -> Answer<()>;
}

thread_local! {
    static MACHINE: RefCell<Option<Arc<dyn Machine>>> = const { RefCell::new(None) };
}

/// Sets the machine of this thread; `None` is the real one.
pub fn set(machine: Option<Arc<dyn Machine>>) {
    MACHINE.replace(machine);
}

/// The machine of this thread, where it is simulated.
pub(crate) fn machine() -> Option<Arc<dyn Machine>> {
    MACHINE.with_borrow(Clone::clone)
}
