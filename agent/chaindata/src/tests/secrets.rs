use super::*;

const SECRET: &[u8] = b"bottom drive obey lake curtain smoke basket hold race lonely fit walk";

/// Where people, nodes and tools leave keys.
const PLACES: [&str; 27] = [
    "chains/t0rn/keystore/61757261d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d",
    "chains/t0rn/network/secret_ed25519",
    "chains/t0rn/network/secret_ed25519.bak",
    "chains/t0rn/keystore.old/key",
    "chains/t0rn/node-key",
    "chains/t0rn/db/full/node-key",
    "chains/t0rn/db/full/secret_ed25519",
    "chains/t0rn/db/keystore/key",
    "chains/t0rn/db/full/.key",
    "chains/t0rn/db/full/backup.pem",
    "chains/t0rn/db/full/61757261d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d",
    "chains/t0rn/db/full/backup.json",
    "chains/t0rn/db/full/node.sk",
    "chains/t0rn/db/full/aura",
    "chains/t0rn/db/full/deep/er/5GrwvaEF.json",
    "chains/t0rn/frontier/db/n0de",
    "chains/t0rn/frontier/id_ed25519",
    "chains/t0rn/secret.txt",
    "chains/secret.txt",
    "chains/keystore",
    "polkadot/chains/rococo/keystore/6772616e",
    "polkadot/chains/rococo/network/secret_ed25519",
    "polkadot/keystore/key",
    "keystore/key",
    "node-key",
    ".ssh/id_rsa",
    "wallet.json",
];

#[test]
fn snapshot_contains_no_secret_from_any_place() {
    let from = data(1);
    for place in PLACES {
        put(from.path(), place, SECRET);
    }
    let bytes = snapshot(from.path(), None);
    let mut tar = Vec::new();
    zstd::stream::read::Decoder::new(&bytes[..])
        .unwrap()
        .read_to_end(&mut tar)
        .unwrap();
    let finds = |what: &[u8]| memchr::memmem::find(&tar, what).is_some();
    assert!(finds(b"MANIFEST-000005"), "the archive is looked through");
    assert!(!finds(SECRET) && !finds(b"SECRET"));
    for name in ["keystore", "secret", "node-key", "id_rsa", "61757261"] {
        assert!(!finds(name.as_bytes()), "{name}");
    }
}

#[test]
fn snapshot_of_database_with_link_fails() {
    let secret = "chains/t0rn/keystore/61757261aa";
    for (live, hard) in [(true, true), (false, true), (true, false), (false, false)] {
        let from = data(1);
        let (key, place) = (
            from.path().join(secret),
            from.path().join("chains/t0rn/db/full/000077.log"),
        );
        if hard {
            fs::hard_link(&key, &place).unwrap();
        } else {
            std::os::unix::fs::symlink(&key, &place).unwrap();
        }
        let consistency = if live {
            Consistency::CrashConsistent
        } else {
            Consistency::Clean
        };
        let refused = create(from.path(), consistency, None, &mut Vec::new());
        let words = format!("{:#}", refused.unwrap_err());
        assert!(words.contains("000077.log") && words.contains("link"), "{words}");
    }
}

#[test]
fn snapshot_of_database_with_pipe_or_directory_for_file_fails() {
    use std::os::unix::fs::PermissionsExt as _;
    for consistency in [Consistency::Clean, Consistency::CrashConsistent] {
        for plant in ["pipe", "directory", "setuid"] {
            let from = data(1);
            let place = from.path().join("chains/t0rn/db/full/000077.log");
            match plant {
                "pipe" => rustix::fs::mkfifoat(rustix::fs::CWD, &place, rustix::fs::Mode::RWXU).unwrap(),
                "directory" => fs::create_dir(&place).unwrap(),
                _ => {
                    fs::write(&place, "log").unwrap();
                    fs::set_permissions(&place, fs::Permissions::from_mode(0o4644)).unwrap();
                }
            }
            let refused = create(from.path(), consistency, None, &mut Vec::new());
            let words = format!("{:#}", refused.unwrap_err());
            assert!(
                words.contains("000077.log") && words.contains("in its place"),
                "{words}"
            );
        }
    }
}
