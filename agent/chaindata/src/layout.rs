//! Layout of a data directory: which names the agent and a node use there, and an allow list of what may be in an image
//! or a snapshot.

use std::path::Path;

use agent_core::key_paths::KEYSTORE;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

pub const CERTIFICATE_FILE: &str = "bake.json";
/// A certificate that was being written when the agent was killed.
pub(crate) const PARTIAL_CERTIFICATE_FILE: &str = "bake.json.tmp";
/// State of a restore. It lies in the data directory to be on the same file system, also where that is a volume of its own.
pub(crate) const RESTORE_DIR: &str = ".restore";
/// Hard links of a live snapshot, in the data directory because links need the same file system.
pub(crate) const SNAPSHOT_DIR: &str = ".snapshot";
/// The data from before a restore, where it is to be kept.
pub(crate) const PREVIOUS_DATA_DIR: &str = ".before-restore";

/// Directories below `chains/<id>` that hold databases.
pub(crate) const DATABASE_DIRS: [&str; 3] = ["db", "paritydb", "frontier"];
/// Directories within databases.
const INNER_DIRS: [&str; 7] = ["full", "light", "parachains", "db", "paritydb", "archive", "sql"];
/// Deeper than any database; entries nested beyond are refused.
const MAX_DEPTH: usize = 24;
/// Base paths above `chains`, such as `polkadot` or `relay-data`.
const MAX_BASE_DIRS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum Database {
    RocksDb,
    ParityDb,
}

impl Database {
    /// Its directory below `chains/<id>`.
    pub(crate) fn dir(self) -> &'static str {
        match self {
            Self::RocksDb => "db/full",
            Self::ParityDb => "paritydb/full",
        }
    }
}

/// What the layout says about an entry of a data directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EntryClass {
    Allowed,
    /// A key store or node key.
    Secret,
    /// Network state of a node, which it makes anew.
    Cache,
    /// The agent's own file, or the file system's.
    Ignored,
    Refused(&'static str),
}

/// Whether a path, relative to a data directory, may be in an image or a snapshot.
pub(crate) fn is_allowed(path: &Path, is_dir: bool) -> bool {
    let parts: Option<Vec<_>> = path.iter().map(|part| part.to_str()).collect();
    parts.is_some_and(|parts| classify(&parts, is_dir) == EntryClass::Allowed)
}

/// Classifies a path, relative to a data directory, by its name alone. Chain data is allowed in
/// `[base/…]chains/<id>/{db,paritydb,frontier}/…`, and nowhere else.
pub(crate) fn classify(parts: &[&str], is_dir: bool) -> EntryClass {
    const UNKNOWN: EntryClass = EntryClass::Refused("nothing that a node keeps there");
    if parts.len() > MAX_DEPTH {
        return EntryClass::Refused("nested too deeply");
    }
    if parts.iter().any(|part| part.contains(char::is_control)) {
        return EntryClass::Refused("a name with control characters");
    }
    match parts {
        [CERTIFICATE_FILE] if !is_dir => return EntryClass::Ignored,
        [PARTIAL_CERTIFICATE_FILE] => return EntryClass::Refused("a certificate that was not finished"),
        [RESTORE_DIR, ..] => {
            return EntryClass::Refused("a restore is under way: finish it, or t0rn-agent snapshot abandon");
        }
        [SNAPSHOT_DIR, ..] => {
            return EntryClass::Refused("a snapshot was killed: t0rn-agent snapshot abandon removes it");
        }
        [PREVIOUS_DATA_DIR, ..] => return EntryClass::Refused("the data from before a restore: remove it"),
        _ => {}
    }
    let Some(chains) = parts.iter().position(|part| *part == "chains") else {
        let plain = is_dir && parts.len() <= MAX_BASE_DIRS && parts.iter().all(|part| !part.starts_with('.'));
        let secret = parts.last().is_some_and(|name| is_secret_name(name));
        return if plain && !secret { EntryClass::Allowed } else { UNKNOWN };
    };
    if chains > MAX_BASE_DIRS {
        return UNKNOWN;
    }
    match &parts[chains + 1..] {
        [] | [_] | [_, "network"] if is_dir => EntryClass::Allowed,
        [_, dir] if is_dir && DATABASE_DIRS.contains(dir) => EntryClass::Allowed,
        [_, KEYSTORE] if is_dir => EntryClass::Secret,
        [_, "network", "secret_ed25519"] if !is_dir => EntryClass::Secret,
        [_, "network", "authority_discovery_addr_cache.json"] if !is_dir => EntryClass::Cache,
        [_, dir, inner @ ..] if DATABASE_DIRS.contains(dir) => match inner.split_last() {
            Some((name, above))
                if above.iter().all(|name| INNER_DIRS.contains(name))
                    && if is_dir {
                        INNER_DIRS.contains(name)
                    } else {
                        is_database_file(name)
                    } =>
            {
                EntryClass::Allowed
            }
            _ => EntryClass::Refused("no file of a database"),
        },
        _ => UNKNOWN,
    }
}

/// Whether `RocksDB`, `ParityDB`, a node beside them or Frontier gives this name to a file of a database.
fn is_database_file(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "CURRENT",
        "IDENTITY",
        "LOCK",
        "LOG",
        "db_version",
        "parachain_db_version",
        "metadata",
        "lock",
        "frontier.db3",
        "frontier.db3-wal",
        "frontier.db3-shm",
    ];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(half) = name.strip_suffix(".dbtmp") {
        return number(half) || is_database_file(half);
    }
    let numbered = ["MANIFEST-", "OPTIONS-", "LOG.old.", "log", "table_", "index_"];
    let ends = ["sst", "ldb", "log", "blob"];
    let begins = |start: &str| {
        let rest = name.strip_prefix(start);
        rest.is_some_and(|rest| rest.split('_').all(number))
    };
    NAMES.contains(&name)
        || numbered.into_iter().any(begins)
        || name
            .rsplit_once('.')
            .is_some_and(|(start, end)| number(start) && ends.contains(&end))
}

/// Whether people or nodes give this name to keys; no database does.
fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ends = [".pem", ".key", ".p12", ".pfx", ".kdbx"];
    let words = [
        "key",
        "secret",
        "id_rsa",
        "id_ed25519",
        "id_ecdsa",
        "ssh_host",
        "mnemonic",
        "phrase",
        "seed",
        "wallet",
        "utc--",
        "password",
        "passwd",
        "credential",
        "token",
    ];
    name.starts_with('.')
        || lower == "network"
        || words.iter().any(|word| lower.contains(word))
        || ends.iter().any(|end| lower.ends_with(end))
        // A key store's file: four bytes of key type, then the public key.
        || (name.len() >= 72 && name.bytes().all(|b| b.is_ascii_hexdigit()))
}
