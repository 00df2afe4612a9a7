//! The configuration as the policy of the core.

use std::time::Duration;

use agent_core::chain_health::Windows;
use agent_core::exit_diagnosis::Signatures;
use agent_core::machine::{GAP_AFTER, Idle, Policy, UNPERSISTED_AFTER};

use crate::types::Config;

impl From<&Config> for Policy {
    fn from(config: &Config) -> Self {
        let Config {
            health,
            restart,
            host,
            chains,
            collator,
            notify,
            update,
            identity,
            signatures,
            ..
        } = config;
        Self {
            chains: chains.keys().copied().collect(),
            windows: Windows {
                lag_blocks: health.lag_blocks,
                stall_after: health.stall_after,
                isolated_after: health.isolated_after,
                stale_after: health.scrape_interval * 3,
                gap_after: (health.scrape_interval * 3).max(GAP_AFTER),
                activity_extension: health.activity_extension,
                activity_bytes: health.activity_bytes,
                idle_after: health.stall_after,
                may_rest: false,
                unpersisted_after: UNPERSISTED_AFTER,
            },
            idle: chains
                .iter()
                .filter(|(_, exporter)| exporter.idle != Idle::default())
                .map(|(chain, exporter)| (*chain, exporter.idle))
                .collect(),
            finality_after: health.finality_after,
            startup_grace: health.startup_grace,
            frozen_after: health.frozen_after,
            backoff_initial: restart.backoff_initial,
            backoff_max: restart.backoff_max,
            backoff_reset: restart.backoff_reset,
            // With a required identity volume Docker's own restart policy is `no`: there is nothing to wait for.
            start_timeout: if identity.required {
                restart.start_timeout.min(Duration::from_secs(1))
            } else {
                restart.start_timeout
            },
            stop_timeout: collator.stop_timeout,
            budget: restart.budget,
            budget_window: restart.budget_window,
            disk_warn_percent: host.disk_warn_percent,
            disk_floor: host.disk_floor,
            clock_warn: host.clock_warn,
            memory_warn_percent: host.memory_warn_percent,
            no_collation_after: notify.no_collation_after,
            memory: collator.memory,
            image: collator.image.clone(),
            probation: update.probation,
            identity: identity.required.then_some(identity.without_volume),
            signatures: Signatures::new(signatures.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use agent_core::event::Exit;
    use agent_core::machine::Cause;

    use super::*;

    #[test]
    fn policy_of_the_default_configuration_is_the_default_policy() {
        let config = Config::parse(crate::DEFAULT, "default.toml").unwrap();
        let policy = Policy {
            image: config.collator.image.clone(),
            ..Policy::default()
        };
        assert_eq!(Policy::from(&config), policy);
    }
    #[test]
    fn rows_of_the_configuration_come_before_the_built_in_ones() {
        let text = "[collator]\nimage = \"a:1\"\n[[signatures]]\npattern = [\"Corruption:\"]\nsurvivable = true\n\
                    [[signatures]]\npattern = [\"HRMP\", \"closed\"]\nsays = \"node_fault\"\nremedy = \"open it.\"\n";
        let policy = Policy::from(&Config::parse(text, "agent.toml").unwrap());
        let end = |line: &str| Exit {
            code: Some(1),
            oom: false,
            log: vec![line.to_owned()],
        };
        let diagnose = |line| policy.signatures.diagnose(&end(line), false);
        assert_eq!(diagnose("Error: Corruption: x"), None);
        let found = diagnose("Error: HRMP 7 closed").unwrap();
        assert_eq!(
            (found.cause, found.remedy.as_deref()),
            (Cause::NodeFault, Some("open it"))
        );
        assert_eq!(
            diagnose("Error: NetworkKeyNotFound(\"x\")").unwrap().cause,
            Cause::NoNetworkKey
        );
    }
}
