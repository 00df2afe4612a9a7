//! Each row of the data file.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::exit_diagnosis::signature::is_returned_error;

/// A line for each row, in the order of the data file.
const EXAMPLES: &str = include_str!("examples.txt");

fn examples() -> impl Iterator<Item = (&'static Signature, &'static str)> {
    Signatures::built_in().iter().zip(EXAMPLES.lines())
}

#[test]
fn table_parses_and_its_rows_are_complete() {
    let rows = Signatures::built_in();
    assert!(rows.len() > 60, "{}", rows.len());
    for row in rows {
        let pattern = &row.pattern;
        assert!(
            !pattern.is_empty() && pattern.iter().all(|part| part.len() >= 3),
            "{pattern:?}"
        );
        assert!(row.survivable || row.says.is_some(), "{pattern:?} says nothing");
        assert!(
            row.says.is_none_or(|cause| Cause::OF_LAST_LINES.contains(&cause)),
            "{pattern:?}"
        );
        assert!(
            !row.exit_codes.contains(&0) && !row.exit_codes.is_empty(),
            "{pattern:?}"
        );
        assert!(row.remedy.is_some() && !row.source.is_empty(), "{pattern:?}");
    }
    let patterns: BTreeSet<_> = rows.iter().map(|row| &row.pattern).collect();
    assert_eq!(patterns.len(), rows.len(), "a pattern stands twice");
    assert_eq!(EXAMPLES.lines().count(), rows.len(), "a row without its example");
}

#[test]
fn example_of_each_row_is_recognised_by_that_row() {
    let table = Signatures::default();
    for (row, example) in examples() {
        let found = table.rows().find(|found| found.matches(example));
        assert_eq!(found.map(|found| &found.pattern), Some(&row.pattern), "{example}");
    }
}

#[test]
fn example_of_each_row_is_diagnosed_with_its_exit_codes_alone() {
    for (row, example) in examples() {
        for code in 1..=160 {
            // These speak for themselves.
            if matches!(code, 126 | 127) {
                continue;
            }
            let expected = row.cause().filter(|_| row.exit_codes.contains(&code));
            let found = diagnose(&exit(code, &["earlier", example, "later"]));
            assert_eq!(found, expected, "{code}: {example}");
        }
        assert_eq!(diagnose(&exit(0, &[example])), None);
    }
}

#[test]
fn returned_error_counts_with_code_one_alone() {
    let codes = |row: &Signature| row.pattern[0].starts_with("Error:") && row.exit_codes != [1];
    assert!(!Signatures::built_in().iter().any(codes));
}

#[test]
fn survivable_line_never_is_the_cause_of_an_end() {
    for (_, example) in examples().filter(|(row, _)| row.survivable) {
        for code in (-1..=255).filter(|code| !matches!(code, 126 | 127)) {
            assert_eq!(diagnose(&exit(code, &[example])), None, "{code}: {example}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever stands around and between its parts.
    #[test]
    fn no_row_is_shadowed_by_an_earlier_one(filler in prop::collection::vec("[a-z0-9 ]{0,12}", 6)) {
        let table = Signatures::default();
        for row in Signatures::built_in() {
            let parts = row.pattern.iter().zip(&filler).enumerate();
            // A returned error begins its line.
            let before = |n, part, filler| if n == 0 && is_returned_error(part) { "" } else { filler };
            let line: String = parts.map(|(n, (part, filler))| format!("{}{part}", before(n, part, filler))).chain(filler.last().cloned()).collect();
            let found = table.rows().find(|found| found.matches(&line)).unwrap();
            prop_assert_eq!(&found.pattern, &row.pattern, "{}", line);
        }
    }

    /// However they are mixed with the lines of a healthy node, a panic and a shutdown.
    #[test]
    fn log_of_survivable_lines_never_holds(
        picks in prop::collection::vec(0..64_usize, 1..40),
        code in prop::option::of(0..=255_i64).prop_filter("they speak for themselves", |c| !matches!(c, Some(126 | 127))),
        oom in any::<bool>(),
    ) {
        let survivable = examples().filter(|(row, _)| row.survivable).map(|(_, example)| example);
        let lines: Vec<_> = survivable.chain([IDLE, SYNCING, ESSENTIAL, PANIC, "Error: ", ""]).collect();
        let log = picks.iter().map(|pick| lines[pick % lines.len()].to_owned()).collect();
        prop_assert_eq!(diagnose(&Exit { code, oom, log }), None);
    }
}
