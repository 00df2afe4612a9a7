//! A changed configuration: what of it comes into force at once, and what waits for a restart.

use std::sync::Arc;

use agent_config::{Change, Config, Needs};
use agent_core::event::{Chain, Event};
use agent_core::machine::Policy;
use agent_core::status::ConfigurationStatus;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::event_loop::EventLoop;
use super::known_secrets::configured_secrets;
use crate::api::{ConfigHandle, ConfigReport, ConfigRequest, ConfigSource, ConfigTask, ReloadError};
use crate::recorder;

/// Most requests that wait for the event loop.
const QUEUE: usize = 4;

/// How the agent gets another configuration.
#[derive(Debug, Clone)]
pub(super) struct Reloading {
    pub(super) source: ConfigSource,
    /// SIGHUP: one that arrives while it is not waited for is not lost.
    pub(super) hangup: Arc<Notify>,
    /// Why the last configuration could not be used.
    pub(super) refused: Option<String>,
}

/// The API's handle and the requests, with a task that makes one of each SIGHUP.
pub(super) fn requests(
    reloading: Option<&Reloading>,
) -> (
    ConfigHandle,
    mpsc::Receiver<ConfigRequest>,
    Option<AbortOnDropHandle<()>>,
) {
    let (requests, receiver) = mpsc::channel(QUEUE);
    let handle = ConfigHandle {
        source: reloading.map(|reloading| reloading.source.clone()),
        requests,
    };
    let task = reloading.map(|reloading| {
        let (hangup, handle) = (Arc::clone(&reloading.hangup), handle.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                hangup.notified().await;
                info!("SIGHUP: the configuration is read again");
                // The event loop logs what came of it.
                let _ = handle.reload(false).await;
            }
        }))
    });
    (handle, receiver, task)
}

impl EventLoop {
    /// Does what is asked about a configuration, and answers.
    pub(super) async fn on_configuration(&mut self, request: ConfigRequest) {
        let was_refused = self.publisher.facts.configuration.error.is_some();
        let result = match request.task {
            ConfigTask::Compare(config) => Ok(self.report(&config)),
            ConfigTask::Reload {
                config: Ok(config),
                all,
            } => self.reload(*config, all).await,
            ConfigTask::Reload { config: Err(error), .. } => Err(error),
        };
        match &result {
            Err(error) => {
                let error = error.to_string();
                warn!(error, "the configuration is refused, the former one stays in force");
                self.refuse(error);
            }
            Ok(_) if was_refused && self.publisher.facts.configuration.error.is_none() => {
                self.pending.push_back(Event::ConfigurationRefused(None));
            }
            Ok(_) => {}
        }
        self.settle().await;
        self.publisher.publish(&self.machine);
        if let Some(reply) = request.reply {
            // The client may have disconnected; what it asked for is done.
            let _ = reply.send(result);
        }
    }

    /// Notes why a configuration is refused: all of it for the status, its first line for the problem.
    pub(super) fn refuse(&mut self, error: String) {
        let first = first_line(&error);
        self.pending.push_back(Event::ConfigurationRefused(Some(first)));
        self.publisher.facts.configuration.error = Some(error);
    }

    fn report(&self, config: &Config) -> ConfigReport {
        ConfigReport {
            changes: compare(&self.config, config),
            restarts: false,
        }
    }

    /// Brings `config` into force as far as the collator and the agent run on; with `all`, the agent begins anew with the
    /// rest, where there is any.
    async fn reload(&mut self, config: Config, all: bool) -> Result<ConfigReport, ReloadError> {
        let mut report = self.report(&config);
        let is_pending = |change: &&Change| change.needs > Needs::Reload;
        let pending: Vec<&Change> = report.changes.iter().filter(is_pending).collect();
        let is_restart = all && !pending.is_empty();
        if is_restart && let Some(error) = self.store.unsaved() {
            let error = format!("the agent's state cannot be saved, and would be forgotten: {error}");
            return Err(ReloadError::Refused(error));
        }
        let keys = |changes: &[&Change]| changes.iter().map(|change| change.key.clone()).collect::<Vec<_>>();
        let status = ConfigurationStatus {
            error: None,
            replaces_container: pending.iter().any(|change| change.needs == Needs::Container),
            pending: keys(&pending),
        };
        if is_restart {
            info!(keys = ?status.pending, "the agent begins anew with another configuration");
            self.renewal = Some(config);
            report.restarts = true;
            return Ok(report);
        }
        if !pending.is_empty() {
            let needs = if status.replaces_container {
                "another container"
            } else {
                "a restart of the agent"
            };
            warn!(keys = ?status.pending, needs, "not in force: t0rn-agent reload --yes applies it");
        }
        self.publisher.facts.configuration = status;
        let live = self.config.reloaded(&config);
        if live == *self.config {
            info!("nothing changed that a reload brings into force");
        } else {
            let applied: Vec<&Change> = report.changes.iter().filter(|change| !is_pending(change)).collect();
            info!(keys = ?keys(&applied), "in force");
            self.apply(live).await;
        }
        Ok(report)
    }

    /// Has every part work by `config`, which differs in no key that needs more than a reload.
    async fn apply(&mut self, config: Config) {
        let config = Arc::new(config);
        let others = |chain: &Chain| {
            let references = |config: &Config| config.chains.get(chain).map(|exporter| exporter.references.clone());
            references(&self.config) != references(&config)
        };
        let references = self.config.chains.keys().copied().filter(others).collect();
        self.config = Arc::clone(&config);
        self.secrets.add(&config);
        self.hosts.send_replace(config.metrics.hosts.as_slice().into());
        self.publisher.set_config(&config);
        self.executor.set_config(&config);
        self.notifications.set_config(&config);
        if let Err(error) = self.probes.set_config(&config, self.clock) {
            // The same addresses were used before.
            warn!(%error, "an exporter is not watched");
        }
        self.pending.push_back(Event::Configuration {
            policy: Box::new(Policy::from(&*config)),
            references,
        });
        self.settle().await;
    }
}

/// The first of several lines, and how many follow.
fn first_line(error: &str) -> String {
    let mut lines = error.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => first.to_owned(),
        more => format!("{first} (and {more} more: t0rn-agent config check)"),
    }
}

/// What `new` changes against `old`, without the secrets of either.
pub fn compare(old: &Config, new: &Config) -> Vec<Change> {
    let mut secrets = configured_secrets(old);
    secrets.extend(configured_secrets(new));
    let mut changes = old.changes(new);
    for Change {
        key,
        old: before,
        new: after,
        ..
    } in &mut changes
    {
        for (value, config) in [(before, old), (after, new)] {
            let Some(value) = value else { continue };
            if let Some(name) = key.strip_prefix("collator.env.") {
                *value = recorder::variable_value(name, value, &secrets);
            } else if key == "collator.command" {
                *value = format!("{:?}", recorder::command_words(&config.collator.command, &secrets));
            }
        }
    }
    changes
}

/// The names under which the port of the metrics may be asked.
pub(super) fn hosts(config: &Config) -> watch::Sender<Arc<[String]>> {
    watch::Sender::new(config.metrics.hosts.as_slice().into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    fn config(words: &str, more: &str) -> Config {
        let text = format!("[collator]\nimage = \"a:1\"\ncommand = [{words}]\n{more}");
        Config::parse(&text, "agent.toml").unwrap()
    }

    #[test]
    fn comparison_shows_no_secret_of_either_configuration() {
        let with = |secret: &str| {
            config(
                &format!(r#""--chain", "a", "--node-key", "{secret}""#),
                &format!(
                    "env = {{ RUST_LOG = \"info\", PASS = \"{secret}\" }}\n[notify]\nwebhook = \"https://h/{secret}\"\n\
                     [chains.parachain]\nreference = \"https://h/{secret}\"\n"
                ),
            )
        };
        let changes = compare(&with("s3cr3t-old"), &with("s3cr3t-new"));
        let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
        let expected = [
            "collator.command",
            "collator.env.PASS",
            "chains.parachain.reference",
            "notify.webhook",
        ];
        assert_eq!(keys, expected);
        let text = format!("{changes:?}");
        assert!(!text.contains("s3cr3t"), "{text}");
        assert!(
            changes[0]
                .new
                .as_deref()
                .unwrap()
                .starts_with(r#"["--chain", "a", "--node-key", "#)
        );
    }

    #[test]
    fn refusal_of_several_lines_is_one_line() {
        assert_eq!(first_line("a.toml:1: x; y"), "a.toml:1: x; y");
        let many = first_line("a.toml:1: x; y\na.toml:2: z; y\na.toml:3: z; y");
        assert_eq!(many, "a.toml:1: x; y (and 2 more: t0rn-agent config check)");
    }

    #[test]
    fn comparison_shows_variables_that_are_known_to_be_safe() {
        let with = |level: &str| config("", &format!("env = {{ RUST_LOG = \"{level}\" }}\n"));
        let changes = compare(&with("info"), &with("debug"));
        assert_eq!(changes[0].new.as_deref(), Some("debug"));
    }
}
