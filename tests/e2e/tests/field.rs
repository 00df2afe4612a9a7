//! The judgement in the field: every kind of case that operators report, in several sizes and times.

use std::collections::BTreeSet;

use t0rn_agent_tests::field::{kinds, seeds, table};

/// Kinds that the agent gets wrong today. A kind that it gets right may not stand here.
const KNOWN_WRONG: &[&str] = &[];

#[test]
fn field_cases_are_judged_right() {
    let table = table::judge(seeds(4), "", false);
    let known: BTreeSet<_> = KNOWN_WRONG.iter().copied().collect();
    let mut complaints = Vec::new();
    for row in &table.rows {
        match (known.contains(row.kind), row.wrong.is_empty()) {
            (true, true) => complaints.push(format!("{}: right, and still in KNOWN_WRONG", row.kind)),
            (false, false) => {
                complaints.extend(
                    row.wrong
                        .iter()
                        .map(|(seed, text)| format!("{} seed {seed}: {text}", row.kind)),
                );
            }
            _ => {}
        }
    }
    let all: BTreeSet<_> = kinds().collect();
    complaints.extend(known.difference(&all).map(|kind| format!("{kind}: no such kind")));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
