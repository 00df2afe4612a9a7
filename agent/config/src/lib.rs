//! The configuration: TOML text to validated types.
//!
//! Unknown keys are errors, every key but `collator.image` has a default, and all that is wrong with a file
//! is told at once, each with its line, its key and its remedy. No error shows a secret.

mod conflicts;
mod document;
mod image_reference;
pub mod keyless;
mod net;
mod policy;
mod problem;
mod read;
#[cfg(test)]
mod tests;
mod units;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use image_reference::{ImageReference, parse_image};
pub use problem::{ConfigError, Invalid, Problem};
pub use units::{parse_duration, parse_size};

use agent_core::event::Chain;
use agent_core::key_paths::is_keystore;
pub use agent_core::machine::WithoutVolume;
pub use agent_core::notification::NotifyFormat;
pub use agent_core::units::{show_duration, show_size};

/// The commented default, as `config default` prints it. It names an image, since that has no default.
pub const DEFAULT: &str = include_str!("default.toml");

/// Default of `agent.state_dir`.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/t0rn-agent";
/// Default of `agent.socket`.
pub const DEFAULT_SOCKET: &str = "/run/t0rn-agent/agent.sock";
/// Default of `ec2.imds`: EC2's own address of the instance metadata service.
pub const DEFAULT_IMDS: &str = "http://169.254.169.254";

/// Size of the largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// A validated configuration: every value is usable as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub agent: Agent,
    pub collator: Collator,
    pub data: Data,
    pub mounts: Vec<Mount>,
    /// One or two exporters, by chain.
    pub chains: BTreeMap<Chain, Exporter>,
    pub health: Health,
    pub restart: Restart,
    pub host: Host,
    pub metrics: Metrics,
    pub notify: Notify,
    pub ec2: Ec2,
    pub update: Update,
    pub identity: Identity,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    /// The Docker engine's socket.
    pub docker: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Collator {
    /// Image reference as given: `name:tag` or `name@sha256:…`.
    pub image: String,
    pub container: String,
    pub command: Vec<String>,
    pub pull: Pull,
    pub env: BTreeMap<String, String>,
    pub network: String,
    pub ports: Vec<Port>,
    pub user: Option<User>,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    /// Memory limit, bytes.
    pub memory: Option<u64>,
    pub nofile: u64,
    /// Size of one log file of the container, bytes.
    pub log_max_size: u64,
    pub log_max_files: u32,
    /// File with `{"username": …, "password": …}`.
    pub registry_auth: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    Always,
    Missing,
    Never,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Host address; `None` is every address.
    pub address: Option<std::net::IpAddr>,
    pub host: u16,
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    pub path: PathBuf,
    pub target: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    pub source: PathBuf,
    pub target: PathBuf,
    pub read_only: bool,
}

impl Mount {
    /// Whether keys lie there that a second container must not use.
    pub fn is_keystore(&self) -> bool {
        is_keystore(&self.source) || is_keystore(&self.target)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Exporter {
    /// `http://host:port/path` of the chain's Prometheus exporter.
    pub metrics: String,
    /// Prefix of the metric names, without the underscore.
    pub prefix: String,
}

/// The windows that verdicts are judged over; see `docs/verdicts.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub startup_grace: Duration,
    pub lag_blocks: u64,
    pub stall_after: Duration,
    pub isolated_after: Duration,
    pub frozen_after: Duration,
    /// How many times its window activity can postpone a verdict.
    pub activity_extension: u32,
    /// Inbound traffic above which a major-syncing node counts as active, bytes per second.
    pub activity_bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    pub backoff_initial: Duration,
    pub backoff_max: Duration,
    pub backoff_reset: Duration,
    /// How long Docker's own restart policy gets before the agent starts the container itself.
    pub start_timeout: Duration,
    /// Health restarts within `budget_window`.
    pub budget: u32,
    pub budget_window: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    pub disk_warn_percent: u8,
    /// Bytes.
    pub disk_floor: u64,
    pub clock_warn: Duration,
    /// Percent of a minute in which everything waits for memory; 0 is never.
    pub memory_warn_percent: u8,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// `None` turns the exporter off.
    pub listen: Option<SocketAddr>,
}

#[derive(Clone, PartialEq)]
pub struct Notify {
    /// Its URL. A secret: `Debug` does not show it.
    pub webhook: Option<String>,
    pub format: NotifyFormat,
    /// How long a collator may build no block while its chain makes some; `None` is for ever.
    pub no_collation_after: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ec2 {
    /// `None` is `auto`.
    pub enabled: Option<bool>,
    pub imds: String,
    /// Name of the auto scaling group's termination hook that is answered; `None` is none.
    pub lifecycle_hook: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Whether a new image under the same name is taken without anybody asking.
    pub auto: bool,
    /// How often the registry is asked for one.
    pub check_every: Duration,
    /// Observed time until a new image is believed.
    pub probation: Duration,
    /// Images of the collator that stay on the host, the running one included.
    pub keep_images: u32,
}

/// The volume with the keys, as a fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Nothing runs with the keys unless this host holds the volume.
    pub required: bool,
    /// Id of the EBS volume; `None` is a mount that somebody else makes.
    pub volume: Option<String>,
    pub mount: PathBuf,
    pub without_volume: WithoutVolume,
}

impl Config {
    /// Reads and validates a file of at most 1 MiB.
    ///
    /// The error has one problem for each thing to mend; a file that cannot be read is one problem
    /// without a line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let fail = |found: String, remedy: String| ConfigError::file(&file, None, Invalid { found, remedy });
        let is_pipe = std::fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo());
        // Not those that a shell makes for one command: somebody writes into them.
        if is_pipe && !["/dev", "/proc"].iter().any(|own| path.starts_with(own)) {
            return Err(fail("is a pipe".to_owned(), "name a file".to_owned()));
        }
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|f| f.take(LARGEST + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            return Err(match error.kind() {
                ErrorKind::NotFound => fail(
                    "there is no such file".to_owned(),
                    "write one, beginning with `t0rn-agent config default`, or name another with --config".to_owned(),
                ),
                ErrorKind::IsADirectory => fail(
                    "is a directory".to_owned(),
                    format!("name the file in it, such as {}", path.join("agent.toml").display()),
                ),
                ErrorKind::PermissionDenied => fail(
                    problem::DENIED.to_owned(),
                    "make it readable for the user that runs this command, or run it as root".to_owned(),
                ),
                _ => fail(
                    format!("cannot be read: {error}"),
                    "check the file and its disk".to_owned(),
                ),
            });
        }
        if bytes.len() as u64 > LARGEST {
            return Err(fail(
                "is larger than 1 MiB".to_owned(),
                "name a configuration file of the agent".to_owned(),
            ));
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(fail("is UTF-16 text".to_owned(), "save it as UTF-8".to_owned()));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse(text, &file),
            Err(error) => {
                let good = &bytes[..error.valid_up_to()];
                let line = good.split(|b| *b == b'\n').count();
                let found = format!("byte 0x{:02x} is not UTF-8", bytes[error.valid_up_to()]);
                Err(ConfigError::file(
                    &file,
                    Some(line),
                    Invalid {
                        found,
                        remedy: "save the file as UTF-8".to_owned(),
                    },
                ))
            }
        }
    }

    /// Validates TOML text. `file` is what problems call it.
    ///
    /// Text that is no TOML gives the places where it is not; otherwise every unknown key, unusable value
    /// and contradiction is a problem of its own.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            let remedy = "write at least [collator] with its image: `t0rn-agent config default` shows every key";
            return Err(ConfigError::file(
                file,
                None,
                Invalid {
                    found: "is empty".to_owned(),
                    remedy: remedy.to_owned(),
                },
            ));
        }
        let (root, errors) = toml::de::DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            // What was recovered is a guess: judging it too would blame the reader for our guesses.
            return Err(ConfigError::syntax(text, file, &errors));
        }
        let mut document = document::Document::new(text, file, root.get_ref());
        let config = read::config(&mut document);
        document.finish(config)
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let webhook = self.webhook.as_ref().map(|_| "…");
        f.debug_struct("Notify")
            .field("webhook", &webhook)
            .field("format", &self.format)
            .field("no_collation_after", &self.no_collation_after)
            .finish()
    }
}
