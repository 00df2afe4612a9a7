//! Rows of the configuration.

use super::*;

fn row(pattern: &[&str], says: Option<Cause>) -> Signature {
    Signature {
        pattern: pattern.iter().map(ToString::to_string).collect(),
        says,
        exit_codes: Signature::DEFAULT_EXIT_CODES.to_vec(),
        remedy: Some("ask the chain's developers".to_owned()),
        ..Signature::default()
    }
}

#[test]
fn own_row_comes_first_and_brings_its_remedy() {
    let table = Signatures::new(vec![row(&["HRMP channel", "missing"], Some(Cause::NodeFault))]);
    let end = exit(1, &[CORRUPTION, "Error: HRMP channel 7 is missing"]);
    let found = table.diagnose(&end, false).unwrap();
    assert_eq!(
        (found.cause, found.remedy.as_deref()),
        (Cause::NodeFault, Some("ask the chain's developers"))
    );
    let built_in = table.diagnose(&exit(1, &[CORRUPTION]), false).unwrap();
    assert_eq!(built_in.cause, Cause::DatabaseCorrupted);
}

#[test]
fn own_row_with_the_pattern_of_another_replaces_it() {
    let survivable = Signature {
        survivable: true,
        ..row(&["Corruption:"], None)
    };
    let table = Signatures::new(vec![survivable]);
    assert_eq!(table.diagnose(&exit(1, &[CORRUPTION]), false), None);
    let narrowed = Signature {
        exit_codes: vec![7],
        ..row(&["Corruption:"], Some(Cause::DatabaseCorrupted))
    };
    let table = Signatures::new(vec![narrowed]);
    assert_eq!(table.diagnose(&exit(1, &[CORRUPTION]), false), None);
    assert!(table.diagnose(&exit(7, &[CORRUPTION]), false).is_some());
    assert_eq!(table.rows().count(), Signatures::built_in().len());
}

#[test]
fn row_without_a_pattern_matches_nothing() {
    assert!(!row(&[], Some(Cause::NodeFault)).matches("anything"));
}
