//! `[[signatures]]`: rows of the user for the last log lines before an exit, in the form of the built-in table.

use agent_core::exit_diagnosis::Signature;
use agent_core::machine::Cause;
use toml::de::DeValue;

use crate::error::ValueError;
use crate::reader::{DocumentReader, SectionReader};
use crate::shape::{Reader, Shape, Text};
use crate::values::{boolean, choice, integer, some, string};

/// Most parts of a pattern.
const PARTS: usize = 8;
/// Longest part of a pattern, and remedy: the status has room for no more. Characters.
const LONGEST: usize = 200;
/// One part of a pattern, as the schema has it.
const PART: &str = r"^[^\x00-\x1f\x7f]{3,200}$";
const SENTENCE: Text<String> = Text {
    parse: sentence,
    pattern: r"^[^\x00-\x1f\x7f]{0,200}$",
};
const REMEDY: Text<String> = Text {
    parse: remedy,
    pattern: r"^(?=.*\S)[^\x00-\x1f\x7f]{1,200}$",
};
/// A line of a log: any text.
const EXAMPLE: Text<String> = Text {
    parse: |text| Ok(text.to_owned()),
    pattern: "",
};

/// One row. What is missing or unusable is a problem of the document, and empty in the row.
pub(crate) fn signature(mut section: SectionReader) -> Signature {
    let says = Cause::OF_LAST_LINES.map(|cause| (cause.into_str(), cause));
    let survivable = section.read_or("survivable", false, boolean());
    let parts = Reader {
        parse: parts,
        shape: Shape::List {
            each: Shape::Text { pattern: PART }.into(),
            min: 1,
            max: Some(PARTS),
        },
    };
    let pattern = section.require("pattern", "write the parts of the line, as [\"…\", \"…\"]", parts);
    let remedy = "write what the line shows, such as \"node_fault\", or survivable = true";
    let says = section.require_unless(("survivable", survivable), "says", remedy, choice(&says));
    let exit_codes = Reader {
        parse: exit_codes,
        shape: Shape::List {
            each: integer(1, 255).shape.into(),
            min: 1,
            max: None,
        },
    };
    let codes = Signature::DEFAULT_EXIT_CODES.to_vec();
    Signature {
        pattern: pattern.unwrap_or_default(),
        says,
        survivable,
        exit_codes: section.read_or("exit_codes", codes, exit_codes),
        remedy: section.read_or("remedy", None, some(string(&REMEDY))),
        source: section.read_or("source", String::new(), string(&SENTENCE)),
        example: section.read_or("example", String::new(), string(&EXAMPLE)),
    }
}

/// Adds a problem for each example that its pattern does not match, and for each pattern that stands twice.
pub(crate) fn validate(document: &mut DocumentReader, rows: &[Signature]) {
    for (i, row) in rows.iter().enumerate() {
        let [pattern, example] = ["pattern", "example"].map(|key| format!("signatures[{i}].{key}"));
        if document.has(&example) && !row.matches(&row.example) {
            document.conflict(
                &[&pattern, &example],
                "the example has not all parts of the pattern in their order",
                "copy the line from t0rn-agent logs, and mend the pattern",
            );
        }
        if !row.pattern.is_empty() && rows[..i].iter().any(|other| other.pattern == row.pattern) {
            document.conflict(
                &[&pattern],
                "the same pattern stands in a row before",
                "remove one of them",
            );
        }
    }
}

fn parts(value: &DeValue) -> Result<Vec<String>, ValueError> {
    let remedy = format!("write 1 to {PARTS} parts of 3 to {LONGEST} characters, as [\"…\", \"…\"]");
    let parts = value
        .as_array()
        .ok_or_else(|| ValueError::value(value, "is no list", &remedy))?;
    if parts.is_empty() || parts.len() > PARTS {
        return Err(ValueError::new(format!("a pattern of {} parts", parts.len()), remedy));
    }
    let part = |part: &toml::Spanned<DeValue>| {
        let text = (string(&SENTENCE).parse)(part.get_ref())?;
        if text.chars().count() < 3 {
            return Err(ValueError::text(&text, "is in too many lines", &remedy));
        }
        Ok(text)
    };
    parts.iter().map(part).collect()
}

fn exit_codes(value: &DeValue) -> Result<Vec<i64>, ValueError> {
    let remedy = "write codes from 1 to 255, as [1, 101]";
    let codes = value
        .as_array()
        .ok_or_else(|| ValueError::value(value, "is no list", remedy))?;
    if codes.is_empty() {
        return Err(ValueError::new("a list without a code", remedy));
    }
    codes
        .iter()
        .map(|code| (integer(1, 255).parse)(code.get_ref()))
        .collect()
}

fn remedy(text: &str) -> Result<String, ValueError> {
    let text = sentence(text)?;
    if text.trim().is_empty() {
        return Err(ValueError::text(&text, "is no remedy", "write what a person has to do"));
    }
    Ok(text.trim().trim_end_matches('.').to_owned())
}

/// Text of one line.
fn sentence(text: &str) -> Result<String, ValueError> {
    if text.contains(char::is_control) {
        let remedy = "write one line of plain text: a log has its lines one by one";
        return Err(ValueError::text(text, "contains a control character", remedy));
    }
    if text.chars().count() > LONGEST {
        let remedy = format!("write at most {LONGEST} characters");
        return Err(ValueError::text(text, "is too long", remedy));
    }
    Ok(text.to_owned())
}
