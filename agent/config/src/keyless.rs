//! The configuration of the same node as a full node: without authority and without keys.

use agent_core::key_paths::is_key;
use anyhow::ensure;
use tracing::info;

use crate::Config;

/// Flags that make a node an authority, or give it somebody's keys.
const DROPPED: [&str; 12] = [
    "--collator",
    "--validator",
    "--force-authoring",
    "--alice",
    "--bob",
    "--charlie",
    "--dave",
    "--eve",
    "--ferdie",
    "--one",
    "--two",
    "--password-interactive",
];
/// The same, with a value.
const DROPPED_WITH_VALUE: [&str; 7] = [
    "--keystore-path",
    "--keystore-uri",
    "--node-key",
    "--node-key-file",
    "--node-key-type",
    "--password",
    "--password-filename",
];
/// Flags that leave nothing to bake.
const REFUSED: [&str; 2] = ["--dev", "--tmp"];

/// The same node without authority and keys.
///
/// Fails when the command cannot leave chain data behind.
pub fn keyless(config: &Config) -> anyhow::Result<Config> {
    let mut derived = config.clone();
    derived.collator.command = command(&config.collator.command)?;
    derived.mounts.retain(|mount| {
        let identity = config.identity.required && mount.source.starts_with(&config.identity.mount);
        let kept = mount.read_only && !identity && !is_key(&mount.source) && !is_key(&mount.target);
        if !kept {
            info!(source = %mount.source.display(), target = %mount.target.display(), "not mounted: without keys");
        }
        kept
    });
    Ok(derived)
}

/// The command without authority and keys, on both sides of `--`.
fn command(words: &[String]) -> anyhow::Result<Vec<String>> {
    let mut kept = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, _)) => (flag, true),
            None => (word.as_str(), false),
        };
        ensure!(
            !REFUSED.contains(&flag),
            "collator.command has {flag}: such a chain is not kept, so there is nothing to bake; take it out"
        );
        if DROPPED_WITH_VALUE.contains(&flag) {
            if !inline {
                words.next_if(|value| !value.starts_with("--"));
            }
        } else if !DROPPED.contains(&flag) {
            kept.push(word.clone());
        }
    }
    Ok(kept)
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
        keyless(&Config::parse(&text, "test").unwrap()).unwrap()
    }

    #[test]
    fn authority_and_keys_are_taken_from_both_sides_and_nothing_else() {
        let line = "--collator --name me --node-key 00ff --base-path /d --keystore-path=/k --rpc-port 1 --validator \
                    -- --chain r --node-key-file /n --alice --force-authoring --keystore-path /k2 --port 2";
        assert_eq!(
            derived("", line).collator.command.join(" "),
            "--name me --base-path /d --rpc-port 1 -- --chain r --port 2"
        );
    }

    #[test]
    fn a_key_flag_without_its_value_does_not_eat_the_next_flag() {
        assert_eq!(derived("", "--node-key --name me").collator.command, ["--name", "me"]);
    }

    #[test]
    fn a_chain_that_is_not_kept_is_refused() {
        for flag in ["--dev", "--tmp"] {
            let error = command(&[flag.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
    }

    #[test]
    fn only_mounts_that_are_read_only_and_no_keys_stay() {
        let mount = |source: &str, read_only: bool| {
            format!("[[mounts]]\nsource = \"{source}\"\ntarget = \"{source}\"\nread_only = {read_only}\n")
        };
        let mounts = mount("/specs", true) + &mount("/scratch", false) + &mount("/etc/keystore", true);
        let derived = derived(&mounts, "");
        assert_eq!(derived.mounts.len(), 1);
        assert_eq!(derived.mounts[0].source, Path::new("/specs"));
    }
}
