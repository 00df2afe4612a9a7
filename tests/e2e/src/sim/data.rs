//! The database directory, in the node's layout.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Chain;
use super::control::FailStarts;
use super::model::{Fault, Saved};

/// An open directory. Holds the lock until the process ends.
#[derive(Debug)]
pub(super) struct Data {
    base: PathBuf,
    /// One writer at a time: all share the name of the temporary file.
    writing: Mutex<()>,
    _lock: File,
}

/// Faults that survive a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Remembered {
    /// Parachain, relay chain.
    pub(super) chains: [Fault; 2],
    pub(super) fail_starts: Option<FailStarts>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    saved: Saved,
    /// Wall clock, Unix milliseconds: the next process has another monotonic clock, maybe on another machine.
    at: u64,
}

/// Heights of both chains and the time since they were saved.
pub(super) type Heights = ([Option<Saved>; 2], Duration);

impl Data {
    /// Creates what is missing, and locks.
    ///
    /// # Errors
    /// The node's own last line for that failure.
    pub(super) fn open(base: &Path) -> Result<Self, String> {
        let input = |e: io::Error| format!("Error: Input(\"{}: {e}\")", base.display());
        for chain in Chain::BOTH {
            let root = chain_root(base, chain);
            for folder in ["db/full", "network", "keystore"] {
                fs::create_dir_all(root.join(folder)).map_err(input)?;
            }
            node_key(&root.join("network/secret_ed25519")).map_err(input)?;
        }
        let lock = chain_root(base, Chain::Parachain).join("db/full/LOCK");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock)
            .map_err(input)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                base: base.to_owned(),
                writing: Mutex::new(()),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => {
                let refused = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(base.join("chains/t0rn_testnet/db/full/000102.log"));
                let _ = refused.and_then(|mut f| writeln!(f, "{} refused at {}", std::process::id(), unix_millis()));
                Err("Error: Service(Client(Backend(\"Database file is in use.\")))".to_owned())
            }
            Err(TryLockError::Error(e)) => Err(input(e)),
        }
    }

    /// Counts this start; the first one is 1.
    ///
    /// # Errors
    /// As [`Self::save_height`].
    pub(super) fn count_start(&self) -> Result<u64, String> {
        let starts = self
            .read::<u64>("chains/t0rn_testnet/db/full/000101.log")
            .ok()
            .flatten()
            .unwrap_or(0)
            + 1;
        self.write("chains/t0rn_testnet/db/full/000101.log", &starts)?;
        Ok(starts)
    }

    /// Writes the database's version, as a node does that migrates it.
    ///
    /// # Errors
    /// As [`Self::save_height`].
    pub(super) fn migrate(&self, version: u32) -> Result<(), String> {
        self.write("chains/t0rn_testnet/db/full/db_version", &version)
    }

    /// # Errors
    /// The node's line for a damaged database.
    pub(super) fn heights(&self) -> Result<Heights, String> {
        let mut heights: Heights = ([None; 2], Duration::ZERO);
        for chain in Chain::BOTH {
            let stored: Option<Stored> = self.read(&height_file(chain)).map_err(|e| {
                format!(
                    "Error: Service(Client(Backend(\"DB corrupted: Corruption: {}: {e}\")))",
                    height_file(chain)
                )
            })?;
            if let Some(stored) = stored {
                heights.0[chain.index()] = Some(stored.saved);
                heights.1 = Duration::from_millis(unix_millis().saturating_sub(stored.at));
            }
        }
        Ok(heights)
    }

    /// # Errors
    /// The node's line when the database cannot be written, a full disk for one.
    pub(super) fn save_height(&self, chain: Chain, saved: Saved) -> Result<(), String> {
        self.write(
            &height_file(chain),
            &Stored {
                saved,
                at: unix_millis(),
            },
        )
    }

    /// What was remembered; nothing when the file is missing or was damaged by hand.
    pub(super) fn remembered(&self) -> Remembered {
        self.read("chains/t0rn_testnet/db/full/000103.log")
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// # Errors
    /// As [`Self::save_height`].
    pub(super) fn remember(&self, faults: &Remembered) -> Result<(), String> {
        self.write("chains/t0rn_testnet/db/full/000103.log", faults)
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, String> {
        match fs::read(self.base.join(file)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| e.to_string()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Replaces a file in one step, so that a kill leaves the old or the new one.
    fn write(&self, file: &str, value: &impl Serialize) -> Result<(), String> {
        let path = self.base.join(file);
        let temporary = path.with_file_name("000000.dbtmp");
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_vec(value)
            .map_err(io::Error::other)
            .and_then(|bytes| fs::write(&temporary, bytes))
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|e| format!("Error: Service(Client(Backend(\"IO error: {}: {e}\")))", path.display()))
    }
}

pub(super) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn chain_root(base: &Path, chain: Chain) -> PathBuf {
    match chain {
        Chain::Parachain => base.join("chains").join(chain.id()),
        Chain::Relaychain => base.join("polkadot/chains").join(chain.id()),
    }
}

fn height_file(chain: Chain) -> String {
    chain_root(Path::new(""), chain)
        .join("db/full/000100.log")
        .display()
        .to_string()
}

/// A peer identity of 32 random bytes, as the node makes one at its first start.
fn node_key(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        file => file?,
    };
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    file.write_all(&key)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_second_process_on_a_directory_is_refused_and_leaves_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let held = Data::open(dir.path()).unwrap();
        assert!(Data::open(dir.path()).unwrap_err().contains("Database file is in use."));
        assert!(dir.path().join("chains/t0rn_testnet/db/full/000102.log").exists());
        drop(held);
        Data::open(dir.path()).unwrap();
    }

    #[test]
    fn heights_starts_and_faults_survive() {
        let dir = tempfile::tempdir().unwrap();
        let saved = Saved {
            best: 7,
            network: 9,
            halted: true,
        };
        let faults = Remembered {
            chains: [Fault::Isolated, Fault::None],
            fail_starts: None,
        };
        let data = Data::open(dir.path()).unwrap();
        assert_eq!((data.count_start(), data.count_start()), (Ok(1), Ok(2)));
        data.save_height(Chain::Relaychain, saved).unwrap();
        data.remember(&faults).unwrap();
        drop(data);
        let data = Data::open(dir.path()).unwrap();
        assert_eq!(data.heights().unwrap().0, [None, Some(saved)]);
        assert_eq!((data.remembered(), data.count_start()), (faults, Ok(3)));
    }

    #[test]
    fn a_damaged_height_is_a_corrupted_database() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        fs::write(dir.path().join(height_file(Chain::Parachain)), b"\0\0").unwrap();
        assert!(data.heights().unwrap_err().contains("DB corrupted: Corruption:"));
    }
}
