//! Report of the checks, as text and JSON.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// Result of one check, from good to bad; an unknown result is no pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Grade {
    Skip,
    Pass,
    Warn,
    Fail,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) result: Grade,
    /// What was found, and the remedy where there is something to do.
    pub(super) text: String,
}

impl Finding {
    pub(super) fn new(check: &'static str, result: Grade, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { check, result, text }
    }

    pub(super) fn pass(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Pass, text)
    }

    pub(super) fn warn(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Warn, text)
    }

    pub(super) fn fail(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Fail, text)
    }

    pub(super) fn skip(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Skip, text)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    schema: u32,
    pub(super) result: Grade,
    pub(super) checks: Vec<Finding>,
}

impl CheckReport {
    pub(super) fn new(checks: Vec<Finding>) -> Self {
        let result = checks.iter().map(|f| f.result).max().unwrap_or(Grade::Skip);
        Self {
            schema: 1,
            result,
            checks,
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        u8::from(self.result == Grade::Fail)
    }

    /// One line for each check, and one with the counts.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for Finding {
            check,
            result,
            text: found,
        } in &self.checks
        {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {check:<10}  {found}", result.into_str().to_uppercase());
        }
        let counts = Grade::VARIANTS.iter().rev().map(|grade| {
            let count = self.checks.iter().filter(|f| f.result == *grade).count();
            format!("{count} {}", grade.into_str())
        });
        let _ = writeln!(
            text,
            "{} checks: {}",
            self.checks.len(),
            counts.collect::<Vec<_>>().join(", ")
        );
        text
    }
}
