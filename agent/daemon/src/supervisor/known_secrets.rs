//! Texts that no output may contain: of the configuration, of the registries' logins, and of the container.

use std::sync::Arc;

use agent_config::Config;
use agent_docker::Docker;

use crate::recorder;

/// What is known when the agent starts, and what the container turns out to have.
#[derive(Debug, Clone)]
pub struct KnownSecrets {
    configured: Arc<Vec<String>>,
    docker: Docker,
}

impl KnownSecrets {
    /// Those of the registries' logins as their file was read last.
    pub(super) fn of(config: &Config, docker: &Docker) -> Self {
        Self {
            configured: Arc::new(secrets(config, docker)),
            docker: docker.clone(),
        }
    }

    /// For an agent without a configuration.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    #[must_use]
    pub fn none(docker: &Docker) -> Self {
        Self {
            configured: Arc::default(),
            docker: docker.clone(),
        }
    }

    /// The texts, longest first, since one may be part of another.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = recorder::with_forms(recorder::image_secrets(&self.docker.variables()));
        texts.extend(self.configured.iter().cloned());
        texts.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        texts
    }
}

/// All that is known now, longest first.
pub(super) fn secrets(config: &Config, docker: &Docker) -> Vec<String> {
    let mut secrets = of_config(config);
    secrets.extend(docker.registry_secrets());
    secrets.extend(recorder::image_secrets(&docker.variables()));
    recorder::with_forms(secrets)
}

/// What the configuration alone has, longest first.
pub fn configured_secrets(config: &Config) -> Vec<String> {
    recorder::with_forms(of_config(config))
}

fn of_config(config: &Config) -> Vec<String> {
    let mut secrets = recorder::secrets(&config.collator.command, &config.collator.env);
    let references = config.chains.values().flat_map(|chain| &chain.references);
    let urls = config.notify.webhook.iter().cloned();
    for url in urls.chain(references.map(ToString::to_string)) {
        secrets.extend(recorder::url_secrets(&url));
    }
    secrets
}
