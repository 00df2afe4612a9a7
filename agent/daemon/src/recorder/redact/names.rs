//! What names tell: which values are secret, and which are known to be safe.

/// Parts of names whose value is secret; compared in lower case, `-` as `_`.
pub(super) const PARTS: [&str; 13] = [
    "secret",
    "passw",
    "passphrase",
    "token",
    "mnemonic",
    "seed",
    "suri",
    "private",
    "credential",
    "webhook",
    "cookie",
    "apikey",
    "api_key",
];
/// Words between the underscores of such names.
pub(super) const WORDS: [&str; 5] = ["pass", "pwd", "auth", "authorization", "phrase"];
/// The end of such names: `node_key`, `accessKey`, `key`.
pub(super) const END: &str = "key";
/// Ends of names of places: where a secret is, is not secret.
pub(super) const PLACES: [&str; 2] = ["_file", "_path"];

/// Names whose value contains spaces.
pub(super) const SPACED: [&str; 6] = ["phrase", "mnemonic", "authorization", "suri", "seed", "cookie"];

/// Variables whose value is shown.
const VARIABLES: [&str; 18] = [
    "COLUMNS",
    "DEBIAN_FRONTEND",
    "HOME",
    "HOSTNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "MALLOC_ARENA_MAX",
    "NO_COLOR",
    "PATH",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "RUST_LOG",
    "RUST_LOG_STYLE",
    "RUST_MIN_STACK",
    "TERM",
    "TZ",
    "USER",
];

/// Flags of Substrate nodes whose values are shown, without dashes.
const FLAGS: [&str; 62] = [
    "allow-private-ipv4",
    "authoring-policy",
    "base-path",
    "block-authoring-policy",
    "blocks-pruning",
    "bootnodes",
    "chain",
    "d",
    "database",
    "db",
    "db-cache",
    "dev-block-time",
    "execution",
    "experimental-max-backing-group-size",
    "in-peers",
    "in-peers-light",
    "ipfs-bootnodes",
    "kademlia-replication-factor",
    "keystore-path",
    "l",
    "listen-addr",
    "log",
    "max-parallel-downloads",
    "max-runtime-instances",
    "name",
    "network-backend",
    "node-key-file",
    "node-key-type",
    "out-peers",
    "parachain-id",
    "pool-kbytes",
    "pool-limit",
    "pool-type",
    "port",
    "prometheus-port",
    "pruning",
    "public-addr",
    "relay-chain-rpc-url",
    "relay-chain-rpc-urls",
    "reserved-nodes",
    "rpc-cors",
    "rpc-max-connections",
    "rpc-max-request-size",
    "rpc-max-response-size",
    "rpc-max-subscriptions-per-connection",
    "rpc-message-buffer-capacity-per-connection",
    "rpc-methods",
    "rpc-port",
    "rpc-rate-limit",
    "runtime-cache-size",
    "state-cache-size",
    "state-pruning",
    "sync",
    "telemetry-url",
    "tracing-targets",
    "trie-cache-size",
    "wasm-execution",
    "wasm-runtime-overrides",
    "wasmtime-instantiation-strategy",
    "workers-path",
    "ws-max-connections",
    "ws-port",
];

/// Labels of containers whose value is shown: the agent's own, and those that describe an image.
const LABELS: [&str; 2] = ["t0rn-agent.", "org.opencontainers.image."];

/// Whether a name's value is secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let is_place = PLACES.iter().any(|place| name.ends_with(place));
    let is_part = || PARTS.iter().any(|part| name.contains(part));
    let is_word = || name.split('_').any(|word| WORDS.contains(&word));
    !is_place && (is_part() || is_word() || name.ends_with(END))
}

/// Whether a text may have a name whose value is secret.
pub(super) fn mentions_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('-', "_");
    let all = PARTS.iter().chain(&WORDS).chain([&END]);
    all.into_iter().any(|word| text.contains(word))
}

/// Whether the value of a variable of the container is shown.
pub(super) fn is_safe_variable(name: &str) -> bool {
    VARIABLES.contains(&name)
}

/// Whether the value of a flag is shown: of a known one, or of one that names a place.
pub(super) fn is_safe_flag(flag: &str) -> bool {
    let bare = flag.trim_start_matches('-');
    let name = bare.replace('-', "_");
    FLAGS.contains(&bare) || PLACES.iter().any(|place| name.ends_with(place))
}

/// Whether the value of a label of the container is shown.
pub(super) fn is_safe_label(name: &str) -> bool {
    LABELS.iter().any(|label| name.starts_with(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Terraform refuses in user-data.
    const TERRAFORM: &str = include_str!("../../../../../provision/components/terraform/modules/user-data/settings.tf");

    #[test]
    fn terraform_has_the_same_names() {
        let variable = format!("(?i)({}|(^|_)({})(_|$)|{END}$)", PARTS.join("|"), WORDS.join("|"));
        let places = PLACES.map(|place| place.trim_start_matches('_')).join("|");
        for (name, pattern) in [("variable", variable), ("place   ", format!("(?i)_({places})$"))] {
            let line = format!("    {name} = \"{pattern}\"\n");
            assert!(TERRAFORM.contains(&line), "settings.tf needs the line\n{line}");
        }
    }

    #[test]
    fn secret_names_are_known_in_every_spelling() {
        for name in [
            "DB_PASS",
            "pass",
            "SIGNING_KEY",
            "SESSION_COOKIE",
            "API_CREDENTIALS",
            "--node-key",
            "apiKey",
            "X-Auth",
            "AWS_SECRET_ACCESS_KEY",
            "private_pem",
            "DbPassword",
            "STASH_PHRASE",
            "DB_PWD",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "RUST_LOG",
            "authority",
            "keystore-path",
            "TOKEN_FILE",
            "bypass",
            "compass",
            "keys",
            "chain",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
