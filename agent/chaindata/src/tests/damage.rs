use super::*;
use crate::snapshot::tests::{SCHEMA, copy_entries, write_snapshot};
use crate::snapshot::{ReadError, SnapshotInfo, verify_snapshot};
use crate::survey::survey_data_dir;

/// Every `step`th byte, and all of the first and last few hundred.
fn places(length: usize, step: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| at % step == 0 || *at < 700 || *at + 1500 > length)
}

#[test]
fn verify_names_any_flipped_bit() {
    let from = tempfile::tempdir().unwrap();
    put(from.path(), "chains/t0rn/db/full/000001.sst", &noise(30_000, 1));
    put(from.path(), "chains/t0rn/db/full/000002.sst", &vec![9; 3 << 20]);
    let key = SecretKey::parse(&keys(3).0).unwrap();
    let good = snapshot(from.path(), Some(&key));
    verify_snapshot(&Bytes(good.clone()), None, &mut Silent).unwrap();
    for at in places(good.len(), 211) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        let found = verify_snapshot(&Bytes(bad), None, &mut Silent);
        let words = match found {
            Err(ReadError::Damaged(words)) => words,
            other => panic!("byte {at} of {}: {other:?}", good.len()),
        };
        assert!(!words.is_empty());
    }
}

#[test]
fn restore_names_damaged_chunk_data_unchanged() {
    let (from, to) = (data(1), data(50));
    let mut bytes = snapshot(from.path(), None);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    let before = content(to.path());
    let refused = ready(to.path(), &Bytes(bytes), &RestoreOptions::default()).unwrap_err();
    let words = format!("{refused:#}");
    assert!(words.contains("chunk 2 (byte ") && words.contains("SHA-256"), "{words}");
    assert!(content(to.path()) == before);
}

#[test]
fn verify_refuses_truncated_and_overlong_snapshot() {
    let from = tempfile::tempdir().unwrap();
    put(from.path(), "chains/t0rn/db/full/000001.sst", &noise(20_000, 1));
    let good = snapshot(from.path(), None);
    for end in places(good.len(), 97) {
        let found = verify_snapshot(&Bytes(good[..end].to_vec()), None, &mut Silent);
        assert!(
            matches!(found, Err(ReadError::Damaged(_))),
            "{end} of {}: {found:?}",
            good.len()
        );
    }
    let more = [good.as_slice(), &good[..1000]].concat();
    assert!(verify_snapshot(&Bytes(more), None, &mut Silent).is_err());
    let more = [good.as_slice(), b"more"].concat();
    assert!(verify_snapshot(&Bytes(more), None, &mut Silent).is_err());
}

#[test]
fn restore_refuses_more_data_than_info_says() {
    let from = data(1);
    let survey = survey_data_dir(from.path(), false).unwrap();
    let info = SnapshotInfo {
        schema: SCHEMA,
        id: String::new(),
        at: jiff::Timestamp::UNIX_EPOCH,
        agent: String::new(),
        consistency: Consistency::CrashConsistent,
        chains: read_chain_facts(from.path(), &BTreeMap::new()).unwrap(),
        files: 1,
        bytes: 10,
    };
    let (entries, mut bytes) = (copy_entries(&survey), Vec::new());
    let root = agent_files::Dir::open(from.path()).unwrap();
    write_snapshot(&root, &entries, &info, &mut bytes, None, &mut Silent, || Ok(())).unwrap();
    let to = tempfile::tempdir().unwrap();
    let refused = ready(to.path(), &Bytes(bytes), &RestoreOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("than its head says"), "{refused}");
}
