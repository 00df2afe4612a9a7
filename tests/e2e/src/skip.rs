//! Tests that cannot run here say so.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Ends a test that cannot run here, and says why: on standard output, and in the file that `T0RN_SKIP_FILE` names.
#[macro_export]
macro_rules! skip {
    ($reason:expr) => {{
        $crate::skip::record(&$reason.to_string());
        return Ok(());
    }};
}

/// Use [`skip!`](crate::skip!).
#[expect(clippy::print_stdout, reason = "the line is the result of the test")]
pub fn record(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {reason}", thread.name().unwrap_or("a test"));
    println!("{line}");
    if let Some(file) = std::env::var_os("T0RN_SKIP_FILE") {
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut f| writeln!(f, "{line}"));
        if let Err(e) = written {
            println!("cannot write {}: {e}", file.display());
        }
    }
}
