//! Where keys lie, by the names of files and directories.

use std::path::Path;

pub const KEYSTORE: &str = "keystore";

/// Words in the names of keys and of what opens them.
const KEY_WORDS: [&str; 5] = ["node-key", "node_key", "nodekey", "secret", "password"];

/// Whether a path leads to a keystore: one of its components has `keystore` in its name. Two nodes that write to one
/// keystore sign with the same keys.
pub fn is_keystore(path: &Path) -> bool {
    has_part_with(path, &[KEYSTORE])
}

/// Whether a path leads to a keystore, another key or a password.
pub fn is_key(path: &Path) -> bool {
    is_keystore(path) || has_part_with(path, &KEY_WORDS)
}

fn has_part_with(path: &Path, words: &[&str]) -> bool {
    path.iter().any(|part| {
        let part = part.to_string_lossy().to_ascii_lowercase();
        words.iter().any(|word| part.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keystore_and_key_paths_are_known_by_any_part_in_any_case() {
        let judged = |path: &str| (is_keystore(Path::new(path)), is_key(Path::new(path)));
        for path in ["/node/keystore", "/srv/Keystore/polkadot", "/srv/collator-keystore"] {
            assert_eq!(judged(path), (true, true), "{path}");
        }
        for path in [
            "/etc/node-key",
            "/run/secrets/x",
            "/etc/NodeKey.bin",
            "/etc/db_password",
        ] {
            assert_eq!(judged(path), (false, true), "{path}");
        }
        for path in ["/node/data", "/specs/monkey.json", "/"] {
            assert_eq!(judged(path), (false, false), "{path}");
        }
    }
}
