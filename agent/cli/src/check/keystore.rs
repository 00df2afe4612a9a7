//! The keys that a collator signs with: they are there, and nobody else reads them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Finding;
use agent_config::{Config, User};

/// What others may not have: of a key, any right; of its folder, which the node makes readable, the right to write.
const KEY: u32 = 0o077;
const FOLDER: u32 = 0o022;

pub(super) fn look(config: &Config) -> Finding {
    let stores = stores(config);
    let told = |say: &str| config.collator.command.iter().any(|word| word == say);
    if stores.is_empty() {
        let collates = told("--collator") || told("--validator");
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
        match judge(store, config.collator.user) {
            Ok(found) => keys += found,
            Err(Fault::Unreadable(text)) => return Finding::skip("keystore", text),
            Err(Fault::Wrong(text)) => return Finding::fail("keystore", text),
        }
    }
    if keys == 0 {
        let shown: Vec<String> = stores.iter().map(|store| store.display().to_string()).collect();
        return Finding::warn(
            "keystore",
            format!("no key in {}: insert it (author_insertKey)", shown.join(", ")),
        );
    }
    Finding::pass("keystore", format!("{keys} keys, readable by their owner only"))
}

enum Fault {
    Unreadable(String),
    Wrong(String),
}

/// Where the configuration or the node itself keeps keys: mounted keystores, and `chains/*/keystore` in the
/// data directory, of either chain.
fn stores(config: &Config) -> Vec<PathBuf> {
    let named = |path: &Path| path.components().any(|part| part.as_os_str() == "keystore");
    let mounts = config.mounts.iter().filter(|m| named(&m.source) || named(&m.target));
    let mut stores: Vec<PathBuf> = mounts.map(|m| m.source.clone()).collect();
    for chains in ["chains", "polkadot/chains"] {
        let Ok(found) = fs::read_dir(config.data.path.join(chains)) else {
            continue;
        };
        let kept = found.flatten().map(|chain| chain.path().join("keystore"));
        stores.extend(kept.filter(|store| store.is_dir()));
    }
    stores
}

/// How many keys are in it.
fn judge(store: &Path, user: Option<User>) -> Result<usize, Fault> {
    let cannot = |error: io::Error| {
        Fault::Unreadable(format!(
            "{} cannot be looked at ({error}): run this as root",
            store.display()
        ))
    };
    alone(store, FOLDER, "go-w", user)?;
    let mut keys = 0;
    for entry in fs::read_dir(store).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        // Four letters for the kind and then the public key, all of it in hexadecimal.
        let name = entry.file_name();
        let is_key = name.len() >= 8 && name.to_string_lossy().chars().all(|c| c.is_ascii_hexdigit());
        if is_key {
            keys += 1;
            alone(&entry.path(), KEY, "600", user)?;
        }
    }
    Ok(keys)
}

/// Whether it is the collator's own, and others have none of the rights in `kept`.
fn alone(path: &Path, kept: u32, mode: &str, user: Option<User>) -> Result<(), Fault> {
    let shown = path.display();
    let meta = fs::metadata(path)
        .map_err(|error| Fault::Unreadable(format!("{shown} cannot be looked at ({error}): run this as root")))?;
    if meta.mode() & kept != 0 {
        let found = meta.mode() & 0o777;
        return Err(Fault::Wrong(format!(
            "{shown} has mode {found:o}, others may use the keys: chmod {mode} {shown}"
        )));
    }
    if let Some(user) = user.filter(|user| user.uid != meta.uid() && user.uid != 0) {
        return Err(Fault::Wrong(format!(
            "{shown} belongs to {} and the collator runs as {}: chown {}:{} {shown}",
            meta.uid(),
            user.uid,
            user.uid,
            user.gid
        )));
    }
    Ok(())
}
