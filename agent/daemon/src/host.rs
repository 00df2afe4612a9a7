//! Facts about the host: disk of the chain data, memory and memory pressure, load, clock offset, and network.
//!
//! Each is probed alone and `None` when unknown: a missing file is a sign neither of health nor of a fault.

mod clock;
mod network;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sysinfo::{MemoryRefreshKind, System};

use agent_config::Config;
use agent_core::event::HostFacts;
use agent_runtime::disk::{self, Disk};
use clock::ChronyClock;
#[cfg(any(test, fuzzing))]
pub(crate) use clock::parse as chrony_offset;
use network::NetworkProbe;
#[cfg(any(test, fuzzing))]
pub(crate) use network::{is_default, is_default6, nameservers};

/// Limit of one probe of the disk; a volume that was torn off can block the call for ever.
const DISK_TIMEOUT: Duration = Duration::from_secs(2);

/// Probes of the host.
#[derive(Debug)]
pub struct HostProbe {
    data: PathBuf,
    network: NetworkProbe,
    clock: ChronyClock,
    /// Directory of the kernel's pressure stall information.
    pressure: PathBuf,
    unknown: UnknownFacts,
}

/// Why facts of the newest probe are unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnknownFacts {
    pub clock: Option<&'static str>,
    pub network: Option<&'static str>,
}

impl HostProbe {
    pub fn new(config: &Config) -> Self {
        Self::with(config.data.path.clone(), NetworkProbe::default())
    }

    fn with(data: PathBuf, network: NetworkProbe) -> Self {
        Self {
            data,
            network,
            clock: ChronyClock::default(),
            pressure: PathBuf::from("/proc/pressure"),
            unknown: UnknownFacts::default(),
        }
    }

    /// This host's name.
    pub fn name() -> String {
        #[cfg(feature = "simulation")]
        if let Some(machine) = crate::simulation::machine() {
            return machine.name();
        }
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    /// The host's total memory, bytes.
    pub fn total_memory() -> Option<u64> {
        memory().map(|(_, total)| total)
    }

    /// Probes everything once, within two seconds.
    pub async fn observe(&mut self) -> HostFacts {
        #[cfg(feature = "simulation")]
        if let Some(machine) = crate::simulation::machine() {
            return machine.facts();
        }
        let memory_available_bytes = memory().map(|(available, _)| available);
        let load1 = System::load_average()
            .ok()
            .map(|load| load.one)
            .filter(|load| load.is_finite());
        let disk = async {
            let data = &self.data;
            let data = data.clone();
            let probed = disk::run(Disk::Data, move || space(&data));
            tokio::time::timeout(DISK_TIMEOUT, probed).await.ok()?.ok().flatten()
        };
        let (disk, network, clock) = tokio::join!(disk, self.network.works(), self.clock.offset_ms());
        self.unknown = UnknownFacts {
            clock: clock.err(),
            network: network.err(),
        };
        HostFacts {
            disk_free_bytes: disk.map(|(free, _)| free),
            disk_total_bytes: disk.map(|(_, total)| total),
            memory_available_bytes,
            memory_full_percent: pressure(&self.pressure.join("memory")),
            io_full_percent: pressure(&self.pressure.join("io")),
            load1,
            network_ok: network.ok(),
            clock_offset_ms: clock.ok(),
        }
    }

    /// Why facts of the newest probe are unknown.
    pub fn unknown(&self) -> UnknownFacts {
        self.unknown
    }
}

/// Available and total memory, bytes.
fn memory() -> Option<(u64, u64)> {
    // A new one each time: an old one would keep its values when the kernel's are unreadable.
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    (system.total_memory() > 0).then(|| (system.available_memory(), system.total_memory()))
}

/// Share of the last minute in which all tasks waited for a resource, percent, from the kernel's pressure stall information;
/// `None` without it.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel, which no disk holds")]
fn pressure(file: &Path) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let full = text.lines().find_map(|line| line.strip_prefix("full "))?;
    let average = full.split(' ').find_map(|field| field.strip_prefix("avg60="))?;
    average.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))
}

/// Free and total bytes of the file system that holds `path`, or will: that of its nearest ancestor which
/// exists. Free is what an unprivileged user may fill.
pub fn space(path: &Path) -> Option<(u64, u64)> {
    for path in path.ancestors() {
        match rustix::fs::statvfs(path) {
            Ok(fs) => {
                // Blocks for unprivileged users, such as the collator.
                let free = fs.f_bavail.saturating_mul(fs.f_frsize);
                let total = fs.f_blocks.saturating_mul(fs.f_frsize);
                return (total > 0).then_some((free, total));
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use agent_runtime::Instant;
    use agent_runtime::simulation::{Fate, World};
    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn probe_reports_disk_memory_and_load() {
        let dir = tempfile::tempdir().unwrap();
        let mut host = HostProbe::with(dir.path().to_owned(), NetworkProbe::unknown(dir.path()));
        host.clock = ChronyClock::with_program(dir.path().join("none"));
        let facts = host.observe().await;
        assert!(facts.disk_free_bytes.unwrap() <= facts.disk_total_bytes.unwrap());
        assert!(facts.memory_available_bytes.unwrap() > 1 << 20);
        assert!(facts.load1.unwrap() >= 0.0);
        assert_eq!((facts.network_ok, facts.clock_offset_ms), (None, None));
        let unknown = host.unknown();
        assert_eq!(unknown.clock, Some("no time service can be asked; install chrony"));
        assert_eq!(unknown.network, Some("the kernel shows no routes in /proc/net"));
    }

    #[test]
    fn missing_directory_has_the_disk_of_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        let total = |path: &Path| space(path).map(|(_, total)| total);
        assert_eq!(total(&dir.path().join("a/b/c")), total(dir.path()));
        assert!(total(dir.path()).is_some());
    }

    #[test]
    fn pressure_is_avg60_of_the_full_line_or_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("memory");
        assert_eq!(pressure(&file), None);
        let some = "some avg10=90.00 avg60=80.00 avg300=70.00 total=123\n";
        for (text, known) in [
            (
                format!("{some}full avg10=9.00 avg60=8.25 avg300=7.00 total=12\n"),
                Some(8.25),
            ),
            (some.to_owned(), None),
            (format!("{some}full avg10=9.00 avg60=nan avg300=7.00 total=12\n"), None),
            (String::new(), None),
        ] {
            fs::write(&file, &text).unwrap();
            assert_eq!(pressure(&file), known, "{text}");
        }
    }

    #[test]
    fn file_system_without_blocks_is_unknown() {
        assert_eq!(space(Path::new("/proc/self")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_disk_is_unknown() {
        let world = World::begin(Timestamp::UNIX_EPOCH);
        world.set_disks(|disk, _| if disk == Disk::Data { Fate::Stall } else { Fate::Run });
        let dir = tempfile::tempdir().unwrap();
        let mut host = HostProbe::with(dir.path().to_owned(), NetworkProbe::unknown(dir.path()));
        host.clock = ChronyClock::with_program(dir.path().join("none"));
        let began = Instant::now();
        assert_eq!(host.observe().await.disk_free_bytes, None);
        assert_eq!(began.elapsed(), DISK_TIMEOUT);
    }
}
