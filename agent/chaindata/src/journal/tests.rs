use std::fs;

use anyhow::Context as _;
use tempfile::TempDir;

use super::*;

/// A data directory with a restore in this stage.
fn interrupted(stage: RestoreStage) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let mut journal = Journal::new("else\u{1b}where", "00".to_owned(), false);
    journal.stage = stage;
    let dir = Dir::open(data.path()).unwrap();
    RestoreDir::make(&dir).unwrap().write(&journal).unwrap();
    data
}

#[test]
fn interrupted_restore_is_described_by_its_stage() {
    let state = tempfile::tempdir().unwrap();
    for (stage, words, is_swapping) in [
        (RestoreStage::Unpacking, "the data is as it was", false),
        (RestoreStage::Swapping, "exchanged the data", true),
        (RestoreStage::Swapped, "removing the old data", false),
    ] {
        let data = interrupted(stage);
        let said = describe_interrupted_restore(data.path(), state.path()).unwrap();
        assert!(said.contains(words) && !said.contains('\u{1b}'), "{said}");
        assert_eq!(is_restore_swapping(data.path()), is_swapping, "{stage:?}");
    }
    let none = tempfile::tempdir().unwrap();
    assert_eq!(describe_interrupted_restore(none.path(), state.path()), None);
    assert!(!is_restore_swapping(none.path()));
}

#[test]
fn journal_that_cannot_be_read_counts_as_swapping_and_what_is_none_does_not() {
    let data = interrupted(RestoreStage::Unpacking);
    fs::write(data.path().join(".restore/journal.json"), "{").unwrap();
    assert!(is_restore_swapping(data.path()));
    // The owner of the data can put it there.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join(".restore"), "").unwrap();
    assert!(!is_restore_swapping(other.path()));
}

#[test]
fn only_a_refusal_is_a_refusal() {
    let of = |kind: io::ErrorKind| Err::<(), _>(io::Error::from(kind)).context("above").unwrap_err();
    assert!(is_denied(&of(io::ErrorKind::PermissionDenied)));
    assert!(!is_denied(&of(io::ErrorKind::NotFound)));
    assert!(!is_denied(&anyhow::anyhow!("another")));
}

#[test]
fn databases_of_the_data_are_exchanged_and_nothing_else() {
    let of = |place: &str| {
        let mut journal = Journal::new("elsewhere", "00".to_owned(), false);
        let place = PathBuf::from(place);
        journal.units.push(SwapUnit { place, new: true });
        journal.ensure_valid()
    };
    for place in ["chains/t0rn/db", "chains/t0rn/paritydb", "polkadot/chains/rococo/db"] {
        of(place).unwrap();
    }
    for place in [
        "chains/t0rn/db/full",
        "chains/t0rn",
        "chains/t0rn/keystore",
        "../db",
        "chains/../db",
        "/etc/db",
        "/chains/t0rn/db",
        "chains/db",
        "chains/t0rn/db/full/db",
        "db",
    ] {
        let error = of(place).unwrap_err().to_string();
        assert!(
            error.contains(&format!("names {place}, which no restore exchanges")),
            "{error}"
        );
    }
}
