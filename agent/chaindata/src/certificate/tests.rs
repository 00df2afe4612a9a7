#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use super::*;

/// Certificate of a parachain alone, on `RocksDB`.
pub(crate) fn certificate() -> Certificate {
    let chain = BakedChain {
        id: "t0rn".to_owned(),
        genesis: "ab".repeat(32),
        best: 90_000,
        finalized: None,
        database: Database::RocksDb,
        path: "chains/t0rn".to_owned(),
        node: "1.25.1-0".to_owned(),
    };
    Certificate {
        schema: SCHEMA,
        at: Timestamp::UNIX_EPOCH,
        agent: "0.1.0".to_owned(),
        image: BakedImage {
            reference: "t0rn:1".to_owned(),
            digest: "sha256:00".to_owned(),
        },
        chains: BTreeMap::from([(Chain::Parachain, chain)]),
        stop: BakedStop {
            clean: true,
            exit_code: 0,
        },
        tree: TreeDigest::default(),
    }
}

#[test]
fn written_certificate_is_read_back_without_partial_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        read_certificate(dir.path()),
        Err(CertificateError::Missing(_))
    ));
    write_certificate(dir.path(), &certificate()).unwrap();
    assert_eq!(read_certificate(dir.path()).unwrap(), certificate());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    remove_certificate(dir.path()).unwrap();
    remove_certificate(dir.path()).unwrap();
    assert!(matches!(
        read_certificate(dir.path()),
        Err(CertificateError::Missing(_))
    ));
}

#[test]
fn certificate_with_any_change_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CERTIFICATE_FILE);
    write_certificate(dir.path(), &certificate()).unwrap();
    let written = fs::read_to_string(&path).unwrap();
    let compact: Value = serde_json::from_str(&written).unwrap();
    fs::write(&path, compact.to_string()).unwrap();
    assert_eq!(
        read_certificate(dir.path()).unwrap(),
        certificate(),
        "only the layout is another"
    );
    for (from, to) in [
        ("90000", "90001"),
        ("\"1.25.1-0\"", "\"1.25.1-1\""),
        ("\"schema\"", "\"more\": 1, \"schema\""),
        ("\"sha256\": \"", "\"sha256\": \"0"),
        ("\"finalized\": null,", ""),
    ] {
        assert_ne!(written, written.replace(from, to), "{from} is in it");
        fs::write(&path, written.replace(from, to)).unwrap();
        assert!(
            matches!(read_certificate(dir.path()), Err(CertificateError::Damaged { .. })),
            "{from}"
        );
    }
}

#[test]
fn certificate_malformed_newer_huge_or_a_link_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CERTIFICATE_FILE);
    let newer = serde_json::to_string(&Certificate {
        schema: SCHEMA + 1,
        ..certificate()
    });
    for text in ["", "{", "[]", "{\"schema\": 1}", &newer.unwrap(), &" ".repeat(2 << 20)] {
        fs::write(&path, text).unwrap();
        assert!(matches!(
            read_certificate(dir.path()),
            Err(CertificateError::Damaged { .. })
        ));
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(matches!(
        read_certificate(dir.path()),
        Err(CertificateError::Damaged { .. })
    ));
}
