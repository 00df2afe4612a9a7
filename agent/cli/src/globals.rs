//! Global options: the configuration and the agent's socket.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use tracing::warn;

use agent_config::{Config, ConfigError, DEFAULT_SOCKET, DEFAULT_STATE_DIR};
use agent_daemon::api::{AgentClient, ConfigSource};

const CONFIG: &str = "/etc/t0rn-agent/agent.toml";
const HEADING: &str = "Global options";

#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Configuration [default: /etc/t0rn-agent/agent.toml]
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "FILE",
        env = "T0RN_AGENT_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// The agent's socket [default: as configured]
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "PATH",
        env = "T0RN_AGENT_SOCKET",
        hide_env_values = true
    )]
    socket: Option<PathBuf>,
}

impl GlobalArgs {
    /// Path of the configuration, as named or the default.
    pub(crate) fn config_path(&self) -> &Path {
        self.named_config().unwrap_or(Path::new(CONFIG))
    }

    /// Whether the configuration is the one that the service uses.
    pub(crate) fn uses_default_config(&self) -> bool {
        self.config_path() == Path::new(CONFIG)
    }

    /// Path of the configuration, when one was named.
    pub(crate) fn named_config(&self) -> Option<&Path> {
        non_empty(self.config.as_deref())
    }

    pub(crate) fn load_config(&self) -> Result<Config, ConfigError> {
        Config::load(self.config_path())
    }

    /// Where an agent with these options reads its configuration.
    pub(crate) fn config_source(&self) -> ConfigSource {
        ConfigSource {
            path: self.config_path().to_owned(),
            socket: non_empty(self.socket.as_deref()).map(Path::to_owned),
        }
    }

    /// The configuration with the socket that was as the agent uses it.
    pub(crate) fn load_agent_config(&self) -> Result<Config, ConfigError> {
        Ok(self.config_source().adapt(self.load_config()?))
    }

    /// Client of the agent at the socket that was else the configured one, else the default: an unreadable
    /// configuration must not keep an operator from the agent.
    pub(crate) fn client(&self) -> AgentClient {
        if let Some(socket) = non_empty(self.socket.as_deref()) {
            return AgentClient::new(socket);
        }
        AgentClient::new(self.configured_or(DEFAULT_SOCKET, |config| config.agent.socket))
    }

    /// The agent's state directory as configured, else the default.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.configured_or(DEFAULT_STATE_DIR, |config| config.agent.state_dir)
    }

    fn configured_or(&self, default: &str, path: impl FnOnce(Config) -> PathBuf) -> PathBuf {
        self.load_config().map_or_else(
            |error| {
                self.warn_of_config(&error, default);
                PathBuf::from(default)
            },
            path,
        )
    }

    /// Warns of an unusable configuration, but not of a missing or forbidden one that was not named.
    fn warn_of_config(&self, error: &ConfigError, instead: &str) {
        if self.named_config().is_some() || File::open(self.config_path()).is_ok() {
            let text = error.to_string();
            let problem = text.lines().next().unwrap_or_default();
            warn!(
                problem,
                using = instead,
                "configuration not usable, see: t0rn-agent config check"
            );
        }
    }
}

/// A path that was named; an empty environment variable names none.
pub(crate) fn non_empty(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variable_names_no_file() {
        assert_eq!(non_empty(Some(Path::new(""))), None);
        assert_eq!(non_empty(Some(Path::new("x"))), Some(Path::new("x")));
    }
}
