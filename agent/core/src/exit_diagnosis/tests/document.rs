//! The table in the documents.

use super::*;

const PAGE: &str = include_str!("../../../../../docs/last-lines.md");

#[test]
fn page_shows_the_table_of_the_data_file() {
    let expected = rows();
    let shown: Vec<_> = PAGE.lines().filter(|line| line.starts_with("| `")).collect();
    let table = expected.join("\n");
    assert!(
        shown == expected,
        "replace the rows in docs/last-lines.md by these:\n{table}"
    );
}

fn rows() -> Vec<String> {
    let row = |row: &Signature| {
        let pattern: Vec<_> = row.pattern.iter().map(|part| format!("`{part}`")).collect();
        let codes: Vec<_> = row.exit_codes.iter().map(ToString::to_string).collect();
        let says = match row.says {
            Some(cause) => format!("`{}`", cause.into_str()),
            None => "–".to_owned(),
        };
        let codes = if row.survivable {
            "survived".to_owned()
        } else {
            codes.join(", ")
        };
        let remedy = row.remedy.as_deref().unwrap_or_default();
        format!(
            "| {} | {codes} | {says} | {remedy} | {} |",
            pattern.join(" … "),
            row.source
        )
    };
    Signatures::built_in().iter().map(row).collect()
}
