//! One host as its agent finds it: name, boot, mounts, and an engine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use agent_core::event::HostFacts;
use agent_daemon::identity::block_device::{BlockDevice, MountState};
use agent_daemon::simulation::Machine;
use agent_net::simulation::Answer;

use super::engine::Engine;
use super::world::{Storage, World};

/// The EBS volume with the identity.
pub(crate) const VOLUME: &str = "vol-0123456789abcdef0";
/// Device number of the volume, and of the file system of a shared directory.
const NUMBER: (u32, u32) = (259, 3);

pub(crate) struct MachineState {
    pub(crate) name: String,
    pub(crate) instance: String,
    pub(crate) dir: PathBuf,
    pub(crate) boots: u32,
    /// When its last boot began.
    pub(crate) booted: u64,
    /// Wall clock beyond the world's, ms.
    pub(crate) skew: i64,
    pub(crate) powered: bool,
    /// The whole machine stands still, its containers included.
    pub(crate) suspended: bool,
    /// When it last woke up.
    pub(crate) woke: Option<u64>,
    /// When something last befell it that may cost it the key. A clock that is set may not.
    pub(crate) struck: Option<u64>,
    /// The volume is mounted, whether or not its device is still there.
    pub(crate) mounted: bool,
    pub(crate) disk_free: u64,
    pub(crate) engine: Engine,
    /// Until when calls of the EC2 API are slow, fail, or reach nobody.
    pub(crate) slow_api: u64,
    pub(crate) failing_api: u64,
    pub(crate) partitioned: u64,
    pub(crate) no_metadata: u64,
    /// Until when the disk of the identity stalls, and fails.
    pub(crate) stalled_identity: u64,
    pub(crate) failing_identity: u64,
    /// The same of the state's disk, with the error's number, and of the data's.
    pub(crate) stalled_state: u64,
    pub(crate) failing_state: u64,
    pub(crate) state_error: i32,
    pub(crate) stalled_data: u64,
    /// Since when the state's disk has been as it is.
    pub(crate) state_ill_since: u64,
}

impl MachineState {
    pub(crate) fn new(index: usize, storage: Storage, root: &Path) -> Self {
        let name = ["alpha", "beta"][index].to_owned();
        let dir = root.join(&name);
        for sub in ["data", "state"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        Self {
            instance: format!("i-{name}"),
            dir,
            name,
            boots: 1,
            booted: 0,
            skew: 0,
            powered: true,
            suspended: false,
            woke: None,
            struck: None,
            mounted: storage == Storage::Lease,
            disk_free: 100 << 30,
            engine: Engine::default(),
            slow_api: 0,
            failing_api: 0,
            partitioned: 0,
            no_metadata: 0,
            stalled_identity: 0,
            failing_identity: 0,
            stalled_state: 0,
            failing_state: 0,
            state_error: 0,
            stalled_data: 0,
            state_ill_since: 0,
        }
    }

    /// Where the identity is, or would be, mounted.
    pub(crate) fn mount_point(&self, storage: Storage) -> PathBuf {
        match storage {
            Storage::Lease => self.dir.parent().unwrap().join("shared"),
            Storage::Own | Storage::Volume => self.dir.join("identity"),
        }
    }

    /// The disk of the state stalls or fails from now on, if it did not before.
    pub(crate) fn state_falls_ill(&mut self, now: u64) {
        if self.failing_state.max(self.stalled_state) <= now {
            self.state_ill_since = now;
        }
    }

    /// The power is gone; what begins next is another boot.
    pub(crate) fn lose_power(&mut self, now: u64) {
        self.powered = false;
        self.boots += 1;
        self.booted = now;
    }

    pub(crate) fn engine_socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }
}

/// The kernel of one host.
pub(crate) struct Kernel {
    pub(crate) world: World,
    pub(crate) host: usize,
}

impl Machine for Kernel {
    fn name(&self) -> String {
        self.world.lock().machine(self.host).name.clone()
    }

    fn facts(&self) -> HostFacts {
        let mut state = self.world.lock();
        HostFacts {
            disk_free_bytes: Some(state.machine(self.host).disk_free),
            disk_total_bytes: Some(200 << 30),
            memory_available_bytes: Some(4 << 30),
            load1: Some(0.5),
            network_ok: Some(true),
            clock_offset_ms: Some(0.0),
            ..HostFacts::default()
        }
    }

    fn mounted(&self, path: &Path) -> io::Result<Option<MountState>> {
        let mut state = self.world.lock();
        let storage = state.storage;
        let machine = state.machine(self.host);
        let is_mounted = machine.mounted && path == machine.mount_point(storage);
        Ok(is_mounted.then_some(MountState {
            number: NUMBER,
            read_only: false,
        }))
    }

    fn device(&self, volume: &str) -> Option<BlockDevice> {
        let mut state = self.world.lock();
        let instance = state.machine(self.host).instance.clone();
        let is_here = volume == VOLUME && state.cloud.is_plugged(&instance);
        is_here.then(|| BlockDevice {
            path: "/dev/nvme1n1".into(),
            by_serial: true,
            number: NUMBER,
        })
    }

    fn mount(&self, _device: &BlockDevice, at: &Path) -> Answer<()> {
        let mut state = self.world.lock();
        let instance = state.machine(self.host).instance.clone();
        let done = if state.cloud.is_plugged(&instance) {
            state.note(format!("{instance} mounts the volume"));
            state.machine(self.host).mounted = true;
            state.cloud.mount(at)
        } else {
            Err(io::ErrorKind::NotFound.into())
        };
        Box::pin(std::future::ready(done))
    }

    fn unmount(&self, at: &Path) -> Answer<()> {
        let mut state = self.world.lock();
        let machine = state.machine(self.host);
        let (instance, was) = (machine.instance.clone(), std::mem::replace(&mut machine.mounted, false));
        if was {
            state.note(format!("{instance} unmounts the volume"));
            state.cloud.unmount(at);
            let now = state.now();
            state.cloud.unmounted(&instance, now);
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
