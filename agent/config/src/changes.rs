//! What another configuration changes, key by key, and what it takes to bring each change into force.

mod keys;
mod show;

use serde::{Deserialize, Serialize};

use crate::types::Config;

/// What brings a change into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// A reload: the collator and the agent run on.
    Reload,
    /// A restart of the agent: the collator runs on.
    Agent,
    /// Another container of the collator.
    Container,
}

/// A key whose value differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Full name of the key; a list of tables has one name, and each variable of `collator.env` one of its own.
    pub key: String,
    /// The value before, as it would be written; `None` is none, and a secret is `…`.
    pub old: Option<String>,
    pub new: Option<String>,
    pub needs: Needs,
}

impl Config {
    /// The keys whose values are others in `new`, in the order of the printed default.
    ///
    /// `chains.*.block_time` shows as the `max_idle` that it means. Arguments and variables are as they are: they have to be
    /// redacted before they are shown.
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let (mut before, after) = (keys::table(self), keys::table(new));
        let mut changes = Vec::new();
        for row in after {
            let old = before.iter().position(|old| old.key == row.key);
            let old = old.map(|at| before.remove(at));
            if old.as_ref().is_none_or(|old| old.value != row.value) {
                changes.push(Change {
                    old: old.and_then(keys::Row::into_shown),
                    needs: row.needs,
                    key: row.key.clone(),
                    new: row.into_shown(),
                });
            }
        }
        // Variables and chains that are no longer there.
        changes.extend(before.into_iter().map(|row| Change {
            needs: row.needs,
            key: row.key.clone(),
            old: row.into_shown(),
            new: None,
        }));
        changes
    }

    /// This configuration with those values of `new` that a reload brings into force.
    #[must_use]
    pub fn reloaded(&self, new: &Self) -> Self {
        let mut config = Self {
            health: new.health.clone(),
            restart: new.restart.clone(),
            host: new.host.clone(),
            notify: new.notify.clone(),
            update: new.update.clone(),
            signatures: new.signatures.clone(),
            ..self.clone()
        };
        config.metrics.hosts.clone_from(&new.metrics.hosts);
        for (chain, exporter) in &mut config.chains {
            if let Some(new) = new.chains.get(chain) {
                exporter.references.clone_from(&new.references);
                exporter.idle = new.idle;
            }
        }
        config
    }
}

#[cfg(test)]
#[path = "tests/changes.rs"]
mod tests;
