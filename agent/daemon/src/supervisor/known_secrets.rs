//! Texts that no output may contain: of the configuration, of the registries' logins, and of the container.

use std::sync::Arc;

use agent_config::Config;
use agent_docker::Docker;
use tokio::sync::watch;

use crate::recorder;

/// What is known when the agent starts, what a changed configuration adds, and what the container turns out to have.
#[derive(Debug, Clone)]
pub struct KnownSecrets {
    configured: Arc<watch::Sender<Vec<String>>>,
    docker: Docker,
}

impl KnownSecrets {
    /// Those of the registries' logins as their file was read last.
    pub(super) fn of(config: &Config, docker: &Docker) -> Self {
        Self {
            configured: Arc::new(watch::Sender::new(secrets(config, docker))),
            docker: docker.clone(),
        }
    }

    /// For an agent without a configuration.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    #[must_use]
    pub fn none(docker: &Docker) -> Self {
        Self {
            configured: Arc::new(watch::Sender::new(Vec::new())),
            docker: docker.clone(),
        }
    }

    /// Adds those of another configuration: the former ones may still be in a log.
    pub(super) fn add(&self, config: &Config) {
        let added = configured_secrets(config);
        self.configured.send_modify(|known| {
            let new: Vec<String> = added.into_iter().filter(|text| !known.contains(text)).collect();
            known.extend(new);
        });
    }

    /// The texts, longest first, since one may be part of another.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = recorder::with_forms(recorder::image_secrets(&self.docker.variables()));
        texts.extend(self.configured.borrow().iter().cloned());
        texts.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        texts
    }
}

/// All that is known now, longest first.
pub(super) fn secrets(config: &Config, docker: &Docker) -> Vec<String> {
    let mut secrets = named(config);
    secrets.extend(docker.registry_secrets());
    secrets.extend(recorder::image_secrets(&docker.variables()));
    recorder::with_forms(secrets)
}

/// Those of a configuration alone, longest first.
pub fn configured_secrets(config: &Config) -> Vec<String> {
    recorder::with_forms(named(config))
}

fn named(config: &Config) -> Vec<String> {
    let mut secrets = recorder::secrets(&config.collator.command, &config.collator.env);
    let references = config.chains.values().flat_map(|chain| &chain.references);
    let urls = config.notify.webhook.iter().cloned();
    for url in urls.chain(references.map(ToString::to_string)) {
        secrets.extend(recorder::url_secrets(&url));
    }
    secrets
}
