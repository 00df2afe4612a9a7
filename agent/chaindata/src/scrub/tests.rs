#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::survey::survey_data_dir;
use crate::survey::tests::{data, put};

const NODE_KEYS: [&str; 3] = [
    "chains/t0rn/network/secret_ed25519",
    "polkadot/chains/rococo/network/secret_ed25519",
    "relay-data/chains/rococo/network/secret_ed25519",
];

#[test]
fn remove_keys_of_every_chain_keeps_databases() {
    let dir = data();
    let clean = survey_data_dir(dir.path(), true).unwrap().tree;
    for key in &NODE_KEYS[..2] {
        put(dir.path(), key, "key");
    }
    for chain in ["chains/t0rn", "polkadot/chains/rococo"] {
        put(dir.path(), &format!("{chain}/keystore/61757261ff"), "words");
    }
    put(
        dir.path(),
        "polkadot/chains/rococo/network/authority_discovery_addr_cache.json",
        "{}",
    );
    remove_keys(dir.path()).unwrap();
    let left = survey_data_dir(dir.path(), true).unwrap();
    assert!(left.secrets.is_empty() && left.refused.is_empty(), "{left:?}");
    assert_eq!(left.tree, clean);
    remove_keys(dir.path()).unwrap();
}

#[test]
fn operators_keys_are_refused_and_left_in_place() {
    let keystore = "chains/t0rn/keystore/61757261ff";
    for key in NODE_KEYS.into_iter().chain([keystore]) {
        let dir = data();
        put(dir.path(), key, "key");
        let error = ensure_no_keys(dir.path(), false).unwrap_err().to_string();
        let named = key.trim_end_matches("/61757261ff");
        assert!(error.contains(named) && error.contains("move"), "{error}");
        assert!(dir.path().join(key).exists());
    }
    let dir = data();
    put(dir.path(), NODE_KEYS[0], "its own");
    ensure_no_keys(dir.path(), true).unwrap();
    put(dir.path(), keystore, "words");
    ensure_no_keys(dir.path(), true).unwrap_err();
}

#[test]
fn remove_keys_with_unknown_entry_removes_nothing() {
    let dir = data();
    put(dir.path(), NODE_KEYS[0], "key");
    put(dir.path(), "wallet.json", "x");
    let error = remove_keys(dir.path()).unwrap_err().to_string();
    assert!(error.contains("wallet.json"), "{error}");
    assert!(dir.path().join(NODE_KEYS[0]).exists());
}

#[test]
fn remove_keys_refuses_linked_key_store() {
    let (dir, other) = (data(), data());
    put(other.path(), "key", "words");
    std::os::unix::fs::symlink(other.path(), dir.path().join("chains/t0rn/keystore")).unwrap();
    remove_keys(dir.path()).unwrap_err();
    assert!(other.path().join("key").exists());
}

#[test]
fn missing_or_empty_directory_has_no_keys() {
    let dir = tempfile::tempdir().unwrap();
    ensure_no_keys(dir.path(), false).unwrap();
    ensure_no_keys(&dir.path().join("none"), false).unwrap();
}
