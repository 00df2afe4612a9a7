//! Check of the keys that a collator signs with: they exist, and others cannot read them.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use agent_config::{Config, ContainerUser};
use agent_core::key_paths::KEYSTORE;
use agent_core::units::counted;
use agent_files::{Dir, printable};

use super::report::Finding;

/// Rights that others may not have on a key.
const KEY_MASK: u32 = 0o077;
/// Rights that others may not have on a key store, which the node makes readable.
const STORE_MASK: u32 = 0o022;

pub(super) fn check_keystore(config: &Config) -> Finding {
    let stores = key_stores(config);
    let has_flag = |flag: &str| config.collator.command.iter().any(|word| word == flag);
    if stores.is_empty() {
        let collates = has_flag("--collator") || has_flag("--validator");
        return if collates {
            Finding::warn(
                "keystore",
                "there is none yet, and a collator makes no blocks without its session key: insert it \
                 (author_insertKey) or mount a keystore",
            )
        } else {
            Finding::skip("keystore", "this node does not collate")
        };
    }
    let mut keys = 0;
    for store in &stores {
        match count_keys(store, config.collator.user) {
            Ok(found) => keys += found,
            Err(KeystoreError::Unreadable(text)) => return Finding::skip("keystore", text),
            Err(KeystoreError::Wrong(text)) => return Finding::fail("keystore", text),
        }
    }
    if keys == 0 {
        let shown: Vec<String> = stores.iter().map(|store| store.display().to_string()).collect();
        return Finding::warn(
            "keystore",
            format!("no key in {}: insert it (author_insertKey)", shown.join(", ")),
        );
    }
    Finding::pass(
        "keystore",
        format!("{}, readable by their owner only", counted(keys, "key")),
    )
}

enum KeystoreError {
    Unreadable(String),
    Wrong(String),
}

/// Key stores of the configuration and of the node: mounted ones, and `chains/*/keystore` of either chain in the data
/// directory.
fn key_stores(config: &Config) -> Vec<PathBuf> {
    let mounts = config.mounts.iter().filter(|mount| mount.is_keystore());
    let mut stores: Vec<PathBuf> = mounts.map(|m| m.source.clone()).collect();
    let Ok(data) = Dir::open(&config.data.path) else {
        return stores;
    };
    for chains in ["chains", "polkadot/chains"].map(Path::new) {
        let ids = data.dir(chains).and_then(|dir| dir.names()).unwrap_or_default();
        let kept = ids.iter().map(|id| chains.join(id).join(KEYSTORE));
        let kept = kept.filter(|store| data.entry(store).is_ok_and(|about| about.is_dir()));
        stores.extend(kept.map(|store| config.data.path.join(store)));
    }
    stores
}

/// Number of keys in a store, all of which have the right owner and mode.
fn count_keys(store: &Path, user: Option<ContainerUser>) -> Result<u64, KeystoreError> {
    let shown = printable(&store.display().to_string());
    let cannot = |error: io::Error| {
        KeystoreError::Unreadable(format!("{shown} cannot be looked at ({error}): run this as root"))
    };
    let dir = Dir::open(store).map_err(cannot)?;
    ensure_private(store, &dir.metadata().map_err(cannot)?, STORE_MASK, "go-w", user)?;
    let mut keys = 0;
    for name in dir.names().map_err(cannot)? {
        // The key type and the public key, hexadecimal.
        let is_key = name.len() >= 8 && name.to_string_lossy().chars().all(|c| c.is_ascii_hexdigit());
        if is_key {
            keys += 1;
            let about = dir.entry(&name).map_err(cannot)?;
            ensure_private(&store.join(&name), &about, KEY_MASK, "600", user)?;
            if !about.is_file() {
                let shown = printable(&store.join(&name).display().to_string());
                return Err(KeystoreError::Wrong(format!("{shown} is no regular file: remove it")));
            }
        }
    }
    Ok(keys)
}

/// Fails unless the collator's user owns `path`, and others have none of the rights in `mask`.
fn ensure_private(
    path: &Path,
    meta: &Metadata,
    mask: u32,
    mode: &str,
    user: Option<ContainerUser>,
) -> Result<(), KeystoreError> {
    let shown = printable(&path.display().to_string());
    if meta.is_symlink() || (meta.is_file() && meta.nlink() > 1) {
        // The remedies below would be carried out on what it leads to.
        return Err(KeystoreError::Wrong(format!(
            "{shown} is a link: put the key itself in its place, or remove it"
        )));
    }
    if meta.mode() & mask != 0 {
        let found = meta.mode() & 0o777;
        return Err(KeystoreError::Wrong(format!(
            "{shown} has mode {found:o}, others may use the keys: chmod {mode} {shown}"
        )));
    }
    if let Some(user) = user.filter(|user| user.uid != meta.uid() && user.uid != 0) {
        return Err(KeystoreError::Wrong(format!(
            "{shown} belongs to {} and the collator runs as {}: chown {}:{} {shown}",
            meta.uid(),
            user.uid,
            user.uid,
            user.gid
        )));
    }
    Ok(())
}
