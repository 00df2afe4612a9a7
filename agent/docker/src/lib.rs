//! The Docker adapter: one container, made as a desired spec asks for it, and the events about it.
//!
//! Keeps no decision: each call does one thing once and returns what came of it. It must never start a container that
//! is not asked for, touch one without our label but in `predecessor`, or let a type of its library cross its interface. Every call to the
//! engine has a time limit, every answer that could be large has a size limit.
//! Begin with [`Docker::ensure_running`] in `lifecycle`, and [`Docker::watch`] in `events`.

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests work on files of their own")
)]

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::{API_DEFAULT_VERSION, BollardRequest};

use self::spec::{Spec, Specs};
use self::stats::Usage;
use agent_config::Config;
use agent_core::event::DesiredSpec;
use agent_core::units::show_duration;

mod error;
mod events;
mod foreign;
#[cfg(any(test, fuzzing))]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
mod host_paths;
mod image;
mod inspection;
mod key_permit;
mod lifecycle;
mod logs;
mod predecessor;
mod spec;
mod stats;
mod update;

pub use self::error::{Error, ImageFault};
pub use self::events::EngineEvent;
pub use self::foreign::{
    ExistingConfinement, ExistingContainer, ExistingImage, ExistingMount, ExistingPort, Neighbour, Setting,
};
pub use self::image::ImageSource;
pub use self::image::{COSIGN_PLACES, cosign};
pub use self::inspection::{Detail, Inspection};
pub use self::key_permit::KeyPermit;
pub use self::predecessor::{KEPT_SUFFIX, RestartPolicy, takeover_name};
pub use self::update::PulledImage;

/// The oldest minor version of the engine's API (1.x) that has all we ask for: Docker 20.10.
const API_OLDEST: usize = 41;
/// In place of the HTTP client's own limit; every call has one of ours.
const NO_LIMIT: Duration = Duration::from_hours(168);

/// One container at one engine, as one specification asks for it. Cheap to clone.
///
/// A handle never changes what it asks for: [`Docker::asked_for`] gives another one.
#[derive(Debug, Clone)]
pub struct Docker {
    shared: Arc<Shared>,
    specs: Arc<Specs>,
    spec: Arc<Spec>,
    limits: EngineTimeouts,
}

#[derive(Debug, Clone, Copy)]
pub struct EngineTimeouts {
    /// For questions.
    pub call: Duration,
    /// For creating, starting, removing: on a busy disk these take their time.
    pub change: Duration,
    /// For saying that it is there.
    pub ping: Duration,
    /// Between two pings while no events come.
    pub ping_every: Duration,
    /// For the next sign of life of a pull.
    pub pull_silence: Duration,
}

impl Default for EngineTimeouts {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(10),
            change: Duration::from_mins(1),
            ping: Duration::from_secs(5),
            ping_every: Duration::from_secs(15),
            pull_silence: Duration::from_mins(1),
        }
    }
}

/// What was learnt of the engine; handles share it.
#[derive(Debug)]
struct Shared {
    socket: String,
    /// Minor version of the API that was agreed on; 0 before.
    api: AtomicUsize,
    /// The engine may not give the container as many file descriptors as configured.
    nofile_refused: AtomicBool,
    usage: Mutex<Option<Usage>>,
    /// Id of the container while it has another name than the configured one.
    renamed: Mutex<Option<String>>,
    /// Images that were not here before a pull.
    fetched: Mutex<Vec<PulledImage>>,
    /// Every password and token of the registries, as last read.
    secrets: Mutex<Vec<String>>,
    /// The private directory of the program that checks signatures, and the images that it accepted.
    cosign_dir: PathBuf,
    verified: Mutex<Vec<String>>,
    /// Variables of the container that was inspected last, those of its image included.
    variables: Mutex<Vec<(String, String)>>,
}

impl Docker {
    /// A handle for the configured collator. The engine need not be there yet: every call connects.
    ///
    /// # Errors
    /// A path that Docker must know is not UTF-8, or no full node can be derived from `collator.command` although
    /// `identity.without_volume` asks for one.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let socket = config.agent.docker.to_str().ok_or_else(|| Error::Path {
            path: config.agent.docker.clone(),
            reason: "not UTF-8; correct agent.docker".to_owned(),
        })?;
        let socket = socket.trim_start_matches("unix://");
        let specs = Specs::new(config)?;
        Ok(Self {
            shared: Arc::new(Shared {
                socket: socket.to_owned(),
                api: AtomicUsize::new(0),
                nofile_refused: AtomicBool::new(false),
                usage: Mutex::new(None),
                renamed: Mutex::default(),
                fetched: Mutex::default(),
                secrets: Mutex::default(),
                cosign_dir: config.agent.state_dir.join("cosign"),
                verified: Mutex::default(),
                variables: Mutex::default(),
            }),
            spec: Arc::new(specs.configured()),
            specs: Arc::new(specs),
            limits: EngineTimeouts::default(),
        })
    }

    /// The same container, asked for as `desired` says.
    ///
    /// # Errors
    /// `desired` has no keys and the configuration has nothing to run without them.
    pub fn asked_for(&self, desired: &DesiredSpec) -> Result<Self, Error> {
        Ok(Self {
            spec: Arc::new(self.specs.desired(desired)?),
            ..self.clone()
        })
    }

    #[must_use]
    pub fn with_limits(mut self, limits: EngineTimeouts) -> Self {
        self.limits = limits;
        self
    }

    /// The version of the engine's API that is spoken with it, such as `1.41`: the newest that both know.
    ///
    /// Fails when the engine does not answer within 5 s, or is older than Docker 20.10.
    pub async fn version(&self) -> Result<String, Error> {
        let declined = |reason| Error::Api {
            action: "agree on an API version",
            status: None,
            reason,
        };
        let answer = self.client()?;
        let answer = self
            .in_time("say its version", self.limits.ping, answer.version())
            .await?;
        let minor = |text: Option<String>| text?.strip_prefix("1.")?.parse::<usize>().ok();
        let engine = answer.api_version.clone().unwrap_or_default();
        let newest = minor(answer.api_version).ok_or_else(|| declined(format!("it says {engine:?}")))?;
        let known = API_DEFAULT_VERSION.minor_version;
        if newest < API_OLDEST {
            return Err(declined(format!(
                "it speaks API {engine}, 1.{API_OLDEST} is needed; update Docker to 20.10"
            )));
        }
        if let Some(oldest) = minor(answer.min_api_version).filter(|oldest| *oldest > known) {
            return Err(declined(format!(
                "it speaks API 1.{oldest} and up, 1.{known} is known; update t0rn-agent"
            )));
        }
        let agreed = newest.min(known);
        self.shared.api.store(agreed, Ordering::Relaxed);
        Ok(format!("1.{agreed}"))
    }

    /// A client that speaks the agreed version.
    async fn engine(&self) -> Result<bollard::Docker, Error> {
        if self.shared.api.load(Ordering::Relaxed) == 0 {
            self.version().await?;
        }
        self.client()
    }

    fn client(&self) -> Result<bollard::Docker, Error> {
        let client = connect(&self.shared.socket);
        let client = client.map_err(|error| self.error("connect", error))?;
        let shared = Arc::clone(&self.shared);
        Ok(client.with_request_modifier(move |request| mended(request, shared.api.load(Ordering::Relaxed))))
    }

    async fn ping(&self) -> Result<(), Error> {
        let client = self.client()?;
        self.in_time("say that it is there", self.limits.ping, client.ping())
            .await
            .map(drop)
    }

    /// The answer to one call. When it takes too long, an engine that is busy with one thing is distinguished from
    /// one that hangs.
    async fn within<T>(
        &self,
        action: &'static str,
        limit: Duration,
        answer: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, Error> {
        match self.in_time(action, limit, answer).await {
            Err(Error::Unreachable { hangs: true, .. }) if self.ping().await.is_ok() => {
                Err(Error::Busy { action, limit })
            }
            answer => answer,
        }
    }

    async fn in_time<T>(
        &self,
        action: &'static str,
        limit: Duration,
        answer: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, Error> {
        let silent = |_| Error::Unreachable {
            socket: self.shared.socket.clone(),
            reason: format!(
                "asked to {action}, no answer in {}; `systemctl status docker`",
                show_duration(limit)
            ),
            hangs: true,
        };
        let answer = tokio::time::timeout(limit, answer).await.map_err(silent)?;
        answer.map_err(|error| self.error(action, error))
    }

    fn error(&self, action: &'static str, error: EngineError) -> Error {
        let error = Error::from_engine(&self.shared.socket, action, error);
        if let Error::Api {
            status: Some(400),
            reason,
            ..
        } = &error
            && reason.starts_with("client version ")
        {
            // The engine was replaced by one that does not speak the agreed version: agree anew.
            self.shared.api.store(0, Ordering::Relaxed);
        }
        error
    }

    fn swap_usage(&self, usage: Option<Usage>) -> Option<Usage> {
        let mut last = self.shared.usage.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, usage)
    }
}

fn connect(socket: &str) -> Result<bollard::Docker, EngineError> {
    #[cfg(feature = "simulation")]
    if let Some(network) = agent_net::simulation::network() {
        let socket = socket.to_owned();
        let transport = move |request: BollardRequest| {
            let (network, socket) = (Arc::clone(&network), socket.clone());
            async move {
                let response = agent_net::simulation::exchange(&*network, &socket, request).await;
                response.map_err(EngineError::from)
            }
        };
        let address = Some("http://engine");
        return bollard::Docker::connect_with_custom_transport(
            transport,
            address,
            NO_LIMIT.as_secs(),
            API_DEFAULT_VERSION,
        );
    }
    bollard::Docker::connect_with_unix(socket, NO_LIMIT.as_secs(), API_DEFAULT_VERSION)
}

/// Mends two things the client gets wrong: it sends no API version, so that each engine answers in its
/// newest, and it encodes credentials in plain base64 where the engine reads the URL-safe kind and takes
/// what it cannot read for no credentials at all.
fn mended(mut request: BollardRequest, api: usize) -> BollardRequest {
    let uri = request.uri();
    let versioned = (api > 0 && uri.path() != "/version" && uri.path() != "/_ping").then(|| {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let scheme = uri.scheme_str().unwrap_or_default();
        let socket = uri.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{socket}/v1.{api}{path}").parse()
    });
    if let Some(Ok(versioned)) = versioned {
        *request.uri_mut() = versioned;
    }
    if let Some(login) = request.headers_mut().get_mut("x-registry-auth") {
        let safe = login
            .to_str()
            .ok()
            .and_then(|text| text.replace('+', "-").replace('/', "_").parse().ok());
        if let Some(mut safe) = safe {
            std::mem::swap(login, &mut safe);
            login.set_sensitive(true);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_call_can_be_spawned_and_dropped() {
        fn is_task<T: Send>(_: &T) {}
        let docker = Docker::new(&spec::tests::config()).unwrap();
        is_task(&docker);
        is_task(&docker.version());
        is_task(&docker.inspect());
        let permit = KeyPermit::new(tokio::sync::watch::channel(true).1);
        is_task(&docker.ensure_running(&permit));
        is_task(&docker.stop());
        is_task(&docker.restart(&permit));
        is_task(&docker.activity());
        is_task(&docker.last_lines(1));
        is_task(&docker.watch(None, tokio::sync::watch::channel(DesiredSpec::default()).1));
        is_task(&docker.logs(1, false));
    }
}
