use super::*;
use crate::snapshot::sha256;

fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Not through the library, which refuses what an attacker does not.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o6644);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

const GOOD: (&str, tar::EntryType, &[u8]) = ("chains/t0rn/db/full/CURRENT", tar::EntryType::Regular, b"now");

fn options(bytes: &[u8]) -> RestoreOptions {
    RestoreOptions {
        sha256: Some(sha256(bytes)),
        ..RestoreOptions::default()
    }
}

#[test]
fn archive_of_each_compression_restored_without_keys() {
    let key = (
        "chains/t0rn/keystore/61757261",
        tar::EntryType::Regular,
        b"SECRET".as_slice(),
    );
    let tar = archive(&[GOOD, key]);
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    io::copy(&mut &tar[..], &mut lz4).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::copy(&mut &tar[..], &mut gz).unwrap();
    let zst = zstd::stream::encode_all(&tar[..], 1).unwrap();
    for bytes in [tar, lz4.finish().unwrap(), gz.finish().unwrap(), zst] {
        let to = tempfile::tempdir().unwrap();
        let options = options(&bytes);
        let ready = ready(to.path(), &Bytes(bytes), &options).unwrap();
        assert_eq!(ready.skipped, [Path::new("chains/t0rn/keystore/61757261")]);
        commit_restore(ready, || Ok(())).unwrap();
        let found = content(to.path());
        assert_eq!(found.len(), 1);
        assert_eq!(found[Path::new(GOOD.0)], b"now");
    }
}

#[test]
fn archive_with_wrong_or_no_checksum_refused_data_unchanged() {
    let (bytes, to) = (archive(&[GOOD]), data(50));
    let before = content(to.path());
    let refused =
        |options: &RestoreOptions| format!("{:#}", ready(to.path(), &Bytes(bytes.clone()), options).unwrap_err());
    assert!(refused(&RestoreOptions::default()).contains("--sha256"));
    assert!(refused(&options(b"another")).contains("nothing was switched"));
    assert!(!to.path().join(".restore").exists() && content(to.path()) == before);
    restore_all(to.path(), &Bytes(bytes.clone()), &options(&bytes)).unwrap();
    assert_eq!(content(&to.path().join("chains/t0rn/db")).len(), 1);
}

#[test]
fn archive_with_leading_directory_refused_with_remedy() {
    let (name, kind, content) = GOOD;
    let bytes = archive(&[(&format!("top/{name}"), kind, content)]);
    for to in [data(1), tempfile::tempdir().unwrap()] {
        let before = super::content(to.path());
        let refused = ready(to.path(), &Bytes(bytes.clone()), &options(&bytes)).unwrap_err();
        assert!(refused.to_string().contains("--strip 1"), "{refused}");
        assert!(super::content(to.path()) == before && !to.path().join(".restore").exists());
        let stripped = RestoreOptions {
            strip: 1,
            ..options(&bytes)
        };
        restore_all(to.path(), &Bytes(bytes.clone()), &stripped).unwrap();
        assert_eq!(super::content(to.path())[Path::new(name)], b"now");
    }
}

#[test]
fn archive_with_huge_header_refused() {
    let long = vec![b'a'; 2 << 20];
    for kind in [
        tar::EntryType::GNULongName,
        tar::EntryType::GNULongLink,
        tar::EntryType::XHeader,
    ] {
        let bytes = archive(&[GOOD, ("long", kind, &long), GOOD]);
        let to = tempfile::tempdir().unwrap();
        let options = options(&bytes);
        let refused = format!("{:#}", ready(to.path(), &Bytes(bytes), &options).unwrap_err());
        assert!(refused.contains("longer than 1 MiB"), "{refused}");
    }
    let key = ("chains/t0rn/keystore/61", tar::EntryType::Regular, &long[..]);
    let bytes = archive(&[key, GOOD]);
    let to = tempfile::tempdir().unwrap();
    ready(to.path(), &Bytes(bytes.clone()), &options(&bytes)).unwrap();
}

#[test]
fn archive_entry_outside_data_directory_refused() {
    use tar::EntryType;
    let evil = [
        ("../evil", EntryType::Regular),
        ("/etc/evil", EntryType::Regular),
        ("chains/../../evil", EntryType::Regular),
        ("chains/t0rn/db/full/link", EntryType::Symlink),
        ("chains/t0rn/db/full/link", EntryType::Link),
        ("chains/t0rn/db/full/device", EntryType::Block),
        ("chains/t0rn/db/full/device", EntryType::Char),
        ("chains/t0rn/db/full/pipe", EntryType::Fifo),
    ];
    for (path, kind) in evil {
        let bytes = archive(&[GOOD, (path, kind, b"")]);
        let outer = tempfile::tempdir().unwrap();
        let to = outer.path().join("data");
        fs::create_dir(&to).unwrap();
        let options = options(&bytes);
        let refused = format!("{:#}", ready(&to, &Bytes(bytes), &options).unwrap_err());
        assert!(refused.contains(path), "{path}: {refused}");
        assert!(!outer.path().join("evil").exists() && !to.join("chains").exists());
    }
}

#[test]
fn archive_of_one_chain_leaves_others_unchanged() {
    let (bytes, to) = (archive(&[GOOD]), data(1));
    let relay = content(&to.path().join("polkadot"));
    restore_all(to.path(), &Bytes(bytes.clone()), &options(&bytes)).unwrap();
    assert!(content(&to.path().join("polkadot")) == relay);
    assert_eq!(content(&to.path().join("chains/t0rn/db")).len(), 1);
}
