//! Derives the configuration of a bake from that of the collator.

use std::path::PathBuf;

use agent_config::{Config, keyless};

/// State directory of a bake, below the agent's.
pub(super) fn state_dir(config: &Config) -> PathBuf {
    config.agent.state_dir.join("bake")
}

/// The configuration of a bake: no authority, no keys, a container and state of its own, no messages; in sync within
/// `within` blocks of the target.
///
/// Fails when the command cannot leave chain data behind.
pub(super) fn derive_config(config: &Config, within: u64) -> anyhow::Result<Config> {
    let mut derived = keyless(config)?;
    let dir = state_dir(config);
    derived.agent.socket = dir.join("agent.sock");
    derived.agent.state_dir = dir;
    derived.collator.container = format!("{}-bake", config.collator.container);
    derived.metrics.listen = None;
    derived.notify.webhook = None;
    derived.notify.no_collation_after = None;
    derived.ec2.enabled = Some(false);
    derived.update.auto = false;
    // Another container on this host may need them.
    derived.update.keep_images = u32::MAX;
    derived.identity.required = false;
    derived.health.lag_blocks = within;
    Ok(derived)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::path::Path;

    use super::*;

    fn derived(mounts: &str, line: &str) -> Config {
        let words: Vec<_> = line.split_whitespace().map(|word| format!("{word:?}")).collect();
        let text = format!(
            "[agent]\nstate_dir = \"/state\"\n[collator]\nimage = \"x:1\"\ncontainer = \"col\"\ncommand = [{}]\n{mounts}",
            words.join(",")
        );
        derive_config(&Config::parse(&text, "test").unwrap(), 10).unwrap()
    }

    #[test]
    fn derived_config_sends_nothing_and_has_its_own_state() {
        let derived = derived(
            "[notify]\nwebhook = \"https://x.example/hook\"\n[update]\nauto = true\n",
            "",
        );
        assert!(!derived.update.auto);
        assert_eq!(derived.notify.webhook, None);
        assert_eq!(derived.metrics.listen, None);
        assert_eq!(derived.collator.container, "col-bake");
        assert_eq!(derived.agent.state_dir, Path::new("/state/bake"));
        assert_eq!(derived.agent.socket, Path::new("/state/bake/agent.sock"));
    }
}
