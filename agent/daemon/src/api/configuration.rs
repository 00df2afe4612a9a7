//! `POST /v1/config/diff` and `POST /v1/config/reload`: what another configuration changes, and bringing it into force.

use std::path::PathBuf;

use agent_config::{Change, Config, ConfigError};
use agent_runtime::disk::{self, Disk};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{AGENT, ApiState};

/// Where the agent's configuration is read from.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    pub path: PathBuf,
    /// Socket in place of the configured one.
    pub socket: Option<PathBuf>,
}

/// Why the file cannot be brought into force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    File(#[from] ConfigError),
    #[error("it was not read in time: {0}")]
    Disk(#[from] disk::DiskError),
    /// The agent cannot use it now.
    #[error("{0}")]
    Refused(String),
}

impl ConfigSource {
    /// Reads the file again.
    ///
    /// # Errors
    /// The file or its disk is at fault.
    pub(crate) async fn load(&self) -> Result<Config, ReloadError> {
        let path = self.path.clone();
        let config = disk::run(Disk::System, move || Config::load(&path)).await??;
        Ok(self.adapt(config))
    }

    /// The configuration as this agent uses it.
    #[must_use]
    pub fn adapt(&self, mut config: Config) -> Config {
        if let Some(socket) = &self.socket {
            socket.clone_into(&mut config.agent.socket);
        }
        config
    }
}

/// What the event loop is asked about a configuration.
#[derive(Debug)]
pub enum ConfigTask {
    /// To compare it with what is in force.
    Compare(Box<Config>),
    /// To bring it into force: what a reload can, or with `all` whatever it takes.
    Reload {
        config: Result<Box<Config>, ReloadError>,
        all: bool,
    },
}

/// A task about a configuration, for the event loop.
#[derive(Debug)]
pub struct ConfigRequest {
    pub task: ConfigTask,
    /// `None` after a signal.
    pub reply: Option<oneshot::Sender<Result<ConfigReport, ReloadError>>>,
}

/// What a configuration changes, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// Against what is in force, or was before the reload; without secrets.
    pub changes: Vec<Change>,
    /// The agent begins anew with it, so that all of it comes into force.
    #[serde(default)]
    pub restarts: bool,
}

/// The API's access to the configuration in force.
#[derive(Debug, Clone)]
pub struct ConfigHandle {
    /// `None` where the configuration is not that of a file.
    pub(crate) source: Option<ConfigSource>,
    pub(crate) requests: mpsc::Sender<ConfigRequest>,
}

impl ConfigHandle {
    /// Of an agent without a configuration.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    #[must_use]
    pub fn none() -> Self {
        Self {
            source: None,
            requests: mpsc::channel(1).0,
        }
    }

    /// Has the file read again and brought into force.
    pub(crate) async fn reload(&self, all: bool) -> Result<ConfigReport, ReloadError> {
        let config = self.source()?.load().await.map(Box::new);
        self.ask(ConfigTask::Reload { config, all }).await
    }

    async fn compare(&self, text: &str) -> Result<ConfigReport, ReloadError> {
        let config = self.source()?.adapt(Config::parse(text, "the configuration")?);
        self.ask(ConfigTask::Compare(Box::new(config))).await
    }

    fn source(&self) -> Result<&ConfigSource, ReloadError> {
        let refused = || ReloadError::Refused("this agent was not started with a file".to_owned());
        self.source.as_ref().ok_or_else(refused)
    }

    async fn ask(&self, task: ConfigTask) -> Result<ConfigReport, ReloadError> {
        let (reply, answer) = oneshot::channel();
        let request = ConfigRequest {
            task,
            reply: Some(reply),
        };
        let refused = |why: &str| ReloadError::Refused(why.to_owned());
        self.requests
            .try_send(request)
            .map_err(|_| refused("the agent is busy or shutting down; try again"))?;
        answer.await.map_err(|_| refused("the agent is shutting down"))?
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ReloadQuery {
    #[serde(default)]
    all: bool,
}

/// The answer to a task, in a form that no other server on the socket has by chance.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ConfigAnswer {
    pub(super) agent: String,
    /// Why the configuration is refused, one line for each problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(flatten)]
    pub(super) report: ConfigReport,
}

pub(super) async fn diff(
    State(state): State<ApiState>,
    text: String,
) -> Result<Json<ConfigAnswer>, (StatusCode, String)> {
    answer(state.handle.config.compare(&text).await)
}

pub(super) async fn reload(
    State(state): State<ApiState>,
    Query(query): Query<ReloadQuery>,
) -> Result<Json<ConfigAnswer>, (StatusCode, String)> {
    answer(state.handle.config.reload(query.all).await)
}

fn answer(result: Result<ConfigReport, ReloadError>) -> Result<Json<ConfigAnswer>, (StatusCode, String)> {
    let (report, error) = match result {
        Ok(report) => (report, None),
        Err(ReloadError::File(error)) => (ConfigReport::default(), Some(error.to_string())),
        Err(error) => return Err((StatusCode::CONFLICT, error.to_string())),
    };
    let agent = AGENT.to_owned();
    Ok(Json(ConfigAnswer { agent, error, report }))
}
