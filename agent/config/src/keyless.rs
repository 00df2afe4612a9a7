//! The configuration of the same node as a full node: without authority and without keys.

use agent_core::key_paths::is_key;
use tracing::info;

use crate::types::Config;

/// Flags that make a node an authority or give it the keys of a development account.
const AUTHORITY_FLAGS: [&str; 12] = [
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
/// Flags that name keys, each with a value.
const KEY_FLAGS: [&str; 7] = [
    "--keystore-path",
    "--keystore-uri",
    "--node-key",
    "--node-key-file",
    "--node-key-type",
    "--password",
    "--password-filename",
];
/// Flags of a chain without lasting data.
const EPHEMERAL_FLAGS: [&str; 2] = ["--dev", "--tmp"];

/// A flag of a chain without lasting data.
#[derive(Debug, thiserror::Error)]
#[error("collator.command has {0}: such a chain is not kept, so there is nothing to bake; take it out")]
pub struct EphemeralChainError(String);

/// The same node without authority and keys.
///
/// Fails when the command cannot leave chain data behind.
pub fn keyless(config: &Config) -> Result<Config, EphemeralChainError> {
    let mut derived = config.clone();
    derived.collator.command = keyless_command(&config.collator.command)?;
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

/// The arguments without authority and keys, on both sides of `--`.
fn keyless_command(arguments: &[String]) -> Result<Vec<String>, EphemeralChainError> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, _)) => (flag, true),
            None => (argument.as_str(), false),
        };
        if EPHEMERAL_FLAGS.contains(&flag) {
            return Err(EphemeralChainError(flag.to_owned()));
        }
        if KEY_FLAGS.contains(&flag) {
            if !inline {
                arguments.next_if(|value| !value.starts_with("--"));
            }
        } else if !AUTHORITY_FLAGS.contains(&flag) {
            kept.push(argument.clone());
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
    fn keyless_command_drops_authority_and_key_flags_alone() {
        let line = "--collator --name me --node-key 00ff --base-path /d --keystore-path=/k --rpc-port 1 --validator \
                    -- --chain r --node-key-file /n --alice --force-authoring --keystore-path /k2 --port 2";
        assert_eq!(
            derived("", line).collator.command.join(" "),
            "--name me --base-path /d --rpc-port 1 -- --chain r --port 2"
        );
    }

    #[test]
    fn key_flag_without_value_keeps_the_next_flag() {
        assert_eq!(derived("", "--node-key --name me").collator.command, ["--name", "me"]);
    }

    #[test]
    fn ephemeral_chain_is_refused() {
        for flag in ["--dev", "--tmp"] {
            let error = keyless_command(&[flag.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
    }

    #[test]
    fn only_read_only_mounts_without_keys_stay() {
        let mount = |source: &str, read_only: bool| {
            format!("[[mounts]]\nsource = \"{source}\"\ntarget = \"{source}\"\nread_only = {read_only}\n")
        };
        let mounts = mount("/specs", true) + &mount("/scratch", false) + &mount("/etc/keystore", true);
        let derived = derived(&mounts, "");
        assert_eq!(derived.mounts.len(), 1);
        assert_eq!(derived.mounts[0].source, Path::new("/specs"));
    }
}
